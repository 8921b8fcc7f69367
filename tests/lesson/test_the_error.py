"""Lesson 11: answers to its exercise, the keys of its predictions, and the cure of its card."""

import textwrap

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import assert_says

from workbook_lib.lesson.content import the_error

OPS_BY_CODE = """
    def ops_by_code(errors):
        found = {{}}
        for entry in errors:
            code = entry.ErrorCode.Name(entry.error_code)
            {collect}
        return {returned}
"""
IN_SETS = "found.setdefault(code, set()).add(entry.operator.name)"
IN_LISTS = "found.setdefault(code, []).append(entry.operator.name)"


@pytest.mark.parametrize(
    ("collect", "returned", "told"),
    [
        (IN_SETS, "found", "as a list, sorted"),
        (IN_LISTS, "found", "has 4 ops, of which 3 are different"),
        (IN_LISTS, "{c: sorted(ops) for c, ops in found.items()}", "Give each once"),
        (
            "found.setdefault(entry.error_code, set()).add(entry.operator.name)",
            "{c: sorted(ops) for c, ops in found.items()}",
            "numbers of the codes",
        ),
        ("found[entry.operator.name] = [code]", "found", "The keys are ops"),
        ("found[code] = [entry.operator.name]", "found", "expects tf.AssignVariableOp"),
        ("found[code] = entry.operator.name", "found", "and no list"),
        (
            "found.setdefault(code, []).append(entry.operator)",
            "found",
            "objects of type `Operator`",
        ),
        (IN_SETS, "errors.clear() or {}", "has not"),
        (
            "found.setdefault(code, set()).add(entry.location.call[0].name)",
            "{c: sorted(ops) for c, ops in found.items()}",
            "These are nodes",
        ),
        (
            IN_SETS,
            "{c: sorted(ops) for c, ops in found.items() if c.startswith('ERROR_NEEDS')}",
            "has not",
        ),
        (IN_SETS, "{**{c: sorted(ops) for c, ops in found.items()}, 'UNKNOWN': []}", "has it"),
        (IN_SETS, "sorted(found)", "Return a dictionary"),
        (IN_SETS, "{}", "has not"),
    ],
)
def test_wrong_readings_of_errors(outcome, collect, returned, told):
    source = OPS_BY_CODE.format(collect=collect, returned=returned)
    assert_says(outcome("the_error/ops-by-code", source), told)


@pytest.mark.parametrize(
    "body",
    [
        """
            errors.sort(key=lambda entry: entry.operator.name)
            found = {}
            for entry in errors:
                ops = found.setdefault(entry.ErrorCode.Name(entry.error_code), [])
                if entry.operator.name not in ops:
                    ops.append(entry.operator.name)
            return found
        """,
        """
            name = lambda entry: type(entry).ErrorCode.Name(entry.error_code)
            return {
                code: sorted({e.operator.name for e in errors if name(e) == code})
                for code in map(name, errors)
            }
        """,
    ],
    ids=["sorts-in-place", "comprehensions"],
)
def test_other_readings_of_errors_are_as_good(outcome, body):
    source = "def ops_by_code(errors):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    assert outcome("the_error/ops-by-code", source).status == "right"


def test_a_reading_of_errors_that_knows_only_the_checks_entries(outcome):
    assert_says(
        outcome(
            "the_error/ops-by-code",
            """
        def ops_by_code(errors):
            return {
                "ERROR_NEEDS_FLEX_OPS": ["tf.AssignVariableOp", "tf.PyFunc", "tf.VarHandleOp"],
                "ERROR_NEEDS_CUSTOM_OPS": ["tf.PyFunc"],
                "ERROR_UNSUPPORTED_CONTROL_FLOW_V1": ["tf.Enter"],
            }
        """,
        ),
        "empty dictionary",
    )


def test_a_reading_of_errors_that_raises(outcome):
    source = "def ops_by_code(errors): return {entry.code: entry.op for entry in errors}"
    assert_says(outcome("the_error/ops-by-code", source), "AttributeError", "raised")


@pytest.mark.parametrize(
    ("outcomes", "key"),
    [
        ({"a": "converted", "b": "refused with ConverterError"}, (False, True)),
        ({"a": "refused with ValueError"}, (True,)),
    ],
)
def test_what_was_refused_is_read_off_the_outcomes(outcomes, key):
    assert the_error.refused(outcomes) == key


def test_the_cure_of_the_card_converts_and_keeps_the_total(tf):
    class Cured(tf.Module):
        def __init__(self):
            run_cure("the_error", self=self, lines=slice(1))

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float16)])
        def __call__(self, x):
            return run_cure("the_error", self=self, x=x, lines=slice(1, 3))["answer"]

    cured = Cured()
    functions = [cured.__call__.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, cured).convert()
    call = Interpreter(model_content=content).get_signature_runner()
    answers = [next(iter(call(x=np.ones(4, np.float16)).values())) for _ in range(3)]
    assert [float(answer[0]) for answer in answers] == [1, 2, 3]
    assert answers[0].dtype == np.float16
