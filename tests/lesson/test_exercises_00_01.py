"""The exercises of notebooks 00 and 01: stub, solution, and typical mistakes."""

from importlib import metadata

import pytest
from notebook_cells import execute, load, solution_code, stub

from varhandle.sandbox import Record
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
        ('128, activation="softmax"', '10, activation="softmax"', "raised", "InvalidArgumentError"),
        ("[10, 128]), name", "[10, 10]), name", "raised", "InvalidArgumentError"),
        ("    return model", "", "wrong", "None"),
        ("return model", "return model.layers", "wrong", "the Keras model itself"),
        ("    model.add(", "    (", "wrong", "third layer"),
        (", kernel_initializer=constant", "", "wrong", "random constant"),
        (
            "=constant\n",
            "=tf.keras.initializers.RandomNormal(stddev=1.0)\n",
            "wrong",
            "random constant",
        ),
        ("            tf.keras.Input([10]),\n", "", "wrong", "not built"),
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
    assert '128, activation="softmax"' in code
    both = code.replace("[10, 128]), name", "[10, 10]), name").replace(
        '128, activation="softmax"', '10, activation="softmax"'
    )
    outcome = other_mend(namespace, both)
    assert outcome.status == "wrong"
    assert "Leave the constant" in outcome.advice


def test_other_mend_may_end_in_a_layer_without_a_kernel(namespace):
    code = solution_code(ONE, "reproduce/other-mend")
    ended = code.replace(
        "    return model", "    model.add(tf.keras.layers.Softmax())\n    return model"
    )
    assert other_mend(namespace, ended).status == "right"


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
        (
            [
                (
                    "return tf.cast(self.total, tf.float16)",
                    "return {'a': tf.cast(self.total, 'half')}",
                )
            ],
            "Return one tensor",
        ),
        ([("__init__(self)", "__init__(self, dtype)")], "no arguments"),
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


def test_mend_the_state_is_called_with_the_class(namespace):
    code = solution_code(ONE, "reproduce/mend-the-state")
    module = execute(code, namespace)["MyRunningTotal"]()
    outcome = reproduce_the_failure.mend_the_state(module)
    assert outcome.status == "wrong"
    assert "class itself" in outcome.advice


def test_a_conversion_that_hangs_is_not_told_as_a_refusal(namespace, monkeypatch):
    record = Record("timed out", message="ended: it ran longer than it may")
    monkeypatch.setattr(reproduce_the_failure, "run_source", lambda *_, **__: record)
    outcome = mend_the_state(namespace, solution_code(ONE, "reproduce/mend-the-state"))
    assert "refuses" not in outcome.advice
    assert "ran longer" in outcome.advice


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
