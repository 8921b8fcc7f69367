"""The families of failure that the lessons meet, and how to bring each one about.

The ids are those that ``workbook diagnose`` and ``workbook explain`` answer with.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from workbook_lib.failures import cases
from workbook_lib.isolated import OpError, Record, run_isolated
from workbook_lib.isolated.record import shown
from workbook_lib.rendering import Rich, panel_html


@dataclass(frozen=True)
class Family:
    """One way in which a variable and a converter fail each other.

    Attributes:
        id: Stable name, such as ``"frozen-but-assigned"``.
        what: What happens, in a sentence.
        cause: Why, in a sentence.
        cure: What the author of the model can do.
        cases: Ids of the cases (``cases.CASES``) that show it on TensorFlow 2.21.
    """

    id: str
    what: str
    cause: str
    cure: str
    cases: tuple[str, ...]


FAMILIES: tuple[Family, ...] = (
    Family(
        "unsupported-variable-dtype",
        "The converter stops with \"'tf.VarHandleOp' op is neither a custom op nor a flex op\".",
        "The model assigns a variable of a dtype that the builtin VAR_HANDLE does not carry.",
        "Keep the state in float32 (or int32, int64, bool), and cast where it is read.",
        ("float16-state", "float16-state-flag-off"),
    ),
    Family(
        "unsupported-variable-update",
        "VarHandleOp is named, but beside another op that is the culprit.",
        "The variable is updated by an op that has no builtin: a slice or a scatter assignment.",
        "Compute the whole new value and assign it at once.",
        ("slice-assign",),
    ),
    Family(
        "flex-variable",
        "It converts with SELECT_TF_OPS, and the interpreter will not load it.",
        "The variable became Flex ops, and the Python packages no longer link the Flex delegate.",
        "Convert with builtin ops only; mend the dtype or the update that asked for Flex.",
        ("float16-state-select-ops",),
    ),
    Family(
        "frozen-but-assigned",
        'Freezing stops with "incompatible with expected resource".',
        "The variable's value became a constant, but the graph still assigns the variable.",
        "Hand the converter the object that owns the variable, or a function that only reads.",
        ("concrete-function-alone",),
    ),
    Family(
        "keras3-export",
        "It converts, it runs, and its answers are wrong.",
        "tf.saved_model.save writes a Keras 3 variable twice and initialises the wrong copy.",
        "Export with Model.export, or let the module hold [v.value for v in model.variables].",
        ("keras-in-module",),
    ),
    Family(
        "unfrozen-graph",
        "A graph without values is handed over; today it converts and answers what it finds.",
        "The weights live in a session, not in the graph.",
        "Freeze first, or convert from a SavedModel or a Keras model.",
        ("unfrozen-graph",),
    ),
)


@dataclass(frozen=True, repr=False)
class Reproduction(Rich):
    """What a case did when it ran.

    Attributes:
        case: The case's id.
        outcome: ``"works"``, ``"error"``, ``"wrong"`` (it ran, and answered something else than
            TensorFlow), ``"absent"`` (this release has no such setting), ``"crash"``, or the
            outcome of a record that a limit ended (``"timed out"``, ``"out of memory"``).
        stage: Where it ended: ``"build"``, ``"save"``, ``"convert"``, ``"load"`` or ``"run"``.
        exception_type: Name of the exception's class; empty if none was raised.
        message: The exception's message.
        errors: The entries of ``ConverterError.errors``.
        got: The interpreter's answers, call by call.
        expected: TensorFlow's answers to the same calls.
        record: The record of the child process.
    """

    case: str
    outcome: str
    stage: str
    exception_type: str
    message: str
    errors: tuple[OpError, ...]
    got: tuple[tuple[float, ...], ...] = field(repr=False)
    expected: tuple[tuple[float, ...], ...] = field(repr=False)
    record: Record = field(repr=False)

    def _headline(self) -> str:
        if self.outcome == "error":
            where = f" at {self.stage}" if self.stage else ""
            return f"{self.case}: {self.exception_type}{where}"
        words = {
            "works": "works",
            "wrong": "runs, and answers wrongly",
            "absent": "not offered",
            "crash": "the process died",
        }
        return f"{self.case}: {words.get(self.outcome, self.outcome)}"

    def __repr__(self) -> str:
        return f"Reproduction({self._headline()})"

    def text(self) -> str:
        """Return the outcome and the first line of the message."""
        return "\n".join(part for part in (self._headline(), shown(self.message)) if part)

    def html(self) -> str:
        """Return the same as a panel."""
        body = f"<pre>{html.escape(shown(self.message))}</pre>" if self.message else ""
        tone = {"works": "right", "error": "wrong", "absent": "neutral"}.get(self.outcome, "raised")
        return panel_html(tone, self._headline(), body)


def family(identifier: str) -> Family:
    """Return the family of an id.

    Raises:
        KeyError: There is none, or the lessons do not meet it.
    """
    for entry in FAMILIES:
        if entry.id == identifier:
            return entry
    raise KeyError(identifier)


def reproduce(case: str, timeout: float = 300.0) -> Reproduction:
    """Bring a failure about, in a child process.

    Args:
        case: A case's id (a key of ``cases.CASES``).
        timeout: Seconds it may take.

    Returns:
        What happened.

    Raises:
        KeyError: There is no such case.
    """
    if case not in cases.CASES:
        raise KeyError(case)
    record = run_isolated(cases.run_case, case, timeout=timeout)
    if not record.ok:
        outcome = {"crashed": "crash", "raised": "error"}.get(record.outcome, record.outcome)
        exception = record.exception_type or ""
        return Reproduction(case, outcome, "", exception, record.message, (), (), (), record)
    value: dict[str, Any] = record.value
    return Reproduction(
        case=case,
        outcome=value["outcome"],
        stage=value["stage"],
        exception_type=value["exception"],
        message=value["message"],
        errors=tuple(OpError(*pair) for pair in value["errors"]),
        got=tuple(tuple(call) for call in value["got"]),
        expected=tuple(tuple(call) for call in value["expected"]),
        record=record,
    )
