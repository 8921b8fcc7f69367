# The converter stops: 'tf.VarHandleOp' op is neither a custom op nor a flex op.
# To be true: `file` answers the total of all clicks so far, call by call, as float32.
import tensorflow as tf


class Clicks(tf.Module):
    def __init__(self):
        super().__init__()
        # ---- broken, wrong 1, wrong 2
        self.total = tf.Variable(tf.zeros([2], tf.float16))
        # ---- right 1, wrong 3
        self.total = tf.Variable(tf.zeros([2]))
        # ---- right 2
        self.total = tf.Variable([0, 0], dtype=tf.int32)
        # ---- end

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def step(self, x):
        # ---- broken, wrong 2
        self.total.assign_add(tf.cast(x, tf.float16))
        return tf.cast(self.total, tf.float32)
        # ---- right 1
        return self.total.assign_add(x)
        # ---- right 2
        new = self.total + tf.cast(x, tf.int32)
        self.total.assign(new)
        return tf.cast(new, tf.float32)
        # ---- wrong 1
        return tf.cast(self.total, tf.float32) + x
        # ---- wrong 3
        return self.total.assign(x)
        # ---- end


clicks = Clicks()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [clicks.step.get_concrete_function()], clicks
)
# ---- broken, right 1, right 2, wrong 1, wrong 3
# ---- wrong 2
converter.allow_custom_ops = True
# ---- end
file = converter.convert()


# ---- check unsupported-variable-dtype
def check(file):
    """Keep a total that converts. All clicks are whole numbers.

    1. A variable that is only read becomes a constant. This one is assigned, and stays a variable.
    2. VAR_HANDLE carries some dtypes, and float16 is not among them.
    3. Keep the total in float32; then no cast is needed.
    """
    calls = np.float32([[1, 2], [1, 0], [3, 5], [0, 0]])
    expect_answers(file, calls, np.cumsum(calls, axis=0))
    return "State has the dtypes of VAR_HANDLE, float32 among them; the rest of a model may differ."
