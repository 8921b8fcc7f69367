# The converter stops at an update, and names VarHandleOp beside it.
# To be true: `file` answers the last three samples, the newest first.
import tensorflow as tf


class Window(tf.Module):
    def __init__(self):
        super().__init__()
        self.seen = tf.Variable(tf.zeros([3]))

    @tf.function(input_signature=[tf.TensorSpec([1])])
    def step(self, sample):
        # ---- broken, wrong 3
        self.seen[1:].assign(self.seen[:-1])
        self.seen[:1].assign(sample)
        return self.seen.read_value()
        # ---- right 1
        return self.seen.assign(tf.concat([sample, self.seen[:-1]], axis=0))
        # ---- right 2
        shifted = tf.roll(self.seen, 1, axis=0)
        self.seen.assign(tf.where([True, False, False], sample, shifted))
        return self.seen.read_value()
        # ---- wrong 1
        return self.seen.assign(tf.concat([self.seen[1:], sample], axis=0))
        # ---- wrong 2
        return tf.concat([sample, self.seen[:-1]], axis=0)
        # ---- end


window = Window()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [window.step.get_concrete_function()], window
)
# ---- broken, right 1, right 2, wrong 1, wrong 2
# ---- wrong 3
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
# ---- end
file = converter.convert()


# ---- check unsupported-variable-update
def check(file):
    """Update a variable in a way that converts.

    1. The dtype is float32, which is fine. Which op stands beside VarHandleOp in the message?
    2. Assigning to a slice has no builtin. Assigning the whole variable has.
    3. Make the whole new value with `tf.concat`, and assign it at once.
    """
    calls = np.float32([[1], [2], [3], [4]])
    expect_answers(file, calls, [[1, 0, 0], [2, 1, 0], [3, 2, 1], [4, 3, 2]])
    return (
        "Compute the whole new value, then assign it: ASSIGN_VARIABLE is the only update there is."
    )
