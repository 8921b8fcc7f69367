"""The exercises of notebook 07: typical mistakes, each with its advice."""

import pytest
from notebook_cells import assert_says

from workbook_lib.lesson.checks import keep_the_state as check

READING = """
    def read_image(runner, image, state):
        {before}
        for row in {rows}:
            outputs = runner(row={row}, **{given})
            {after}
        return {returned}
"""
RIGHT = {
    "before": "pass",
    "rows": "image",
    "row": "row[np.newaxis]",
    "given": "state",
    "after": "state = {name: outputs[name] for name in state}",
    "returned": "outputs",
}


def reading(**changes):
    return READING.format(**(RIGHT | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"before": "state = dict(state)", "after": "state.update({n: outputs[n] for n in state})"},
        {
            "before": "state = dict(state)",
            "after": "state = {n: outputs[n] for n in ('ink', 'fading')}",
        },
        {"row": "row.reshape(1, 8)", "returned": "dict(outputs)"},
        {"rows": "image[:, np.newaxis]", "row": "row"},
    ],
)
def test_ways_to_carry_the_state(outcome, changes):
    assert_says(outcome("keep/read-image", reading(**changes)), "", "right")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"after": "pass"}, "that the call before it gave"),
        ({"after": "state.update({n: outputs[n] for n in state})"}, "`state` has changed"),
        ({"after": "state['ink'] = outputs['ink']"}, "fading"),
        (
            {"after": "state = {'ink': outputs['ink'], 'fading': state['fading']}"},
            "not carried from call to call: fading",
        ),
        ({"before": "state = {n: 0 * v for n, v in state.items()}"}, "does not begin with"),
        ({"row": "row"}, "`[1, 8]`"),
        ({"rows": "image[::-1]"}, "as they stand in the image"),
        ({"rows": "image[:7]"}, "called 7 times"),
        ({"returned": "outputs['answer']"}, "whole dictionary"),
        ({"returned": "{'answer': outputs['answer']}"}, "The outputs are answer, fading, ink"),
        ({"returned": "{n: 0 * v for n, v in outputs.items()}"}, "Which call"),
        ({"returned": "state"}, "The outputs are"),
        ({"given": "{}"}, "The runner takes fading, ink, row"),
        (
            {"given": "{'memory': state['ink'], 'count': state['fading']}"},
            "Which names has the state",
        ),
        ({"returned": "None"}, "returned `None`"),
        ({"after": "state = outputs"}, "It was given answer"),
    ],
)
def test_wrong_readings(outcome, changes, told):
    assert_says(outcome("keep/read-image", reading(**changes)), told)


@pytest.mark.parametrize(
    "changes", [{"after": "state = outputs[name]"}, {"given": "state['memory']"}]
)
def test_a_reading_that_raises(outcome, changes):
    assert outcome("keep/read-image", reading(**changes)).status == "raised"


def test_a_runner_takes_its_inputs_by_name(outcome):
    source = "def read_image(runner, image, state):\n    return runner(image[:1], state)"
    assert_says(outcome("keep/read-image", source), "by name")


OPEN = "tf.cast(total > 0, tf.float32) * tf.cast(total < 6, tf.float32)"
TAPE = """
    def slope_by_sum(total, by_hidden):
        with tf.GradientTape() as tape:
            tape.watch(total)
            hidden = tf.nn.relu6(total)
        return tape.gradient(hidden, total, output_gradients=by_hidden)
"""


def slope(returned):
    return f"def slope_by_sum(total, by_hidden):\n    return {returned}"


@pytest.mark.parametrize(
    "returned",
    [
        f"by_hidden * {OPEN}",
        "tf.map_fn(lambda both: both[1] * tf.cast((both[0] > 0) & (both[0] < 6), tf.float32), "
        "(total, by_hidden), fn_output_signature=tf.float32)",
        "tf.where((total > 0) & (total < 6), by_hidden, tf.zeros_like(by_hidden))",
        "by_hidden * tf.cast(tf.abs(total - 3) < 3, tf.float32)",
    ],
)
def test_ways_to_write_the_slope(outcome, returned):
    assert_says(outcome("keep/slope-by-sum", slope(returned)), "Two comparisons", "right")


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("by_hidden * tf.cast(total > 0, tf.float32)", "total of 20"),
        ("by_hidden * tf.cast(total < 6, tf.float32)", "make of -3"),
        (OPEN, "what is `by_hidden` for"),
        (f"-by_hidden * {OPEN}", "sign"),
        ("by_hidden * tf.nn.relu6(total)", "*changes*"),
        ("tf.nn.relu6(total)", "How much does `relu6` change there"),
        ("by_hidden", "How much does `relu6` change there"),
        (f"tf.reduce_sum(by_hidden * {OPEN})", "`[3, 4]`"),
        ("tf.raw_ops.Relu6Grad(gradients=by_hidden, features=total)", "tf.Relu6Grad"),
        (f"(by_hidden * {OPEN}).shape[0]", "This is int"),
        ("by_hidden * (total > 0)", "these are bool"),
        (f"tf.cast(by_hidden * {OPEN}, tf.float64)", "these are float64"),
    ],
)
def test_wrong_slopes(outcome, returned, told):
    assert_says(outcome("keep/slope-by-sum", slope(returned)), told)


def test_a_tape_needs_an_op_without_a_builtin(outcome):
    assert_says(outcome("keep/slope-by-sum", TAPE), "no builtin for tf.Relu6Grad")


def test_a_slope_that_raises(outcome):
    source = slope("by_hidden * tf.cast(0 < total < 6, tf.float32)")
    assert_says(outcome("keep/slope-by-sum", source), "Error", "raised")


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("tf.constant(by_hidden.numpy() * (abs(total.numpy() - 3) < 3))", "AttributeError"),
        ("by_hidden * np.where((total > 0) & (total < 6), 1.0, 0.0)", "NotImplementedError"),
        (f"tf.Variable(by_hidden) * {OPEN}", "UnliftableError"),
    ],
)
def test_a_slope_that_cannot_be_traced(outcome, returned, told):
    result = outcome("keep/slope-by-sum", slope(returned))
    assert_says(result, f"cannot be traced for the converter: {told}")
    assert "workbook_lib" not in result.advice


def test_the_slopes_of_the_check_are_tensorflows_own(tf):
    """The check's numbers, worked out by hand there, against the tape."""
    total = tf.constant(check._TOTALS)
    with tf.GradientTape() as tape:
        tape.watch(total)
        hidden = tf.nn.relu6(total)
    slopes = tape.gradient(hidden, total, output_gradients=tf.constant(check._BY_HIDDEN))
    check._judge_slopes(slopes.numpy())
