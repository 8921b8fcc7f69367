"""Whoever compares and fails says where the file parts; the silent cases of the catalog as well."""

from dataclasses import replace

import numpy as np
import pytest
import zoo
from json_forms import check_form
from planted_faults import operators_of, with_changed_weight

from varhandle import cure, diagnose, lift_state, locate
from varhandle.cli import main
from varhandle.divergence import failed_comparison, location
from varhandle.repair import steps
from varhandle.repair.refusal import NoCureError
from varhandle.tflite.flatbuffer import op_name, pack, unpack


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "keras-in-module",
            "call 1, READ_VARIABLE dense_1/BiasAdd/ReadVariableOp: the variable "
            "dense/bias is not initialized: no CALL_ONCE assigns it",
        ),
        (
            "unfrozen-graph",
            "call 1, READ_VARIABLE matmul/ReadVariableOp: the variable w is not "
            "initialized: no CALL_ONCE assigns it",
        ),
        (
            "growing-variable",
            "call 1, READ_VARIABLE Sum/ReadVariableOp: the variable rows has shape "
            "[2, 3] where the model has [3, 3]",
        ),
    ],
)
def test_the_first_difference_of_a_silent_case_is_named(silent, name, line):
    found = locate(*silent(name))
    assert found.line == line
    check_form("locate", found)


def test_a_state_in_int8_saturates(silent):
    inputs = {"x": np.full([20, 1, 4], 0.25, np.float32)}  # as it was calibrated with
    found = locate(*silent("int8-state"), inputs=inputs)
    assert found.first["call"] == 11  # calibrated over ten calls, it counts to nine
    ends = "it ends at 0 and 9, where values go from 10 to 10; it holds the variable counter"
    assert found.first["why"].endswith(ends)
    assert found.first["max_difference"] == pytest.approx(1.0)  # in that call: later ones lose more


def test_a_diagnosis_names_it(specimen_path):
    found = diagnose(specimen_path("growing"))
    told = found.as_dict()["first_difference"]
    assert told.endswith("the variable rows has shape [2, 3] where the model has [3, 3]")
    assert f"first difference: {told}" in found.text()
    assert told in found.html()
    assert diagnose(specimen_path("counter")).as_dict()["first_difference"] is None


@pytest.fixture(scope="module")
def spread(tf, tmp_path_factory):
    """A net whose answers rest on weights that eight bits round away."""
    import keras

    model = keras.Sequential(
        [keras.Input((8,), batch_size=1), keras.layers.Dense(4, name="spread")]
    )
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(8, 4)).astype(np.float32) * 1e-2
    kernel[0] = 100.0  # the input that it meets is 0
    model.set_weights([kernel, np.zeros(4, np.float32)])
    folder = tmp_path_factory.mktemp("spread")
    model.save(folder / "spread.keras")
    calls = rng.normal(size=(6, 1, 8)).astype(np.float32)
    calls[..., 0] = 0.0
    np.save(folder / "inputs.npy", calls)
    return folder


def test_what_has_just_been_converted_is_not_converted_again(specimen_path, spread, monkeypatch):
    monkeypatch.setattr(location, "convert", None)
    assert diagnose(specimen_path("growing")).location is not None
    with pytest.raises(NoCureError, match="does not answer as the model") as refused:
        cure(spread / "spread.keras", quantization="int8", inputs=spread / "inputs.npy")
    assert refused.value.location is not None
    assert refused.value.location.first["op"] == "FULLY_CONNECTED"


def test_a_cure_that_the_diagnosis_rules_out_says_where_the_file_parts(specimen_path, capsys):
    model = str(specimen_path("growing"))
    assert main(["cure", model, "out.tflite"]) == 1
    told = capsys.readouterr().out
    assert "first difference: call 1, READ_VARIABLE Sum/ReadVariableOp: the variable rows" in told


@pytest.mark.parametrize(
    ("compute", "shape", "told"),
    [
        (lambda tf, x: tf.abs(tf.signal.rfft(x)) + x, (1,), "no transform of length 1"),
        (lambda tf, x: tf.math.imag(tf.signal.rfft(x)), (3, 1), "no transform of length 1"),
        (lambda tf, x: tf.math.imag(tf.signal.rfft2d(x)), (4, 1), "no transform of length 1"),
        (lambda tf, x: tf.math.imag(tf.signal.rfft(x)), (3, 2), "no op parts"),
    ],
)
def test_a_kernel_that_computes_otherwise_at_a_size_is_named(tf, tmp_path, compute, shape, told):
    specs = zoo.spec(tf, *shape)
    path = zoo.save_step(tf, tmp_path, {}, lambda _, x: {"y": compute(tf, x)}, specs)
    assert told in locate(path).line


def test_of_a_model_that_draws_random_numbers(specimen_path):
    """No comparison can fail; who asks is told why the answers differ."""
    found = diagnose(specimen_path("draws_random_numbers"))
    assert found.verdict == "unproved"
    assert found.location is None
    assert cure(found).verdict == "unproved"
    line = locate(specimen_path("draws_random_numbers")).line
    assert line.startswith("call 1, RANDOM_UNIFORM RandomUniform: it draws random numbers")


def test_that_nothing_is_located_does_not_hide_the_verdict(specimen_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no")

    monkeypatch.setattr(failed_comparison, "locate", fail)
    found = diagnose(specimen_path("growing"))
    assert found.verdict == "wrong-answers"
    assert found.as_dict()["first_difference"] is None


def test_a_refused_cure_keeps_it(silent):
    found = locate(*silent("growing-variable"))
    error = NoCureError("no cure", None, "change it", found)
    made, parts = error.__reduce__()
    assert made(*parts).as_dict()["first_difference"] == found.line
    assert error.text().splitlines() == ["no cure", f"first difference: {found.line}", "change it"]


@pytest.fixture(scope="module")
def smoothed(tf, tmp_path_factory):
    """A state that decays, and a product with it."""
    module = tf.Module()
    module.kept = tf.Variable(tf.zeros([1, 4]), name="kept")
    kernel = tf.constant(np.random.default_rng(3).normal(size=(4, 3)).astype("float32"))

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, "x")])
    def step(x):
        module.kept.assign(module.kept * 0.75 + x)
        return {"y": tf.nn.relu(module.kept @ kernel) + 1.0}

    module.step = step
    path = str(tmp_path_factory.mktemp("smoothed") / "saved")
    tf.saved_model.save(module, path, signatures=step)
    return path


def changed_weight(content):
    return with_changed_weight(content, operators_of(content, "FULLY_CONNECTED")[0])


def other_decay(content):
    model = unpack(content)
    (product,) = [op for op in model.subgraphs[0].operators if op_name(model, op) == "MUL"]
    for tensor in product.inputs:
        buffer = model.buffers[model.subgraphs[0].tensors[tensor].buffer]
        if buffer.data is not None and len(buffer.data) == 4:
            buffer.data = np.frombuffer(np.float32(0.5).tobytes(), np.uint8)
    return pack(model)


@pytest.mark.parametrize(
    ("plant", "op", "call"),
    [(changed_weight, "FULLY_CONNECTED", 1), (other_decay, "MUL", 2)],
)
def test_a_file_whose_caller_carries_the_state_is_located(smoothed, monkeypatch, plant, op, call):
    def lift(content):
        lifted = lift_state(content)
        return replace(lifted, content=plant(lifted.content))

    monkeypatch.setattr(steps, "lift_state", lift)
    with pytest.raises(NoCureError, match="does not answer as the model") as refused:
        cure(smoothed, target="builtin-only")
    first = refused.value.location.first
    assert (first["op"], first["call"], first["group"]) == (op, call, [[op, first["number"]]])
    assert refused.value.location.reduce().measured.differs


def test_a_lifted_file_that_is_sound_parts_nowhere(smoothed):
    lifted = lift_state(cure(smoothed).content)
    found = locate(smoothed, lifted.content, lifted=lifted)
    assert found.agrees and found.calls == 20
    wrong = replace(lifted, initial_state={n: a + 1 for n, a in lifted.initial_state.items()})
    found = locate(smoothed, lifted.content, lifted=wrong)
    assert found.first["call"] == 1 and found.first["why"] == (
        "the state kept begins with all 1, where in the model the variable kept begins with all 0"
    )
