# The converter stops at a random number generator, which the device has no use for.
# To be true: `file` answers what `model` answers when it is called for inference.
import tensorflow as tf


class Model(tf.Module):
    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable([[1.0, 0.0], [0.0, -1.0], [2.0, 1.0]])

    @tf.function
    def __call__(self, x, training):
        if training:  # some noise, so that it learns to do without any single one
            # ---- broken, right 1, right 2, wrong 1, wrong 3
            x = x + 0.1 * tf.random.stateless_normal([1, 3], seed=[7, 7])
            # ---- wrong 2
            x = x + 0.1 * tf.random.normal([1, 3])
            # ---- end
        return x @ self.kernel


model = Model()
spec = tf.TensorSpec([1, 3])
# ---- broken, wrong 1, wrong 2, wrong 3
function = model.__call__.get_concrete_function(spec, True)
# ---- right 1
function = model.__call__.get_concrete_function(spec, False)
# ---- right 2
serve = tf.function(lambda x: model(x, training=False), input_signature=[spec])
function = serve.get_concrete_function()
# ---- end
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
# ---- broken, right 1, right 2, wrong 2
# ---- wrong 1
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
# ---- wrong 3
converter.allow_custom_ops = True
# ---- end
file = converter.convert()


# ---- check random-draws
def check(file):
    """Convert a model as it answers, not as it trains.

    1. Which line draws random numbers, and when is it run?
    2. `True` says that the model is being trained.
    3. `model.__call__.get_concrete_function(spec, False)`.
    """
    kernel = np.float32([[1, 0], [0, -1], [2, 1]])
    calls = np.float32([[[1, 2, 3]], [[0, -1, 0]], [[1, 2, 3]]])
    expect_answers(file, calls, calls @ kernel)
    return "Noise and Dropout belong to the training; a file for inference draws nothing."
