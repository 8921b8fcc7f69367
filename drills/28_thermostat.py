# The converter stops: a quantization to integers alone wants a representative dataset.
# To be true: `file` takes and gives int8, and is right within 2 degrees Fahrenheit.
import numpy as np
import tensorflow as tf

measured = np.float32([[[-40.0]], [[-10.0]], [[0.0]], [[25.0]], [[60.0]]])  # in degrees Celsius


@tf.function(input_signature=[tf.TensorSpec([1, 1])])
def fahrenheit(celsius):
    return celsius @ [[1.8]] + 32.0


function = fahrenheit.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
# ---- broken
# ---- right 1
converter.representative_dataset = lambda: ([value] for value in measured)
# ---- right 2
calls = [[np.full([1, 1], degrees, np.float32)] for degrees in range(-40, 61, 5)]
converter.representative_dataset = lambda: iter(calls)
# ---- wrong 1
converter.representative_dataset = lambda: ([np.float32([[n / 10]])] for n in range(10))
# ---- wrong 2
converter.inference_input_type = converter.inference_output_type = tf.float32
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
# ---- wrong 3
converter.representative_dataset = lambda: ([value] for value in measured[2:])
# ---- end
file = converter.convert()


# ---- check full-integer-quantization
def check(file):
    """Calibrate with what the model will meet.

    1. int8 has 256 values. Nobody has told the converter which degrees they are to stand for.
    2. `converter.representative_dataset` is a function that yields lists of inputs, as `measured`.
    3. `lambda: ([value] for value in measured)`: all of them, the coldest and the hottest too.
    """
    for degrees in (-40.0, -5.0, 20.0, 60.0):
        answer = call_int8(file, np.float32([[degrees]]))
        wanted = degrees * 1.8 + 32
        if not same(np.ravel(answer), [wanted], tolerance=2.0):
            raise Wrong(f"At {degrees} degrees `file` answers {shown(answer)}, not {wanted}.")
    return "A range that calibration has not seen is cut off: calibrate with the extremes."
