import pytest


@pytest.fixture(scope="session")
def saved_and_converted(tf, tmp_path_factory):
    """A function of one x, saved as a SavedModel and converted."""

    def make(function, shape):
        module = tf.Module()
        module.f = tf.function(function, input_signature=[tf.TensorSpec(shape, name="x")])
        path = tmp_path_factory.mktemp("saved")
        tf.saved_model.save(module, str(path), signatures=module.f)
        return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()

    return make
