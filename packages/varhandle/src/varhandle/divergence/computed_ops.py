"""The ops of a .tflite file in the order of execution, and what of the model each of them computes.

The ops of the model between two of its tensors that have a partner in the file were computed
together: fused, folded or rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from varhandle.divergence.file_trace import FileTrace
from varhandle.divergence.matching import TensorMatch
from varhandle.divergence.model_trace import ModelOp
from varhandle.graph.model import closure

_SOURCES = frozenset({"Placeholder", "PlaceholderWithDefault", "ReadVariableOp"})
_ONLY_HANDED_ON = _SOURCES | {"Identity", "IdentityN"}


def op_rows(
    file: FileTrace, model: Sequence[ModelOp], matches: Mapping[int, TensorMatch]
) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Return a row for each op of the file, and op and name of the model's that are in none."""
    found = {op.node: op for op in model}
    order = {node: number for number, node in enumerate(found)}
    moving = _moving(model)
    # What the inputs of the file are matched with, lies before all of its ops.
    owner: dict[str, int | None] = {
        match.node.split(":")[0]: None
        for tensor, match in matches.items()
        if tensor not in file.producers
    }
    rows = []
    for op in file.ops:
        matched = [matches[each].node.split(":")[0] for each in op.outputs if each in matches]
        reached = closure(
            [node for node in matched if node not in owner],
            lambda node: (n for n in found[node].inputs if n in found and n not in owner),
        )
        own = sorted(reached, key=order.__getitem__)
        owner.update(dict.fromkeys(own, op.number))
        taken = {owner.get(name) for node in own for name in found[node].inputs} - {None, op.number}
        rows.append(
            {
                "number": op.number,
                "op": op.op,
                "tensor": file.name(op.outputs[0]) if op.outputs else "",
                "inputs": sorted(
                    {file.producers[t].number for t in op.inputs if t in file.producers}
                ),
                "nodes": [[found[n].op, n] for n in own if n in matched or n in moving],
                "node_inputs": sorted(number for number in taken if number is not None),
            }
        )
    left = [[op.op, op.node] for op in found.values() if op.node not in owner and op.node in moving]
    return rows, left


def _moving(model: Sequence[ModelOp]) -> set[str]:
    """Return the nodes that compute from inputs or a state: the rest are constants of the file."""
    moving: set[str] = set()
    for op in model:  # in topological order
        if op.op in _SOURCES or moving.intersection(op.inputs):
            moving.add(op.node)
    return moving - {op.node for op in model if op.op in _ONLY_HANDED_ON}
