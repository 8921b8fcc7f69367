# Saving stops at an untracked resource.
# To be true: `file` answers x times the gain, 2.5.
import tensorflow as tf

# ---- broken, right 2, wrong 1, wrong 2, wrong 3
Base = object
# ---- right 1
Base = tf.Module
# ---- end


class Settings(Base):
    def __init__(self):
        self.gain = tf.Variable(2.5)


class Sensor(tf.Module):
    def __init__(self):
        super().__init__()
        self.settings = Settings()
        # ---- right 2
        self.gain = self.settings.gain
        # ---- wrong 1
        self.settings.gain = self.gain = tf.Variable(0.0)
        # ---- wrong 2
        self.all_settings = {"settings": self.settings}
        # ---- wrong 3
        self.gain = tf.Variable(self.settings.gain)
        # ---- broken, right 1
        # ---- end

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def read(self, x):
        return self.settings.gain * x


sensor = Sensor()
tf.saved_model.save(sensor, "sensor", signatures=sensor.read)
file = tf.lite.TFLiteConverter.from_saved_model("sensor").convert()


# ---- check uninitialised-variable
def check(file):
    """Let what is saved own its variables.

    1. A SavedModel holds the values of the variables that it reaches from the saved object, by
       attributes.
    2. It does not look into a plain Python object, such as `Settings`.
    3. Make `Settings` a `tf.Module`, or keep the variable in an attribute of `Sensor` as well.
    """
    calls = np.float32([[1, 2], [0, -4]])
    expect_answers(file, calls, 2.5 * calls)
    return "A value that nothing owns is not saved, and would be garbage where it is read."
