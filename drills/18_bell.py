# The converter stops at 'tf.Placeholder': it did not find the variable behind a read.
# To be true: `file` takes `x`, and answers x times the bell's volume.
import tensorflow as tf


class Bell(tf.Module):
    def __init__(self):
        super().__init__()
        self.volume = tf.Variable([2.0, 3.0])

    @tf.function
    # ---- broken, right 2, wrong 1, wrong 2, wrong 3
    def ring(self, x, volume):
        return volume * x

    # ---- right 1
    def ring(self, x):
        return self.volume * x

    # ---- end


bell = Bell()
spec = tf.TensorSpec([2])
# ---- broken
function = bell.ring.get_concrete_function(spec, bell.volume)
# ---- right 1
function = bell.ring.get_concrete_function(spec)
# ---- right 2
call = tf.function(lambda x: bell.ring(x, bell.volume))
function = call.get_concrete_function(spec)
# ---- wrong 1
function = bell.ring.get_concrete_function(spec, bell.volume.read_value())
# ---- wrong 2
function = bell.ring.get_concrete_function(spec, tf.TensorSpec([2]))
# ---- wrong 3
function = bell.ring.get_concrete_function(spec, 2.0)
# ---- end
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], bell)
file = converter.convert()


# ---- check freezer-lost-variable
def check(file):
    """Let a function find its variable by itself.

    1. `volume` is a parameter: in the graph it is a placeholder, and no variable that can be found.
    2. A function captures what it takes from `self`, and the converter follows that.
    3. `def ring(self, x): return self.volume * x`.
    """
    calls = np.float32([[2, 1], [0, 5], [-1, 4]])
    expect_answers(file, calls, calls * np.float32([2, 3]))
    return "Captured by `self`, a variable has a way back to its value; as an argument it has none."
