"""Cures, each proved against TensorFlow's answers of the original model, which are asked here."""

import functools
import json
import pickle
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import zoo
from family_checks import run as run_code
from stateful_modules import runners

from varhandle.diagnosis import diagnose
from varhandle.evaluate import proof as proving
from varhandle.evaluate.example_inputs import make_calls
from varhandle.evaluate.reference import ModelAnswers
from varhandle.evaluate.session import Session
from varhandle.evaluate.stateful_parity import MICRO, has_micro
from varhandle.facts.recipes import RECIPES
from varhandle.formats import read_graph
from varhandle.graph import Signature
from varhandle.repair import run as repairing
from varhandle.repair import steps
from varhandle.repair.refusal import NoCureError
from varhandle.repair.run import cure
from varhandle.sandbox import Record
from varhandle.savedmodel import checkpoint_freezer, resave_tracked

STEPS = 6


@pytest.fixture(scope="session")
def cured(specimen_path):
    """Cure a model of the zoo, or return what came of it before; each is diagnosed once."""
    diagnosed = functools.cache(lambda name: diagnose(specimen_path(name)))
    return functools.cache(lambda name, **options: cure(diagnosed(name), **options))


def inputs_of(signature, count=STEPS):
    random = np.random.default_rng(7)
    return {
        spec.name: random.standard_normal([count, *(n or 1 for n in spec.shape)]).astype(spec.dtype)
        for spec in signature.inputs
    }


def truth(tf, path, name, inputs):
    """TensorFlow's own answers, over successive calls of one loaded copy."""
    loaded = tf.saved_model.load(str(path))
    calls = [{key: tf.constant(array[i]) for key, array in inputs.items()} for i in range(STEPS)]
    return [loaded.signatures[name](**call) for call in calls]


def run(content, name, inputs, state):
    """Run a file as a caller does, with plain kernels and the state carried."""
    runner, state, told = runners(content, delegates=False)[name], dict(state), []
    for i in range(STEPS):
        got = dict(runner(**{k: a[i] for k, a in inputs.items()}, **state))
        state = {n: got.pop(n) for n in state}
        told.append(got)
    return told


@pytest.mark.parametrize(
    ("name", "target", "plan"),
    [
        ("keras_saved", "litert", "hold-variables"),
        ("keras_in_a_module", "tflite-2.3", "hold-variables"),
        ("trainer_and_server", "builtin-only", "take-signature"),
        ("float16_state", "litert", "recast-state"),
        ("bfloat16_state", "builtin-only", "recast-state"),
        ("int16_state", "tflite-2.3", "recast-state"),
        ("slice_assign", "micro", "whole-updates"),
        ("scatter_update", "builtin-only", "whole-updates"),
        ("gathers_from_a_table_that_changes", "litert", "whole-updates"),
        ("counter", "builtin-only", "lift-state"),
        ("int64_state", "tflite-2.4", "lift-state"),
        ("tf1_saved_model", "litert", "convert"),
    ],
)
def test_the_file_answers_as_tensorflow(tf, specimen_path, cured, name, target, plan):  # noqa: PLR0917
    made = cured(name, target=target)
    assert made.plan.id == plan
    assert made.parity.passed
    assert len(made.parity.runs) >= 2
    signature = read_graph(specimen_path(name)).signature(made.plan.signatures[0])
    if any(spec.dtype != "float32" for spec in signature.inputs):
        return
    inputs = inputs_of(signature)
    expected = truth(tf, specimen_path(name), signature.name, inputs)
    got = run(made.content, signature.name, inputs, made.initial_state)
    for mine, theirs in zip(got, expected, strict=True):
        for output in theirs:
            np.testing.assert_allclose(mine[output], theirs[output], rtol=1e-4, atol=1e-5)
    keeps_state = any(v.assigns for v in made.diagnosis.variables) and plan != "take-signature"
    variables = read_graph(made.content).variables
    assert bool(variables) == (keeps_state and target in ("litert", "micro"))


@pytest.mark.skipif(not has_micro(), reason="TensorFlow Lite Micro is not installed")
def test_several_signatures_are_not_run_on_micro(cured):
    """Its interpreter runs the main graph, which is one of them: what it refuses is no fault."""
    made = cured("counter_of_two_signatures", target="micro")
    assert made.proved and set(made.plan.signatures) == {"step", "peek"}
    assert MICRO not in [run.kernels for run in made.parity.runs]
    assert any("not run on TensorFlow Lite Micro" in note for note in made.notes)


@pytest.fixture
def two_signatures(tf, tmp_path):
    """A Keras 3 layer that one signature asks and the other one changes."""

    class Layer(tf.Module):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(2)
            self.dense.build([1, 2])

        @tf.function(input_signature=[tf.TensorSpec([1, 2], name="x")])
        def infer(self, x):
            return {"y": self.dense(x)}

        @tf.function(input_signature=[tf.TensorSpec([1, 2], name="x")])
        def learn(self, x):
            self.dense.kernel.assign(self.dense.kernel * 0.5 + x)
            return {"done": x + 1.0}

    module, folder = Layer(), str(tmp_path / "model")
    signatures = {"infer": module.infer, "learn": module.learn}
    tf.saved_model.save(module, folder, signatures=signatures)
    return folder


@pytest.mark.parametrize("other", ["infer", "learn", "in turns"])
def test_every_signature_is_proved(monkeypatch, two_signatures, other):
    right = proving.ask_model

    def wrong_of_one(load, calls, names, **options):
        answers, refusal = right(load, calls, names, **options).value
        asked = names[0] if len(set(names)) == 1 else "in turns"
        if asked == other:
            answers[-1] = {name: value + 1.0 for name, value in answers[-1].items()}
        return Record("ok", ModelAnswers(answers, refusal))

    monkeypatch.setattr(proving, "ask_model", wrong_of_one)
    with pytest.raises(NoCureError, match="does not answer as the model"):
        cure(two_signatures)


@pytest.mark.parametrize("target", ["litert", "tflite-2.3"])
def test_signatures_go_on_sharing_their_state(tf, two_signatures, target):
    made = cure(two_signatures, target=target)
    assert made.plan.steps[0] == "track-variables"
    assert set(made.plan.signatures) == {"infer", "learn"}
    loaded, lite = tf.saved_model.load(two_signatures), runners(made.content)
    state, told = dict(made.initial_state), []
    for number, name in enumerate(["infer", "learn", "infer", "learn", "learn", "infer"]):
        x = np.full([1, 2], number + 1.0, "float32")
        run = lite[name]
        got = run(x=x, **{n: v for n, v in state.items() if n in run.get_input_details()})
        state.update({n: got.pop(n) for n in list(got) if n in state})
        for output, wanted in loaded.signatures[name](x=tf.constant(x)).items():
            np.testing.assert_allclose(got[output], wanted, rtol=1e-5)
            told.append(got[output].tobytes())
    assert len(set(told)) == len(told)


def recurrent(tf):
    """A stateful GRU of half precision, as people make it."""
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layers = [tf.keras.Input(batch_shape=(1, 3, 2)), tf.keras.layers.GRU(4, stateful=True)]
        return tf.keras.Sequential([*layers, tf.keras.layers.Dense(2, dtype="float32")])
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def test_a_keras_model_of_half_precision(tf, tmp_path):
    tf.keras.utils.set_random_seed(1)
    model = recurrent(tf)
    model.save(tmp_path / "model.keras")
    made = cure(tmp_path / "model.keras", target="builtin-only")
    assert made.plan.steps == ("float32-policy", "export", "convert", "lift")
    assert made.parity.passed
    calls = np.random.default_rng(3).standard_normal([STEPS, 1, 3, 2]).astype("float32")
    session, state = Session(made.content), dict(made.initial_state)
    assert state
    for x in calls:
        name = next(n for n in session.inputs if n not in state)
        got = session({name: x, **state})
        state = {n: got.pop(n) for n in state}
        np.testing.assert_allclose(*got.values(), model(x), rtol=1e-2, atol=1e-2)


def test_what_calculates_in_half_precision_is_carried(tf, save_module, tmp_path):
    class Half(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.cast([0.1, 0.2], tf.float16), name="weight")

        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
        def __call__(self, x):
            return tf.cast(tf.cast(x, tf.float16) * self.weight + 2048, tf.float32)

    module = Half()
    made = cure(save_module(module))
    assert (made.plan.id, made.plan.narrow) == ("recast-state", ("float16",))
    for x in np.random.default_rng(0).standard_normal([STEPS, 2]).astype("float32") * 100:
        (answer,) = Session(made.content)(x).values()
        np.testing.assert_array_equal(answer, module(x))  # above 2048 float16 has even numbers


def test_a_target_refuses_before_anything_is_compared(tf, save_module):
    class Chosen(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
        def __call__(self, x):
            return tf.where(x > 0, x, x * 2.0)

    with pytest.raises(NoCureError, match="does not know the op SELECT") as raised:
        cure(save_module(Chosen()), target="micro")
    assert "ops that this runtime has" in raised.value.change


def test_a_graph_and_its_checkpoint(tf, specimen_path):
    made = cure(specimen_path("unfrozen_graph_with_a_saver"))
    assert made.plan.id == "freeze"
    values = tf.train.load_checkpoint(
        str(specimen_path("unfrozen_graph_with_a_saver").parent / "model.ckpt")
    )
    x = np.float32([[1.0, -2.0, 3.0]])
    (answer,) = Session(made.content)(x).values()
    np.testing.assert_allclose(answer, x @ values.get_tensor("kernel"), rtol=1e-5)


def test_a_model_without_signature(tf, tmp_path):
    class Doubling(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([2.0, 3.0], name="weight")

        @tf.function
        def __call__(self, x):
            return x * self.weight

    module = Doubling()
    module(tf.zeros([2]))  # one trace, and no input_signature that would make a signature of it
    tf.saved_model.save(module, str(tmp_path / "model"))
    assert read_graph(tmp_path / "model").signatures == ()
    made = cure(tmp_path / "model")
    assert made.plan.id == "hold-variables"
    (answer,) = Session(made.content)(np.float32([5.0, 7.0])).values()
    np.testing.assert_array_equal(answer, [10.0, 21.0])


@pytest.mark.parametrize("name", ["mlp_keras", "stateful_rnn_keras", "mlp_tflite", "frozen_graph"])
def test_the_right_door(cured, name):
    made = cured(name, target="builtin-only")
    assert made.parity.passed
    assert not read_graph(made.content).variables


@pytest.mark.parametrize(
    "name",
    [
        "ordinary_op_without_builtin",
        "without_signature",
        "int8_counter_tflite",
    ],
)
def test_what_only_the_proof_shows(specimen_path, name):
    with pytest.raises(NoCureError) as raised:
        cure(specimen_path(name))
    assert "\n" not in raised.value.reason
    assert raised.value.change
    assert pickle.loads(pickle.dumps(raised.value)).reason == raised.value.reason


@pytest.mark.parametrize(
    ("name", "recipe", "kept"),
    [
        ("counter", "int8", ["counter"]),
        ("counter", "float16", []),
        ("cnn_exported", "int8", []),
        ("cnn_exported", "16x8", []),
        ("mlp_tflite", "int8", []),
    ],
)
def test_quantized(cured, name, recipe, kept):
    made = cured(name, quantization=recipe)
    assert list(made.initial_state) == kept
    assert made.parity.passed
    assert made.quantized.passed
    assert made.quantized.tolerance == RECIPES[recipe].tolerance
    calibrated = RECIPES[recipe].calibrated
    assert made.verdict == ("unproved" if calibrated else "ready")
    assert (f"{recipe} was calibrated and compared with made-up calls" in made.doubt) == calibrated


def test_a_counter_that_would_saturate_goes_on(cured):
    """More calls than int8 has steps: the state stays float."""
    made = cured("counter", quantization="int8")
    session, state = Session(made.content), dict(made.initial_state)
    x = np.zeros([1, 4], np.float32)
    for _ in range(300):
        answer = session({"x": x, **state})
        state = {name: answer[name] for name in state}
    assert state["counter"] == 300.0


def in_process(instead=None):
    """What writes a model anew, run here: as it is, or something else in its place."""

    def run(function, *arguments, **_):
        return SimpleNamespace(ok=True, value=(instead or function)(*arguments))

    return run


def test_mutant_a_module_that_holds_other_copies_is_no_cure(specimen_path, monkeypatch):
    def wrong(source, target, signatures):
        import tensorflow as tf

        save_right(source, target, signatures)
        loaded = tf.saved_model.load(target)
        for variable in loaded.held:
            variable.assign(variable + 1.0)
        tf.saved_model.save(loaded, target, signatures=loaded.signatures)

    save_right = resave_tracked.save_tracked
    monkeypatch.setattr(steps, "run_isolated", in_process(wrong))
    with pytest.raises(NoCureError, match="does not answer as the model"):
        cure(specimen_path("keras_saved"))


def test_mutant_an_assign_that_is_forgotten_is_no_cure(specimen_path, monkeypatch):
    from varhandle.savedmodel import rewrite_signature

    monkeypatch.setattr(rewrite_signature._State, "assign", lambda self, handle, value: None)
    monkeypatch.setattr(steps, "run_isolated", in_process())
    with pytest.raises(NoCureError, match="does not answer as the model"):
        cure(specimen_path("slice_assign"))


def test_mutant_a_checkpoint_of_other_values_is_no_cure(specimen_path, tmp_path, monkeypatch):
    def wrong(source, target, checkpoint, outputs):
        import tensorflow as tf

        reader, other = tf.train.load_checkpoint(checkpoint), str(tmp_path / "other")
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            names = reader.get_variable_to_shape_map()
            made = [tf.compat.v1.Variable(reader.get_tensor(n) + 1, name=n) for n in names]
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver(made).save(session, other)
        checkpoint_freezer.freeze_checkpoint(source, target, other, outputs)

    monkeypatch.setattr(steps, "run_isolated", in_process(wrong))
    with pytest.raises(NoCureError, match="does not answer as the model"):
        cure(specimen_path("unfrozen_graph_with_a_saver"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("keras_saved", {}),
        ("float16_state", {"target": "builtin-only"}),
        ("counter_tflite", {"target": "tflite-2.3"}),
        ("unfrozen_graph_with_a_saver", {}),
        ("trainer_and_server", {}),
        ("stateful_rnn_keras", {"target": "builtin-only"}),
        ("counter_of_two_signatures", {"quantization": "int8, float inputs"}),
        ("counter", {"target": "builtin-only", "quantization": "dynamic range"}),
        ("module_that_reads", {"quantization": "16x8"}),
        ("mlp_keras", {"quantization": "int8"}),
        ("cnn_exported", {"quantization": "selective"}),
        ("frozen_graph", {"quantization": "int8"}),
        ("mlp_tflite", {"quantization": "int8"}),
        ("counter_tflite", {"quantization": "int8"}),
    ],
)
def test_the_code_of_a_plan_makes_such_a_file(cured, name, options, tmp_path, monkeypatch):
    made = cured(name, **options)
    asked = asked_of(made)
    monkeypatch.chdir(tmp_path)
    space = run_code(made.plan.code)
    zeros = re.search(r"^calls = \{\n.*?^\}\n", made.plan.code, re.MULTILINE | re.DOTALL)
    assert bool(zeros) == bool(
        made.plan.quantization and RECIPES[made.plan.quantization].calibrated
    )
    if zeros:  # as it is printed it runs, and with one's own inputs it makes the same file
        assert set(space["calls"]) == set(asked)
        space = run_code(made.plan.code.replace(zeros[0], ""), calls=dict(asked))
    assert (tmp_path / "model.tflite").read_bytes() == space["content"]
    for signature, calls in asked.items():
        mine, theirs = (
            carried(content, first, signature or None, calls)
            for content, first in (
                (made.content, made.initial_state),
                (space["content"], space.get("state", {})),
            )
        )
        for one, other in zip(mine, theirs, strict=True):
            for output in one:
                np.testing.assert_array_equal(one[output], other[output])


def asked_of(made):
    """Make calls of the signatures of a file, without the state that it takes; "" for none."""
    graph = read_graph(made.content)
    found = (
        graph.signatures if made.plan.signatures else graph.signatures[:1] or graph.functions[:1]
    )
    names = made.plan.signatures or [""]
    asked = {}
    for name, only in zip(names, found, strict=True):
        entry = graph.signature(name) if name else only
        specs = [s for s in entry.inputs if s.name not in made.initial_state]
        specs = [replace(spec, dtype="float32") for spec in specs]  # a session quantizes floats
        asked[name] = make_calls(Signature(name, "", tuple(specs), ()), 20)
    return asked


def carried(content, first, signature, calls):
    """Call a file, the state carried by hand."""
    session, state, told = Session(content, signature=signature), dict(first), []
    for call in calls:
        got = session({**call, **{n: v for n, v in state.items() if n in session.inputs}})
        state.update({n: got.pop(n) for n in list(got) if n in state})
        told.append(got)
    return told


def test_a_diagnosis_is_not_made_twice(specimen_path, monkeypatch):
    diagnosis = diagnose(specimen_path("counter"))
    monkeypatch.setattr("varhandle.repair.run.diagnose", None)
    made = cure(diagnosis)
    assert made.content == diagnosis.proof.content
    text = json.dumps(made.as_dict())
    assert json.loads(text)["plan"]["id"] == "convert"
    assert repr(made).startswith("RepairResult(convert: ")
    assert "convert" in made.text()
    assert "<table" in made.html()


def test_inputs_that_cannot_be_made_up_leave_it_unproved(tf, tmp_path):
    wide = zoo.spec(tf, 1000, 1000, 100)
    path = zoo.save_step(tf, tmp_path, {}, lambda m, x: {"y": x + 1.0}, wide)
    made = cure(path)
    assert made.content[4:8] == b"TFL3"
    assert made.verdict == "unproved"
    assert made.parity is None
    first = made.text().splitlines()[0]
    assert first.startswith("unproved: ") and "too many to make up" in first
    with pytest.raises(NoCureError, match="too many to make up") as raised:
        cure(made.diagnosis, quantization="int8")
    assert "--inputs" in raised.value.change


def test_what_was_called_and_answered_is_kept_for_the_picture(cured):
    made = cured("counter", target="builtin-only")
    assert len(made.called) == len(made.expected) == made.as_dict()["calls"] == 20
    assert made.float_bytes == len(made.content)


def test_a_recipe_with_nothing_to_quantize_is_refused(tf, tmp_path):
    """The only op adds to the state, which stays in float: inputs would change nothing."""
    owner = tf.Module()
    owner.total = tf.Variable(tf.zeros([4]))
    step = tf.function(lambda x: {"y": owner.total.assign_add(x)})
    signature = step.get_concrete_function(tf.TensorSpec([4], name="x"))
    tf.saved_model.save(owner, str(tmp_path), signatures=signature)
    with pytest.raises(NoCureError, match=r"with int8: .* no op to quantize") as raised:
        cure(tmp_path, quantization="int8")
    assert raised.value.change == "Take the float file, without a recipe."


def test_a_recipe_that_changes_nothing_is_told(cured):
    made = cured("counter", quantization="dynamic range")
    assert "changed nothing" in made.notes[-1]
    assert not any("changed nothing" in note for note in cured("counter").notes)


def test_a_state_that_only_the_file_shows_is_carried_before_it_is_calibrated(tf, tmp_path):
    """A Keras file does not show what its layers keep, and calibration must see it."""
    cell = tf.keras.layers.SimpleRNN(4, stateful=True, unroll=True)
    model = tf.keras.Sequential([tf.keras.Input(batch_shape=(1, 3, 2), name="x"), cell])
    model.save(tmp_path / "m.keras")
    given = {"x": np.random.default_rng(7).standard_normal([20, 1, 3, 2]).astype("float32")}
    made = cure(tmp_path / "m.keras", quantization="int8", inputs=given)
    assert made.proved and made.plan.steps == ("convert", "lift", "quantize")
    assert made.initial_state and not read_graph(made.content).variables


def test_of_a_model_that_draws_the_file_is_compared_in_which_the_caller_carries_the_state(
    tf, tmp_path, monkeypatch
):
    def step(module, x):
        module.total.assign_add(x + tf.random.normal([4]))
        return {"total": module.total.read_value()}

    path = zoo.save_step(tf, tmp_path, {"total": tf.Variable(tf.zeros([4]))}, step)
    compared = []

    def compare(content, *arguments, **options):
        compared.append((read_graph(content).variables, options["lifted"]))
        return proving.compare(content, *arguments, **options)

    monkeypatch.setattr(repairing, "compare", compare)
    made = cure(path, target="builtin-only")
    ((kept, lifted),) = compared
    assert kept == () and lifted is not None and made.parity.passed
    assert list(made.initial_state) == list(lifted.start())


def test_a_flex_file_is_told_what_it_needs_as_diagnose_tells_it(tf, tmp_path):
    step = tf.function(tf.strings.as_string, [tf.TensorSpec([2], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([step.get_concrete_function()])
    zoo.with_flex(converter)
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    told = diagnose(tmp_path / "m.tflite").other[1:]
    with pytest.raises(NoCureError) as raised:
        cure(tmp_path / "m.tflite")
    assert "FlexAsString" in raised.value.change
    assert raised.value.change == "\n".join(told)


def test_an_answer_in_bfloat16_is_compared_and_its_line_told(tf, tmp_path):
    """The runner of the test asks the file without the tool, where ml_dtypes is imported."""

    class Half(tf.Module):
        def __init__(self):
            self.w = tf.Variable(tf.random.normal([4, 3], seed=1))

        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
        def half(self, x):
            return {"y": tf.cast(x, tf.bfloat16) @ tf.cast(self.w, tf.bfloat16)}

    module = Half()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.half)
    result = cure(tmp_path / "m")
    assert any("y is bfloat16" in note and "import ml_dtypes" in note for note in result.notes)
    x = np.random.default_rng(3).standard_normal((1, 4)).astype("float32")
    got = runners(result.content)["serving_default"](x=x)["y"]
    assert got.dtype.name == "bfloat16"
    np.testing.assert_allclose(
        got.astype("float32"), tf.cast(module.half(x)["y"], tf.float32), rtol=0.02, atol=0.02
    )
