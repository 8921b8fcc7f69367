"""Models that several of these tests compare with their files."""

import types

import numpy as np
import pytest
import zoo
from planted_faults import without_operators

from varhandle.divergence import location

COMPUTED = {
    "infinite-constant": ([3, 4], lambda tf, x: tf.where(x > 2.0, x, -float("inf"))),
    "fft-length": ([8, 1], lambda tf, x: tf.math.real(tf.signal.rfft2d(x))),
}


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
        if name == "uninitialized-variable":
            model = specimen_path("counter")
            content = tf.lite.TFLiteConverter.from_saved_model(str(model)).convert()
            return model, without_operators(content, "CALL_ONCE")
        if name in COMPUTED:
            shape, compute = COMPUTED[name]
            spec, folder = tf.TensorSpec(shape, tf.float32, "x"), tmp_path_factory.mktemp(name)
            return zoo.save_step(tf, folder, {}, lambda _, x: {"y": compute(tf, x)}, spec), None
        names = {
            "keras-in-module": "keras_in_a_module",
            "growing-variable": "growing",
            "relu-of-product": "relu_of_a_product_that_changes",
        }
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


@pytest.fixture(scope="session")
def loops_of_tf1(tf, tmp_path_factory):
    """A frozen graph with a loop in a loop and a loop in a branch, and its file."""
    v1, path = tf.compat.v1, tmp_path_factory.mktemp("loops") / "frozen.pb"
    kernel = np.random.default_rng(0).normal(size=(4, 4)).astype("float32") / 4
    was_new = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with v1.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [1, 4], "x")

            def repeat(body, value, times):
                count = [tf.constant(0), value]
                return v1.while_loop(lambda i, a: i < times, lambda i, a: (i + 1, body(a)), count)[
                    1
                ]

            inner = lambda a: repeat(lambda b: tf.tanh(b @ kernel) + 0.1, a, 2)  # noqa: E731
            looped = repeat(lambda a: inner(a) + x, x, 3)
            chosen = v1.cond(
                tf.reduce_sum(x) > 0, lambda: repeat(tf.sin, looped, 2), lambda: -looped
            )
            tf.identity(chosen, "y")
            path.write_bytes(graph.as_graph_def().SerializeToString())
            converter = v1.lite.TFLiteConverter(
                graph.as_graph_def(), [x], [graph.get_tensor_by_name("y:0")]
            )
            content = converter.convert()
    finally:
        if was_new:
            v1.enable_control_flow_v2()
    return path, content
