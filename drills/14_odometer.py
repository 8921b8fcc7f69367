# The file converts with SELECT_TF_OPS, and the interpreter does not load it.
# To be true: `file` answers all meters so far, call by call, and a plain interpreter runs it.
import tensorflow as tf

# ---- broken, wrong 1
KIND = tf.uint16
# ---- right 1
KIND = tf.int64
# ---- right 2
KIND = tf.float32
# ---- wrong 2
KIND = tf.uint32
# ---- wrong 3
KIND = tf.uint8
# ---- end


class Odometer(tf.Module):
    def __init__(self):
        super().__init__()
        self.meters = tf.Variable(tf.zeros([], KIND))

    @tf.function(input_signature=[tf.TensorSpec([])])
    def step(self, driven):
        self.meters.assign(self.meters + tf.cast(driven, KIND))
        return tf.cast(self.meters, tf.float32)


odometer = Odometer()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [odometer.step.get_concrete_function()], odometer
)
# ---- broken, wrong 2
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
# ---- right 1, right 2, wrong 1, wrong 3
# ---- end
file = converter.convert()


# ---- check flex-variable
def check(file):
    """Keep a variable that needs no Flex delegate.

    1. Take `SELECT_TF_OPS` out. What does the converter say then?
    2. It was put in because of the dtype: VAR_HANDLE does not carry uint16.
    3. int32 and int64 are carried, and hold as many meters as anybody drives.
    """
    calls = np.float32([100, 150, 20, 0, 70000])
    expect_answers(file, calls, np.cumsum(calls))
    return "SELECT_TF_OPS only moves the failure from the converter to the device."
