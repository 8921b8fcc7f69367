# The board stops in AllocateTensors(): its arena has 2,048 bytes, and the file needs more.
# To be true: `file` answers the rows of `table` that two numbers name, and fits into the arena.
import numpy as np
import tensorflow as tf

table = np.arange(4000, dtype=np.float32).reshape(1000, 4)


@tf.function(input_signature=[tf.TensorSpec([2], tf.int32)])
def rows(numbers):
    # ---- broken
    hits = tf.cast(numbers[:, tf.newaxis] == tf.range(1000), tf.int8)
    return tf.cast(hits, tf.float32) @ table
    # ---- right 1
    return tf.gather(table, numbers)
    # ---- right 2
    first, second = tf.unstack(numbers)
    return tf.stack([tf.constant(table)[first], tf.constant(table)[second]])
    # ---- wrong 1
    hits = numbers[:, tf.newaxis] == tf.range(1000)
    return tf.reduce_sum(tf.where(hits[..., tf.newaxis], table, 0.0), axis=1)
    # ---- wrong 2
    return tf.gather(table[:500], numbers % 500)
    # ---- wrong 3
    picked = [tf.one_hot(number, 1000)[tf.newaxis] @ table for number in tf.unstack(numbers)]
    return tf.concat(picked, axis=0)
    # ---- end


function = rows.get_concrete_function()
file = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


# ---- check micro-arena-too-small
def check(file):
    """Look rows up in little memory.

    1. The table is a constant and stays in flash. Which tensor in between is the largest?
    2. Of the [2, 1000] ones and zeros that are multiplied, two matter.
    3. `tf.gather(table, numbers)` takes the rows and makes no tensor in between.
    """
    needed = working_bytes(file)
    if needed > 2048:
        raise Wrong(f"The tensors that `file` computes have {needed:,} bytes; the arena has 2,048.")
    calls = np.int32([[0, 999], [7, 7], [501, 500]])
    expect_answers(file, calls, np.arange(4000.0).reshape(1000, 4)[calls])
    return "Constants stay in flash; what an arena holds are the tensors that are computed."
