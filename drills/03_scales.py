# The converter does not find the function that it is asked for.
# To be true: `file` turns degrees Celsius into kelvin.
import tensorflow as tf


class Scales(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([2])])
    def fahrenheit(self, celsius):
        return celsius * 1.8 + 32.0

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def kelvin(self, celsius):
        return celsius + 273.15


scales = Scales()
# ---- broken
tf.saved_model.save(scales, "scales", signatures=scales.fahrenheit)
converter = tf.lite.TFLiteConverter.from_saved_model("scales", signature_keys=["kelvin"])
# ---- right 1
tf.saved_model.save(scales, "scales", signatures={"kelvin": scales.kelvin})
converter = tf.lite.TFLiteConverter.from_saved_model("scales", signature_keys=["kelvin"])
# ---- right 2
function = scales.kelvin.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], scales)
# ---- wrong 1
tf.saved_model.save(scales, "scales", signatures=scales.fahrenheit)
converter = tf.lite.TFLiteConverter.from_saved_model("scales")
# ---- wrong 2
tf.saved_model.save(scales, "scales")
converter = tf.lite.TFLiteConverter.from_saved_model("scales", signature_keys=["kelvin"])
# ---- wrong 3
tf.saved_model.save(scales, "scales", signatures={"kelvin": scales.fahrenheit})
converter = tf.lite.TFLiteConverter.from_saved_model("scales", signature_keys=["kelvin"])
# ---- end
file = converter.convert()


# ---- check converter-call
def check(file):
    """Ask the converter for a function that the SavedModel has.

    1. Which signatures has it? `print(list(tf.saved_model.load("scales").signatures))`.
    2. A function becomes a signature by `signatures=`; one without a name of its own is called
       `serving_default`.
    3. Save with `signatures={"kelvin": scales.kelvin}`.
    """
    calls = np.float32([[0, 100], [-273.15, 20]])
    expect_answers(file, calls, calls + np.float32(273.15), 1e-3)
    return "A SavedModel offers what it was given as a signature, under that name, and no more."
