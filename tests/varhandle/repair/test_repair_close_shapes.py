"""Models whose batch and lengths are open: closed, converted, and compared with Keras itself."""

import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from family_checks import run, run_command

from varhandle import NoCureError, cure, diagnose
from varhandle.cli import main
from varhandle.evaluate.stateful_parity import MICRO, has_micro
from varhandle.repair import steps
from varhandle.sandbox import run_isolated
from varhandle.savedmodel.close_shapes import close_signatures


def _steps_open(layers, keras):
    stack = [
        layers.LSTM(3, return_sequences=True),
        layers.Bidirectional(layers.GRU(2)),
        layers.Dense(2),
    ]
    return keras.Sequential([keras.Input((None, 3)), *stack])


def _one_layer(layers, keras):
    return keras.Sequential([keras.Input((None, 3)), layers.LSTM(2)])


def _masked(layers, keras):
    words, numbers = keras.Input((6,), dtype="int32", name="words"), keras.Input((2,), name="more")
    read = layers.GRU(3)(layers.Embedding(9, 4, mask_zero=True)(words))
    return keras.Model([words, numbers], layers.Concatenate()([numbers, read]))


def _pictures(layers, keras):
    return keras.Sequential([keras.Input((3, 6, 6, 1)), layers.ConvLSTM2D(2, 3), layers.Flatten()])


def _strings(layers, keras):
    word = keras.Input((1,), dtype="string", name="color")
    number = layers.StringLookup(vocabulary=["red", "green"])(word)
    return keras.Model(word, layers.Flatten()(layers.Embedding(4, 3)(number)))


def _of_own_class(layers, keras):
    x = keras.Input((None, 4))
    attended = layers.MultiHeadAttention(2, 3)(x, x)
    return keras.Model(x, layers.SimpleRNN(3)(layers.LayerNormalization()(attended + x)))


def _upsampled(layers, keras):
    widened = layers.Conv1DTranspose(4, 3, strides=2)
    return keras.Sequential([keras.Input((None, 3)), widened, layers.LSTM(2)])


MODELS = [_steps_open, _masked, _pictures, _of_own_class, _upsampled]


def _inputs(model, length):
    random = np.random.default_rng(length)
    found = {}
    for one in model.inputs:
        shape = [1, *(length if size is None else size for size in one.shape[1:])]
        if one.dtype == "string":
            found[one.name] = np.full(shape, b"green", object)
        elif one.dtype == "int32":
            found[one.name] = random.integers(0, 9, shape).astype("int32")
        else:
            found[one.name] = random.standard_normal(shape).astype("float32")
    return found


def _made(tf, make):
    import keras

    keras.utils.set_random_seed(1)
    return make(keras.layers, keras)


def _answers_as(tf, content, model):
    """Compare a file with Keras: its batch is 1, and its steps are open if the model's are."""
    runner = tf.lite.Interpreter(model_content=content).get_signature_runner()
    details = runner.get_input_details()
    assert all(detail["shape_signature"][0] == 1 for detail in details.values())
    is_open = any(None in one.shape[1:] for one in model.inputs)
    for length in (4, 7) if is_open else (4,):
        given = _inputs(model, length)
        # A file has other names for the inputs of a Sequential model: by their order.
        named = zip(sorted(details), [given[key] for key in sorted(given)], strict=True)
        (got,) = runner(**dict(named)).values()
        want = model(given if len(given) > 1 else next(iter(given.values())), training=False)
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("make", MODELS)
def test_an_open_batch_is_closed(tf, make, tmp_path):
    model = _made(tf, make)
    model.export(tmp_path / "open", verbose=False)
    close_signatures(str(tmp_path / "open"), str(tmp_path / "closed"), {"serving_default": {}})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "closed"))
    _answers_as(tf, converter.convert(), model)


@pytest.mark.parametrize("make", [_strings, _one_layer])
def test_the_command_that_is_printed_closes_it(tf, make, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, name = _made(tf, make), "m.keras" if make is _strings else "m.h5"
    model.save(tmp_path / name)
    assert main(["diagnose", name]) == 1
    printed = capsys.readouterr().out
    (command,) = re.findall(f"varhandle cure {name} model.tflite", printed)
    assert run_command(command) in (0, 3)
    told = capsys.readouterr().out
    assert "The file takes " in told
    _answers_as(tf, (tmp_path / "model.tflite").read_bytes(), model)


@pytest.mark.parametrize(("runs", "writes"), [("with open steps", 1), ("never yet", 3)])
def test_a_keras_file_is_saved_as_often_as_it_is_closed(tf, runs, writes, tmp_path, monkeypatch):
    """Its open graph is saved as well where a batch of 1 is not enough, to find more to close."""
    _made(tf, _one_layer).save(tmp_path / "m.keras")
    saved, run_once = [], steps._run_once

    def counted(function, *arguments, **options):
        saved.extend(options.get("writes", ()))
        return run_isolated(function, *arguments, **options)

    def refusing(job):
        if runs == "never yet" and len(saved) == 1:
            raise NoCureError("it does not run")
        run_once(job)

    monkeypatch.setattr(steps, "run_isolated", counted)
    monkeypatch.setattr(steps, "_run_once", refusing)
    made = cure(tmp_path / "m.keras")
    assert len(saved) == writes
    runner = tf.lite.Interpreter(model_content=made.content).get_signature_runner()
    takes = {name: one["shape_signature"] for name, one in runner.get_input_details().items()}
    (shapes,) = made.plan.shapes.values()
    told = {name: [-1 if size is None else size for size in shapes[name]] for name in shapes}
    assert told == {name: list(shape) for name, shape in takes.items()}
    assert [-1 in shape for shape in told.values()] == [runs == "with open steps"]


def test_a_graph_that_cannot_be_closed_has_a_line_for_its_author(tf, tmp_path, monkeypatch):
    """A lookup tells no shape: only Keras knows it, and traces the layers after it with it."""
    monkeypatch.chdir(tmp_path)
    model = _made(tf, _strings)
    model.export(tmp_path / "m", verbose=False)
    with pytest.raises(NoCureError, match="RESHAPE") as raised:
        cure(tmp_path / "m")
    names = run(raised.value.change, model=model)
    _answers_as(tf, names["converter"].convert(), model)


@pytest.mark.skipif(not has_micro(), reason="TensorFlow Lite Micro is not installed")
@pytest.mark.parametrize("suffix", [".keras", ""])
def test_a_target_that_resizes_nothing_gets_all_sizes(tf, tmp_path, suffix):
    model = _made(tf, _upsampled)
    path = tmp_path / f"m{suffix}"
    model.save(path) if suffix else model.export(path, verbose=False)
    made = cure(path, target="micro")
    assert made.plan.id == "close-shapes"
    assert [run.kernels for run in made.parity.runs][-1] == MICRO
    micro = pytest.importorskip("tflite_micro").runtime
    interpreter = micro.Interpreter.from_bytes(made.content, arena_size=1_000_000)
    x = np.random.default_rng(0).normal(size=(1, 64, 3)).astype("float32")
    interpreter.set_input(x, 0)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_output(0), model(x), atol=1e-5)


def test_the_inputs_that_are_given_decide_the_sizes(tf, tmp_path):
    model = _made(tf, _pictures)
    model.export(tmp_path / "m", verbose=False)
    (name,) = _inputs(model, 1)
    inputs = {name: np.ones((2, 4, 3, 6, 6, 1), "float32")}
    made = cure(diagnose(tmp_path / "m", static=True), inputs=inputs)
    assert made.plan.shapes == {"serving_default": {name: [4, 3, 6, 6, 1]}}
    runner = tf.lite.Interpreter(model_content=made.content).get_signature_runner()
    assert list(runner.get_input_details()[name]["shape"]) == [4, 3, 6, 6, 1]
    (got,) = runner(**{name: inputs[name][0]}).values()
    np.testing.assert_allclose(got, model(inputs[name][0]), atol=1e-5)


def test_a_size_in_which_the_given_inputs_differ_stays_open(tf, tmp_path):
    layers = [tf.keras.Input((None, 3)), tf.keras.layers.LSTM(4), tf.keras.layers.Dense(2)]
    model = tf.keras.Sequential(layers)
    model.export(tmp_path / "m", verbose=False)
    (name,) = _inputs(model, 1)
    calls = [{name: np.full((2, steps, 3), 0.5, "float32")} for steps in (5, 7)]
    made = cure(diagnose(tmp_path / "m", static=True), inputs=calls)
    assert made.plan.shapes == {"serving_default": {name: [2, None, 3]}}
    runner = tf.lite.Interpreter(model_content=made.content).get_signature_runner()
    for call in calls:
        (got,) = runner(**call).values()
        np.testing.assert_allclose(got, model(call[name]), atol=1e-5)


@pytest.mark.parametrize("op", ["roll", "outer"])
def test_an_input_of_unknown_rank_is_closed_where_the_converter_stops_on_it(tf, tmp_path, op):
    """No family explains why it stops: that the rank is open is all there is to go by."""
    functions = {
        "roll": lambda x: {"y": tf.roll(x, 1, 0)},
        "outer": lambda x: {"y": tf.einsum("i,j->ij", x, x)},
    }
    module = tf.Module()
    module.step = tf.function(functions[op], [tf.TensorSpec(None, tf.float32, "x")])
    tf.saved_model.save(module, tmp_path / "m", signatures=module.step)
    with pytest.raises(Exception, match=r"."):
        tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m")).convert()
    found = diagnose(tmp_path / "m")
    assert (found.verdict, found.findings) == ("blocked", ())
    assert "sizes are open (x of any rank): varhandle cure" in found.other[0]
    given = np.arange(12, dtype="float32").reshape(3, 4)
    for target in ("litert", "micro"):
        made = cure(tmp_path / "m", inputs={"x": given}, target=target)
        assert made.proved and "The file takes x [4]." in made.plan.why
        interpreter = Interpreter(model_content=made.content)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given[1])
        interpreter.invoke()
        answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        expected = module.step(tf.constant(given[1]))["y"]
        np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.parametrize("sequences", [False, True])
def test_an_lstm_of_keras_2_with_a_fixed_batch_keeps_no_state(tf, tmp_path, monkeypatch, sequences):
    """Built as Keras 2 builds it: the converter makes one op of it, whose state goes on."""
    units, steps, random = 6, 5, np.random.default_rng(0)

    def lstm(x, h, c, kernel, recurrent, bias):  # noqa: PLR0917 - as Keras 2 passes them
        def step(n, h, c, seen):
            i, f, g, o = tf.split(x[:, n] @ kernel + h @ recurrent + bias, 4, 1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return n + 1, h, c, seen.write(n, h)

        seen = tf.TensorArray(tf.float32, steps, element_shape=[1, units])
        _, h, c, seen = tf.while_loop(lambda n, *_: n < steps, step, (0, h, c, seen))
        return h, tf.transpose(seen.stack(), [1, 0, 2]), h, c, tf.constant(0.0)

    mark = {"api_implements": "lstm_1", "time_major": False, "go_backwards": False}
    marked = tf.function(lstm, autograph=False, experimental_attributes=mark)
    module, zero = tf.Module(), tf.zeros([1, units])
    shapes = ((4, 4 * units), (units, 4 * units), (4 * units,))
    module.weights = [tf.Variable(random.normal(size=s).astype("float32")) for s in shapes]
    module.call = tf.function(
        lambda x: {
            "y": marked(x, zero, zero, *map(tf.convert_to_tensor, module.weights))[sequences]
        },
        input_signature=[tf.TensorSpec([1, steps, 4], name="x")],
    )
    monkeypatch.chdir(tmp_path)
    tf.saved_model.save(module, "fixed", signatures=module.call)
    plain = tf.lite.TFLiteConverter.from_saved_model("fixed").convert()
    calls = random.normal(size=(4, 1, steps, 4)).astype("float32")
    expected = [module.call(x)["y"].numpy() for x in calls]

    def largest_difference(content):
        runner = tf.lite.Interpreter(model_content=content).get_signature_runner()
        pairs = zip(calls, expected, strict=True)
        return max(np.abs(runner(x=x)["y"] - answer).max() for x, answer in pairs)

    assert largest_difference(plain) > 1e-2  # which is why there is something to cure
    found = diagnose("fixed")
    assert found.verdict == "wrong-answers"
    assert "keeps its state: varhandle cure fixed model.tflite" in found.other[0]
    made = cure(found)
    assert largest_difference(made.content) < 1e-5
    run(made.plan.code)
    assert largest_difference(Path("model.tflite").read_bytes()) < 1e-5


def test_an_lstm_of_keras_2_is_not_made_one_op(tf, tmp_path):
    """The op would carry its state from call to call; Keras 2 marks its function for that."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    twice = tf.function(lambda x: x * 2.0, experimental_attributes={"api_implements": "lstm_1"})
    module = tf.Module()
    module.call = tf.function(
        lambda x: {"y": twice(x)}, input_signature=[tf.TensorSpec([None, 2], name="x")]
    )
    tf.saved_model.save(module, str(tmp_path / "open"), signatures=module.call)
    close_signatures(str(tmp_path / "open"), str(tmp_path / "closed"), {"serving_default": {}})
    marked = {}
    for name in ("open", "closed"):
        model = SavedModel.FromString((tmp_path / name / "saved_model.pb").read_bytes())
        functions = model.meta_graphs[0].graph_def.library.function
        marked[name] = any("api_implements" in each.attr for each in functions)
    assert marked == {"open": True, "closed": False}


@pytest.mark.parametrize(
    ("shapes", "batch"),
    [
        ({}, 1),
        ({"x": [3, 2], "other": [3, 2]}, 3),
        ({"x": [3, 2], "other": [4, 2]}, -1),
        ({"x": [None, 2], "other": [None, 2]}, -1),
    ],
)
def test_the_elements_of_a_list_begin_with_the_only_batch_there_is(tf, tmp_path, shapes, batch):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    def call(x, other, number):
        held = tf.raw_ops.TensorListReserve(
            element_shape=[-1, 2], num_elements=1, element_dtype=tf.float32
        )
        held = tf.raw_ops.TensorListSetItem(input_handle=held, index=0, item=x * number)
        item = tf.raw_ops.TensorListGetItem(
            input_handle=held, index=0, element_shape=[-1, 2], element_dtype=tf.float32
        )
        return {"y": item, "z": other}

    module, shape = tf.Module(), [None, 2]
    specs = [tf.TensorSpec(shape, name="x"), tf.TensorSpec(shape, name="other")]
    module.call = tf.function(call, [*specs, tf.TensorSpec([], name="number")])
    tf.saved_model.save(module, str(tmp_path / "open"), signatures=module.call)
    closed = str(tmp_path / "closed")
    close_signatures(str(tmp_path / "open"), closed, {"serving_default": shapes})
    model = SavedModel.FromString(Path(closed, "saved_model.pb").read_bytes())
    functions = model.meta_graphs[0].graph_def.library.function
    nodes = [node for function in functions for node in function.node_def if node.op == "Const"]
    values = [tf.make_ndarray(node.attr["value"].tensor) for node in nodes]
    assert {value[0] for value in values if value.shape == (2,)} == {batch}
    inputs = tf.saved_model.load(closed).signatures["serving_default"].structured_input_signature[1]
    sizes = {name: spec.shape.as_list() for name, spec in inputs.items()}
    assert sizes == {"x": [1, 2], "other": [1, 2], "number": [], **shapes}


def test_where_a_file_with_open_steps_answers_otherwise_they_are_closed_too(tf, tmp_path):
    """The loop of an LSTM behind a TimeDistributed counts to another number than Keras does."""
    import keras

    x = keras.Input((None, 4, 4, 1))
    each = keras.layers.TimeDistributed(keras.layers.Flatten())(x)
    model = keras.Model(x, keras.layers.LSTM(2)(each))
    model.save(tmp_path / "video.keras")
    made = cure(tmp_path / "video.keras")
    assert made.proved
    (shape,) = next(iter(made.plan.shapes.values())).values()
    assert None not in shape
    assert made.plan.why.count("The file takes") == 1
    given = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    runner = Interpreter(model_content=made.content).get_signature_runner()
    (got,) = runner(**dict.fromkeys(runner.get_input_details(), given)).values()
    np.testing.assert_allclose(got, np.asarray(model(given)), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_and_an_open_batch(tf, tmp_path, monkeypatch, policy):
    """The converter stops at the lists first, and names no dtype: the layers' policies do."""
    monkeypatch.chdir(tmp_path)
    keras = tf.keras
    keras.utils.set_random_seed(3)
    stack = [keras.layers.LSTM(3, dtype=policy), keras.layers.Dense(2, dtype=policy)]
    keras.Sequential([keras.Input((None, 3)), *stack]).save("model.keras")
    made = cure("model.keras")
    assert made.plan.steps == ("float32-policy", "export", "close-shapes", "convert")
    assert made.proved
    assert run(made.plan.code)["content"] == Path("model.tflite").read_bytes()
    plain = keras.models.load_model("model.keras")
    x = np.random.default_rng(0).standard_normal((1, 5, 3)).astype("float32")
    interpreter = Interpreter("model.tflite")
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(entry["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], x)
    interpreter.invoke()
    wanted = np.asarray(plain(x), "float32")
    np.testing.assert_allclose(interpreter.get_tensor(exit_["index"]), wanted, atol=2e-2)


def test_the_keys_of_a_keras_file_are_compared(tf, tmp_path, monkeypatch):
    """A table of integers has no builtin, in a Keras file as in a SavedModel."""
    monkeypatch.chdir(tmp_path)
    keras = tf.keras
    number = keras.Input((2,), dtype="int64", name="number")
    word = keras.Input((2,), dtype="string", name="word")
    found = keras.layers.IntegerLookup(vocabulary=[40, -1, 7])(number)
    named = keras.layers.StringLookup(vocabulary=["a", "b"])(word)
    model = keras.Model([number, word], [found, named])
    model.save("model.keras")
    made = cure("model.keras")
    assert made.plan.steps == ("export", "compare-with-keys", "convert")
    assert made.proved
    for content in (made.content, run(made.plan.code)["content"]):
        interpreter = Interpreter(model_content=content)
        signature = interpreter.get_signature_runner()
        numbers = np.array([[7, 5], [40, -1], [0, 40]])
        words = np.array([["b", "a"], ["", "c"], ["b", "b"]], object)
        wanted = [np.asarray(one) for one in model([tf.constant(numbers), tf.constant(words)])]
        got = signature(number=numbers, word=words)
        assert sorted(map(np.ndarray.tolist, got.values())) == sorted(w.tolist() for w in wanted)


def test_a_layer_that_is_not_traced_with_open_sizes(tf, tmp_path, monkeypatch):
    """Keras 3.15 does not trace it, and 3.12 does: then there is nothing to close."""
    monkeypatch.chdir(tmp_path)
    layers = tf.keras.layers
    stack = [layers.UpSampling2D(2, interpolation="bilinear"), layers.Conv2D(3, 3, padding="same")]
    model = tf.keras.Sequential([tf.keras.Input((None, None, 2)), *stack])
    try:
        tf.function(model).get_concrete_function(tf.TensorSpec([None, None, None, 2]))
        steps = ("convert",)
    except TypeError:
        steps = ("export", "close-shapes", "convert")
    model.save("model.keras")
    made = cure("model.keras")
    assert made.plan.steps == steps
    assert made.proved
    runner = Interpreter(model_content=run(made.plan.code)["content"]).get_signature_runner()
    ((name, detail),) = runner.get_input_details().items()
    x = np.random.default_rng(0).standard_normal(detail["shape"]).astype("float32")
    (got,) = runner(**{name: x}).values()
    np.testing.assert_allclose(got, model(x), rtol=1e-4, atol=1e-5)
