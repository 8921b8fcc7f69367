"""Give each input of an op its own read of a variable: XNNPACK dies of one read for two inputs.

``v - v`` and ``v + v`` of a variable are one READ_VARIABLE in a .tflite file, whose output is both
inputs of the SUB or ADD. With the default delegates, a process that makes the interpreter of such
a file ends with SIGSEGV (ai-edge-litert 2.3); with the plain kernels it runs. A read of its own for
the second input changes no answer, as nothing is assigned between the two.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

from varhandle.display import join_names
from varhandle.graph import Graph

_READ = "READ_VARIABLE"


class SharedRead(NamedTuple):
    """An op of a .tflite file, and the variable that it takes for two of its inputs."""

    op: str
    variable: str


def find_shared_reads(graph: Graph) -> tuple[SharedRead, ...]:
    """Return the ops of a .tflite file that take what one read of a variable gives twice."""
    variables = {(a.function, a.node): v.name for v in graph.variables for a in v.reads}
    return tuple(
        SharedRead(node.op, variables[function.name, source])
        for function in graph.functions
        for node in function.nodes
        for source in sorted({one for one in node.sources if node.sources.count(one) > 1})
        if (function.name, source) in variables
    )


def shared_read_words(twice: Sequence[SharedRead]) -> str:
    """Say which ops take which variables twice, and what comes of it."""
    ops, names = (join_names(each) for each in zip(*twice, strict=True))
    return (
        f"{ops} takes the variable {names} for both of its inputs, of which XNNPACK, the default "
        "delegate, dies"
    )


def split_shared_reads(content: bytes) -> bytes:
    """Return a .tflite file in which every op reads a variable anew for each of its inputs."""
    from varhandle.tflite.flatbuffer import op_name, pack, unpack

    model = unpack(content)
    for subgraph in model.subgraphs:
        reads = {op.outputs[0]: op for op in subgraph.operators if op_name(model, op) == _READ}
        further: dict[int, list[Any]] = {}  # by the tensor that is read
        for op in subgraph.operators:
            seen, taken = set[int](), [] if op.inputs is None else [int(one) for one in op.inputs]
            for place, tensor in enumerate(list(taken)):
                if tensor in seen and tensor in reads:
                    again = _read_again(subgraph, reads[tensor])
                    further.setdefault(tensor, []).append(again)
                    taken[place] = again.outputs[0]
                    op.inputs = taken
                seen.add(tensor)
        subgraph.operators = [
            each
            for op in subgraph.operators
            for each in (op, *(further.get(op.outputs[0], ()) if op in reads.values() else ()))
        ]
    return pack(model)


def _read_again(subgraph: Any, read: Any) -> Any:
    """Return another read of the same variable, with a tensor of its own."""
    tensor = copy.deepcopy(subgraph.tensors[read.outputs[0]])
    tensor.name = tensor.name + (b"/again" if isinstance(tensor.name, bytes) else "/again")
    subgraph.tensors.append(tensor)
    again = copy.deepcopy(read)
    again.outputs = [len(subgraph.tensors) - 1]
    return again
