# It converts, it runs, and its answers are wrong.
# To be true: `file` answers what `classes.layer` does.
import keras
import tensorflow as tf


class Classes(tf.Module):
    def __init__(self):
        super().__init__()
        self.layer = keras.Sequential(
            [keras.Input([4], batch_size=1), keras.layers.Dense(2, kernel_initializer="ones")]
        )
        # ---- right 2
        self.values = [variable.value for variable in self.layer.variables]
        # ---- wrong 3
        self.values = list(self.layer.variables)
        # ---- broken, right 1, wrong 1, wrong 2
        # ---- end

    @tf.function(input_signature=[tf.TensorSpec([1, 4])])
    def scores(self, x):
        return self.layer(x)


classes = Classes()
# ---- broken, right 2, wrong 3
tf.saved_model.save(classes, "classes", signatures=classes.scores)
converter = tf.lite.TFLiteConverter.from_saved_model("classes")
# ---- right 1
classes.layer.export("classes", verbose=False)
converter = tf.lite.TFLiteConverter.from_saved_model("classes")
# ---- wrong 1
function = classes.scores.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], classes)
# ---- wrong 2
tf.saved_model.save(classes.layer, "classes", signatures=classes.scores)
converter = tf.lite.TFLiteConverter.from_saved_model("classes")
# ---- end
file = converter.convert()


# ---- check keras3-export
def check(file):
    """Bring a Keras model into a file with its values.

    1. The answers are garbage, another one in each run. The values of which variables are lost?
    2. `tf.saved_model.save` meets a Keras variable twice, and saves the wrong one of the two.
    3. Let Keras write the SavedModel: `classes.layer.export("classes")`.
    """
    calls = np.float32([[[1, 2, 3, 4]], [[0, -1, 0, 2]]])
    expected = [np.repeat(call.sum(axis=1), 2) for call in calls]
    expect_answers(file, calls, expected)
    return "What converts and runs can still be wrong: compare with the model, always."
