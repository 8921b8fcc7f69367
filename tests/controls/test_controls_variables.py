"""The chooser of variables, against the measured matrix and against the converter itself."""

import functools
import threading

import pytest

from varhandle.evaluate.parity import Parity, Run
from varhandle.families.catalog import FAMILIES
from varhandle.matrix import version_matrix
from varhandle.sandbox import Record, cancellable
from workbook_lib import controls
from workbook_lib.controls import variable_trials, variables
from workbook_lib.controls.variable_trials import (
    DTYPES,
    ENDS,
    SETTINGS,
    UPDATES,
    VariableTrial,
    VariableTrials,
    program,
    try_variable,
)

OUTCOMES = {
    "works": "right answers",
    "error": "refused by the converter",
    "refused": "refused by the interpreter",
}
OF_THE_MATRIX = {
    ("float32", "only read", "defaults"): "read-only",
    ("float32", "assign", "defaults"): "float32-state",
    ("float32", "assign", "resource variables off"): "float32-state-flag-off",
    ("float16", "assign", "defaults"): "float16-state",
    ("float16", "assign", "SELECT_TF_OPS"): "float16-state-select-ops",
    ("float16", "assign", "allow_custom_ops"): "float16-state-custom-ops",
    ("float16", "assign", "resource variables off"): "float16-state-flag-off",
    ("int16", "assign", "defaults"): "int16-state",
    ("uint32", "assign", "defaults"): "uint32-state",
    ("float32", "assign a slice", "defaults"): "slice-assign",
    ("float32", "scatter rows", "defaults"): "scatter-update",
}
FAMILY_OF = {case.id: family.id for family in FAMILIES for case in family.cases}


@pytest.mark.parametrize(("choice", "case"), OF_THE_MATRIX.items(), ids=OF_THE_MATRIX.values())
def test_it_comes_out_as_the_matrix_has_it(choice, case):
    from importlib import metadata

    measured = {entry["version"]: entry["results"] for entry in version_matrix.load()["versions"]}
    column = measured.get(metadata.version("tensorflow"))
    if column is None:
        pytest.skip("this TensorFlow was not measured")
    trial = try_variable(*choice)
    assert trial.outcome == OUTCOMES[column[case]["outcome"]]
    if trial.outcome == "refused by the converter":
        assert FAMILY_OF[case] in trial.families
        assert (
            column[case]["label"].removeprefix("convert: ConverterError: ") in trial.record.message
        )
    elif trial.outcome == "right answers":
        assert trial.families == ()
        assert trial.cause == ""
        assert [run.agreeing for run in trial.parity.runs] == [3, 3]


@pytest.mark.parametrize(
    ("dtype", "update"),
    [
        *(("int8", "assign"), ("int8", "assign_add"), ("uint8", "assign_add")),
        *(("bool", "assign"), ("float64", "assign_add"), ("bfloat16", "assign")),
    ],
)
def test_it_comes_out_as_the_converter_has_it(dtype, update):
    """The same update through another door: a concrete function with its owner, no SavedModel."""
    import tensorflow as tf

    owner = tf.Module()
    owner.kept = tf.Variable(tf.zeros([2], dtype))

    @tf.function(input_signature=[tf.TensorSpec([2], dtype)])
    def function(x):
        old = owner.kept.read_value()
        (owner.kept.assign if update == "assign" else owner.kept.assign_add)(x)
        return old

    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner)
    try:
        converter.convert()
        expected = "right answers"
    except tf.errors.OpError:
        raise
    except Exception:
        expected = "refused by the converter"
    assert try_variable(dtype, update).outcome == expected


@functools.cache
def named_without_a_setting(dtype, update):
    """The ops that the converter itself lists where it is asked for builtins alone."""
    return set(try_variable(dtype, update).record.failing_ops)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("dtype", "update", "told", "listed"),
    [
        ("float32", "assign a slice", "the update: no builtin", "tf.ResourceStridedSliceAssign"),
        ("float32", "scatter rows", "the update: no builtin", "tf.ResourceScatterNdUpdate"),
        ("float16", "assign", "the dtype: the builtin ops", "tf.VarHandleOp"),
        ("float16", "scatter rows", "; and the dtype: the builtin", "tf.ResourceScatterNdUpdate"),
        ("int8", "assign_add", "not the variable, which may be int8", "tf.AddV2"),
    ],
)
def test_the_cause_is_the_same_whatever_setting_hides_it(dtype, update, told, listed, setting):
    trial = try_variable(dtype, update, setting)
    assert told in trial.cause
    assert f"cause: {trial.cause}" in trial.text()
    assert ("dtype" in trial.cause) == (dtype == "float16")
    assert ("tf.VarHandleOp" in named_without_a_setting(dtype, update)) == (dtype != "int8")
    assert listed in named_without_a_setting(dtype, update)
    assert listed.removeprefix("tf.") in trial.cause or listed == "tf.VarHandleOp"


def test_what_was_said_is_compared_with_what_came():
    kept = VariableTrials()
    for said in ("", "it runs", "the interpreter refuses"):
        trial = try_variable("float16", "assign", "SELECT_TF_OPS", expected=said)
        kept = kept.with_trial(trial)
    assert trial.end in ENDS
    assert "as you said: the interpreter refuses" in trial.text()
    assert len(kept.trials) == 1  # the same choice
    assert "you said" in kept.text()
    runs = try_variable("int8", "assign", expected="the converter refuses")
    assert runs.end == "it runs"
    assert "not as you said: the converter refuses" in runs.text()
    *_, first, second = kept.with_trial(runs).text().splitlines()
    assert first.startswith("float16  assign  SELECT_TF_OPS  the interpreter refuses")
    assert " ".join(second.split()) == "int8 assign defaults the converter refuses it runs"


def test_every_choice_is_a_program_of_the_real_api():
    for dtype in DTYPES:
        for update, line in UPDATES.items():
            for setting, lines in SETTINGS.items():
                code = program(dtype, update, setting)
                compile(code, "<program>", "exec")
                assert "tf.lite.TFLiteConverter.from_saved_model" in code
                assert f"tf.{dtype})" in code
                assert line in code
                assert all(each in code for each in lines)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (("float8", "assign"), "no dtype 'float8'; there are: float32, float64"),
        (("float32", "erase"), "no update 'erase'; there are: only read, assign"),
        (("float32", "assign", "magic"), "no setting 'magic'; there are: defaults, SELECT_TF_OPS"),
    ],
)
def test_a_choice_that_there_is_not_is_named_with_those_that_there_are(choice, told):
    with pytest.raises(ValueError, match=told):
        try_variable(*choice)


def test_wrong_answers_are_told_from_refusals():
    wrong, refused = Run("default delegates", 1, 3), Run("plain kernels", 0, 3, refusal="unset")
    ok = Record("ok")

    def outcome(*runs):
        trial = VariableTrial("float32", "assign", "defaults", "", ok, Parity(runs))
        return trial.outcome

    assert outcome(wrong, refused) == "wrong answers"
    assert outcome(refused, refused) == "refused by the interpreter"


def test_a_cancelled_trial_says_so():
    cancelled = threading.Event()
    cancelled.set()
    with cancellable(cancelled):
        assert try_variable().outcome == "cancelled"


def test_a_headless_run_tries_some_examples(monkeypatch):
    monkeypatch.setattr(variable_trials, "run_source", lambda *_, **__: Record("timed out"))
    table = controls.variable_chooser().text()
    assert [line.split()[0] for line in table.splitlines()[2:]] == [
        *("float16", "float32", "int8", "int8")
    ]
    assert table.count("timed out") == 4


def test_the_controls_convert_what_they_show_and_keep_it(watched, monkeypatch):
    tried = []

    def run(code, **_):
        tried.append(code)
        return Record("raised", exception_type="ValueError", message="no <such> thing", line="x")

    monkeypatch.setattr(variable_trials, "run_source", run)
    row, slow, table, code, *_ = controls.variable_chooser().children
    dtype, update, setting, expected = row.children
    dtype.value, update.value, setting.value = "bool", "scatter rows", "allow_custom_ops"
    expected.value = "it runs"
    assert "scatter_nd_update" in code.value and "allow_custom_ops" in code.value
    start, status = slow.children[0].children[0], slow.children[1]
    click_and_wait(start)
    assert tried[0] == program("bool", "scatter rows", "allow_custom_ops")
    assert "refused by TensorFlow" in status.value
    assert "not as you said: it runs" in status.value
    assert "no &lt;such&gt; thing" in status.value
    assert "class Keeper" not in status.value  # it stands below
    assert expected.value == "it runs"
    dtype.value = "int8"
    assert expected.value not in ENDS  # it was said of another variable
    click_and_wait(start)
    assert table.value.count("<tr>") == 3
    for number in range(9):
        dtype.value = DTYPES[number]
        click_and_wait(start)
    assert table.value.count("<tr>") == 1 + variables._MOST_ROWS


def click_and_wait(button):
    button.click()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(30)
