"""TensorFlow's own answers of a model file, compared with the model in this process."""

import numpy as np
import pytest

from varhandle.evaluate.reference import reference_answers
from varhandle.graph import ModelFileError


@pytest.fixture(scope="module")
def total(running_total, save_module):
    return save_module(running_total())


CALLS = [{"x": np.full(4, value, "float32")} for value in (1.0, 2.0, 4.0)]


def test_a_saved_model_keeps_its_state_from_call_to_call(total):
    record = reference_answers(total, CALLS, "serving_default")
    assert record.ok
    assert [answer["output_0"].tolist() for answer in record.value] == [
        [1.0] * 4,
        [3.0] * 4,
        [7.0] * 4,
    ]
    again = reference_answers(total / "saved_model.pb", CALLS)
    assert again.value[2]["output_0"].tolist() == [7.0] * 4


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_keras_file_with_two_inputs(tf, tmp_path, suffix):
    import keras

    left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([right, left])
    model = keras.Model([left, right], [keras.layers.Dense(2)(joined), joined])
    model.save(tmp_path / f"model.{suffix}")
    call = {"right": np.ones([1, 3], "float32"), "left": np.full([1, 2], 2.0, "float32")}
    record = reference_answers(tmp_path / f"model.{suffix}", [call])
    assert record.ok
    expected = model([call["left"], call["right"]])
    for got, wanted in zip(record.value[0].values(), expected, strict=True):
        np.testing.assert_allclose(got, np.array(wanted), rtol=1e-6)


def test_a_frozen_graph(tf, tmp_path):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2], name="x")
        tf.multiply(x, 3.0, name="triple")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    record = reference_answers(tmp_path / "graph.pb", [{"x": np.array([1.0, 2.0], "float32")}])
    assert record.value[0]["triple"].tolist() == [3.0, 6.0]


def test_random_answers_are_no_reference(tf, tmp_path):
    module = tf.Module()
    module.step = tf.function(
        # Seeds of 0: another test may have set TensorFlow's own seed for this process.
        lambda x: x + tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32, seed=0, seed2=0),
        input_signature=[tf.TensorSpec([2])],
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.step)
    record = reference_answers(tmp_path, [{"x": np.zeros(2, "float32")}])
    assert record.exception_type == "NotRepeatableError"
    assert "from call 1 on" in record.message


def test_a_failure_is_a_record(total):
    record = reference_answers(total, [{"x": np.zeros(7, "float32")}])
    assert not record.ok
    assert record.message


def test_what_has_no_reference_is_refused(tmp_path, counting_file):
    (tmp_path / "total.tflite").write_bytes(counting_file)
    with pytest.raises(ModelFileError, match="no reference"):
        reference_answers(tmp_path / "total.tflite", CALLS)
    with pytest.raises(ModelFileError):
        reference_answers(tmp_path / "nothing", CALLS)
