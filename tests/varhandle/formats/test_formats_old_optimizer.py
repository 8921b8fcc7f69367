"""SavedModels of trained Keras 2 models, whose optimizer today's TensorFlow has no class for."""

import numpy as np
import pytest
from family_checks import run

from varhandle import cure, diagnose
from varhandle.formats import read_graph
from varhandle.sandbox.process import run_source


@pytest.fixture(scope="module")
def trained(tf, tmp_path_factory):
    """A module with an optimizer that has slots, as Keras 2 saves it."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.keras.optimizer_v2.adam import Adam

    class Trained(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([[1.0], [2.0]], name="weight")
            self.optimizer = Adam(0.1)

        @tf.function(input_signature=[tf.TensorSpec([1, 2], tf.float32, name="x")])
        def call(self, x):
            return x @ self.weight

    model = Trained()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.call(tf.ones([1, 2])))
    model.optimizer.apply_gradients([(tape.gradient(loss, model.weight), model.weight)])
    folder = tmp_path_factory.mktemp("trained") / "model"
    tf.saved_model.save(model, str(folder), signatures=model.call)
    file = folder / "saved_model.pb"
    saved = SavedModel.FromString(file.read_bytes())
    for node in saved.meta_graphs[0].object_graph_def.nodes:
        if node.user_object.identifier == "tf_deprecated_optimizer":
            node.user_object.identifier = "optimizer"
            node.user_object.version.producer = 1
    file.write_bytes(saved.SerializeToString())
    return folder, model


def test_it_is_converted_and_compared(tf, trained, monkeypatch, tmp_path):
    folder, model = trained
    record = run_source(f"import tensorflow as tf; tf.saved_model.load({str(folder)!r})")
    assert "has no attribute 'add_slot'" in record.message
    assert read_graph(folder).has_old_optimizer
    assert diagnose(folder).verdict == "convertible"
    made = cure(folder)
    assert made.parity.passed
    x = np.array([[3.0, 4.0]], "float32")
    (got,) = tf.lite.Interpreter(model_content=made.content).get_signature_runner()(x=x).values()
    np.testing.assert_allclose(got, model.call(x), rtol=1e-6)
    monkeypatch.chdir(tmp_path)
    run(made.plan.code)
    content = (tmp_path / "model.tflite").read_bytes()
    (got,) = tf.lite.Interpreter(model_content=content).get_signature_runner()(x=x).values()
    np.testing.assert_allclose(got, model.call(x), rtol=1e-6)


def test_other_models_have_none(saved_models):
    assert not any(read_graph(path).has_old_optimizer for path in saved_models.values())
