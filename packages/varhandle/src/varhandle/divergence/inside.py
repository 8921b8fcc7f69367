"""Into a branch or a loop: the round and the op that part, where the whole op does."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence import reasons
from varhandle.divergence.file_trace import FileOp, FileTrace, variable_name
from varhandle.divergence.matching import TensorMatch
from varhandle.divergence.model_trace import ModelOp
from varhandle.divergence.op_check import Fault, OpCheck
from varhandle.divergence.tensor_difference import Difference
from varhandle.tflite.flatbuffer import callees, compact, decode, indices, op_name, pack

Array = npt.NDArray[Any]

MOST_ROUNDS = 10_000
DEEPEST = 20
CROSSED = "its ops agree, and it hands their values on in another order"


class Inside(NamedTuple):
    """The op that parts, in a subgraph that another op runs."""

    where: str  # ``iteration 3``, ``the second branch``
    check: OpCheck
    fault: Fault | None  # ``None`` where every op agrees: then ``why`` says what does not
    deeper: Inside | None
    found: Mapping[int, Difference]
    matches: Mapping[int, TensorMatch]  # where the model has a graph for it
    model_ops: Sequence[ModelOp]
    own: range  # the operators of ``check.file`` that are the subgraph's
    why: str = ""


def look_inside(check: OpCheck, op: FileOp, call: int, depth: int = 0) -> Inside | None:
    """Run the subgraphs of a ``WHILE`` or ``IF`` beside those of the other file.

    Both get the same values; ``None`` where that is not possible. Of a variable that is read, look
    at what ``CALL_ONCE`` assigns to it.
    """
    twin = check.twin(op)
    if op.op == "READ_VARIABLE":
        return _in_initializer(check, op, call)
    if twin is None or op.op not in ("WHILE", "IF") or depth > DEEPEST:
        return None
    values = [check.file.value(tensor) for tensor in op.inputs]
    if any(value is None for value in values):
        return None
    known = [np.array(value) for value in values if value is not None]
    try:
        mine, theirs = (
            [file_of_subgraph(trace, number) for number in callees(each.operator)]
            for trace, each in ((check.file, op), twin)
        )
        if op.op == "IF":
            chosen = 0 if bool(np.all(known[0])) else 1
            where = ("the first branch", "the second branch")[chosen]
            return _compared(OpCheck(mine[chosen], theirs[chosen]), known[1:], where, depth)
        return _in_loop(OpCheck(mine[0], theirs[0]), OpCheck(mine[1], theirs[1]), known, depth)
    except (RuntimeError, ValueError):  # a variable of the file around it, for one
        return None


def file_of_subgraph(
    trace: FileTrace, number: int, variables: Mapping[int, str] | None = None
) -> FileTrace:
    """Return a subgraph as a file of its own.

    ``variables`` are the names of those whose handles it takes, by the place of the handle. It then
    takes their values in place of the handles: two operators for each, before all others, assign
    them. Where it hands a handle on, it gives the value.
    """
    model = copy.copy(trace.model)
    model.signatureDefs = model.metadata = None
    if variables:
        subgraph = _with_values(model, model.subgraphs[number], variables)
        model.subgraphs = [*model.subgraphs[:number], subgraph, *model.subgraphs[number + 1 :]]
    return FileTrace(pack(compact(model, [number], unused=True)), whole=trace.whole)


def _with_values(
    model: schema.ModelT, old: schema.SubGraphT, variables: Mapping[int, str]
) -> schema.SubGraphT:
    like: dict[str, Any] = {}  # name of an op -> one of them
    handles: dict[str, Any] = {}  # variable -> what makes its handle
    values: dict[str, Any] = {}  # variable -> a tensor that it is assigned
    for subgraph in model.subgraphs:
        for one in subgraph.operators or []:
            like[op_name(model, one)] = one
            if op_name(model, one) == "VAR_HANDLE":
                handles[decode(one.builtinOptions.sharedName)] = one
            elif op_name(model, one) == "ASSIGN_VARIABLE":
                handle, value = indices(one.inputs)
                values[variable_name(model, subgraph, handle)] = subgraph.tensors[value]
    made = copy.copy(old)
    made.tensors, before, after = list(old.tensors), [], []
    made.inputs, made.outputs = indices(old.inputs), indices(old.outputs)

    def operator(one: Any, inputs: list[int], outputs: list[int]) -> Any:
        copied = copy.copy(one)
        copied.inputs, copied.outputs = inputs, outputs
        return copied

    def value_of(variable: str) -> int:
        tensor = copy.copy(values[variable])
        tensor.buffer, tensor.name = 0, variable
        made.tensors.append(tensor)
        return len(made.tensors) - 1

    for place, variable in variables.items():
        handle, made.inputs[place] = made.inputs[place], value_of(variable)
        before.append(operator(handles[variable], [], [handle]))
        before.append(operator(like["ASSIGN_VARIABLE"], [handle, made.inputs[place]], []))
        for at in [n for n, tensor in enumerate(made.outputs) if tensor == handle]:
            made.outputs[at] = value_of(variable)
            after.append(operator(like["READ_VARIABLE"], [handle], [made.outputs[at]]))
    made.operators = [*before, *(old.operators or []), *after]
    return made


def _in_initializer(check: OpCheck, read: FileOp, call: int) -> Inside | None:
    """Find the assignment of another value in what ``CALL_ONCE`` runs before the first call."""
    variable, twin = check.file.variable_of(read), check.twin(read)
    mine = _initializers(check.file, variable)
    words = []
    if twin:
        sound = _initializers(twin[0], variable)
        words = [
            reasons.changed_constant(one, op.inputs[1], other.value(same.inputs[1]))
            for (one, op), (other, same) in zip(mine, sound, strict=False)
        ]
    elif call == 1 and check.file.takers_of(variable)[0] is read:
        words = ["it assigns another value than the model's variable begins with"] * len(mine)
    for (subgraph, assign), why in zip(mine, words, strict=False):
        if why:
            fault = Fault(assign, assign.inputs[1], why, [assign])
            own = range(len(subgraph.ops))
            return Inside("CALL_ONCE", OpCheck(subgraph, None), fault, None, {}, {}, (), own)
    return None


def _initializers(trace: FileTrace, variable: str) -> list[tuple[FileTrace, FileOp]]:
    numbers = [n for op in trace.ops if op.op == "CALL_ONCE" for n in callees(op.operator)]
    subgraphs = [file_of_subgraph(trace, number) for number in numbers]
    return [(each, op) for each in subgraphs for op in each.assigns_of(variable)]


def _in_loop(
    condition: OpCheck, body: OpCheck, values: Sequence[Array], depth: int
) -> Inside | None:
    """Run a loop in lockstep: each round begins with what the other file hands on."""
    assert condition.other
    assert body.other
    for number in range(1, MOST_ROUNDS):
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
    fault, own = check.first(found, 1), range(len(check.file.ops))
    if fault:
        deeper = look_inside(check, fault.op, 1, depth + 1)
        return Inside(where, check, fault, deeper, found, {}, (), own)
    pairs = zip(check.file.results(), check.other.results(), strict=True)
    if all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs):
        return None
    outputs = zip(check.file.subgraph.outputs, check.other.subgraph.outputs, strict=True)
    partners = check.tensor_pairs()
    crossed = any(partners.get(int(a), int(b)) != int(b) for a, b in outputs)
    return Inside(where, check, None, None, found, {}, (), own, CROSSED) if crossed else None
