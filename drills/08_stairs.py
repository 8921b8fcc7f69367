# The converter stops at an op that it has no builtin for.
# To be true: `file` counts how often each of 0, 1, 2 and 3 stands in `steps`, as float32.
import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([5], tf.int32)])
def count(steps):
    # ---- broken, wrong 2, wrong 3
    return tf.math.bincount(steps, minlength=4, maxlength=4, dtype=tf.float32)
    # ---- right 1
    return tf.reduce_sum(tf.one_hot(steps, 4), axis=0)
    # ---- right 2
    hits = steps[:, tf.newaxis] == tf.range(4)
    return tf.reduce_sum(tf.cast(hits, tf.float32), axis=0)
    # ---- wrong 1
    return tf.reduce_max(tf.one_hot(steps, 4), axis=0)
    # ---- end


function = count.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
# ---- broken, right 1, right 2, wrong 1
# ---- wrong 2
converter.allow_custom_ops = True
# ---- wrong 3
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
# ---- end
file = converter.convert()


# ---- check op-without-builtin
def check(file):
    """Count without the op that has no builtin.

    1. The message names the op. Which line of the function made it?
    2. Compare each step with each of the four numbers, and add up.
    3. `tf.one_hot(steps, 4)` is such a comparison: add it up over axis 0.
    """
    calls = np.int32([[0, 1, 1, 3, 1], [2, 2, 2, 2, 2], [3, 0, 3, 0, 3]])
    expected = [np.bincount(call, minlength=4) for call in calls]
    expect_answers(file, calls, expected)
    return "TensorFlow has over a thousand ops, a .tflite file some 160: write with those."
