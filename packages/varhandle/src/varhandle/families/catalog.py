"""The families of failure between a variable and a .tflite file, and how to bring them about.

The ids are those that ``varhandle diagnose`` and ``varhandle explain`` answer with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from varhandle.display import Rich, code_html, panel_html
from varhandle.families import cases
from varhandle.sandbox import OpError, Record, run_isolated
from varhandle.sandbox.record import shown


@dataclass(frozen=True)
class Family:
    """One way in which a variable and a converter fail each other.

    Attributes:
        id: Stable name, such as ``"frozen-but-assigned"``.
        what: What happens, in a sentence.
        cause: Why, in a sentence.
        cure: What the author of the model can do.
        cases: Ids of the cases (``cases.CASES``) that show it, on TensorFlow 2.21 or on an earlier
            release; the version matrix says on which. None for a family that only a device shows.
        repair_step: The step of a repair plan that mends it (a key of ``repair.plan.STEPS``).
    """

    id: str
    what: str
    cause: str
    cure: str
    cases: tuple[str, ...]
    repair_step: str | None = None


FAMILIES: tuple[Family, ...] = (
    Family(
        "unsupported-variable-dtype",
        "The converter stops with \"'tf.VarHandleOp' op is neither a custom op nor a flex op\".",
        "The model assigns a variable of a dtype that the builtin VAR_HANDLE does not carry.",
        "Keep the state in float32 (or int32, int64, bool), and cast where it is read.",
        ("float16-state", "float16-state-flag-off", "int16-state", "uint32-state", "string-state"),
        repair_step="recast",
    ),
    Family(
        "unsupported-variable-update",
        "VarHandleOp is named, but beside another op that is the culprit.",
        "The variable is updated by an op that has no builtin: a slice or a scatter assignment.",
        "Compute the whole new value and assign it at once.",
        ("slice-assign", "scatter-update"),
        repair_step="whole",
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
        ("concrete-function-alone", "batch-norm-training"),
    ),
    Family(
        "keras3-export",
        "It converts, it runs, and its answers are wrong.",
        "tf.saved_model.save writes a Keras 3 variable twice and initializes the wrong copy.",
        "Export with Model.export, or let the module hold [v.value for v in model.variables].",
        ("keras-in-module",),
    ),
    Family(
        "unfrozen-graph",
        "A graph without values is handed over; today it converts and answers what it finds.",
        "The weights live in a session, not in the graph.",
        "Freeze first, or convert from a SavedModel or a Keras model.",
        ("unfrozen-graph", "unfrozen-reference"),
    ),
    Family(
        "freezer-lost-variable",
        "The freezer stops at a ReadVariableOp whose variable it cannot find.",
        "The read goes through a function argument or a branch, where the freezer does not follow.",
        "Convert from a SavedModel with its signature; a release from 2.9 on follows such reads.",
        ("cond-read", "cond-read-concrete-function"),
    ),
    Family(
        "gather-from-frozen-table",
        "The same message as for an assignment, where an embedding is looked up.",
        "The lookup wants the table's handle, but the table's value became a constant.",
        "Hand the converter the object that owns the table, or gather from table.read_value().",
        ("embedding", "embedding-concrete-function"),
        repair_step="whole",
    ),
    Family(
        "not-immutable",
        'The converter stops with "is not immutable"; seen from 2.3 to 2.6, and on 2.18.',
        "Its importer takes only variables that no signature ever assigns.",
        "Convert on 2.19 or later, where an assigned variable becomes VAR_HANDLE without a flag.",
        ("float32-state",),
    ),
    Family(
        "constant-folding-failed",
        'Releases from 2.7 to 2.18 stop with "Variable constant folding is failed".',
        "One sentence stands for many causes; the rest of the line names the one that it was.",
        "Mend what the rest of the line names, or convert on 2.21, which names it by itself.",
        ("float32-state-flag-off",),
    ),
    Family(
        "uninitialised-variable",
        "A variable is read that nothing has set: a refusal, or an answer made of garbage.",
        "Its value was not saved, because no attribute of the saved object holds the variable.",
        "Let the saved object hold every variable, and run the file without default delegates.",
        ("untracked-variable",),
    ),
    Family(
        "runtime-too-old",
        "The file converts, and another runtime does not know its ops or its tensor type.",
        "VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE came with TensorFlow 2.6.",
        "Bring the runtime up to date, or lift the state into inputs and outputs.",
        ("newer-file",),
    ),
    Family(
        "micro-needs-store",
        "TensorFlow Lite Micro refuses VAR_HANDLE or CALL_ONCE.",
        "The program has registered no such op, or has given the interpreter no variable store.",
        "Register the ops and create MicroResourceVariables, or lift the state out of the file.",
        (),
    ),
    Family(
        "quantised-state",
        "A quantized file refuses its own variable, or its state stops changing.",
        "The state is float in one place and int8 in another, or saturates at a calibrated value.",
        "Lift the state out of the float file, and quantize after that, calibrated over calls.",
        ("int8-state",),
    ),
    Family(
        "shared-or-dynamic-state",
        "The state has no fixed shape, or is not shared or reset as it was thought to be.",
        "A variable's shape depends on an input, or two signatures write the same variable.",
        "Give the variable a fixed shape, batch size included, and one signature that writes it.",
        ("growing-variable", "two-signatures", "lstm"),
    ),
    Family(
        "other-resource",
        "The resource that the message names is no variable, or the tool is no TensorFlow.",
        "Tables and iterators are resources too; and other tools do not read VAR_HANDLE.",
        "Look up outside the model or gather from a constant; lift the state for other tools.",
        ("hash-table",),
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
        body = code_html(shown(self.message)) if self.message else ""
        tone = {"works": "right", "error": "wrong", "absent": "neutral"}.get(self.outcome, "raised")
        return panel_html(tone, self._headline(), body)


def family(identifier: str) -> Family:
    """Return the family of an id.

    Raises:
        KeyError: There is none.
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
