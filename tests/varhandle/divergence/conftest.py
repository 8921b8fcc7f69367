"""Models that several of these tests compare with their files."""

import types

import pytest
import zoo

from varhandle.divergence import location


@pytest.fixture(scope="module")
def silent(tf, specimen_path, tmp_path_factory):
    """A model and its file, by the name of a failure that converts without a word."""

    def of(name):
        if name == "int8-state":
            folder = tmp_path_factory.mktemp("int8")
            model = specimen_path("counter")
            return model, zoo.to_tflite(tf, model, folder, zoo.in_int8(tf))
        if name == "unfrozen-graph":
            return unfrozen(tf, tmp_path_factory.mktemp("unfrozen"))
        names = {"keras-in-module": "keras_in_a_module", "growing-variable": "growing"}
        return specimen_path(names[name]), None

    return of


def unfrozen(tf, folder):
    """Return a TF1 model with its values, and the file of its graph without."""
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        y = tf.identity(x @ v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=True))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "model"), {"x": x}, {"y": y})
        converter = v1.lite.TFLiteConverter(graph.as_graph_def(), [x], [y])
        (folder / "model.tflite").write_bytes(converter.convert())
    return folder / "model", folder / "model.tflite"


@pytest.fixture
def wrong_converter(monkeypatch):
    """A converter that gives what it is told to."""

    def gives(content):
        made = types.SimpleNamespace(content=content, record=None)
        monkeypatch.setattr(location, "convert", lambda *_, **__: made)
        return content

    return gives


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
