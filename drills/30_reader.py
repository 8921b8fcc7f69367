# The converter stops at TensorListReserve, which requires "element_shape to be static".
# To be true: `file` answers what the LSTM answers to one sequence, call by call.
import keras
import tensorflow as tf

ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
# ---- broken, right 1, wrong 1, wrong 2
layer = keras.layers.LSTM(2, **ones)
# ---- right 2
layer = keras.layers.LSTM(2, **ones, unroll=True)
# ---- wrong 3
layer = keras.layers.LSTM(2, **ones, unroll=True, go_backwards=True)
# ---- end
model = keras.Sequential([keras.Input([4, 3]), layer])
# ---- broken, right 2, wrong 1, wrong 2, wrong 3
converter = tf.lite.TFLiteConverter.from_keras_model(model)
# ---- right 1
function = tf.function(model).get_concrete_function(tf.TensorSpec([1, 4, 3]))
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
# ---- end
# ---- broken, right 1, right 2, wrong 3
# ---- wrong 1
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
converter._experimental_lower_tensor_list_ops = False
# ---- wrong 2
converter.allow_custom_ops = True
converter._experimental_lower_tensor_list_ops = False
# ---- end
file = converter.convert()


# ---- check tensor-list
def check(file):
    """Convert a recurrent layer for a batch of a known size.

    1. The layer keeps a list of tensors, each as large as the batch. How large is the batch?
    2. Nobody has said so. The device reads one sequence at a time.
    3. Convert a concrete function of `tf.TensorSpec([1, 4, 3])`.
    """
    import keras

    kernels = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
    reference = keras.layers.LSTM(2, **kernels)
    calls = np.linspace(-1, 1, 36, dtype=np.float32).reshape(3, 1, 4, 3)
    expect_answers(file, calls, [reference(call) for call in calls], 1e-3)
    return "What is as large as the batch has a size only where the batch has one."
