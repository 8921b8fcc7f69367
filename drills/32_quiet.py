# It converts, without an error, and where nothing is heard the file says -3.4028235e38.
# To be true: `file` answers as `heard` does: sounds above 2, and minus infinity for all others.
import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([4])])
def heard(sounds):
    # ---- broken, right 1, wrong 3
    return tf.where(sounds > 2.0, sounds, -float("inf"))
    # ---- right 2
    return tf.where(sounds > 2.0, sounds, tf.math.log(tf.nn.relu(sounds - 2.0)))
    # ---- wrong 1
    return tf.where(sounds > 2.0, sounds, -1e9)
    # ---- wrong 2
    return tf.where(sounds > 2.0, sounds, sounds.dtype.min)
    # ---- end


function = heard.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
# ---- broken, right 2, wrong 1, wrong 2
# ---- right 1
converter.canonicalizing_inf_as_min_max_float = False
# ---- wrong 3
converter.optimizations = [tf.lite.Optimize.DEFAULT]
# ---- end
file = converter.convert()


# ---- check clamped-infinity
def check(file):
    """Keep what no number is larger than.

    1. -3.4028235e38 is the smallest number of float32, `np.finfo(np.float32).min`. In the file it
       stands as a constant. Who has put it there?
    2. The converter changes what it knows before the model runs. It has a setting for that: print
       `[name for name in dir(converter) if "inf" in name]`.
    3. What is computed when the model runs is left alone: which logarithm is minus infinity?
    """
    calls = np.float32([[3, 1, 5, 2], [0, -1, 2, 2.5], [4, 4, 4, 4]])
    expect_answers(file, calls, [np.where(call > 2, call, -np.inf) for call in calls])
    return "Whoever compares such an answer with minus infinity is not led astray any more."
