"""What proves something and what does not: ``unproved``, and the first line of a cure."""

import json

import numpy as np
import pytest
import zoo
from stateful_modules import runners

from varhandle import cure, diagnose, read_graph
from varhandle.cli import main
from varhandle.conversion.converter import convert
from varhandle.evaluate import proof
from varhandle.evaluate.example_inputs import ExampleCalls
from varhandle.evaluate.parity import DELEGATES, PLAIN, Parity, Run, compare_run
from varhandle.evaluate.session import Session
from varhandle.evaluate.stateful_parity import insensitive_signatures
from varhandle.formats.keras_reader import TRAINING_BY_DEFAULT
from varhandle.repair.plan import plan_repair
from varhandle.repair.refusal import NoCureError
from varhandle.sandbox import Record
from varhandle.verdict_rules import UNEXPLAINED


def first_line(made):
    return made.text().splitlines()[0]


def spec(tf, *shape, dtype="float32", name="x"):
    return tf.TensorSpec(shape, dtype, name=name)


# Answers that do not move.


@pytest.mark.parametrize(
    ("compute", "told"),
    [
        (lambda tf, x: {"y": tf.zeros_like(x)}, "gives the same answer to every call"),
        (lambda tf, x: {"y": tf.shape(x)}, "gives the same answer to every call"),
        (lambda tf, x: {"y": tf.sqrt(x - 1000.0)}, "gives the same answer to every call"),  # NaN
        (lambda tf, x: {"y": tf.zeros_like(x), "z": x[0]}, ""),
        (lambda tf, x: {"y": x * 1e-6}, ""),  # below the tolerance, and yet followed
    ],
)
def test_answers_that_do_not_move_prove_nothing(tf, tmp_path, compute, told):
    path = zoo.save_step(tf, tmp_path, {}, lambda m, x: compute(tf, x))
    found = diagnose(path)
    assert found.verdict == ("unproved" if told else "convertible")
    assert told in found.doubt
    assert found.proof.passed


@pytest.mark.parametrize(("value", "verdict"), [(1.0, "convertible"), (np.nan, "unproved")])
def test_one_call_of_the_users_is_enough_unless_its_answer_is_no_number(
    tf, tmp_path, value, verdict
):
    path = zoo.save_step(tf, tmp_path, {}, lambda m, x: {"y": x + 1.0})
    (given,) = read_graph(path).signatures[0].inputs
    found = diagnose(path, inputs={given.name: np.full([2, *given.shape], value, "float32")})
    assert found.verdict == verdict
    assert ("2 calls of yours" in found.doubt) == (verdict == "unproved")


@pytest.mark.parametrize("is_nan", [True, False])
def test_what_differs_on_nan_alone_is_no_fault(tf, tmp_path, is_nan):
    """Which integer NaN becomes is left to each library."""
    path = zoo.save_step(tf, tmp_path / "m", {}, lambda m, x: {"y": tf.cast(x, tf.int32)})
    (given,) = read_graph(path).signatures[0].inputs
    inputs = np.full([2, *given.shape], np.nan, "float32")
    if not is_nan:
        inputs[1] = 1.0
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    runner = tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner()
    theirs = runner(**{given.name: inputs[0]})["y"]
    assert not np.array_equal(tf.cast(inputs[0], tf.int32), theirs)
    found = diagnose(path, inputs={given.name: inputs})
    assert found.verdict == ("unproved" if is_nan else "wrong-answers")
    assert ("NaN all over (2 calls of yours, with NaN" in found.text()) == is_nan
    assert (UNEXPLAINED in found.text()) != is_nan
    with pytest.raises(NoCureError) as raised:
        cure(path, inputs={given.name: inputs})
    assert ("NaN all over" in raised.value.reason) == is_nan


def test_without_inputs_and_state_there_is_one_answer(tf, tmp_path):
    module = tf.Module()
    module.names = tf.function(lambda: {"n": tf.constant([1.0, 2.0])}, input_signature=[])
    found = diagnose(zoo.save(tf, tmp_path, module, names=module.names))
    assert found.verdict == "unproved"
    assert "signature names takes no inputs" in found.doubt


def test_a_file_that_answers_one_thing_would_be_found_out_or_not():
    fine = Parity((Run(DELEGATES, 3, 3, "", 1e-6), Run(PLAIN, 3, 3, "", 2e-6)))
    rising = [{"y": np.float32([n])} for n in range(3)]
    assert insensitive_signatures(rising, "s", fine) == {"s"}
    assert insensitive_signatures(rising[:1] * 3, "s", fine) == set()
    noise = [{"y": np.float32([n])} for n in (0.0, 3e-6, 0.0)]
    assert insensitive_signatures(noise, "s", fine) == set()  # no more than the file itself is off
    assert insensitive_signatures([{"y": np.int32([n])} for n in (1, 1, 2)], "s", fine) == {"s"}
    turns = [*rising, *rising[:1] * 3]
    assert insensitive_signatures(turns, ["s"] * 3 + ["t"] * 3, fine) == {"s"}
    assert insensitive_signatures(rising, "s", Parity(fine.runs, 0.1), "int8") == {"s"}


# Inputs.


@pytest.fixture(scope="module")
def pixels(tf, tmp_path_factory):
    """A net for images of 0 to 255, and such images."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    path = tmp_path_factory.mktemp("pixels") / "net.keras"
    model.save(path)
    return path, np.random.default_rng(1).integers(0, 256, [20, 1, 8, 8, 1]).astype("float32")


@pytest.mark.parametrize("recipe", ["int8", "16x8", "selective"])
def test_a_calibrated_file_is_proved_by_the_inputs_of_its_user_alone(pixels, recipe):
    path, images = pixels
    alone = cure(path, quantization=recipe)
    assert alone.quantized.passed
    assert alone.verdict == "unproved"
    assert first_line(alone).startswith(f"unproved: {recipe} was calibrated and compared with ")
    assert "--inputs" in first_line(alone)
    if recipe == "int8":
        given = cure(path, quantization=recipe, inputs={"image": images})
        assert given.verdict == "ready"
        assert first_line(given).startswith("cured: ")
        assert "20 calls (20 calls of yours)" in first_line(given)


def test_a_file_that_is_wrong_is_ready_and_was_compared_with_itself(tf, tmp_path, pixels):
    """Its two ways of running agree, whatever the model says: the first line tells no more."""
    path, images = pixels
    model = tf.keras.models.load_model(path)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    noise = np.random.default_rng(0).random([20, 1, 8, 8, 1], "float32")  # and no pixels of 0..255
    converter.representative_dataset = lambda: ([image] for image in noise)
    out = tmp_path / "net.tflite"
    out.write_bytes(converter.convert())
    told = runners(out.read_bytes())["serving_default"](image=images[0])
    assert not np.allclose(next(iter(told.values())), model(images[0]), atol=0.1)
    found = diagnose(out)
    assert found.verdict == "ready"
    assert first_line(found).endswith("runs; it was compared with nothing but itself")


def test_a_cure_says_what_it_rests_on_in_its_first_line(specimen_path, tmp_path, capsys):
    out = tmp_path / "out.tflite"
    assert main(["cure", str(specimen_path("counter")), str(out)]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("cured: convert, ")
    assert "signature serving_default, 20 calls (" in line
    assert "as TensorFlow, with default delegates and plain kernels" in line


def test_an_unproved_file_is_written_and_exits_3(pixels, tmp_path, capsys):
    out = tmp_path / "out.tflite"
    arguments = ["cure", str(pixels[0]), str(out), "--quantization", "int8", "--json"]
    assert main(arguments) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["cured"], told["file"]) == (False, str(out))
    assert "int8 was calibrated" in told["doubt"]
    assert out.read_bytes()[4:8] == b"TFL3"


# Signatures.


def smoothing(tf):
    module = tf.Module()
    module.level = tf.Variable(tf.zeros([2]), name="level")
    module.smooth = tf.function(
        lambda x: {"y": module.level.assign(0.5 * module.level + x)},
        input_signature=[spec(tf, 2)],
    )
    module.clear = tf.function(
        lambda: {"done": module.level.assign(tf.zeros([2]))}, input_signature=[]
    )
    return module


def test_a_signature_without_inputs_is_not_the_one_that_is_proved(tf, tmp_path):
    module = smoothing(tf)
    path = zoo.save(tf, tmp_path, module, clear=module.clear, smooth=module.smooth)
    found = diagnose(path)
    assert (found.signature, found.verdict) == ("smooth", "convertible")
    assert diagnose(path, signature="clear").verdict == "unproved"
    made = cure(found)
    assert made.plan.signatures == ("clear", "smooth")
    assert "signatures clear, smooth, 48 calls" in first_line(made)
    assert [run.calls for run in made.parity.runs] == [48, 48]
    fresh, file = smoothing(tf), runners(made.content)  # by bare TensorFlow and interpreter
    x = np.float32([1.0, 2.0])
    for name in ("smooth", "smooth", "clear", "smooth"):
        inputs = {"x": x} if name == "smooth" else {}
        (wanted,) = getattr(fresh, name)(**inputs).values()
        (got,) = file[name](**inputs).values()
        np.testing.assert_allclose(got, wanted)


def test_serving_default_without_inputs_gives_way_and_checkpoints_do(tf, tmp_path):
    module = smoothing(tf)
    signatures = {"serving_default": module.clear, "smooth": module.smooth}
    found = diagnose(zoo.save(tf, tmp_path, module, **signatures), static=True)
    assert found.signature == "smooth"


def test_a_state_that_another_signature_forgets_is_found_out(tf, tmp_path, monkeypatch):
    """A file whose clear does not clear answers rightly to each signature by itself."""
    module = smoothing(tf)
    path = zoo.save(tf, tmp_path, module, clear=module.clear, smooth=module.smooth)
    right = diagnose(path)
    other = smoothing(tf)
    other.clear = tf.function(
        lambda: {"done": tf.zeros([2]) + 0.0 * other.level}, input_signature=[]
    )
    (tmp_path / "other").mkdir()
    wrong = zoo.save(tf, tmp_path / "other", other, clear=other.clear, smooth=other.smooth)
    content = tf.lite.TFLiteConverter.from_saved_model(str(wrong)).convert()
    signatures = [right.graph.signature(name) for name in ("smooth", "clear")]
    asked = proof.reference_calls(right.graph, signatures, content)
    load = proof.loader_of(right.graph)
    asked = [proof.with_answers(one, load, timeout=60.0) for one in asked]
    assert [one.in_turns for one in asked] == [False, False, True]
    assert [proof.compare(content, [one]).passed for one in asked] == [True, True, False]
    assert not proof.compare(content, asked).passed


def training(tf):
    module = tf.Module()
    module.w = tf.Variable(tf.ones([2, 1]), name="w")

    def train(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ module.w - y) ** 2)
        module.w.assign_sub(0.1 * tape.gradient(loss, module.w))
        return {"loss": loss}

    def save(path):
        tf.raw_ops.Save(filename=path, tensor_names=["w"], data=[module.w.read_value()])
        return {"path": path}

    def restore(path):
        value = tf.raw_ops.Restore(file_pattern=path, tensor_name="w", dt=tf.float32)
        module.w.assign(tf.ensure_shape(value, [2, 1]))
        return {"w": module.w.read_value()}

    pair = [spec(tf, 1, 2), spec(tf, 1, 1, name="y")]
    name = [spec(tf, dtype="string", name="path")]
    module.infer = tf.function(lambda x: {"y": x @ module.w}, input_signature=pair[:1])
    module.train = tf.function(train, input_signature=pair)
    module.save = tf.function(save, input_signature=name)
    module.restore = tf.function(restore, input_signature=name)
    return module


def test_of_four_signatures_those_that_compute_are_kept_and_compared(tf, tmp_path):
    module = training(tf)
    names = ("infer", "train", "save", "restore")
    path = zoo.save(tf, tmp_path, module, **{name: getattr(module, name) for name in names})
    read = diagnose(path, static=True)
    assert read.signature == "infer"
    plan = plan_repair(read)
    assert plan.signatures == ("infer", "train")
    assert plan.left_out == ("restore", "save")
    made = cure(path, trust=True)
    assert made.verdict == "ready"
    assert "signatures infer, train, " in first_line(made)
    fresh, file = training(tf), runners(made.content)
    assert set(file) == {"infer", "train"}
    x, y = np.float32([[1.0, 2.0]]), np.float32([[5.0]])
    for _ in range(3):
        np.testing.assert_allclose(file["infer"](x=x)["y"], fresh.infer(x)["y"], rtol=1e-5)
        np.testing.assert_allclose(
            file["train"](x=x, y=y)["loss"], fresh.train(x, y)["loss"], rtol=1e-5
        )


def test_every_signature_of_a_tflite_file_is_run(tf, tmp_path):
    module = smoothing(tf)
    path = zoo.save(tf, tmp_path, module, clear=module.clear, smooth=module.smooth)
    found = diagnose(zoo.to_tflite(tf, path, tmp_path))
    assert found.verdict == "ready"
    assert "signatures smooth, clear, 48 calls" in found.proof.text()


# Calls that are refused.


def test_a_cure_keeps_every_signature_of_a_tflite_file_and_compares_it(tf, tmp_path):
    module = tf.Module()
    module.sum = tf.Variable(tf.zeros([4]), name="sum")
    functions = {
        "double": tf.function(lambda x: {"y": x * 2.0}, input_signature=[spec(tf, 4)]),
        "step": tf.function(
            lambda x: {"y": module.sum.assign_add(x)}, input_signature=[spec(tf, 4)]
        ),
    }
    module.functions = list(functions.values())
    saved = zoo.save(tf, tmp_path / "saved", module, **functions)
    (tmp_path / "m.tflite").write_bytes(convert(saved).content)
    for options in ({}, {"signature": "double"}):
        made = cure(tmp_path / "m.tflite", **options)
        assert made.content == (tmp_path / "m.tflite").read_bytes()
        assert "signatures double, step," in first_line(made)
        assert "Not in the file" not in made.text()


def test_a_frozen_graph_that_may_draw_is_written_and_unproved(tf, tmp_path, capsys):
    """Dropout of TensorFlow 1, which a placeholder with a default switches on."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, 8], "x")
        training = v1.placeholder_with_default(False, [], "is_training")
        y = tf.cond(training, lambda: tf.nn.dropout(x, 0.5), lambda: x)
        tf.nn.softmax(y, name="probabilities")
    (tmp_path / "m.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert main(["cure", str(tmp_path / "m.pb"), str(tmp_path / "m.tflite")]) == 3
    assert "unproved: The model draws random numbers" in capsys.readouterr().out
    assert (tmp_path / "m.tflite").exists()


def test_inputs_whose_names_are_no_names_of_python(tf, tmp_path):
    module = tf.Module()
    module.step = tf.function(lambda a, b: {"y": a - b})
    traced = module.step.get_concrete_function(spec(tf, 4, name="2nd"), spec(tf, 4, name="input-1"))
    path = zoo.save(tf, tmp_path, module, serving_default=traced)
    made = cure(path)
    assert made.parity.passed
    assert not made.doubt
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    answer = Session(made.content)({"2nd": x[0], "input-1": x[1]})
    np.testing.assert_array_equal(answer["y"], x[0] - x[1])


# What has no builtin.


def test_a_keras_model_in_float64_is_carried_in_float32(tf, tmp_path):
    keras = tf.keras
    x, dense = keras.Input((6,), dtype="float64"), keras.layers.Dense(3, dtype="float64")
    model = keras.Model(x, dense(x))
    model.save(tmp_path / "m.keras")
    diagnosis = diagnose(tmp_path / "m.keras")
    assert diagnosis.verdict == "blocked"
    assert "calculates in float64" in diagnosis.other[0]
    made = cure(diagnosis)
    assert "float32-policy" in made.plan.steps
    x = np.linspace(-1, 1, 6)[None]
    answer = Session(made.content)(x.astype("float32"))
    np.testing.assert_allclose(*answer.values(), model(x), rtol=1e-5)


def test_what_has_no_builtin_is_not_told_to_close_its_sizes(tf, tmp_path):
    module = tf.Module()
    module.w = tf.Variable(np.eye(4))
    of_float64 = lambda x: {"y": x @ module.w}  # noqa: E731
    words = lambda x: {"y": tf.strings.lower(x)}  # noqa: E731
    for name, function, inputs, told in (
        ("double", of_float64, spec(tf, None, 4, dtype="float64"), "float32"),
        ("words", words, spec(tf, None, dtype="string"), "no builtin op"),
    ):
        module.step = tf.function(function, input_signature=[inputs])
        path = zoo.save(tf, tmp_path / name, module, serving_default=module.step)
        diagnosis = diagnose(path)
        assert told in diagnosis.other[0]
        assert "sizes are open" not in diagnosis.other[0]
        with pytest.raises(NoCureError) as refused:
            cure(diagnosis)
        assert diagnosis.other[0] in refused.value.text()
        assert "model.export" not in refused.value.text()


def test_a_cache_that_is_full_ends_the_comparison_and_is_named(tf, tmp_path):
    module = tf.Module()
    module.rows = tf.Variable(tf.zeros([16, 2]), name="rows")
    module.used = tf.Variable(0, name="used")

    def push(x):
        room = tf.debugging.assert_less(module.used, 16, "the cache is full")
        with tf.control_dependencies([room]):
            here = tf.one_hot(module.used, 16)[:, None]
        module.rows.assign(module.rows * (1.0 - here) + here * x)
        module.used.assign_add(1)
        return {"sum": tf.reduce_sum(module.rows, 0)}

    module.push = tf.function(push, input_signature=[spec(tf, 1, 2)])
    found = diagnose(zoo.save(tf, tmp_path, module, push=module.push))
    assert found.verdict == "convertible"
    assert [run.calls for run in found.proof.parity.runs] == [16, 16]
    made = cure(found)
    assert "itself refuses call 17 (" in first_line(made)
    assert "the cache is full" in first_line(made)


def test_a_model_that_refuses_made_up_calls_is_unproved_and_wants_inputs(tf, tmp_path):
    def step(module, x):
        with tf.control_dependencies([tf.debugging.assert_greater(x, 100.0, "too small")]):
            return {"y": x * 2.0}

    path = zoo.save_step(tf, tmp_path, {}, step)
    found = diagnose(path)
    assert found.verdict == "unproved"
    assert "too small" in found.doubt
    assert "), which was made up: bring inputs of your own (--inputs)" in found.doubt
    given = {"x": np.full([3, 4], 200.0, "float32") * np.float32([[1], [2], [3]])}
    assert diagnose(path, inputs=given).verdict == "convertible"


def test_whole_numbers_that_the_model_alone_refuses_give_way_to_smaller_ones(tf, tmp_path):
    """The converter drops the assertion, so the file takes any number."""
    module = tf.Module()
    module.seen = tf.Variable(tf.zeros([4]), name="seen")

    @tf.function(input_signature=[spec(tf, 4, dtype=tf.int32)])
    def add(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 2, "too large")]):
            module.seen.assign_add(tf.cast(x, tf.float32))
        return {"seen": module.seen.read_value()}

    @tf.function(input_signature=[spec(tf, 4)])
    def scale(x):
        return {"scaled": module.seen * x}

    module.add, module.scale = add, scale
    path = zoo.save(tf, tmp_path, module, add=add, scale=scale)
    made = cure(path, timeout=120)
    assert made.proved and made.plan.signatures == ("add", "scale")
    assert {int(n) for call in made.called for n in call["x"]} == {0, 1}
    assert "refuses" not in first_line(made)


def test_sizes_that_the_model_alone_refuses_give_way_to_others(tf, tmp_path):
    """A convolution over time that sees 129 steps: the file takes fewer, and answers something."""
    import keras

    sees = {"kernel_size": 9, "dilation_rate": 8}
    layers = [keras.Input((None, 5)), *(keras.layers.Conv1D(8, **sees) for _ in range(2))]
    model = keras.Sequential([*layers, keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(2)])
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=r"Conv1D.call"):
        model(np.zeros([1, 64, 5], "float32"))
    model.save(tmp_path / "m.keras")
    made = cure(tmp_path / "m.keras")
    assert made.proved
    (call, *_), (wanted, *_) = made.called, made.expected
    (x,), (answer,) = call.values(), wanted.values()
    assert x.shape[1] > 129
    np.testing.assert_allclose(answer, model(x), rtol=1e-4, atol=1e-5)


# What is computed of x and y, and a y that it takes and one that it refuses.
REFUSING = {
    "FLOOR_MOD": (lambda tf, x, y: x % y, [2, 4], [1, 0]),
    "GATHER": (lambda tf, x, y: tf.gather(x[:1], y), [0, 0], [1, 0]),
    "TOPK_V2": (lambda tf, x, y: tf.math.top_k(x, y[0]).values, [1, 1], [5, 0]),
    "SCATTER_ND": (lambda tf, x, y: tf.scatter_nd(y[:, None] - 3, x, [2]), [3, 4], [1, 0]),
}


@pytest.mark.parametrize("op", REFUSING)
def test_an_op_that_refuses_made_up_values_is_no_broken_file(tf, tmp_path, op, monkeypatch):
    compute, takes, refuses = REFUSING[op]
    specs = [spec(tf, 2, dtype="int32"), spec(tf, 2, dtype="int32", name="y")]
    function = tf.function(lambda x, y: {"z": compute(tf, x, y)}, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    x, bad = np.int32([[7, 9], [3, 8]]), {"x": np.int32([[7, 9]]), "y": np.int32([refuses])}
    with pytest.raises(tf.errors.InvalidArgumentError):  # TensorFlow refuses the same
        function(tf.constant(x[0]), tf.constant(refuses))
    calls = [{name: array[0] for name, array in bad.items()}] * 5
    made_up = ExampleCalls(calls, "made up", "made-up calls")
    with monkeypatch.context() as patched:  # whatever is made up one day
        patched.setattr(proof, "example_calls", lambda *_, **__: made_up)
        found = diagnose(path)
    assert found.verdict == "unproved", found.text()
    assert f"{op} refuses the inputs that were made up" in found.doubt
    assert "--inputs" in found.doubt
    good = {"x": x, "y": np.int32([takes, takes])}
    assert diagnose(path, inputs=good).verdict == "ready"
    assert diagnose(path, inputs=bad).verdict == "blocked"


def test_a_squeeze_of_a_size_that_nobody_told_wants_inputs(tf, tmp_path):
    """The size that it drops is open: neither TensorFlow nor the file takes another one than 1."""

    @tf.function(input_signature=[spec(tf, None, None, None)])
    def drop(x):
        return {"y": tf.squeeze(x, 1) * 2.0}

    module = tf.Module()
    module.drop = drop
    tf.saved_model.save(module, tmp_path / "saved", signatures=drop)
    file = tmp_path / "model.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert())
    sound = {"x": np.arange(10, dtype="float32").reshape(2, 1, 1, 5)}
    wrong = {"x": np.ones([2, 1, 2, 5], "float32")}
    assert drop(tf.constant(sound["x"][1]))["y"].shape == (1, 5)
    with pytest.raises(tf.errors.InvalidArgumentError):
        drop(tf.constant(wrong["x"][0]))
    for path, good, bad in ((file, "ready", "blocked"), (tmp_path / "saved", "convertible", "")):
        found = diagnose(path)
        assert (found.verdict, "--inputs" in found.doubt) == ("unproved", True), found.text()
        assert ("SQUEEZE" if path == file else "Can not squeeze") in found.doubt
        assert diagnose(path, inputs=sound).verdict == good
        assert diagnose(path, inputs=wrong).verdict == (bad or "unproved")


def test_a_type_that_an_op_does_not_have_is_no_matter_of_values():
    node = "Node number 0 (FLOOR_MOD) failed to invoke."
    for message, op in (
        (f"Division by 0\n{node}", "FLOOR_MOD"),
        (f"Type 'FLOAT16' is not currently supported by floor_mod.\n{node}", ""),
        (f"variable != nullptr was not true.\n{node}", ""),
        ("out of reach", ""),
    ):
        record = Record("raised", exception_type="RefusedCallError", message=message)
        assert compare_run(PLAIN, record, [{}], None).refused_by == op
    at_once = Record("raised", exception_type="RuntimeError", message=f"Division by 0\n{node}")
    assert compare_run(PLAIN, at_once, [{}], None).refused_by == ""


# Models that are known to differ.


def dropping(tf, folder, **call):
    import keras

    x = keras.Input((4,))
    y = keras.layers.Dropout(0.5, name="drop")(keras.layers.Dense(3)(x), **call)
    keras.Model(x, y).save(folder / "model.keras")
    return folder / "model.keras"


def test_dropout_that_is_left_on_is_never_proved(tf, tmp_path, capsys):
    path = dropping(tf, tmp_path, training=True)
    found = diagnose(path)
    assert found.verdict == "unproved"
    assert "drop is called with training=True" in found.doubt
    assert found.text().startswith("unproved: it converts, and the file is known to differ from ")
    assert main(["cure", str(path), str(tmp_path / "out.tflite")]) == 3
    assert capsys.readouterr().out.startswith("unproved: drop is called with training=True")
    assert (tmp_path / "out.tflite").exists()


def test_dropout_as_usual_is_proved(tf, tmp_path):
    assert diagnose(dropping(tf, tmp_path)).verdict == "convertible"


def test_augmentation_is_left_out_in_inference(tf, tmp_path):
    import keras

    layers = [keras.Input((6, 6, 1)), keras.layers.RandomFlip(), keras.layers.RandomContrast(0.5)]
    keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(2)]).save(
        tmp_path / "sequential.keras"
    )
    x = keras.Input((6, 6, 1))
    y = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.RandomRotation(0.2)(x)))
    model = keras.Model(x, y)
    model.save(tmp_path / "functional.keras")
    for name in ("sequential", "functional"):
        assert diagnose(tmp_path / f"{name}.keras").verdict == "convertible"
    made = cure(tmp_path / "functional.keras")
    image = np.random.default_rng(0).random([1, 6, 6, 1], "float32")
    (answer,) = Session(made.content)(image).values()
    np.testing.assert_allclose(answer, model.predict(image, verbose=0), rtol=1e-5, atol=1e-6)


def test_which_layers_of_keras_train_unless_they_are_told_otherwise(tf):
    import inspect

    import keras

    found = {
        name
        for name, layer in vars(keras.layers).items()
        if inspect.isclass(layer)
        and issubclass(layer, keras.layers.Layer)
        and "training" in (known := inspect.signature(layer.call).parameters)
        and known["training"].default is True
    }
    named = {name for name in vars(keras.layers) if TRAINING_BY_DEFAULT.fullmatch(name)}
    assert found == named - {"RandomFourierFeatures"}
