# The file converts, and the interpreter says that it needs the Flex delegate.
# To be true: `file` answers x0, x0 x1 and x0 x1 x2 for three rates above 0, and runs in a
# plain interpreter.
import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([3])])
def growth(rates):
    # ---- broken, wrong 3
    return tf.math.cumprod(rates)
    # ---- right 1
    first, second, third = tf.unstack(rates)
    return tf.stack([first, first * second, first * second * third])
    # ---- right 2
    return tf.exp(tf.cumsum(tf.math.log(rates)))
    # ---- wrong 1
    return tf.cumsum(rates)
    # ---- wrong 2
    return rates * tf.concat([[1.0], rates[:-1]], 0)
    # ---- end


function = growth.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
# ---- broken
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
# ---- right 1, right 2, wrong 1, wrong 2
# ---- wrong 3
converter.allow_custom_ops = True
# ---- end
file = converter.convert()


# ---- check flex-op-missing
def check(file):
    """Make a file that runs without the Flex delegate.

    1. `SELECT_TF_OPS` keeps what has no builtin. Take it out, and the converter names it.
    2. Three rates are few: write the three products out.
    3. `tf.unstack(rates)` gives them one by one, and `tf.stack` makes a tensor of the products.
    """
    calls = np.float32([[1.1, 1.2, 0.5], [2, 3, 4], [1, 1, 0.25]])
    expect_answers(file, calls, np.cumprod(calls, axis=1), 1e-3)
    return "A file of builtin ops alone runs everywhere; Flex is a library that each program links."
