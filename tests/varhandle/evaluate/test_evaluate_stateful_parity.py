"""A file whose caller carries the state, compared: a right answer passes, and a wrong one fails."""

import numpy as np
import pytest

from varhandle.evaluate.stateful_parity import CarriedState, compare_file
from varhandle.tflite.externalize_state import lift_state

CALLS = [{"x": np.full(4, n, "float32")} for n in range(1, 6)]


def totals(wrong=0.0):
    """The running total after each call; the last one wrong by a share of their range."""
    values = np.cumsum([call["x"] for call in CALLS], axis=0).astype("float32")
    values[-1] += wrong * (values.max() - values.min())
    return [{"total": value} for value in values]


@pytest.mark.parametrize("lift", [False, True])
@pytest.mark.parametrize(
    ("wrong", "recipe", "tolerance", "passes"),
    [
        (0.0, None, None, True),
        (0.01, None, None, False),
        (0.01, None, 0.02, True),
        (0.05, "int8", None, True),
        (0.2, "int8", None, False),
        (0.05, "16x8", None, False),
    ],
)
def test_an_answer_passes_or_fails(counting_file, lift, wrong, recipe, tolerance, passes):  # noqa: PLR0917
    lifted = lift_state(counting_file) if lift else None
    parity = compare_file(
        lifted.content if lifted else counting_file,
        CALLS,
        totals(wrong),
        state=CarriedState.of(lifted, "serving_default"),
        recipe=recipe,
        tolerance=tolerance,
    )
    assert parity.passed is passes
    if not passes:
        assert [run.agreeing for run in parity.runs] == [4, 4]


def test_not_a_number_is_no_small_error_of_a_quantized_file(counting_file):
    calls = [*CALLS[:-1], {"x": np.full(4, np.nan, "float32")}]
    parity = compare_file(counting_file, calls, totals(), recipe="int8")
    assert [run.agreeing for run in parity.runs] == [4, 4]
    assert "NaN" in parity.runs[0].notes[0]


def test_the_imaginary_part_counts(tf, converted):
    content = converted(lambda z: {"turned": z * 1j}, z=tf.TensorSpec([2], tf.complex64))
    calls = [{"z": np.array([1, 2], "complex64")}]
    for answer, passes in (([1j, 2j], True), ([1j + 0.01, 2j], True), ([3j, 2j], False)):
        expected = [{"turned": np.array(answer, "complex64")}]
        assert compare_file(content, calls, expected, recipe="int8").passed is passes


def test_a_state_that_nobody_carries_is_seen(counting_file):
    lifted = lift_state(counting_file)
    first = CarriedState(lifted.start(), lifted.inputs["serving_default"], ())
    assert not compare_file(lifted.content, CALLS, totals(), state=first).passed


def test_micro_says_why_it_refuses(tf, converted):
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    content = converted(lambda x: {"y": x % 3}, x=tf.TensorSpec([2], tf.int32))
    call = {"x": np.int32([4, 5])}
    parity = compare_file(content, [call], [{"y": np.int32([1, 2])}], micro=True)
    assert [bool(run.refusal) for run in parity.runs] == [False, False, True]
    assert "FLOOR_MOD" in parity.runs[-1].refusal
