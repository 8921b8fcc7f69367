# The runtime on the board is of 2020: "Op builtin_code out of range: 142".
# To be true: `file` has no op on variables. Its signature takes `x` and `total`, two numbers each,
# and answers the new `total`, which the program on the board hands back in the next call.
import tensorflow as tf

VECTOR = tf.TensorSpec([2])


class Board(tf.Module):
    # ---- broken, wrong 2
    def __init__(self):
        super().__init__()
        self.total = tf.Variable(tf.zeros([2]))

    # ---- right 1, right 2, wrong 1, wrong 3
    # ---- broken
    @tf.function(input_signature=[VECTOR])
    def step(self, x):
        return {"total": self.total.assign_add(x)}

    # ---- right 1
    @tf.function(input_signature=[VECTOR, VECTOR])
    def step(self, x, total):
        return {"total": total + x}

    # ---- right 2
    @tf.function(input_signature=[VECTOR, VECTOR])
    def step(self, total, x):
        both = tf.stack([total, x])
        return {"total": tf.reduce_sum(both, axis=0)}

    # ---- wrong 1
    @tf.function(input_signature=[VECTOR, VECTOR])
    def step(self, x, total):
        return {"sum": total + x}

    # ---- wrong 2
    @tf.function(input_signature=[VECTOR, VECTOR])
    def step(self, x, total):
        return {"total": self.total.assign(total + x)}

    # ---- wrong 3
    @tf.function(input_signature=[VECTOR])
    def step(self, x):
        return {"total": x}

    # ---- end


board = Board()
tf.saved_model.save(board, "board", signatures=board.step)
file = tf.lite.TFLiteConverter.from_saved_model("board").convert()


# ---- check runtime-too-old
def check(file):
    """Take the state out of the file, into the hands of the program.

    1. 142 is VAR_HANDLE, which came with TensorFlow 2.6. What has no variable needs none.
    2. The state can go in as an input and come out as an output.
    3. `def step(self, x, total): return {"total": total + x}`, with a second TensorSpec.
    """
    expect_no_variable(file, "the runtime of 2020")
    total = np.zeros(2, np.float32)
    for x in np.float32([[1, 2], [3, 0], [-1, 5]]):
        wanted = total + x
        total = call_signature(file, x=x, total=total)["total"]
        if not same(total, wanted, tolerance=1e-5):
            raise Wrong(f"With {shown(x)} the total is to be {shown(wanted)}: {shown(total)}.")
    return "A state that goes in and comes out runs on any runtime, and can be kept over a restart."
