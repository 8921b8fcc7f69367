"""Why an op whose inputs agree gives another output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import printable
from varhandle.divergence.file_trace import FileOp, FileTrace
from varhandle.divergence.tensor_difference import STEPS, Difference, difference, reach
from varhandle.divergence.weights import outline_of
from varhandle.evaluate.parity import absolute_errors
from varhandle.families.fft_length import OF_ONE
from varhandle.tflite.flatbuffer import option_text

Array = npt.NDArray[Any]


SATURATED = 0.1
"""Share of a tensor's range that may lie beyond its scale: what calibration did not see."""

FLOAT16 = 1e-3
"""Share of a constant's range by which storing it as float16 changes it, at most."""

DRAWS = "it draws random numbers: the file and the model have others, in every run"


def plain(one: Difference, group: Sequence[FileOp]) -> str:
    """Say no more than that the inputs agree and the output does not."""
    note = f": {one.note}" if one.note else ""
    if one.lost:
        note = f": what the model has is this after its {one.lost}, which the file lacks"
    if len(group) > 1:
        return f"the inputs of these {len(group)} ops agree, the output does not{note}"
    return f"the inputs agree, the output does not{note}"


def of_its_size(file: FileTrace, op: FileOp) -> str:
    """Say that a kernel of LiteRT computes otherwise at the size that an op has; empty if not."""
    if op.op == "RFFT2D":
        lengths = file.value(op.inputs[1])
        if lengths is not None and lengths.size and int(lengths.ravel()[-1]) == 1:
            return OF_ONE
    return ""


def changed_inputs(file: FileTrace, op: FileOp, other: FileTrace, twin: FileOp) -> str:
    """Say what an op takes that the same op of a fresh conversion does not; empty if nothing."""
    if op.op != twin.op:
        return f"it is {op.op} where a fresh conversion has {twin.op}"
    for place, (mine, theirs) in enumerate(zip_longest(op.inputs, twin.inputs, fillvalue=-1)):
        if (mine < 0) != (theirs < 0):
            return f"its input {place} is left out" if mine < 0 else f"its input {place} is new"
        held = None if mine < 0 else file.constant(mine)
        if held is not None and other.is_constant(theirs):
            changed = changed_constant(file, held, other.value(theirs))
            if changed:
                return changed
    return ""


def changed_constant(file: FileTrace, tensor: int, sound: Array | None) -> str:
    """Say that a constant is not what it should be, but for the rounding of its own dtype."""
    found, name = file.value(tensor), file.title(tensor)
    if found is None or sound is None or found.dtype.kind not in "fiu":
        return ""
    if found.size != sound.size:
        return f"its constant {name} has shape {list(found.shape)}, and not {list(sound.shape)}"
    steps = file.steps(tensor)
    allowed = np.asarray((FLOAT16 if found.dtype == np.float16 else 1e-6) * reach(sound))
    if steps is not None:
        allowed = np.maximum(allowed, 1.01 * steps)
    apart = absolute_errors(found, sound.reshape(found.shape))
    return f"its weights differ: {name}" if np.any(apart > allowed) else ""


def saturates(file: FileTrace, tensor: int, sound: Array) -> tuple[str, float]:
    """Say that a scale cannot hold what an op should give, and by which share of it that ends."""
    limits = file.limits(tensor)
    if limits is None or sound.dtype.kind != "f":
        return "", 0.0
    sound = sound[np.isfinite(sound)]  # no scale holds an infinity
    widest = max(reach(sound), 1e-9)
    beyond = float(np.max(np.abs(sound - np.clip(sound, *limits)), initial=0.0))
    if beyond <= STEPS * file.step(tensor):
        return "", 0.0
    words = (
        f"its scale is too small: it ends at {limits[0]:.3g} and {limits[1]:.3g}, where values go "
        f"from {float(np.min(sound)):.3g} to {float(np.max(sound)):.3g}"
    )
    return words, beyond / widest


def grown(added: Difference, whole: Difference) -> str:
    """Say that no op is wrong, and that rounding adds up nevertheless."""
    return (
        f"rounding grows from op to op, to {whole.share:.1%} of the output's range; this op adds "
        f"most of it, {added.share:.1%} of its own"
    )


def computes_otherwise(op: FileOp, twin: FileOp) -> str:
    """Say that an op makes something else of its own inputs than the same op in float."""
    mine, sound = _options(op.operator), _options(twin.operator)
    for name, value in sound.items():
        if name in mine and not np.array_equal(np.asarray(mine[name]), np.asarray(value)):
            has, wants = option_text(name, mine[name]), option_text(name, value)
            return f"its option {name} is {has} where a fresh conversion has {wants}"
    return "on the same inputs, a fresh conversion of the op gives another output"


def _options(operator: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for options in (operator.builtinOptions, operator.builtinOptions2):
        if options is not None:
            found.update(vars(options))
    return found


def of_variable(
    file: FileTrace,
    op: FileOp,
    one: Difference,
    *,
    last: Array | None,
    call: int,
    twin: tuple[FileTrace, FileOp] | None = None,
) -> str:
    """Say why a read gives another value than the model's; empty where what was assigned does.

    ``last`` is what the file assigned last before it, ``None`` if nothing.
    """
    if call == 1 and (missing := uninitialized(file, op)):
        return missing
    name, words = file.variable_of(op), ""
    before = _assigns_before(file, op)
    moved = twin is not None and _assigns_before(*twin) != before
    if not file.assigns_of(name) and (moved or call > 1):
        words = "is not kept: nothing assigns it"
    elif moved:
        when = "before" if not before else "after"
        words = f"is read {when} it is assigned, where a fresh conversion does not"
    elif one.note:
        words = f"has {one.note}"
    elif last is None and (twin or file.takers_of(name)[0] is op):
        words = "begins with another value"
    elif last is None:
        words = "has another value, and nothing assigns it before"
    elif not np.array_equal(np.ravel(last), np.ravel(_read(file, op)), equal_nan=True):
        words = "does not hold what was assigned"
    return f"the variable {printable(name)} {words}" if words else ""


def of_carried(name: str, begins: Array, variables: Mapping[str, Array]) -> str:
    """Say that a state, which the caller carries, begins with another value than its variable.

    ``variables`` are the model's before the first call. Empty where one may be it that begins
    alike, or where none is of that size.
    """
    alike = {n: value for n, value in variables.items() if value.size == begins.size}
    last = name.rpartition("/")[2]
    own = {n: v for n, v in alike.items() if n.rpartition("/")[2] == last} or alike
    if not own or any(
        difference(begins, value.reshape(begins.shape)).agrees for value in own.values()
    ):
        return ""
    variable, value = next(iter(own.items()))
    model = f"the variable {printable(variable)}" if len(own) == 1 else "each of its variables"
    begun = f" with {outline_of(value).summary}" if len(own) == 1 else " with another value"
    return (
        f"the state {printable(name)} begins with {outline_of(begins).summary}, where in the model "
        f"{model} begins{begun}"
    )


def uninitialized(file: FileTrace, op: FileOp) -> str:
    """Say that an op takes a variable that nothing has assigned by then; empty if it does not."""
    for tensor in op.inputs:
        name = file.variable_behind(tensor)
        before = name and any(one.number < op.number for one in file.assigns_of(name))
        if name and not before and name not in file.initialized:
            return f"the variable {printable(name)} is not initialized: no CALL_ONCE assigns it"
    return ""


def _assigns_before(file: FileTrace, op: FileOp) -> int:
    """Count the operators that assign a variable in one call before an op reads it."""
    assigns = file.assigns_of(file.variable_of(op))
    return sum(one.number < op.number for one in assigns)


def _read(file: FileTrace, op: FileOp) -> Any:
    return file.value(op.outputs[0])
