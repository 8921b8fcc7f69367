"""Why an op whose inputs agree gives another output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import counted, printable
from varhandle.divergence.difference import Difference
from varhandle.divergence.file_trace import FileOp, FileTrace

Array = npt.NDArray[Any]


def why(
    file: FileTrace,
    op: FileOp,
    one: Difference,
    *,
    twin: tuple[FileTrace, FileOp] | None,
    group: Sequence[FileOp],
    call: int,
) -> str:
    """Say in a sentence why an op parts; ``twin`` is the same op of a file converted anew."""
    if op.op == "READ_VARIABLE":
        return _variable(file, op, call)
    if twin:
        changed = _changed(file, op, *twin)
        if changed:
            return changed
    if one.note:
        return f"the inputs agree, the output does not: {one.note}"
    if len(group) > 1:
        return f"one of {counted(len(group), 'op')} that were made of one: its inputs agree"
    return "the inputs agree, the output does not"


def _changed(file: FileTrace, op: FileOp, other: FileTrace, twin: FileOp) -> str:
    """Say what an op has that the same op of a fresh conversion has not; empty if nothing."""
    if op.op != twin.op:
        return f"it is {op.op} where a fresh conversion has {twin.op}"
    if len(op.inputs) != len(twin.inputs):
        return f"it takes {len(op.inputs)} inputs where a fresh conversion has {len(twin.inputs)}"
    for place, (mine, theirs) in enumerate(zip(op.inputs, twin.inputs, strict=True)):
        if (mine < 0) != (theirs < 0):
            return f"its input {place} is left out" if mine < 0 else f"its input {place} is new"
        if mine >= 0 and file.is_constant(mine) and other.is_constant(theirs):
            changed = _changed_constant(file, mine, other.value(theirs))
            if changed:
                return changed
    mine_options, sound_options = _options(op.operator), _options(twin.operator)
    return next(
        (
            f"its option {name} is {mine_options.get(name)} where a fresh conversion has {sound}"
            for name, sound in sound_options.items()
            if not np.array_equal(np.asarray(mine_options.get(name)), np.asarray(sound))
        ),
        "",
    )


def _changed_constant(file: FileTrace, tensor: int, sound: Array | None) -> str:
    """Say that a constant is not what it should be, but for the rounding of its own scale."""
    found, name = file.value(tensor), printable(file.name(tensor))
    if found is None or sound is None:
        return ""
    if found.size != sound.size:
        return f"its constant {name} has shape {list(found.shape)}, and not {list(sound.shape)}"
    step = max(file.step(tensor), 1e-6 * float(np.max(np.abs(sound), initial=0.0)))
    apart = np.abs(np.ravel(found).astype(np.float64) - np.ravel(sound).astype(np.float64))
    return f"its weights differ: {name}" if np.any(apart > 1.01 * step) else ""


def _options(operator: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for options in (operator.builtinOptions, operator.builtinOptions2):
        if options is not None:
            found.update(vars(options))
    return found


def _variable(file: FileTrace, op: FileOp, call: int) -> str:
    assigns = [each for each in file.ops if each.op == "ASSIGN_VARIABLE"]
    if call == 1 and not any(a.number < op.number for a in assigns):
        sets = [each for each in file.ops if each.op == "CALL_ONCE"]
        return "the variable was never initialized" if not sets else "the variable's first value"
    return "the variable was not kept from the call before"
