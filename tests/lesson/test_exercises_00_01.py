"""The exercises of notebooks 00 and 01: typical mistakes, each with its advice."""

from importlib import metadata

import pytest
from notebook_cells import EXERCISES, assert_says

from varhandle.sandbox import Record
from workbook_lib.lesson.checks import reproduce_the_failure, start_here


def changed(exercise_id, *changes):
    """Return the solution of an exercise, with parts of it replaced."""
    code = EXERCISES[exercise_id].solution
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    return code


@pytest.mark.parametrize(
    ("answer", "told"), [("2.4.0", "row"), (2.21, "quotation marks"), (["2.21.0"], "list")]
)
def test_versions_that_are_not_installed(answer, told):
    outcome = start_here.tensorflow_version(answer)
    assert_says(outcome, told)
    assert metadata.version("tensorflow") not in outcome.advice


TEN_UNITS = ('128, activation="softmax"', '10, activation="softmax"')
TEN_COLUMNS = ("[10, 128]), name", "[10, 10]), name")
AS_RANDOM = "=tf.keras.initializers.RandomNormal(stddev=1.0)\n"


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ([TEN_UNITS], "raised", "InvalidArgumentError"),
        ([TEN_COLUMNS], "raised", "InvalidArgumentError"),
        ([TEN_UNITS, TEN_COLUMNS], "wrong", "Leave the constant"),
        ([("    return model", "")], "wrong", "None"),
        ([("return model", "return model.layers")], "wrong", "the Keras model itself"),
        ([("    model.add(", "    (")], "wrong", "third layer"),
        ([(", kernel_initializer=constant", "")], "wrong", "random constant"),
        ([("=constant\n", AS_RANDOM)], "wrong", "random constant"),
        ([("            tf.keras.Input([10]),\n", "")], "wrong", "not built"),
        (
            [("    return", "    model.add(tf.keras.layers.Softmax())\n    return")],
            "right",
            "[features, units]",
        ),
    ],
)
def test_other_mends(outcome, changes, status, told):
    exercise_id = "reproduce/other-mend"
    assert_says(outcome(exercise_id, changed(exercise_id, *changes)), told, status)


MEND_THE_STATE = "reproduce/mend-the-state"
DECORATOR = "    @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])\n"
CAST = "tf.cast(self.total, tf.float16)"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            [
                ("tf.zeros([4])", 'tf.zeros([4], "float16")'),
                ("assign_add(x)", "assign_add(tf.cast(x, tf.float16))"),
            ],
            "tf.VarHandleOp",
        ),
        ([(CAST, "self.total")], "float32"),
        ([("self.total.assign_add(x)", "pass")], "does not add up"),
        ([("assign_add(x)", "assign(x)")], "does not grow"),
        (
            [
                ("        self.total.assign_add(x)\n", ""),
                ("(self.total, tf", "(self.total + x, tf"),
            ],
            "does not grow",
        ),
        ([("assign_add(x)", "assign_add(2 * x)")], "does not add up"),
        ([("tf.zeros([4])", "tf.fill([4], 7.0)")], "does not add up"),
        (
            [
                ("tf.zeros([4])", "tf.zeros([4], tf.int32)"),
                ("assign_add(x)", "assign_add(tf.cast(x, tf.int32))"),
            ],
            "does not add up",
        ),
        (
            [
                ("([4], tf.float32)]", "([4], tf.float16)]"),
                ("_add(x)", "_add(tf.cast(x, 'float32'))"),
            ],
            "input signature",
        ),
        ([("(input_signature=[tf.TensorSpec([4], tf.float32)])", "")], "input signature"),
        ([(f"return {CAST}", "return {'a': tf.cast(self.total, 'half')}")], "Return one tensor"),
        ([("__init__(self)", "__init__(self, dtype)")], "no arguments"),
        ([("(tf.Module)", "")], "tf.Module"),
        ([(DECORATOR, "")], "tf.function"),
    ],
)
def test_mend_the_state_mistakes(outcome, changes, told):
    assert_says(outcome(MEND_THE_STATE, changed(MEND_THE_STATE, *changes)), told)


def test_mend_the_state_that_raises_is_said_to(outcome):
    code = changed(MEND_THE_STATE, ("tf.zeros([4])", "tf.zeroes([4])"))
    assert_says(outcome(MEND_THE_STATE, code), "zeroes", "raised")


def test_mend_the_state_is_called_with_the_class(outcome):
    code = EXERCISES[MEND_THE_STATE].solution + "\nMyRunningTotal = MyRunningTotal()"
    assert_says(outcome(MEND_THE_STATE, code), "class itself")


def test_a_conversion_that_hangs_is_not_told_as_a_refusal(outcome, monkeypatch):
    record = Record("timed out", message="ended: it ran longer than it may")
    monkeypatch.setattr(reproduce_the_failure, "run_source", lambda *_, **__: record)
    result = outcome(MEND_THE_STATE, EXERCISES[MEND_THE_STATE].solution)
    assert "refuses" not in result.advice
    assert "ran longer" in result.advice


@pytest.mark.parametrize(
    ("answer", "told", "status"),
    [
        ("2.21.0", "earlier release", "wrong"),
        ("2.6", "does not say that it works", "wrong"),
        ("2.9.99", "not a column", "wrong"),
        (2.9, "as text", "wrong"),
        ("2.9.3", "on by default", "right"),
    ],
)
def test_columns_of_the_matrix(answer, told, status):
    assert_says(reproduce_the_failure.read_the_matrix(answer), told, status)
