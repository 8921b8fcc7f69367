# The board stops: "VAR_HANDLE requires resource variables". It has no store for them.
# Its firmware keeps the last four samples itself, and hands all of them over, the oldest first.
# To be true: `file` answers the mean of four samples that it is called with; it keeps nothing.
import tensorflow as tf


class Firmware(tf.Module):
    # ---- broken, wrong 3
    def __init__(self):
        super().__init__()
        self.samples = tf.Variable(tf.zeros([4]))

    # ---- right 1, right 2, wrong 1, wrong 2
    # ---- broken
    @tf.function(input_signature=[tf.TensorSpec([1])])
    def mean(self, sample):
        samples = self.samples.assign(tf.concat([self.samples[1:], sample], axis=0))
        return tf.reduce_mean(samples, keepdims=True)

    # ---- right 1
    @tf.function(input_signature=[tf.TensorSpec([4])])
    def mean(self, samples):
        return tf.reduce_mean(samples, keepdims=True)

    # ---- right 2
    @tf.function(input_signature=[tf.TensorSpec([4])])
    def mean(self, samples):
        return tf.tensordot(samples, tf.fill([4], 0.25), 1)

    # ---- wrong 1
    @tf.function(input_signature=[tf.TensorSpec([1])])
    def mean(self, sample):
        return tf.reduce_mean(sample, keepdims=True)

    # ---- wrong 2
    @tf.function(input_signature=[tf.TensorSpec([4])])
    def mean(self, samples):
        return samples[-1:]

    # ---- wrong 3
    @tf.function(input_signature=[tf.TensorSpec([4])])
    def mean(self, samples):
        return tf.reduce_mean(self.samples.assign(samples), keepdims=True)

    # ---- end


firmware = Firmware()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [firmware.mean.get_concrete_function()], firmware
)
file = converter.convert()


# ---- check micro-needs-store
def check(file):
    """Leave the state to the firmware that has it already.

    1. What does the variable hold that the firmware does not?
    2. Nothing. Let the function take all four samples.
    3. A TensorSpec([4]), and no variable.
    """
    expect_no_variable(file, "the board")
    calls = np.float32([[1, 2, 3, 6], [0, 0, 0, 4], [5, 5, 5, 5]])
    expect_answers(file, calls, calls.mean(axis=1))
    return "The best variable for a microcontroller is the one that its own program keeps."
