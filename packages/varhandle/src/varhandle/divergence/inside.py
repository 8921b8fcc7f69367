"""Into a branch or a loop: the round and the op that part, where the whole op does."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from varhandle.divergence import reasons
from varhandle.divergence.file_trace import FileOp, FileTrace
from varhandle.divergence.op_check import Fault, OpCheck
from varhandle.tflite.flatbuffer import callees, compact, pack

Array = npt.NDArray[Any]

_MOST_ROUNDS = 10_000
_DEEPEST = 20


class Inside(NamedTuple):
    """The op that parts, in a subgraph that another op runs."""

    where: str  # ``iteration 3``, ``the second branch``
    check: OpCheck
    fault: Fault | None  # ``None`` where every op agrees, and what they give goes elsewhere
    deeper: Inside | None


def look_inside(check: OpCheck, op: FileOp, depth: int = 0) -> Inside | None:
    """Run the subgraphs of a ``WHILE`` or ``IF`` beside those of the other file.

    Both get the same values; ``None`` where that is not possible.
    """
    twin = check.twin(op)
    if twin is not None and op.op == "READ_VARIABLE":
        return _in_initializer(check.file, twin[0], check.file.variable_of(op))
    if twin is None or op.op not in ("WHILE", "IF") or depth > _DEEPEST:
        return None
    values = [check.file.value(tensor) for tensor in op.inputs]
    if any(value is None for value in values):
        return None
    known = [np.array(value) for value in values if value is not None]
    try:
        mine, theirs = (
            [_subgraph(trace, number) for number in callees(each.operator)]
            for trace, each in ((check.file, op), twin)
        )
        if op.op == "IF":
            chosen = 0 if bool(np.all(known[0])) else 1
            where = ("the first branch", "the second branch")[chosen]
            return _compared(OpCheck(mine[chosen], theirs[chosen]), known[1:], where, depth)
        return _in_loop(OpCheck(mine[0], theirs[0]), OpCheck(mine[1], theirs[1]), known, depth)
    except (RuntimeError, ValueError):  # a variable of the file around it, for one
        return None


def _subgraph(trace: FileTrace, number: int) -> FileTrace:
    """Return a subgraph as a file of its own."""
    model = copy.copy(trace.model)
    model.signatureDefs = None
    return FileTrace(pack(compact(model, [number])))


def _in_initializer(file: FileTrace, other: FileTrace, variable: str) -> Inside | None:
    """Find the assignment of another value in what ``CALL_ONCE`` runs before the first call."""
    mine, theirs = (_initializers(trace, variable) for trace in (file, other))
    for (subgraph, assign), (sound, twin) in zip(mine, theirs, strict=False):
        why = reasons.changed_constant(subgraph, assign.inputs[1], sound.value(twin.inputs[1]))
        if why:
            fault = Fault(assign, assign.inputs[1], why, [assign])
            return Inside("CALL_ONCE", OpCheck(subgraph, None), fault, None)
    return None


def _initializers(trace: FileTrace, variable: str) -> list[tuple[FileTrace, FileOp]]:
    numbers = [n for op in trace.ops if op.op == "CALL_ONCE" for n in callees(op.operator)]
    subgraphs = [_subgraph(trace, number) for number in numbers]
    return [(each, op) for each in subgraphs for op in each.assigns_of(variable)]


def _in_loop(
    condition: OpCheck, body: OpCheck, values: Sequence[Array], depth: int
) -> Inside | None:
    """Run a loop in lockstep: each round begins with what the other file hands on."""
    assert condition.other
    assert body.other
    for number in range(1, _MOST_ROUNDS):
        parted = _compared(condition, values, f"the condition of iteration {number}", depth)
        if parted:
            return parted
        if not bool(np.all(condition.other.results()[0])):
            return None
        parted = _compared(body, values, f"iteration {number}", depth)
        if parted:
            return parted
        values = [np.array(value) for value in body.other.results()]
    return None


def _compared(check: OpCheck, values: Sequence[Array], where: str, depth: int) -> Inside | None:
    assert check.other
    check.file.run(values)
    check.other.run(values)
    found = check.differences()
    fault = check.first(found, 1)
    if fault:
        return Inside(where, check, fault, look_inside(check, fault.op, depth + 1))
    pairs = zip(check.file.results(), check.other.results(), strict=True)
    if all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs):
        return None
    outputs = zip(check.file.subgraph.outputs, check.other.subgraph.outputs, strict=True)
    partners = check.tensor_pairs()
    crossed = any(partners.get(int(a), int(b)) != int(b) for a, b in outputs)
    return Inside(where, check, None, None) if crossed else None
