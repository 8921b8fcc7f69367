# The int8 file counts to 2, and stays there.
# To be true: `file` takes float32 and adds up what it is called with, to 40 and beyond.
import numpy as np
import tensorflow as tf


class Counter(tf.Module):
    def __init__(self):
        super().__init__()
        self.total = tf.Variable(tf.zeros([1]))

    @tf.function(input_signature=[tf.TensorSpec([1])])
    def step(self, x):
        return self.total.assign_add(x)


counter = Counter()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [counter.step.get_concrete_function()], counter
)
# ---- broken
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.representative_dataset = lambda: ([np.ones(1, np.float32)] for _ in range(2))
# ---- right 1
# ---- right 2
converter.optimizations = [tf.lite.Optimize.DEFAULT]
# ---- wrong 1
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.representative_dataset = lambda: ([np.ones(1, np.float32)] for _ in range(20))
# ---- wrong 2
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.representative_dataset = lambda: ([np.ones(1, np.float32)] for _ in range(2))
converter.inference_input_type = converter.inference_output_type = tf.int8
# ---- wrong 3
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
]
converter.representative_dataset = lambda: ([np.ones(1, np.float32)] for _ in range(2))
# ---- end
file = converter.convert()


# ---- check quantised-state
def check(file):
    """Quantize what is large, and not a state that grows.

    1. Calibration saw two calls. Which is the largest total that it saw?
    2. Quantized, a state has a largest value for good. A total has none.
    3. There is no large weight here: leave the file in float32.
    """
    calls = np.ones([60, 1], np.float32)
    expect_answers(file, calls, np.cumsum(calls), 0.1)
    return "int8 has a largest value, and a state that reaches it stands still."
