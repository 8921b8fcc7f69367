"""Inference: LiteRT's answers against TensorFlow's and NumPy's, and a crash that costs nothing."""

import os

import numpy as np
import pytest

from varhandle.evaluate.session import InputError, Session, infer
from varhandle.graph import ModelFileError


@pytest.fixture(scope="module")
def mixed(tf, converted):
    """Strings, an int64 without dimensions, and booleans."""
    return converted(
        lambda words, number, flags: {
            "words": words, "number": number + 1, "flags": tf.logical_not(flags)
        },
        words=tf.TensorSpec([None], tf.string),
        number=tf.TensorSpec([], tf.int64),
        flags=tf.TensorSpec([None, 2], tf.bool),
    )  # fmt: skip


@pytest.fixture(scope="module")
def affine(converted):
    """x -> 2 x + 1 on [batch, 3], the batch open."""
    return converted(lambda x: {"y": 2.0 * x + 1.0}, x=[None, 3])


@pytest.fixture(scope="module")
def int8_file(tf, to_int8):
    """A dense layer of ones: int8 inside, and int8 at both ends."""
    layers = [tf.keras.Input([4]), tf.keras.layers.Dense(1, None, False, "ones")]
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Sequential(layers))
    samples = np.random.default_rng(0).uniform(-1, 3, [50, 1, 4]).astype(np.float32)
    return to_int8(converter, samples)


@pytest.fixture(scope="module")
def signatures_file(tf, tmp_path_factory):
    """Two signatures: ``step`` keeps a total, ``constant`` takes nothing."""

    class Counter(tf.Module):
        def __init__(self):
            self.total = tf.Variable(tf.zeros([4]))

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, name="x")])
        def step(self, x):
            self.total.assign_add(x)
            return {"total": self.total + 0.0}

        @tf.function(input_signature=[])
        def constant(self):
            return {"seven": tf.fill([2], 7.0)}

    module, folder = Counter(), str(tmp_path_factory.mktemp("signatures"))
    names = ("step", "constant")
    signatures = {name: getattr(module, name).get_concrete_function() for name in names}
    tf.saved_model.save(module, folder, signatures=signatures)
    return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


@pytest.fixture(scope="module")
def growing_file(tf):
    class Growing(tf.Module):
        def __init__(self):
            self.seen = tf.Variable(tf.zeros([0]), shape=[None])

        @tf.function(input_signature=[tf.TensorSpec([4])])
        def __call__(self, x):
            self.seen.assign(tf.concat([self.seen, x], axis=0))
            return tf.reduce_sum(self.seen)

    growing = Growing()
    concrete = [growing.__call__.get_concrete_function()]
    return tf.lite.TFLiteConverter.from_concrete_functions(concrete, growing).convert()


# --- sessions


def test_an_array_alone_or_by_name(affine):
    session = Session(affine)
    x = np.array([[1, 2, 3]], np.float32)
    for given in (x, {"x": x}, [[1.0, 2.0, 3.0]], x.astype(np.float64), [[1, 2, 3]]):
        answer = session(given)
        assert list(answer) == ["y"]
        np.testing.assert_array_equal(answer["y"], 2 * x + 1)
        assert answer["y"].dtype == np.float32


@pytest.mark.parametrize("delegates", [True, False])
def test_another_batch_is_another_plan(affine, delegates):
    session = Session(affine, delegates=delegates)
    for batch in (1, 5, 2, 2, 1):
        x = np.random.default_rng(batch).normal(size=(batch, 3)).astype(np.float32)
        np.testing.assert_allclose(session(x)["y"], 2 * x + 1, rtol=1e-6)


def test_answers_are_new_arrays(affine):
    session = Session(affine)
    first = session(np.zeros([1, 3], np.float32))["y"]
    session(np.ones([1, 3], np.float32))
    assert first.tolist() == [[1.0, 1.0, 1.0]]


def test_strings_scalars_and_booleans(mixed):
    flags = np.array([[True, False], [False, False]])
    words = np.array(["a", "é", ""])
    session = Session(mixed)
    answer = session({"words": words, "number": 2**40, "flags": flags})
    assert [word.decode() for word in answer["words"]] == words.tolist()
    assert answer["number"] == 2**40 + 1
    assert answer["number"].shape == ()
    np.testing.assert_array_equal(answer["flags"], ~flags)
    again = session({"words": [b"\0\xff"], "number": np.int32(-1), "flags": flags[:1]})
    assert list(again["words"]) == [b"\0\xff"]
    assert again["number"] == 0


def test_state_lives_as_long_as_the_session(counting_file, running_total):
    module, session = running_total(), Session(counting_file)
    for value in (1, 2, 3):
        x = np.full(4, value, np.float32)
        (answer,) = session(x).values()
        np.testing.assert_array_equal(answer, module(x).numpy())
    (fresh,) = Session(counting_file)(np.ones(4, np.float32)).values()
    assert fresh.tolist() == [1.0] * 4


def test_every_signature_runs_its_own_subgraph(signatures_file):
    step = Session(signatures_file, signature="step")
    constant = Session(signatures_file, signature="constant")
    assert {step.runs_main, constant.runs_main} == {True, False}
    assert constant()["seven"].tolist() == [7.0, 7.0]
    ones = np.ones(4, np.float32)
    assert step(ones)["total"].tolist() == [1.0] * 4
    assert step({"x": ones})["total"].tolist() == [2.0] * 4
    assert "none" in repr(constant)


def test_a_file_without_signatures(tf):
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        content = v1.lite.TFLiteConverter.from_session(session, [x], [x * 2.0]).convert()
    opened = Session(content)
    assert opened.signature is None
    assert list(opened.inputs) == ["x"]
    (answer,) = opened(np.ones([3, 2], np.float32)).values()
    assert answer.tolist() == [[2.0, 2.0]] * 3


def test_floats_are_quantized_and_answers_are_real(int8_file):
    session = Session(int8_file)
    values = np.array([[0.5, 1.25, -0.75, 2.0]], np.float32)
    (answer,) = session(values).values()
    (output,) = session.outputs.values()
    assert answer.dtype == np.float32
    assert abs(answer.item() - 3.0) < 3 * output.scale


def test_no_entry_of_a_detail_is_needed_that_is_deprecated(int8_file, monkeypatch):
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter._get_tensor_details

    def without(interpreter, *place):
        found = details(interpreter, *place)
        del found["quantization"]
        return found

    before = Session(int8_file)
    monkeypatch.setattr(Interpreter, "_get_tensor_details", without)
    session = Session(int8_file)
    assert (session.inputs, session.outputs) == (before.inputs, before.outputs)
    assert all(tensor.scale > 0 for tensor in session.inputs.values())


def test_quantizing_is_the_formula_of_the_specification(tf, int8_file):
    """TensorFlow's own quantized tensors are the judge."""
    (tensor,) = Session(int8_file).inputs.values()
    values = np.linspace(-2, 4, 301).astype(np.float32)
    low, high = ((end - tensor.zero_point) * tensor.scale for end in (-128, 127))
    expected = tf.quantization.fake_quant_with_min_max_args(values, low, high, 8).numpy()
    got = tensor.dequantize(tensor.quantize(values))
    steps = np.abs(got - expected) / tensor.scale
    assert np.mean(steps > 0.01) < 0.01  # halves may round either way
    assert steps.max() < 1.01
    assert tensor.quantize(np.float32([1e9, -1e9])).tolist() == [127, -128]
    assert tensor.dequantize(np.int8([127, -128])) == pytest.approx([high, low], abs=1e-5)


def test_integers_go_in_and_come_out_as_they_are(int8_file):
    from ai_edge_litert.interpreter import Interpreter

    raw = np.array([[-128, 0, 5, 127]], np.int8)
    interpreter = Interpreter(model_content=int8_file)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], raw)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    session = Session(int8_file)
    for given in (raw, raw.astype(np.int64), raw.tolist()):
        (answer,) = session(given, raw=True).values()
        assert answer.dtype == np.int8
        np.testing.assert_array_equal(answer, expected)


def test_it_shows_its_inputs_and_outputs(int8_file, mixed):
    session = Session(int8_file)
    (tensor,) = session.inputs.values()
    assert "\n" not in repr(session)
    assert f"{tensor.scale:.6g}" in session.text()
    assert "[-1, 4]" in session.text()
    assert "<table" in session.html()
    assert "string" in Session(mixed).text()


# --- what does not fit


@pytest.mark.parametrize(
    ("inputs", "error", "told"),
    [
        ({"y": 1}, KeyError, "the model takes x, and not y"),
        ({}, KeyError, "the model takes x, and not none"),
        (np.zeros([1, 4], np.float32), InputError, r"'x' takes shape \[-1, 3\], and not \[1, 4\]"),
        (np.zeros(3, np.float32), InputError, r"'x' takes shape \[-1, 3\], and not \[3\]"),
        (np.zeros([1, 3], complex), InputError, "'x' takes float32, and not complex128"),
        ([["a", "b", "c"]], InputError, "'x' takes float32, and not string"),
        (None, KeyError, "the model takes x, and not none"),
        ([[None, 1, 2]], InputError, "'x' takes float32, and not object"),
    ],
)
def test_inputs_that_do_not_fit(affine, inputs, error, told):
    session = Session(affine)
    with pytest.raises(error, match=told):
        session(inputs)
    np.testing.assert_array_equal(session(np.zeros([1, 3]))["y"], np.ones([1, 3]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"words": np.array([1])}, "'words' takes string, and not int64"),
        ({"number": 1.5}, "'number' takes int64, and not float64"),
        ({"number": [1]}, r"'number' takes shape \[\], and not \[1\]"),
        ({"flags": np.array([[1, 0]])}, "'flags' takes bool, and not int64"),
    ],
)
def test_dtypes_that_would_lose_something(mixed, change, told):
    right = {"words": ["a"], "number": 1, "flags": [[True, False]]}
    with pytest.raises(InputError, match=told):
        Session(mixed)({**right, **change})


def test_what_else_does_not_fit(int8_file, mixed):
    with pytest.raises(InputError, match="takes int8, and not int64"):
        Session(int8_file)(np.array([[200, 0, 0, 0]]))
    with pytest.raises(KeyError, match=r"3 inputs \(flags, number, words\)"):
        Session(mixed)(np.ones(3))


def test_a_shape_that_the_file_leaves_closed_may_be_tried(counting_file):
    with pytest.raises(InputError, match=r"takes shape \[4\]"):
        Session(counting_file)(np.ones(5, np.float32))
    lenient = Session(counting_file, strict=False)
    with pytest.raises(RuntimeError):
        lenient(np.ones([5, 3], np.float32))
    (answer,) = lenient(np.ones(4, np.float32)).values()
    assert answer.shape == (4,)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "<bytes>: the file is empty"),
        (b"PK\3\4 a zip file", "<bytes>: not a .tflite file"),
        (b"\0\0\0\0TFL3" + bytes(99), "<bytes>: "),
    ],
)
def test_what_is_no_model(content, told):
    with pytest.raises(ModelFileError, match=told) as caught:
        Session(content)
    assert "\n" not in str(caught.value)


def test_paths(tmp_path, affine):
    path = tmp_path / "affine.tflite"
    path.write_bytes(affine)
    for given in (path, str(path)):
        assert Session(given)(np.zeros([1, 3]))["y"].tolist() == [[1.0] * 3]
    path.write_bytes(affine[: len(affine) // 2])
    with pytest.raises(ModelFileError, match=r"affine\.tflite: "):
        Session(path)
    with pytest.raises(ModelFileError, match="folder"):
        Session(tmp_path)
    with pytest.raises(ModelFileError, match=r"absent\.tflite: cannot be read: No such file"):
        Session(tmp_path / "absent.tflite")


def test_a_signature_must_be_named_where_there_are_several(signatures_file):
    with pytest.raises(ValueError, match=r"name one of constant, step"):
        Session(signatures_file)
    with pytest.raises(KeyError, match="no signature 'tpyo'; there are: constant, step"):
        Session(signatures_file, signature="tpyo")


# --- files that nobody knows


def test_an_unknown_file_answers_from_its_own_process(counting_file, running_total):
    module = running_total()
    calls = [np.full(4, value, np.float32) for value in (1, 2)]
    result = infer(counting_file, calls)
    assert result.ok
    for call, answer in zip(calls, result.answers, strict=True):
        np.testing.assert_array_equal(next(iter(answer.values())), module(call).numpy())
    assert "2 calls answered" in result.text()
    assert repr(infer(counting_file, calls[:1])) == "Inference(1 call answered)"


def test_a_file_that_ends_its_process_leaves_a_record(growing_file):
    """The variable grows by concatenation; LiteRT 2.x then reads memory that is not its own."""
    result = infer(growing_file, [np.ones(4, np.float32)] * 3)
    assert not result.ok
    assert result.answers == ()
    assert result.record.exit_signal == "SIGSEGV"
    assert "the process died, SIGSEGV" in repr(result)
    assert "SIGSEGV" in result.text()
    assert "SIGSEGV" in result.html()


def test_a_file_that_is_no_model_is_a_record(affine):
    for content in (b"", b"rubbish", affine[:200]):
        result = infer(content, [np.zeros([1, 3])])
        assert result.record.exception_type == "ModelFileError"
        assert "raised" in repr(result)


def test_a_file_that_takes_too_long_is_ended(tf, converted):
    endless = converted(
        lambda x: tf.while_loop(lambda x: x > 0.0, lambda x: (x + 1.0,), [x])[0], x=[]
    )
    result = infer(endless, [np.float32(1)], timeout=1.0)
    assert result.record.outcome == "timed out"
    assert result.record.seconds < 30  # and not the minute that is the default


def test_the_callers_mistakes_are_raised_again(affine):
    with pytest.raises(KeyError, match="the model takes x, and not y"):
        infer(affine, [{"y": 1.0}])
    with pytest.raises(InputError, match="'x' takes shape"):
        infer(affine, [np.zeros([1, 4])])
    with pytest.raises(KeyError, match="no signature 'tpyo'"):
        infer(affine, [np.zeros([1, 3])], signature="tpyo")
    for calls in ([], np.zeros([1, 3]), {"x": 1}, 3):
        with pytest.raises(ValueError, match="list of at least one call"):
            infer(affine, calls)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tflite")
    with pytest.raises(ModelFileError, match=r"pipe\.tflite: .*neither a file nor a folder"):
        Session(tmp_path / "pipe.tflite")


def test_a_file_is_resized_before_its_placeholder_sizes_are_tried(tf, converted):
    """Bare, it cannot be opened with its sizes of 1, and is of no use after that."""
    from ai_edge_litert.interpreter import Interpreter

    kernel = np.random.default_rng(0).normal(size=[80, 1, 2]).astype(np.float32)
    content = converted(lambda x: {"y": tf.nn.conv1d(x, kernel, 4, "VALID")}, x=[None, None, 1])
    with pytest.raises(RuntimeError):
        Interpreter(model_content=content).allocate_tensors()
    for delegates in (True, False):
        session = Session(content, delegates=delegates)
        for steps in (100, 1000):
            x = np.random.default_rng(1).normal(size=[1, steps, 1]).astype(np.float32)
            bare = Interpreter(model_content=content)
            bare.resize_tensor_input(bare.get_input_details()[0]["index"], x.shape)
            bare.allocate_tensors()
            bare.set_tensor(bare.get_input_details()[0]["index"], x)
            bare.invoke()
            expected = bare.get_tensor(bare.get_output_details()[0]["index"])
            assert np.allclose(session(x)["y"], expected, atol=1e-5)
