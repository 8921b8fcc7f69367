"""Lesson 32: answers to its exercise, its parameter, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import assert_says, execute, load, source

from varhandle.tflite.externalize_state import lift_state
from workbook_lib.samples import load_digits, make_row_reader

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
    assert_says(outcome("lift_the_state/read-image", reading(**changes)), "", "right")


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
        ({"returned": "outputs['guess']"}, "whole dictionary"),
        ({"returned": "{'guess': outputs['guess']}"}, "The outputs are fading, guess, ink"),
        ({"returned": "{n: 0 * v for n, v in outputs.items()}"}, "Which call"),
        ({"returned": "state"}, "The outputs are"),
        ({"given": "{}"}, "The runner takes fading, ink, row"),
        (
            {"given": "{'memory': state['ink'], 'count': state['fading']}"},
            "Which names has the state",
        ),
        ({"returned": "None"}, "returned `None`"),
        ({"after": "state = outputs"}, "It was given fading, guess"),
        ({"after": "state = dict(list(outputs.items())[1:])"}, "It was given guess, ink"),
    ],
)
def test_wrong_readings(outcome, changes, told):
    assert_says(outcome("lift_the_state/read-image", reading(**changes)), told)


@pytest.mark.parametrize(
    "changes",
    [
        {"after": "state = outputs[name]"},
        {"after": "state = {'memory': outputs['memory'], 'count': outputs['count']}"},
        {"given": "state['memory']"},
    ],
)
def test_a_reading_that_raises(outcome, changes):
    assert outcome("lift_the_state/read-image", reading(**changes)).status == "raised"


def test_a_state_of_nothing_is_said_of_the_runner_that_the_learner_has(outcome):
    source = reading(after="state = state.update(outputs)")
    told = "TypeError: runner argument after ** must be a mapping"
    assert_says(outcome("lift_the_state/read-image", source), told, "raised")


def test_a_runner_takes_its_inputs_by_name(outcome):
    source = "def read_image(runner, image, state):\n    return runner(image[:1], state)"
    assert_says(outcome("lift_the_state/read-image", source), "by name")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "def read_image(runner, image, state):\n    return runner(row=image, **state)",
            "`[1, 8]`",
        ),
        (
            "def read_image(runner, image, state):\n"
            "    for row in image[:, np.newaxis]:\n"
            "        return runner(row=row, **state)",
            "called 1 times",
        ),
        (
            "def read_image(runner, image, state):\n"
            "    every = [runner(row=row[np.newaxis], **state) for row in image]\n"
            "    return every[-1]",
            "that the call before it gave",
        ),
        (
            "def read_image(runner, image, state):\n"
            "    for row in image.T:\n"
            "        outputs = runner(row=row[np.newaxis], **state)\n"
            "        state = {name: outputs[name] for name in state}\n"
            "    return outputs",
            "as they stand in the image",
        ),
        (
            "kept = {}\n"
            "def read_image(runner, image, state):\n"
            "    for row in image:\n"
            "        outputs = runner(row=row[np.newaxis], **(kept or state))\n"
            "        kept.update({name: outputs[name] for name in state})\n"
            "    return outputs",
            "does not begin with",
        ),
    ],
    ids=["whole-image", "returns-early", "same-state", "columns", "kept-outside"],
)
def test_other_wrong_readings(outcome, source, told):
    assert_says(outcome("lift_the_state/read-image", source), told)


def test_a_reading_by_recursion_is_as_good(outcome):
    source = """
        def read_image(runner, image, state):
            outputs = runner(row=image[:1], **state)
            if len(image) == 1:
                return outputs
            return read_image(runner, image[1:], {name: outputs[name] for name in state})
    """
    assert outcome("lift_the_state/read-image", source).status == "right"


@pytest.mark.parametrize("steps", [0, -1, 2881, "50", 2.0])
def test_a_number_of_steps_that_cannot_be_used_is_refused_in_words(steps):
    setup = source(load("32_lift_the_state.ipynb"), "imports")
    check = setup[setup.index("if not (isinstance(steps") : setup.index("rows = ")]
    with pytest.raises(ValueError, match="steps is a whole number"):
        execute(check, {"steps": steps})


def test_the_cure_of_the_card_carries_the_state(tf):
    owner = make_row_reader()
    functions = [owner.step.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, owner).convert()
    lifted, stateful = lift_state(content), Interpreter(model_content=content)
    state = lifted.start()
    for row in load_digits().test_images[5, ..., 0][:, np.newaxis]:
        names = run_cure("lift_the_state", lifted_file=lifted.content, row=row, state=state)
        state, told = names["state"], stateful.get_signature_runner()(row=row)
        assert np.allclose(names["outputs"]["digit"], told["digit"], atol=1e-5)
    assert state["count"] == 8
