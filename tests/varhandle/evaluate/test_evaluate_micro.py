"""TensorFlow Lite Micro, which runs on microcontrollers: the lifted and the stateful file on it."""

import numpy as np
import pytest
from stateful_modules import Carrier, convert, modules

from varhandle.sandbox import run_source
from varhandle.tflite.externalize_state import lift_state

STEPS = 20

micro = pytest.importorskip(
    "tflite_micro",
    reason="tflite-micro is not installed: pip install --editable .[runtimes], on Linux x86-64",
)

#: Runs a file without leaving it: the runtime ends the process on what it cannot do.
PROGRAM = """
from tflite_micro import runtime

interpreter = runtime.Interpreter.from_bytes(content, arena_size=100_000)
answers = []
for step in steps:
    if step is None:
        interpreter.reset()
        continue
    for position, value in enumerate(step[: len(step) - len(state)]):
        interpreter.set_input(value, position)
    for position, value in enumerate(state, start=len(step) - len(state)):
        interpreter.set_input(value, position)
    interpreter.invoke()
    answers.append([interpreter.get_output(i).copy() for i in range(outputs)])
    if state:
        state = answers[-1][-len(state):]
"""


def run_micro(content, steps, outputs, state=()):
    """Run a file on TensorFlow Lite Micro.

    Each step is the list of its inputs, with ``None`` for each state; ``None`` as a step resets.
    The first ``state`` is given, and each state output becomes the next step's input: both stand
    last, in the order of ``Lifted.inputs`` and ``Lifted.outputs``.
    """
    names = {"content": content, "steps": steps, "outputs": outputs, "state": list(state)}
    record = run_source(PROGRAM, inputs=names, keep=["answers"])
    assert record.ok, (record, record.log)
    return record.value["answers"]


@pytest.fixture(scope="module")
def made(tf):
    return modules(tf)


@pytest.fixture(scope="module")
def leaky(tf, made):
    return convert(tf, made.Leaky())


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return list(rng.standard_normal((STEPS, 1, 4)).astype("float32"))


def test_the_lifted_file_agrees_with_litert(leaky, inputs):
    lifted = lift_state(leaky)
    first = list(lifted.start().values())
    answers = run_micro(lifted.content, [[x, None] for x in inputs], 2, first)
    carried = Carrier(lifted)
    for x, (y, level) in zip(inputs, answers, strict=True):
        np.testing.assert_allclose(y, carried("step", x=x)["y"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(level, carried.state["level"], rtol=1e-5, atol=1e-6)


def test_lifted_and_stateful_are_equal_bit_by_bit(leaky, inputs):
    lifted = lift_state(leaky)
    first = list(lifted.start().values())
    ours = run_micro(lifted.content, [[x, None] for x in inputs], 2, first)
    theirs = run_micro(leaky, [[x] for x in inputs], 1)
    np.testing.assert_array_equal([y for y, _ in ours], [y for (y,) in theirs])


def test_reset_sets_to_zero_and_not_to_the_first_value(leaky, inputs):
    """A level of 0.25 and a level of zero give different answers to the same input."""
    zeros = np.zeros([1, 4], "float32")
    first, _, after = (run[0] for run in run_micro(leaky, [[zeros], [inputs[0]], None, [zeros]], 1))
    np.testing.assert_allclose(first, 0.25 * 0.95 * 0.5 * np.ones([1, 4]), rtol=1e-6)
    np.testing.assert_array_equal(after, zeros)


def test_what_passes_through_untouched_comes_out(tf):
    """Outputs that are inputs, without any op between them."""

    class Swap(tf.Module):
        signatures = ("step",)

        def __init__(self):
            super().__init__()
            self.a, self.b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def step(self, x):
            before = self.a.read_value()
            self.a.assign(self.b)
            self.b.assign(before)
            return {"y": self.a * x}

    content = convert(tf, Swap())
    lifted = lift_state(content)
    calls = [np.float32(value) for value in range(1, 6)]
    assert lifted.inputs["step"] == lifted.outputs["step"] == ("a", "b")
    answers = run_micro(lifted.content, [[x, None, None] for x in calls], 3, np.float32([1, 2]))
    assert [tuple(map(float, answer)) for answer in answers] == [
        (2.0, 2.0, 1.0),
        (2.0, 1.0, 2.0),
        (6.0, 2.0, 1.0),
        (4.0, 1.0, 2.0),
        (10.0, 2.0, 1.0),
    ]


def test_control_flow_with_a_state(tf, made):
    """TensorFlow Lite Micro follows a handle into IF, and a value as well."""
    content = convert(tf, made.Branch())
    lifted = lift_state(content)
    rng = np.random.default_rng(0)
    calls = list(rng.standard_normal(STEPS).astype("float32"))
    state = lifted.start()
    first = [state[name] for name in lifted.inputs["step"]]
    ours = run_micro(lifted.content, [[x, None, None, None] for x in calls], 5, first)
    theirs = run_micro(content, [[x] for x in calls], 2)
    carried = Carrier(lifted)
    assert lifted.outputs["step"] == ("down", "last_state", "up")
    for x, mine, other in zip(calls, ours, theirs, strict=True):
        carried("step", x=x)
        assert mine[:2] == other
        for value, name in zip(mine[2:], lifted.outputs["step"], strict=True):
            np.testing.assert_allclose(value, carried.state[name], rtol=1e-6)
