# It converts, without an error or a warning, and the file shows bars below zero.
# To be true: `file` answers as `gauge.step` does, call by call: its bars never go below zero.
import tensorflow as tf


class Gauge(tf.Module):
    def __init__(self):
        super().__init__()
        self.gain = tf.Variable([[1.0, -1.0], [0.5, 2.0]])

    @tf.function(input_signature=[tf.TensorSpec([1, 2])])
    def step(self, x):
        # ---- broken, right 1, wrong 1, wrong 2
        bars = tf.nn.relu(x @ self.gain)
        # ---- right 2
        bars = tf.nn.relu(tf.matmul(x[tf.newaxis], self.gain)[0])
        # ---- wrong 3
        bars = x @ self.gain
        # ---- end
        # ---- broken, right 1, right 2, wrong 2, wrong 3
        self.gain.assign(self.gain * 0.5)
        # ---- wrong 1
        # ---- end
        return bars


gauge = Gauge()
function = gauge.step.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], gauge)
# ---- broken, right 2, wrong 1, wrong 3
# ---- right 1
converter.unfold_batchmatmul = True
# ---- wrong 2
converter.optimizations = [tf.lite.Optimize.DEFAULT]
# ---- end
file = converter.convert()


# ---- check lost-activation
def check(file):
    """Keep what cuts the bars off at zero.

    1. Print the ops of the file, with `tf.lite.experimental.Analyzer`: where is the ReLU?
    2. The converter makes BATCH_MATMUL of a product with a matrix that changes. Which op of a file
       multiplies two matrices, and has a ReLU in it?
    3. What is there to set? Print `[name for name in dir(converter) if "matmul" in name]`.
    """
    calls = np.float32([[[-1, 1]], [[2, -2]], [[4, 4]]])
    gain = np.float32([[1, -1], [0.5, 2]])
    wanted = [np.maximum(x @ (gain * 0.5**n), 0) for n, x in enumerate(calls)]
    expect_answers(file, calls, wanted)
    return (
        "A file may convert, run and lack an op: compare it with the model, on values that show it."
    )
