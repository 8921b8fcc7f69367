"""TensorFlow's own answers of a model file, compared with the model in this process."""

import numpy as np
import pytest

from varhandle.evaluate.reference import ask_model, loader_of
from varhandle.formats import read_graph
from varhandle.formats.trust import NotTrustedError
from varhandle.graph import Function, Graph


@pytest.fixture(scope="module")
def total(running_total, save_module):
    return save_module(running_total())


def answers_of(path, calls, signature=None):
    return ask_model(loader_of(read_graph(path)), calls, signature)


CALLS = [{"x": np.full(4, value, "float32")} for value in (1.0, 2.0, 4.0)]


def test_a_saved_model_keeps_its_state_from_call_to_call(total):
    record = answers_of(total, CALLS)
    assert record.ok
    assert [answer["output_0"].tolist() for answer in record.value.answers] == [
        [1.0] * 4,
        [3.0] * 4,
        [7.0] * 4,
    ]
    again = answers_of(total / "saved_model.pb", CALLS)
    assert again.value.answers[2]["output_0"].tolist() == [7.0] * 4


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_keras_file_with_two_inputs(tf, tmp_path, suffix):
    import keras

    left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([right, left])
    model = keras.Model([left, right], [keras.layers.Dense(2)(joined), joined])
    model.save(tmp_path / f"model.{suffix}")
    call = {"right": np.ones([1, 3], "float32"), "left": np.full([1, 2], 2.0, "float32")}
    record = answers_of(tmp_path / f"model.{suffix}", [call])
    assert record.ok
    expected = model([call["left"], call["right"]])
    for got, wanted in zip(record.value.answers[0].values(), expected, strict=True):
        np.testing.assert_allclose(got, np.array(wanted), rtol=1e-6)


def test_a_frozen_graph(tf, tmp_path):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2], name="x")
        tf.multiply(x, 3.0, name="triple")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    record = answers_of(tmp_path / "graph.pb", [{"x": np.array([1.0, 2.0], "float32")}])
    assert record.value.answers[0]["triple"].tolist() == [3.0, 6.0]


def test_random_answers_are_no_reference(tf, tmp_path):
    module = tf.Module()
    module.step = tf.function(
        # Seeds of 0: another test may have set TensorFlow's own seed for this process.
        lambda x: x + tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32, seed=0, seed2=0),
        input_signature=[tf.TensorSpec([2])],
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.step)
    record = answers_of(tmp_path, [{"x": np.zeros(2, "float32")}])
    assert record.exception_type == "NotRepeatableError"
    assert "from call 1 on" in record.message


def test_a_failure_is_a_record(total):
    record = answers_of(total, [{"x": np.zeros(7, "float32")}])
    assert not record.ok
    assert record.exception_type == "RefusedCallError"
    assert record.message


def test_a_call_that_the_model_refuses_ends_there(tf, tmp_path):
    class Cache(tf.Module):
        def __init__(self):
            self.used = tf.Variable(0)

        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, "x")])
        def push(self, x):
            with tf.control_dependencies([tf.debugging.assert_less(self.used, 3, "it is full")]):
                self.used.assign_add(1)
            return {"y": x * tf.cast(self.used, tf.float32)}

    module = Cache()
    tf.saved_model.save(module, str(tmp_path), signatures={"push": module.push})
    answers, refusal = answers_of(tmp_path, [{"x": np.ones(2, "float32")}] * 5, "push").value
    assert [answer["y"].tolist() for answer in answers] == [[1.0] * 2, [2.0] * 2, [3.0] * 2]
    assert "it is full" in refusal


def test_signatures_of_one_copy_are_called_in_turns(tf, tmp_path, running_total):
    module = running_total()
    module.reset = tf.function(
        lambda: {"was": module.total.assign(tf.zeros(4))}, input_signature=[]
    )
    signatures = {"add": module.__call__, "reset": module.reset}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    x = {"x": np.ones(4, "float32")}
    answers, _ = answers_of(tmp_path, [x, x, {}, x], ["add", "add", "reset", "add"]).value
    assert [next(iter(answer.values()))[0] for answer in answers] == [1.0, 2.0, 0.0, 1.0]


def test_a_keras_model_answers_as_in_inference(tf, tmp_path):
    import keras

    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.RandomFlip(seed=1), keras.layers.Dropout(0.5)]
    )
    model.save(tmp_path / "augmented.keras")
    call = {"x": np.random.default_rng(0).random([2, 8, 8, 1], "float32")}
    record = answers_of(tmp_path / "augmented.keras", [call])
    np.testing.assert_array_equal(record.value.answers[0]["0"], model.predict(call["x"], verbose=0))


def test_nothing_of_a_model_that_brings_code_along_is_loaded():
    graph = Graph(
        "m", "saved_model", (Function("f", ()),), embedded_code=("ReadFile reads a file",)
    )
    with pytest.raises(NotTrustedError, match="ReadFile"):
        loader_of(graph)
