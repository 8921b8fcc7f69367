# The converter stops: a node was passed a float, "incompatible with expected resource".
# To be true: `file` answers the highest level so far, call by call.
import tensorflow as tf


class Meter(tf.Module):
    def __init__(self):
        super().__init__()
        self.peak = tf.Variable([0.0])

    @tf.function(input_signature=[tf.TensorSpec([1])])
    def step(self, level):
        # ---- broken, right 1, right 2, wrong 3
        return self.peak.assign(tf.maximum(self.peak, level))
        # ---- wrong 1
        return tf.maximum(self.peak, level)
        # ---- wrong 2
        return tf.maximum(self.peak.read_value(), level)
        # ---- end


meter = Meter()
function = meter.step.get_concrete_function()
# ---- broken, wrong 1
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
# ---- right 1, wrong 2
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], meter)
# ---- right 2
tf.saved_model.save(meter, "meter", signatures=function)
converter = tf.lite.TFLiteConverter.from_saved_model("meter")
# ---- wrong 3
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
converter.experimental_enable_resource_variables = True
# ---- end
file = converter.convert()


# ---- check frozen-but-assigned
def check(file):
    """Convert a function that assigns a variable, with its variable.

    1. A variable became a constant, and the graph still assigns it. Who froze it?
    2. The converter was given the function alone. It needs the object that owns the variable.
    3. `from_concrete_functions([function], meter)`.
    """
    calls = np.float32([[1], [5], [2], [7], [0]])
    expect_answers(file, calls, np.maximum.accumulate(calls))
    return "A function alone is frozen first. With its owner beside it the variable stays one."
