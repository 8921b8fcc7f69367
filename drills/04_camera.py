# The accelerator's library is not on this machine, and the program stops.
# To be true: `answer` is what the file answers to `picture`, on the processor.
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, load_delegate


@tf.function(input_signature=[tf.TensorSpec([1, 4])])
def brightness(pixels):
    return tf.reduce_mean(pixels, axis=1)


function = brightness.get_concrete_function()
file = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
picture = np.float32([[0.0, 1.0, 0.5, 0.5]])
# ---- broken
delegates = [load_delegate("libedgetpu.so.1")]
# ---- right 1
try:
    delegates = [load_delegate("libedgetpu.so.1")]
except (OSError, ValueError):
    delegates = []
# ---- right 2
delegates = None
# ---- wrong 1
try:
    delegates = [load_delegate("libedgetpu.so.1")]
except (OSError, ValueError):
    delegates = [None]
# ---- wrong 2
delegates = ["libedgetpu.so.1"]
# ---- wrong 3
delegates, picture = [], np.zeros([1, 4], np.float32)
# ---- end
interpreter = Interpreter(model_content=file, experimental_delegates=delegates)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


# ---- check delegate-refused
def check(answer):
    """Run a file where its accelerator is not.

    1. Which line stops? The file itself has not been looked at by then.
    2. The processor runs what no delegate takes. What has `experimental_delegates` to be for that?
    3. An empty list, where `load_delegate` raises.
    """
    if not same(np.ravel(answer), [0.5], tolerance=1e-5):
        raise Wrong(f"The mean of the four pixels is 0.5, and `answer` is {shown(answer)}.")
    return "A delegate that does not load says nothing about the file: run it without one first."
