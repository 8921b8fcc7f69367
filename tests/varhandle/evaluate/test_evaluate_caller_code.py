"""The code that calls a file: run as its reader would run it, beside the file."""

import ast

import numpy as np
import pytest
from family_checks import run

from varhandle.evaluate.caller_code import calling_code
from varhandle.graph import ModelFileError
from varhandle.tflite.externalize_state import lift_state
from varhandle.tflite.state_files import as_npz


@pytest.fixture
def delivered(tmp_path, monkeypatch):
    """Lay a file, and the state if there is one, where the code will look; run the code there."""
    monkeypatch.chdir(tmp_path)

    def deliver(content, state=None, **options):
        (tmp_path / "model.tflite").write_bytes(content)
        if state:
            (tmp_path / "model.state.npz").write_bytes(as_npz(state))
        return run(calling_code(content, state or (), **options))

    return deliver


def test_a_state_that_the_file_keeps_goes_on(delivered, counting_file):
    names = delivered(counting_file)
    ones = np.ones(4, "float32")
    assert [v.tolist() for v in names["outputs"].values()] == [[0.0] * 4]  # the call with zeros
    totals = [next(iter(names["call"]({"x": ones}).values()))[0] for _ in range(3)]
    assert totals == [1.0, 2.0, 3.0]
    assert "lives in the interpreter" in calling_code(counting_file)


def test_a_state_that_the_caller_carries_goes_on(delivered, counting_file):
    lifted = lift_state(counting_file)
    names = delivered(lifted.content, lifted.start())
    ones = np.ones(4, "float32")
    told = [names["call"]({"x": ones}) for _ in range(3)]
    (answer,) = told[0]  # the state is not among the answers
    assert answer not in lifted.initial_state
    assert [one[answer][0] for one in told] == [1.0, 2.0, 3.0]
    assert list(names["state"]) == list(lifted.initial_state)


def test_real_values_go_in_and_come_out_of_a_file_of_integers(tf, delivered, to_int8):
    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, "x")])
    def doubling(x):
        return {"y": tf.tanh(x) * 2.0}

    concrete = [doubling.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, tf.Module())
    samples = np.random.default_rng(0).uniform(-1, 1, [50, 2]).astype("float32")
    names = delivered(to_int8(converter, samples))
    asked = np.float32([0.5, -0.9])
    (answer,) = names["call"]({"x": asked}).values()
    np.testing.assert_allclose(answer, np.tanh(asked) * 2, atol=0.05)
    assert names["outputs"]["y"].dtype == np.float32
    (most,) = names["call"]({"x": np.float32([1e9, -1e9])}).values()  # no integer turns over
    assert most[0] > 1.4 and most[1] < -1.4


def without_signatures(content):
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    assert isinstance(model, schema.ModelT)
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@pytest.mark.parametrize("carried", [False, True])
def test_a_file_without_signatures_is_called_by_its_tensors(delivered, counting_file, carried):
    content, state = without_signatures(counting_file), None
    if carried:
        lifted = lift_state(content)
        content, state = lifted.content, lifted.start()
    names = delivered(content, state)
    assert ("get_signature_runner" in calling_code(content)) == carried  # lifting makes one
    (own,) = names["inputs"]
    told = [names["call"]({own: np.ones(4, "float32")}) for _ in range(3)]
    assert [len(one) for one in told] == [1, 1, 1]
    assert [next(iter(one.values()))[0] for one in told] == [1.0, 2.0, 3.0]


def test_real_values_go_in_without_signatures(tf, delivered, to_int8):
    def doubling(x):
        return {"y": tf.tanh(x) * 2.0}

    function = tf.function(doubling).get_concrete_function(tf.TensorSpec([2], tf.float32, "x"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    samples = np.random.default_rng(0).uniform(-1, 1, [50, 2]).astype("float32")
    names = delivered(without_signatures(to_int8(converter, samples)))
    (own,) = names["inputs"]
    (answer,) = names["call"]({own: np.float32([0.5, -0.9])}).values()
    np.testing.assert_allclose(answer, np.tanh([0.5, -0.9]) * 2, atol=0.05)


def test_text_goes_in_and_comes_out(tf, delivered):
    spec = tf.TensorSpec([2], tf.string, "x")
    function = tf.function(lambda x: {"y": tf.gather(x, [1, 0])}).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    names = delivered(converter.convert())
    assert names["outputs"]["y"].tolist() == [b"", b""]
    assert names["call"]({"x": np.array([b"a", b"b"], object)})["y"].tolist() == [b"b", b"a"]


HOSTILE = "y\"'\n]); raise SystemExit('\\u202e😀')  #"


def test_a_name_stays_a_name(delivered, converted):
    content = converted(lambda x: {HOSTILE: x + 1.0}, x=[None, 2])
    names = delivered(content)
    assert names["outputs"][HOSTILE].tolist() == [[1.0, 1.0]]  # a size that is unknown is one
    assert calling_code(content).isascii()


def test_every_name_of_text_is_written_as_it_is():
    from varhandle.evaluate import caller_code

    for name in ("it's", '"', "'\"", "\\", "😀", "\ud800", "\x7f", "a/b:0"):
        assert ast.literal_eval(caller_code._literal(name)) == name


def test_what_there_is_not(counting_file):
    with pytest.raises(KeyError, match="nobody"):
        calling_code(counting_file, signature="nobody")
    with pytest.raises(ModelFileError):
        calling_code(counting_file[:100])
