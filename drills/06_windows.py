# Windows of samples come in several lengths, and the interpreter takes none of them.
# To be true: `answers` holds what `interpreter` answers to each window, its mean.
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


class Mean(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None])])
    def of(self, samples):
        return tf.reduce_mean(samples, keepdims=True)


mean = Mean()
function = mean.of.get_concrete_function()
file = tf.lite.TFLiteConverter.from_concrete_functions([function], mean).convert()
interpreter = Interpreter(model_content=file)
(taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
answers = []
for window in (np.float32([1, 2, 6]), np.float32([4, 6]), np.float32([1, 2, 3, 4, 5])):
    # ---- broken
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], window)
    interpreter.invoke()
    answers.append(interpreter.get_tensor(given["index"])[0])
    # ---- right 1
    interpreter.resize_tensor_input(taken["index"], window.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], window)
    interpreter.invoke()
    answers.append(interpreter.get_tensor(given["index"])[0])
    # ---- right 2
    (answer,) = interpreter.get_signature_runner()(samples=window).values()
    answers.append(float(answer[0]))
    # ---- wrong 1
    interpreter.allocate_tensors()
    interpreter.resize_tensor_input(taken["index"], window.shape)
    interpreter.set_tensor(taken["index"], window)
    interpreter.invoke()
    answers.append(interpreter.get_tensor(given["index"])[0])
    # ---- wrong 2
    interpreter.resize_tensor_input(taken["index"], [5])
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], np.pad(window, (0, 5 - len(window))))
    interpreter.invoke()
    answers.append(interpreter.get_tensor(given["index"])[0])
    # ---- wrong 3
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], window[:1])
    interpreter.invoke()
    answers.append(interpreter.get_tensor(given["index"])[0])
    # ---- end


# ---- check dynamic-shape
def check(file, answers):
    """Call a file of an open size with what you have.

    1. Look at `taken["shape"]` and `taken["shape_signature"]`: which of them is open?
    2. An interpreter lays its tensors out for one size. What tells it the next one?
    3. `interpreter.resize_tensor_input(taken["index"], window.shape)`, then `allocate_tensors()`.
    """
    if not same(answers, [3.0, 5.0, 3.0], tolerance=1e-5):
        raise Wrong(
            f"The means are 3, 5 and 3, and `answers` is {shown(answers)}. On what was it run?"
        )
    return (
        "An open size stands as 1 until the input is resized; then the tensors are laid out anew."
    )
