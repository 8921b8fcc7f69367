# The file converts, and the interpreter does not know one of its ops.
# To be true: `file` answers cosh(x), the line of a hanging chain, and a plain interpreter runs it.
import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([3])])
def chain(x):
    # ---- broken, wrong 3
    return tf.cosh(x)
    # ---- right 1
    return (tf.exp(x) + tf.exp(-x)) / 2.0
    # ---- right 2
    return tf.exp(x) / (1.0 + tf.tanh(x))
    # ---- wrong 1
    return (tf.exp(x) - tf.exp(-x)) / 2.0
    # ---- wrong 2
    return 1.0 + x * x / 2.0
    # ---- end


function = chain.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
# ---- broken
converter.allow_custom_ops = True
# ---- right 1, right 2, wrong 1, wrong 2
# ---- wrong 3
converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
# ---- end
file = converter.convert()


# ---- check custom-op-missing
def check(file):
    """Write a function with ops that every interpreter has.

    1. Take `allow_custom_ops` out: the error that it hides names the op.
    2. There is no builtin for `Cosh`. How is cosh(x) defined?
    3. (e^x + e^-x) / 2, with `tf.exp`.
    """
    calls = np.float32([[0, 1, -1], [2, 0.5, -3]])
    expect_answers(file, calls, np.cosh(calls), 1e-3)
    return "allow_custom_ops keeps the name of an op and no code for it: somebody must bring that."
