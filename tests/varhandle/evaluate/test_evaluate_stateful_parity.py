"""A file whose caller carries the state, compared: a right answer passes, and a wrong one fails."""

import json

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


def test_the_error_of_a_quantized_file_is_told_as_a_share_of_the_range(counting_file):
    expected = totals()
    expected[0]["total"] = expected[0]["total"] + 0.5  # a third of this one answer
    parity = compare_file(counting_file, CALLS, expected, recipe="int8")
    assert [run.agreeing for run in parity.runs] == [5, 5]
    assert [run.largest_difference for run in parity.runs] == [pytest.approx(0.5 / 13.5)] * 2


def test_not_a_number_is_no_small_error_of_a_quantized_file(counting_file):
    calls = [*CALLS[:-1], {"x": np.full(4, np.nan, "float32")}]
    parity = compare_file(counting_file, calls, totals(), recipe="int8")
    assert [run.agreeing for run in parity.runs] == [4, 4]
    assert "NaN" in parity.runs[0].notes[0]
    told = json.loads(json.dumps(parity.as_dict(), allow_nan=False))  # strict JSON
    assert told["runs"][0]["largest_difference"] == 0.0  # of the others


def test_what_is_not_rounded_must_be_equal_in_a_quantized_file_too(tf, converted):
    content = converted(lambda x: {"n": x + 1}, x=tf.TensorSpec([2], tf.int32))
    calls = [{"x": np.int32([1, 2])}] * 2
    expected = [{"n": np.int32([2, 3])}, {"n": np.int32([2, 4])}]
    parity = compare_file(content, calls, expected, recipe="int8")
    assert [run.agreeing for run in parity.runs] == [1, 1]
    json.dumps(parity.as_dict(), allow_nan=False)


def test_each_signature_has_a_range_of_its_own_and_a_state_of_all(tf, tmp_path):
    class Scales(tf.Module):
        def __init__(self):
            self.total = tf.Variable(tf.zeros([1]), name="total")

        @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, "x")])
        def add(self, x):
            return {"y": self.total.assign_add(x)}

        @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, "x")])
        def fine(self, x):
            return {"y": 1e-3 * (self.total + x)}

    module = Scales()
    path = str(tmp_path / "scales")
    signatures = {"add": module.add, "fine": module.fine}
    tf.saved_model.save(module, path, signatures=signatures)
    content = tf.lite.TFLiteConverter.from_saved_model(path).convert()
    names = ["add", "fine", "add", "fine", "fine"]
    calls = [{"x": np.float32([n])} for n in (1, 2, 3, 4, 9)]
    expected = [{"y": np.float32([y])} for y in (1.0, 3e-3, 4.0, 8e-3, 13e-3)]
    assert compare_file(content, calls, expected, names).passed
    expected[-1] = {"y": np.float32([10e-3])}  # 0.3 of the range of fine, 1e-3 of that of add
    parity = compare_file(content, calls, expected, names, recipe="int8")
    assert [run.agreeing for run in parity.runs] == [4, 4]


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
