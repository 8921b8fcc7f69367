"""Checks of lesson 11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow.compiler.mlir.lite.metrics import converter_error_data_pb2

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same


@exercise("the_error/ops-by-code")
def ops_by_code(function: Any) -> str:
    """Gather the ops of a list of `ConverterError` entries by the names of their codes.

    1. Print one entry: the op's name is in `entry.operator.name`.
    2. `entry.ErrorCode.Name(entry.error_code)` is the name of the code. Gather the ops of each code
       in a set.
    3. `found.setdefault(code, set())` gives the set of a code, and makes it at the first time. Add
       each op to the set of its code; at the end make a sorted list of each set.
    """
    entries = _entries()
    answer = attempt(function, list(entries))  # which the learner may sort or empty
    expected: dict[str, list[str]] = {}
    for entry in sorted(entries, key=lambda entry: entry.operator.name):
        ops = expected.setdefault(entry.ErrorCode.Name(entry.error_code), [])
        if entry.operator.name not in ops:
            ops.append(entry.operator.name)
    expect(answer, Mapping, "a dictionary")
    if not same(answer, expected):
        _judge_keys(set(answer), expected, entries)
        for code, ops in expected.items():
            _judge_ops(answer[code], ops, code, entries)
    if not same(attempt(function, []), {}):
        raise Wrong("For a list without entries it is to return an empty dictionary.")
    return "Structured entries do not change with the wording of a message. Read these first."


def _judge_keys(keys: set[Any], expected: Mapping[str, Any], entries: list[Any]) -> None:
    if keys == set(expected):
        return
    if keys and all(isinstance(key, int) for key in keys):
        raise Wrong("The keys are the numbers of the codes. The entry can name them.")
    if keys and keys <= {entry.operator.name for entry in entries}:
        raise Wrong("The keys are ops. Turn it round: a key is a code, its value a list of ops.")
    missing = sorted(set(expected) - keys, key=str)
    if missing:
        raise Wrong(f"The check's entries have the code {missing[0]}, and your dictionary has not.")
    extra = sorted(keys - set(expected), key=str)
    raise Wrong(f"No entry of the check has the code {extra[0]}, and your dictionary has it.")


def _judge_ops(given: Any, expected: list[str], code: str, entries: list[Any]) -> None:
    if same(given, expected):
        return
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise Wrong(f"The value of {code} is of type `{type(given).__name__}`, and no list.")
    if strange := [op for op in given if not isinstance(op, str)]:
        raise Wrong(
            f"The list of {code} holds objects of type `{type(strange[0]).__name__}`, no names. "
            "The notebook printed the name of an entry's op: in which field is it?"
        )
    if same(given, set(expected)):
        if len(given) > len(expected):
            raise Wrong(
                f"The list of {code} has {len(given)} ops, of which {len(expected)} are different. "
                "Give each once."
            )
        raise Wrong(f"The ops of {code} are right. Give them as a list, sorted.")
    if set(given) & {call.name for entry in entries for call in entry.location.call}:
        raise Wrong("These are nodes: the places of the ops. The op is in `entry.operator`.")
    raise Wrong(f"For {code} the check expects {', '.join(expected)}, and not {given!r}.")


def _entries() -> list[Any]:
    """Return entries as a refusal has them: repeated ops, in no order, one op with two codes."""
    entry_type = converter_error_data_pb2.ConverterErrorData
    return [
        entry_type(
            error_code=entry_type.ErrorCode.Value(code),
            error_message=f"'{op}' op is neither a custom op nor a flex op",
            operator={"name": op},
            location={"call": [{"name": node}]},
        )
        for op, code, node in (
            ("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS", "total"),
            ("tf.PyFunc", "ERROR_NEEDS_CUSTOM_OPS", "halve"),
            ("tf.AssignVariableOp", "ERROR_NEEDS_FLEX_OPS", "assign"),
            ("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS", "state"),
            ("tf.Enter", "ERROR_UNSUPPORTED_CONTROL_FLOW_V1", "loop"),
            ("tf.PyFunc", "ERROR_NEEDS_FLEX_OPS", "plot"),
        )
    ]
