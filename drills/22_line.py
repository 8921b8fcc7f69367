# A colleague's converter, of TensorFlow 2.5, stops: the variable "is not immutable".
# To be true: `file` predicts with the trained slope, 3, and has no op on variables.
import tensorflow as tf


class Line(tf.Module):
    def __init__(self):
        super().__init__()
        self.slope = tf.Variable([1.0])

    @tf.function(input_signature=[tf.TensorSpec([1]), tf.TensorSpec([1])])
    def train(self, x, y):
        return self.slope.assign(y / x)

    @tf.function(input_signature=[tf.TensorSpec([1])])
    def predict(self, x):
        return self.slope * x


line = Line()
# ---- broken
line.train([2.0], [6.0])
signatures = {"predict": line.predict, "train": line.train}
tf.saved_model.save(line, "line", signatures=signatures)
converter = tf.lite.TFLiteConverter.from_saved_model("line", signature_keys=list(signatures))
# ---- right 1
line.train([2.0], [6.0])
tf.saved_model.save(line, "line", signatures={"predict": line.predict})
converter = tf.lite.TFLiteConverter.from_saved_model("line", signature_keys=["predict"])
# ---- right 2
line.train([2.0], [6.0])
function = line.predict.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], line)
# ---- wrong 1
tf.saved_model.save(line, "line", signatures={"predict": line.predict})
converter = tf.lite.TFLiteConverter.from_saved_model("line", signature_keys=["predict"])
# ---- wrong 2
line.train([2.0], [6.0])
tf.saved_model.save(line, "line", signatures=line.train)
converter = tf.lite.TFLiteConverter.from_saved_model("line")
# ---- wrong 3
line = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec([1])])
converter = tf.lite.TFLiteConverter.from_concrete_functions([line.get_concrete_function()])
# ---- end
file = converter.convert()


# ---- check not-immutable
def check(file):
    """Convert what a device calls, and leave the training out.

    1. Which function assigns the variable? Does the device call it?
    2. A variable that no converted signature assigns becomes a constant.
    3. Train first; then save with the signature `predict` alone.
    """
    expect_no_variable(file, "TensorFlow 2.5")
    calls = np.float32([[1], [4], [-2]])
    expect_answers(file, calls, 3 * calls)
    return (
        "The variables of a file are those that its signatures assign: export only what is called."
    )
