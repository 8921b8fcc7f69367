"""The models of notebook 07, as its cells define them, against NumPy and TensorFlow's own tape."""

import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from notebook_cells import execute, load, source

from data import train_row_reader
from varhandle.conversion.quantization import quantize_file
from varhandle.tflite.externalize_state import lift_state
from workbook_lib.samples import load_digits, load_row_reader

NAMES = ("w1", "b1", "w2", "b2")
STATE_OPS = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
RATE = 0.2


def op_names(content):
    """Return the names of all op codes of a file; Flex and custom ops are CUSTOM."""
    codes = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    return {codes[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes}


def converted(tf, owner, names):
    functions = [getattr(owner, name).get_concrete_function() for name in names]
    return tf.lite.TFLiteConverter.from_concrete_functions(functions, owner).convert()


@pytest.fixture(scope="module")
def cells(tf):
    """What the cells that define the notebook's two models define."""
    notebook = load("07_keep_the_state.ipynb")
    namespace = {"np": np, "tf": tf, "load_row_reader": load_row_reader, "__name__": "cells"}
    for cell in ("row-reader", "learner"):
        execute(source(notebook, cell), namespace)
    return namespace


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def reader_file(tf, cells):
    return converted(tf, cells["RowReader"](), ("step", "reset"))


@pytest.fixture(scope="module")
def step_file(tf, cells):
    return converted(tf, cells["RowReader"](), ("step",))


@pytest.mark.parametrize("digits_given", ["", "88", "8a", "0123456789", None, 3.5])
def test_new_digits_that_are_none_are_refused_in_words(digits_given):
    check = source(load("07_keep_the_state.ipynb"), "setup").partition("__version__)")[2]
    with pytest.raises(ValueError, match="new_digits is 1 to 9 different digits"):
        execute(check, {"new_digits": digits_given, "steps": 50})


@pytest.mark.parametrize("steps", [0, -1, 2881, "50", 2.0])
def test_steps_that_cannot_be_taken_are_refused_in_words(steps):
    check = source(load("07_keep_the_state.ipynb"), "setup").partition("__version__)")[2]
    with pytest.raises(ValueError, match="steps is a whole number"):
        execute(check, {"new_digits": 89, "steps": steps})


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_every_step_of_the_reader_is_that_of_numpy(reader_file, digits):
    interpreter = Interpreter(model_content=reader_file)
    step = interpreter.get_signature_runner("step")
    reset = interpreter.get_signature_runner("reset")
    expected = softmax(train_row_reader.read_rows(load_row_reader(), digits.test_images[:10]))
    rows_read = 0
    for image, answers in zip(digits.test_images[:10, :, :, 0], expected, strict=True):
        reset()
        for row, answer in zip(image, answers, strict=True):
            rows_read += 1
            told = step(row=row[np.newaxis])
            assert np.allclose(told["digit"][0], answer, atol=1e-5)
            assert told["rows"].item() == rows_read


def test_the_lifted_reader_answers_as_the_stateful_one(reader_file, digits):
    lifted = lift_state(reader_file)
    assert not op_names(lifted.content) & STATE_OPS
    assert op_names(reader_file) >= STATE_OPS
    stateful = Interpreter(model_content=reader_file).get_signature_runner("step")
    step = Interpreter(model_content=lifted.content).get_signature_runner("step")
    state = lifted.start()
    assert np.array_equal(state["memory"], load_row_reader()["first_memory"])
    for row in digits.test_images.reshape(-1, 1, 8)[:50]:
        outputs = step(row=row, **state)
        for name, value in stateful(row=row).items():
            assert np.allclose(outputs[name], value, atol=1e-4)
        state = {name: outputs[name] for name in state}


def test_reset_all_variables_leaves_resource_variables_alone(reader_file):
    interpreter = Interpreter(model_content=reader_file)
    step = interpreter.get_signature_runner("step")
    for _ in range(3):
        step(row=np.ones((1, 8), np.float32))
    interpreter.reset_all_variables()
    assert step(row=np.ones((1, 8), np.float32))["rows"].item() == 4


def counted(content, state, rows):
    runner = Interpreter(model_content=content).get_signature_runner()
    for row in rows:
        outputs = runner(row=row, **state)
        state = {name: outputs[name] for name in state}
    return outputs["rows"].item()


def test_in_int8_the_stateful_reader_saturates_and_the_lifted_one_does_not(
    tf, cells, step_file, digits
):
    rows = digits.train_images.reshape(-1, 1, 8)
    owner = cells["RowReader"]()
    functions = [owner.step.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, owner)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row] for row in rows[:40])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    assert counted(converter.convert(), {}, rows[:100]) == pytest.approx(40, abs=0.5)

    lifted = lift_state(step_file)
    memory = np.linspace(-1, 1, 24, dtype=np.float32)[np.newaxis]
    calls = [
        {"row": row, "memory": memory, "count": np.float32([count])}
        for row, count in zip(rows[:40], np.linspace(0, 254, 40), strict=True)
    ]
    in_float = ["row", "digit"]
    lifted_int8 = quantize_file(lifted.content, calls, float_tensors=in_float).content
    assert counted(lifted_int8, lifted.start(), rows[:100]) == pytest.approx(100, abs=0.5)
    assert counted(lifted_int8, lifted.start(), rows[:300]) == pytest.approx(255, abs=0.5)
    kept = quantize_file(lifted.content, calls, float_tensors=[*in_float, "count"]).content
    assert counted(kept, lifted.start(), rows[:300]) == 300


@pytest.mark.parametrize("form", ["stateful", "lifted"])
def test_the_reader_runs_on_a_microcontrollers_runtime(step_file, digits, form):
    reason = "the extra `runtimes` with tflite-micro is not installed, or not for this platform"
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason=reason)
    lifted = lift_state(step_file)
    content = step_file if form == "stateful" else lifted.content
    lite = Interpreter(model_content=content)
    runner = lite.get_signature_runner()
    chip = runtime.Interpreter.from_bytes(content, arena_size=50_000)
    places = [
        [detail["index"] for detail in details]
        for details in (lite.get_input_details(), lite.get_output_details())
    ]

    def call(**inputs):
        for name, detail in runner.get_input_details().items():
            chip.set_input(inputs[name], places[0].index(detail["index"]))
        chip.invoke()
        details = runner.get_output_details().items()
        return {n: chip.get_output(places[1].index(d["index"])) for n, d in details}

    state = lifted.start() if form == "lifted" else {}
    expected = softmax(train_row_reader.read_rows(load_row_reader(), digits.test_images[:1]))[0]
    for row, answer in zip(digits.test_images[0, :, :, 0], expected, strict=True):
        outputs = call(row=row[np.newaxis], **state)
        state = {name: outputs[name].copy() for name in state}
        assert np.allclose(outputs["digit"][0], answer, atol=1e-5)


@pytest.fixture(scope="module")
def data(digits):
    images = digits.train_images.reshape(-1, 64)
    labels = digits.train_labels.astype(np.int32)
    return images, labels, np.flatnonzero(labels < 8), np.flatnonzero(labels >= 8)


@pytest.fixture(scope="module")
def base(cells, data):
    """The learner, trained on the digits 0 to 7."""
    images, labels, known, _ = data
    learner = cells["Learner"]()
    random = np.random.default_rng(1)
    for _ in range(20):
        order = random.permutation(known)[: len(known) // 32 * 32]
        for batch in order.reshape(-1, 32):
            learner.train(images[batch], labels[batch], RATE)
    return learner


@pytest.fixture(scope="module")
def learner_file(tf, base):
    return converted(tf, base, ("train", "infer", "save", "load"))


@pytest.fixture(scope="module")
def batches(data):
    _, _, known, unseen = data
    random = np.random.default_rng(2)
    return [np.r_[random.choice(unseen, 16), random.choice(known, 16)] for _ in range(100)]


def train_on(interpreter, data, batches):
    images, labels, *_ = data
    train = interpreter.get_signature_runner("train")
    return [
        train(images=images[batch], labels=labels[batch], rate=np.float32(RATE))["loss"].item()
        for batch in batches
    ]


def shares(interpreter, digits):
    infer = interpreter.get_signature_runner("infer")
    answers = infer(images=digits.test_images.reshape(-1, 64))["digit"].argmax(axis=1)
    right, is_new = answers == digits.test_labels, digits.test_labels >= 8
    return right[~is_new].mean(), right[is_new].mean()


def test_the_learner_needs_builtin_ops_only(learner_file):
    ops = op_names(learner_file)
    assert "ASSIGN_VARIABLE" in ops
    assert "CUSTOM" not in ops
    assert b"Flex" not in learner_file


def test_a_step_in_the_interpreter_is_that_of_tensorflows_own_gradients(
    tf, base, learner_file, data, batches
):
    """From the same weights each time.

    Where a hidden unit is nearly zero, two roundings may differ about it: that changes a column.
    """
    images, labels, *_ = data
    variables = [tf.Variable(getattr(base, name)) for name in NAMES]
    w1, b1, w2, b2 = variables
    interpreter = Interpreter(model_content=learner_file)
    train, save, load = map(interpreter.get_signature_runner, ("train", "save", "load"))
    for batch in batches[:40]:
        load(**{name: v.numpy() for name, v in zip(NAMES, variables, strict=True)})
        before = [variable.numpy() for variable in variables]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(images[batch] @ w1 + b1) @ w2 + b2
            losses = tf.keras.losses.sparse_categorical_crossentropy(
                labels[batch], logits, from_logits=True
            )
            loss = tf.reduce_mean(losses)
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(RATE * gradient)
        told = train(images=images[batch], labels=labels[batch], rate=np.float32(RATE))
        assert told["loss"] == pytest.approx(float(loss), abs=1e-5)
        saved = save()
        for name, variable, old in zip(NAMES, variables, before, strict=True):
            assert not np.array_equal(saved[name], old), name
            assert np.isclose(saved[name], variable, atol=1e-6).mean() > 0.9, name
            assert np.allclose(saved[name], variable, atol=1e-2), name


def test_the_device_learns_digits_that_the_base_model_has_not_seen(
    learner_file, digits, data, batches
):
    interpreter = Interpreter(model_content=learner_file)
    known, unseen = shares(interpreter, digits)
    assert known > 0.95
    assert unseen == 0
    losses = train_on(interpreter, data, batches)
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) / 2
    known, unseen = shares(interpreter, digits)
    assert known > 0.85
    assert unseen > 0.85


def test_without_rehearsal_it_forgets(learner_file, digits, data):
    *_, unseen = data
    interpreter = Interpreter(model_content=learner_file)
    train_on(interpreter, data, np.random.default_rng(3).choice(unseen, (100, 32)))
    known, new = shares(interpreter, digits)
    assert known < 0.5
    assert new > 0.85


def test_what_was_learned_can_be_saved_and_loaded(learner_file, digits, data, batches):
    interpreter, other = (Interpreter(model_content=learner_file) for _ in range(2))
    train_on(interpreter, data, batches[:20])
    question = digits.test_images.reshape(-1, 64)[:7]
    before = other.get_signature_runner("infer")(images=question)["digit"]
    other.get_signature_runner("load")(**interpreter.get_signature_runner("save")())
    learned, loaded = (
        one.get_signature_runner("infer")(images=question)["digit"] for one in (interpreter, other)
    )
    assert np.array_equal(learned, loaded)
    assert not np.allclose(learned, before, atol=1e-3)


def test_training_needs_no_tensorflow(tmp_path, learner_file, data, batches):
    images, labels, *_ = data
    (tmp_path / "learner.tflite").write_bytes(learner_file)
    chosen = np.array(batches[:10])
    np.savez(tmp_path / "batches.npz", images=images[chosen], labels=labels[chosen])
    program = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import numpy as np\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
        "train = Interpreter('learner.tflite').get_signature_runner('train')\n"
        "file = np.load('batches.npz')\n"
        "for images, labels in zip(file['images'], file['labels']):\n"
        f"    print(train(images=images, labels=labels, rate=np.float32({RATE}))['loss'].item())\n"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    here = train_on(Interpreter(model_content=learner_file), data, batches[:10])
    assert [float(line) for line in run.stdout.split()] == pytest.approx(here, abs=1e-4)
