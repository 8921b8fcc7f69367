# On TensorFlow 2.16 the converter said "Variable constant folding is failed", and to set the flag.
# The flag changed nothing. The rest of the line: error: loc("cents"): 'tfl.assign_variable' op
# operand #1 must be tensor of 32-bit float or ... 64-bit signless integer, but got 'tensor<ui16>'
# To be true: `file` answers the cents so far, and the number of bookings, call by call.
import tensorflow as tf


class Balance(tf.Module):
    def __init__(self):
        super().__init__()
        # ---- broken, wrong 1
        self.cents = tf.Variable(0, dtype=tf.uint16, name="cents")
        # ---- right 1, wrong 2
        self.cents = tf.Variable(0, dtype=tf.int32, name="cents")
        # ---- right 2
        self.cents = tf.Variable(0.0, name="cents")
        # ---- wrong 3
        self.cents = tf.Variable(0, dtype=tf.uint8, name="cents")
        # ---- end
        # ---- broken, right 1, right 2, wrong 3
        self.bookings = tf.Variable(0, dtype=tf.int32, name="bookings")
        # ---- wrong 1
        self.bookings = tf.Variable(0.0, name="bookings")
        # ---- wrong 2
        self.bookings = tf.Variable(0, dtype=tf.uint16, name="bookings")
        # ---- end

    @tf.function(input_signature=[tf.TensorSpec([])])
    def step(self, amount):
        cents = self.cents + tf.cast(100.0 * amount, self.cents.dtype)
        self.cents.assign(cents)
        bookings = self.bookings.assign_add(1)
        return tf.stack([tf.cast(cents, tf.float32), tf.cast(bookings, tf.float32)])


balance = Balance()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [balance.step.get_concrete_function()], balance
)
converter.experimental_enable_resource_variables = True
file = converter.convert()


# ---- check constant-folding-failed
def check(file):
    """Read past a sentence that stands for many causes.

    1. The first sentence is the same whatever the cause. What does the rest of the line name?
    2. A variable, by `loc`, and a dtype that ASSIGN_VARIABLE does not take.
    3. Keep `cents` in int32, which it takes.
    """
    calls = np.float32([2, 1, 4, 0])
    expected = [[200, 1], [300, 2], [700, 3], [700, 4]]
    expect_answers(file, calls, expected, 0.01)
    return "The advice to set the flag is part of the sentence; the end of the line knows better."
