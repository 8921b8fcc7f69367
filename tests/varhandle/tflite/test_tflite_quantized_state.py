"""Full int8: a stateful file is caught in its calibrated range, a lifted one need not be."""

import numpy as np
import pytest
from stateful_modules import Carrier, convert, modules, runners

from varhandle.formats import read_graph
from varhandle.tflite.externalize_state import lift_state

ONES = np.ones([1, 4], "float32")
CALIBRATED, STEPS = 10, 100
LIMIT = 20.0  # of a level that keeps 0.95 of itself and gets 1 at each step


@pytest.fixture(scope="module")
def made(tf):
    return modules(tf)


@pytest.fixture(scope="module")
def expected(made):
    module = made.Leaky()
    return np.concatenate([module.step(ONES)["y"].numpy() for _ in range(STEPS)])


@pytest.fixture(scope="module")
def stateful(tf, made):
    def int8(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ({"x": ONES} for _ in range(CALIBRATED))

    return convert(tf, made.Leaky(), int8)


@pytest.fixture(scope="module")
def lifted(tf, made):
    return lift_state(convert(tf, made.Leaky()))


@pytest.fixture(scope="module")
def calibrated(lifted):
    """The lifted file in int8, calibrated over a whole sequence: the state is an input."""
    pytest.importorskip("ai_edge_quantizer", reason="ai-edge-quantizer is not installed")
    from varhandle.conversion.quantization import quantize_file

    carried, calls = Carrier(lifted), []
    for _ in range(STEPS):
        calls.append({"x": ONES, **carried.state})
        carried("step", x=ONES)
    return quantize_file(lifted.content, calls).content


def scale_and_zero_point(detail):
    found = detail["quantization_parameters"]
    return float(found["scales"][0]), int(found["zero_points"][0])


def to_integers(value, detail):
    scale, zero_point = scale_and_zero_point(detail)
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(value / scale) + zero_point, limits.min, limits.max).astype(
        detail["dtype"]
    )


def to_reals(value, detail):
    scale, zero_point = scale_and_zero_point(detail)
    return ((value.astype("float32") - zero_point) * scale).astype("float32")


def test_the_converter_itself_keeps_the_variable_in_float(stateful):
    """So no scale is ever at odds with another where the bytes are copied."""
    (level,) = read_graph(stateful).variables
    assert level.dtype == "float32"
    assert read_graph(stateful).op_counts()["QUANTIZE"] > 0
    content = lift_state(stateful)
    ours, theirs = Carrier(content), runners(stateful)["step"]
    for _ in range(STEPS):
        np.testing.assert_array_equal(ours("step", x=ONES)["y"], theirs(x=ONES)["y"])


def test_the_lifted_file_does_not(lifted, calibrated, expected):
    run = runners(calibrated)["step"]
    taken, given = run.get_input_details(), run.get_output_details()
    assert {detail["dtype"] for detail in (*taken.values(), *given.values())} == {np.int8}
    state, answers = lifted.start(), []
    for _ in range(STEPS):
        inputs = {"x": ONES, **state}
        got = run(**{name: to_integers(value, taken[name]) for name, value in inputs.items()})
        reals = {name: to_reals(value, given[name]) for name, value in got.items()}
        state = {"level": reals["level"]}
        answers.append(reals["y"])
    difference = abs(np.concatenate(answers) - expected)
    assert difference.max() < 0.06 * LIMIT  # rounding of the state adds up, to no more than that
    assert abs(state["level"] - LIMIT).max() < 0.06 * LIMIT


def test_inputs_that_are_outputs_can_be_quantized(tf, made):
    """Signatures without any op, or that give constants, and a state of integers."""
    pytest.importorskip("ai_edge_quantizer", reason="ai-edge-quantizer is not installed")
    from varhandle.conversion.quantization import quantize_file

    shared = lift_state(convert(tf, made.Shared()))
    carried, calls = Carrier(shared), {name: [] for name in shared.inputs}
    for step in range(20):
        for name, x in (("load", step % 3), ("step", 1), ("peek", None), ("reset", None)):
            inputs = {} if x is None else {"x": np.full(3, x, "float32")}
            taken = {state: carried.state[state] for state in shared.inputs[name]}
            calls[name].append({**inputs, **taken})
            carried(name, **inputs)
    run = runners(quantize_file(shared.content, calls).content)
    details = run["peek"].get_input_details()
    values = to_integers(np.float32([0, 1, 2]), details["level_state"])
    answer = run["peek"](level_state=values, count=np.int64(3))
    np.testing.assert_array_equal(answer["level"], values)
    assert answer["n"] == 3
    assert set(run["reset"]()) == {"done", "count", "level_state"}


@pytest.fixture(scope="module")
def returning(tf):
    """A lifted file that returns its state, and another answer twice; and calls that carry it."""

    class Returning(tf.Module):
        signatures = ("step",)
        weights = np.random.default_rng(0).standard_normal((4, 4)).astype("float32")

        def __init__(self):
            super().__init__()
            self.level = tf.Variable(tf.zeros([1, 4]), name="level")

        @tf.function(input_signature=[tf.TensorSpec([1, 4])])
        def step(self, x):
            self.level.assign(tf.tanh(self.level * 0.5 + x))
            level, relu = self.level.read_value(), tf.nn.relu(x @ self.weights)
            mixed = level @ self.weights
            return {"y": level, "mixed": mixed, "relu": relu, "again": relu}

    module = Returning()
    lifted = lift_state(convert(tf, module))
    state, calls, answers = lifted.start(), [], []
    for x in np.random.default_rng(1).standard_normal([30, 1, 4]).astype("float32"):
        calls.append({"x": x, **state})
        answers.append({name: value.numpy() for name, value in module.step(tf.constant(x)).items()})
        state = {"level": answers[-1]["y"]}
    return lifted.content, calls, answers


@pytest.mark.parametrize(
    ("in_float", "dtypes"),
    [
        ((), {"int8"}),
        (("level",), {"float32"}),
        (("level", "y", "mixed"), {"float32"}),
    ],
)
def test_a_state_that_is_an_answer_as_well_is_quantized_as_one(returning, in_float, dtypes):
    """The copies that give outputs their own tensors hide nothing from the quantizer."""
    pytest.importorskip("ai_edge_quantizer", reason="ai-edge-quantizer is not installed")
    from varhandle.conversion.quantization import quantize_file

    lifted, calls, answers = returning
    content = quantize_file(lifted, calls, float_tensors=in_float).content
    main = read_graph(content).functions[0]
    outputs = [spec.name for spec in main.outputs]
    assert len(set(outputs)) == len(outputs) == 5
    assert not {spec.name for spec in main.inputs} & set(outputs)
    for delegates in (False, True):
        run = runners(content, delegates=delegates)["step"]
        taken, given = run.get_input_details(), run.get_output_details()
        assert {np.dtype(d["dtype"]).name for d in (*taken.values(), *given.values())} == dtypes
        for call, answer in zip(calls, answers, strict=True):
            stored = {
                name: value if in_float else to_integers(value, taken[name])
                for name, value in call.items()
            }
            got = {
                name: value if in_float else to_reals(value, given[name])
                for name, value in run(**stored).items()
            }
            np.testing.assert_array_equal(got["level"], got["y"])
            np.testing.assert_array_equal(got["again"], got["relu"])
            for name, value in answer.items():
                np.testing.assert_allclose(got[name], value, atol=0.06)
