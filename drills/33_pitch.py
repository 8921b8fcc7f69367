# It converts, and the interpreter stops: "IsPowerOfTwo(fft_length_data[1]) was not true".
# To be true: `file` answers as `loudness` does: how loud each frequency of six samples is.
import numpy as np
import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([1, 6])])
def loudness(samples):
    # ---- broken
    return tf.abs(tf.signal.rfft(samples))
    # ---- right 1
    turns = np.outer(np.arange(6), np.arange(4)) / 6
    real = samples @ tf.constant(np.cos(2 * np.pi * turns), tf.float32)
    imaginary = samples @ tf.constant(np.sin(2 * np.pi * turns), tf.float32)
    return tf.sqrt(real * real + imaginary * imaginary)
    # ---- right 2
    waves = np.fft.rfft(np.eye(6))
    real, imaginary = (samples @ tf.constant(part, tf.float32) for part in (waves.real, waves.imag))
    return tf.norm([real, imaginary], axis=0)
    # ---- wrong 1
    return tf.abs(tf.signal.rfft(samples, [8]))[:, :4]
    # ---- wrong 2
    return tf.abs(tf.signal.rfft(tf.concat([samples, samples[:, :2]], axis=1)))[:, :4]
    # ---- wrong 3
    turns = np.outer(np.arange(6), np.arange(4)) / 6
    return tf.abs(samples @ tf.constant(np.cos(2 * np.pi * turns), tf.float32))
    # ---- end


function = loudness.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
file = converter.convert()


# ---- check fft-length
def check(file):
    """Transform six samples.

    1. Six is no power of two. What would eight samples, two of them zeros, change? Which
       frequencies are there then?
    2. A frequency is a sum: each sample times a cosine, and each sample times a sine. Sums of
       products with constants are a product with a matrix.
    3. `np.outer(np.arange(6), np.arange(4)) / 6` is how often each frequency has turned at each
       sample. Times `2 * np.pi`, its cosines and sines are the two matrices.
    """
    calls = np.float32([[[1, 2, 3, 4, 5, 6]], [[1, -1, 1, -1, 1, -1]], [[0, 0, 2, 0, -1, 0.5]]])
    expect_answers(file, calls, [np.abs(np.fft.rfft(call)) for call in calls], 1e-3)
    return "A product with a matrix computes a Fourier transform of any length, and as exactly."
