# The interpreter refuses the reading.
# To be true: `answer` is what `interpreter` answers to the two degrees Celsius of `reading`.
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


class Thermometer(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1, 2])])
    def fahrenheit(self, celsius):
        return celsius * 1.8 + 32.0


thermometer = Thermometer()
function = thermometer.fahrenheit.get_concrete_function()
file = tf.lite.TFLiteConverter.from_concrete_functions([function], thermometer).convert()
interpreter = Interpreter(model_content=file)
interpreter.allocate_tensors()
reading = np.array([20.0, 25.0])
# ---- broken
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], reading)
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
# ---- right 1
batch = reading.astype(np.float32)[np.newaxis]
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
# ---- right 2
runner = interpreter.get_signature_runner()
(answer,) = runner(celsius=np.float32([reading])).values()
# ---- wrong 1
answer = reading * 1.8 + 32.0
# ---- wrong 2
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.float32([reading]))
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
# ---- wrong 3
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], reading.astype(np.float32))
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
# ---- end


# ---- check interpreter-call
def check(interpreter, answer):
    """Hand a file its input as it takes it.

    1. The message compares what it got with what it expected. What dtype has `reading`?
    2. Once the dtype fits, the shape is next: `interpreter.get_input_details()[0]["shape"]`.
    3. `reading.astype(np.float32)[np.newaxis]` is float32, and of the shape [1, 2].
    """
    given = interpreter.get_tensor(interpreter.get_input_details()[0]["index"])
    if not same(given, [[20.0, 25.0]]):
        raise Wrong(f"The interpreter was given {shown(given)}, and not the reading.")
    if not same(np.ravel(answer), [68.0, 77.0], tolerance=1e-3):
        raise Wrong(f"`answer` is {shown(answer)}. Did the interpreter run after it got its input?")
    return "A file takes one dtype and one shape. NumPy makes float64 unless it is told otherwise."
