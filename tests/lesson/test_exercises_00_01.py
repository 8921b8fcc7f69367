"""The exercises of notebooks 00 and 01: stub, solution, and typical mistakes."""

from importlib import metadata

import pytest
from notebook_cells import execute, load, solution_code, stub

from workbook_lib.lesson.checks import reproduce_the_failure, start_here

ZERO, ONE = load("00_start_here.ipynb"), load("01_reproduce_the_failure.ipynb")


@pytest.fixture
def namespace(tf):
    """What a cell of notebook 01 finds defined."""
    import numpy as np

    return {"__name__": "__main__", "tf": tf, "np": np}


def test_version_stub_is_not_attempted():
    answer = execute(stub(ZERO, "start/tensorflow-version"), {})["my_tensorflow"]
    assert start_here.tensorflow_version(answer).status == "not attempted"


def test_version_solution_is_right():
    answer = execute(solution_code(ZERO, "start/tensorflow-version"), {})["my_tensorflow"]
    assert answer == metadata.version("tensorflow")
    assert start_here.tensorflow_version(answer).status == "right"


@pytest.mark.parametrize(
    ("answer", "told"), [("2.4.0", "row"), (2.21, "quotation marks"), (["2.21.0"], "list")]
)
def test_version_mistakes(answer, told):
    outcome = start_here.tensorflow_version(answer)
    assert outcome.status == "wrong"
    assert told in outcome.advice
    assert metadata.version("tensorflow") not in outcome.advice


def other_mend(namespace, code):
    return reproduce_the_failure.other_mend(execute(code, namespace)["build_model"])


def test_other_mend_stub_is_not_attempted(namespace):
    assert other_mend(namespace, stub(ONE, "reproduce/other-mend")).status == "not attempted"


def test_other_mend_solution_is_right(namespace):
    code = solution_code(ONE, "reproduce/other-mend")
    assert other_mend(namespace, code).status == "right"


@pytest.mark.parametrize(
    ("old", "new", "status", "told"),
    [
        ("Dense(128, use_bias", "Dense(10, use_bias", "raised", "InvalidArgumentError"),
        ("[10, 128]), name", "[10, 10]), name", "raised", "InvalidArgumentError"),
        ("    return model", "", "wrong", "None"),
        ("return model", "return model.layers", "wrong", "the Keras model itself"),
        ("    model.add(", "    (", "wrong", "third layer"),
        (", kernel_initializer=constant", "", "wrong", "random constant"),
    ],
)
def test_other_mend_mistakes(namespace, old, new, status, told):
    code = solution_code(ONE, "reproduce/other-mend")
    assert old in code
    outcome = other_mend(namespace, code.replace(old, new))
    assert outcome.status == status
    assert told in outcome.advice


def test_other_mend_by_the_constant_is_sent_on(namespace):
    code = solution_code(ONE, "reproduce/other-mend")
    both = code.replace("[10, 128]), name", "[10, 10]), name").replace(
        "Dense(128, use", "Dense(10, use"
    )
    outcome = other_mend(namespace, both)
    assert outcome.status == "wrong"
    assert "Leave the constant" in outcome.advice


def mend_the_state(namespace, code):
    return reproduce_the_failure.mend_the_state(execute(code, namespace)["MyRunningTotal"])


def test_mend_the_state_stub_is_not_attempted(namespace):
    assert (
        mend_the_state(namespace, stub(ONE, "reproduce/mend-the-state")).status == "not attempted"
    )


def test_mend_the_state_solution_is_right(namespace):
    code = solution_code(ONE, "reproduce/mend-the-state")
    assert mend_the_state(namespace, code).status == "right"


FLOAT16 = [
    ("tf.zeros([4])", 'tf.zeros([4], "float16")'),
    ("assign_add(x)", "assign_add(tf.cast(x, tf.float16))"),
]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (FLOAT16, "tf.VarHandleOp"),
        ([("tf.cast(self.total, tf.float16)", "self.total")], "float32"),
        ([("self.total.assign_add(x)", "pass")], "does not grow"),
        ([("(tf.Module)", "")], "tf.Module"),
        (
            [("    @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])\n", "")],
            "tf.function",
        ),
    ],
)
def test_mend_the_state_mistakes(namespace, changes, told):
    code = solution_code(ONE, "reproduce/mend-the-state")
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    outcome = mend_the_state(namespace, code)
    assert outcome.status == "wrong"
    assert told in outcome.advice


def test_mend_the_state_that_raises_is_said_to(namespace):
    code = solution_code(ONE, "reproduce/mend-the-state").replace("tf.zeros([4])", "tf.zeroes([4])")
    outcome = mend_the_state(namespace, code)
    assert outcome.status == "raised"
    assert "zeroes" in outcome.advice


def test_read_the_matrix_stub_is_not_attempted():
    answer = execute(stub(ONE, "reproduce/read-the-matrix"), {})["first_release"]
    assert reproduce_the_failure.read_the_matrix(answer).status == "not attempted"


def test_read_the_matrix_solution_is_right():
    answer = execute(solution_code(ONE, "reproduce/read-the-matrix"), {})["first_release"]
    assert reproduce_the_failure.read_the_matrix(answer).status == "right"
    assert reproduce_the_failure.read_the_matrix("2.9.3").status == "right"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("2.21.0", "earlier release"),
        ("2.6", "does not say that it works"),
        ("2.9.99", "not a column"),
        (2.9, "as text"),
    ],
)
def test_read_the_matrix_mistakes(answer, told):
    outcome = reproduce_the_failure.read_the_matrix(answer)
    assert outcome.status == "wrong"
    assert told in outcome.advice


@pytest.mark.parametrize("module", [start_here, reproduce_the_failure])
def test_every_exercise_has_hints_that_do_not_give_it_away_at_once(module):
    from workbook_lib.lesson.exercises import Exercise

    found = [value for value in vars(module).values() if isinstance(value, Exercise)]
    assert found
    for exercise in found:
        assert len(exercise.hints) >= 2
