# The variable grows with each sample, so its size is open; an interpreter does not run it.
# To be true: `file` answers the mean of all samples so far, call by call.
import tensorflow as tf


class Logbook(tf.Module):
    def __init__(self):
        super().__init__()
        # ---- broken
        self.samples = tf.Variable(tf.zeros([0]), shape=[None])
        # ---- right 1
        self.total, self.count = tf.Variable([0.0]), tf.Variable([0.0])
        # ---- right 2, wrong 1, wrong 2
        self.mean, self.count = tf.Variable([0.0]), tf.Variable([0], dtype=tf.int32)
        # ---- wrong 3
        self.samples = tf.Variable(tf.zeros([3]))
        # ---- end

    @tf.function(input_signature=[tf.TensorSpec([1])])
    def step(self, sample):
        # ---- broken
        self.samples.assign(tf.concat([self.samples, sample], axis=0))
        return tf.reduce_mean(self.samples, keepdims=True)
        # ---- right 1
        return self.total.assign_add(sample) / self.count.assign_add([1.0])
        # ---- right 2
        count = self.count + 1
        self.count.assign(count)
        return self.mean.assign_add((sample - self.mean) / tf.cast(count, tf.float32))
        # ---- wrong 1
        return self.mean.assign((self.mean + sample) / 2.0)
        # ---- wrong 2
        return self.mean.assign_add((sample - self.mean) / tf.cast(self.count + 1, tf.float32))
        # ---- wrong 3
        self.samples.assign(tf.concat([self.samples[1:], sample], axis=0))
        return tf.reduce_mean(self.samples, keepdims=True)
        # ---- end


logbook = Logbook()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [logbook.step.get_concrete_function()], logbook
)
file = converter.convert()


# ---- check shared-or-dynamic-state
def check(file):
    """Keep a state of a fixed size.

    1. A device has to know at the start how large each variable is.
    2. What has to be known of the past to tell the next mean? Not every sample.
    3. Their sum and their number.
    """
    calls = np.float32([[4], [2], [9], [1], [4]])
    expect_answers(file, calls, np.cumsum(calls) / np.arange(1, 6))
    return "State of a fixed size: keep what the next answer needs of the past, not the past."
