"""The same file, run in other ways: with its memory shared, with delegates, by CompiledModel.

To look at every tensor, the interpreter keeps each in memory of its own, without delegates. That
may hide the very fault. So the answers are compared with those of the file as people run it; and
where these differ, the op is found without looking: by files that end at one op after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.file_trace import WITHOUT_VALUE, FileTrace
from varhandle.divergence.tensor_difference import difference
from varhandle.evaluate.parity import DELEGATES, PLAIN, file_answers
from varhandle.evaluate.reference import same_values
from varhandle.sandbox import Record, run_isolated
from varhandle.tflite.flatbuffer import pack, with_callees

Array = npt.NDArray[Any]
Answers = Sequence[Mapping[str, Array]]

COMPILED = "CompiledModel"


def run_otherwise(
    content: bytes, signature: str | None, calls: Sequence[dict[str, Array]], timeout: float
) -> dict[str, Record]:
    """Run a file as people do, each way in a child process; a value is a list of answers."""
    limits: dict[str, Any] = {"timeout": timeout, "tensorflow": False}
    records = {
        kernels: run_isolated(_values, content, calls, signature, kernels, **limits)
        for kernels in (PLAIN, DELEGATES)
    }
    if signature is not None:
        records[COMPILED] = run_isolated(_compiled, content, calls, signature, **limits)
    return records


def _values(
    content: bytes, calls: Sequence[dict[str, Array]], signature: str | None, kernels: str
) -> list[dict[str, Array]]:
    given = file_answers(content, calls, signature, kernels)
    return [{name: value for name, (value, _) in one.items()} for one in given]


def _compiled(
    content: bytes, calls: Sequence[dict[str, Array]], signature: str
) -> list[dict[str, Array]]:
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_buffer(content)
    given = []
    for call in calls:
        inputs = {name: model.create_input_buffer_by_name(signature, name) for name in call}
        for name, value in call.items():
            inputs[name].write(np.ascontiguousarray(value))
        details = model.get_output_tensor_details(signature)
        outputs = {name: model.create_output_buffer_by_name(signature, name) for name in details}
        model.run_by_name(signature, inputs, outputs)
        given.append(
            {
                name: outputs[name]
                .read(int(np.prod(one["shape"])), np.dtype(one["dtype"]))
                .reshape(one["shape"])
                for name, one in details.items()
            }
        )
    return given


def compared(looked_at: Answers, record: Record, kernels: str, allowed: float = 0.0) -> str:
    """Say how another run answers beside the one that was looked at.

    ``allowed`` is a share that it may differ by, where that is more than the dtype's.
    """
    if not record.ok:
        return "refused"
    pairs = list(zip(looked_at, record.value, strict=False))
    if all(same_values(one[n], other[n]) for one, other in pairs for n in one):
        return "the same bits"
    if kernels != PLAIN and all(
        n in other and difference(other[n], one[n], allowed=allowed).agrees
        for one, other in pairs
        for n in one
    ):
        return "agrees"
    return "differs"


def first_without_looking(
    content: bytes,
    signature: str | None,
    calls: Sequence[dict[str, Array]],
    kernels: str,
    allowed: float = 0.0,
) -> tuple[int, int, float] | None:
    """Return the call, the operator and the difference where a run parts from the one looked at.

    Every operator's output is read from a file that ends there, so that nothing else is kept. In a
    child process.
    """
    trace = FileTrace(content, signature)
    looked_at: list[dict[int, Array]] = []
    outputs = [
        (op.number, tensor)
        for op in trace.ops
        if op.op not in WITHOUT_VALUE
        for tensor in op.outputs
    ]
    for call in calls:
        trace(call)
        values = {tensor: trace.value(tensor) for _, tensor in outputs}
        looked_at.append({t: np.array(v) for t, v in values.items() if v is not None})
    parted = []
    for number, tensor in outputs:
        for place, own in enumerate(_read_at(trace, tensor, calls, kernels)):
            value = looked_at[place].get(tensor)
            one = None if value is None else difference(own, value, allowed=allowed)
            if one is not None and not one.agrees:
                parted.append((place + 1, number, one.largest))
                break
    return min(parted, default=None)


def _read_at(
    trace: FileTrace, tensor: int, calls: Sequence[dict[str, Array]], kernels: str
) -> list[Array]:
    """Return a tensor's values in successive calls of a file that ends at it."""
    model = copy.copy(trace.model)
    subgraph = copy.copy(trace.subgraph)
    subgraph.outputs = [tensor]
    number = trace.subgraph_index
    model.subgraphs = [*model.subgraphs[:number], subgraph, *model.subgraphs[number + 1 :]]
    model.signatureDefs = None
    _make_main(model, number)
    cut = FileTrace(pack(model), delegates=kernels == DELEGATES, keep=False)
    names = {name: place for place, name in enumerate(_in_order(trace))}
    found = []
    for call in calls:
        cut.run([call[name] for name in sorted(call, key=names.__getitem__)])
        found.append(np.array(cut.results()[0]))
    return found


def _make_main(model: schema.ModelT, number: int) -> None:
    """Let a subgraph and the first one change places; every operator stays."""
    moved = {0: number, number: 0}
    order = [moved.get(n, n) for n in range(len(model.subgraphs))]
    model.subgraphs = [copy.copy(model.subgraphs[n]) for n in order]
    for each in model.subgraphs:
        each.operators = [with_callees(one, moved) for one in each.operators or []]


def _in_order(trace: FileTrace) -> list[str]:
    """Return the names of the signature's inputs in the order of the subgraph's."""
    tensors = [int(number) for number in trace.subgraph.inputs]
    return sorted(trace.session.inputs, key=lambda n: tensors.index(trace.session.inputs[n].index))
