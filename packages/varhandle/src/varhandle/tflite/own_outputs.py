"""Give each output of a .tflite file a tensor of its own, and take it back.

A state that is returned is one tensor for two outputs, and a value that is handed through is an
input and an output. The interpreter fills both; LiteRT's ``CompiledModel`` leaves one of them
unwritten. A ``CAST`` to the same dtype copies a tensor of any shape. ai-edge-quantizer leaves
``CAST`` in float and gives the two tensors different dtypes, so it gets a file without copies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from varhandle.tflite.flatbuffer import builtin_code, compact, decode, indices, op_name

_CAST = schema.BuiltinOperator.CAST
_CASTED = {
    getattr(schema.TensorType, name)
    for kind, bits in (("FLOAT", (16, 32, 64)), ("INT", (8, 16, 32, 64)), ("UINT", (8, 32)))
    for name in (f"{kind}{number}" for number in bits)
} | {schema.TensorType.BOOL, schema.TensorType.COMPLEX64}
"""Dtypes that ``CAST`` takes."""


def cast_copy(model: schema.ModelT, source: int, copied: int, dtype: int) -> schema.OperatorT:
    """Return an operator that copies a tensor to another of its dtype."""
    options = schema.CastOptionsT(dtype, dtype)
    kind = schema.BuiltinOptions.CastOptions
    return schema.OperatorT(_cast_code(model), [source], [copied], kind, options)


def _cast_code(model: schema.ModelT) -> int:
    """Return the index of the op code of ``CAST``, which may have to be added."""
    codes = model.operatorCodes
    for number, code in enumerate(codes):
        if builtin_code(code) == _CAST:
            return number
    codes.append(schema.OperatorCodeT(_CAST, None, 1, _CAST))
    return len(codes) - 1


def separate_outputs(model: schema.ModelT) -> None:
    """Copy each output that is an input, or an output before it, in what callers run."""
    names = {decode(one.name) for subgraph in model.subgraphs for one in subgraph.tensors or []}
    for number in _entries(model):
        subgraph = model.subgraphs[number]
        taken, outputs = set(indices(subgraph.inputs)), indices(subgraph.outputs)
        # Each output of a signature once: of a tensor that is given twice, each name has its own.
        waiting = [list(s.outputs or []) for s in _signatures(model, number)]
        for position, tensor in enumerate(outputs):
            if tensor in taken and subgraph.tensors[tensor].type in _CASTED:
                outputs[position] = _add_copy(model, subgraph, tensor, names)
            for entries in waiting:
                named = next((entry for entry in entries if entry.tensorIndex == tensor), None)
                if named is not None:
                    entries.remove(named)
                    named.tensorIndex = outputs[position]
            taken.add(tensor)
        subgraph.outputs = outputs


def join_outputs(model: schema.ModelT) -> tuple[schema.ModelT, dict[str, str]]:
    """Undo :func:`separate_outputs`.

    Returns:
        The model without the copies, and the name of each copy with that of what it copies.
    """
    joined = {}
    for number in _entries(model):
        subgraph = model.subgraphs[number]
        copies = dict(_copies(model, subgraph))
        for copied, source in copies.items():
            one, other = (decode(subgraph.tensors[index].name) for index in (copied, source))
            joined[one] = other
        subgraph.outputs = [copies.get(index, index) for index in indices(subgraph.outputs)]
        for signature in _signatures(model, number):
            for entry in signature.outputs or []:
                entry.tensorIndex = copies.get(int(entry.tensorIndex), entry.tensorIndex)
        subgraph.operators = [
            operator
            for operator in subgraph.operators or []
            if not copies.keys() & set(indices(operator.outputs))
        ]
    return compact(model, _entries(model), model.signatureDefs or [], unused=True), joined


def _entries(model: schema.ModelT) -> list[int]:
    """Return the subgraphs that callers run."""
    return sorted({0, *(signature.subgraphIndex for signature in model.signatureDefs or [])})


def _signatures(model: schema.ModelT, number: int) -> list[schema.SignatureDefT]:
    return [one for one in model.signatureDefs or [] if one.subgraphIndex == number]


def _add_copy(
    model: schema.ModelT, subgraph: schema.SubGraphT, tensor: int, names: set[str]
) -> int:
    copied = copy.copy(subgraph.tensors[tensor])
    stem = decode(copied.name)
    name = next(name for n in range(1, len(names) + 2) if (name := f"{stem}_{n}") not in names)
    names.add(name)
    copied.name, copied.buffer = name, 0
    subgraph.tensors.append(copied)
    index = len(subgraph.tensors) - 1
    subgraph.operators = [
        *(subgraph.operators or []),
        cast_copy(model, tensor, index, copied.type),
    ]
    return index


def _copies(model: schema.ModelT, subgraph: schema.SubGraphT) -> Iterator[tuple[int, int]]:
    """Yield each output that only copies an input or another output, and what it copies."""
    outputs = set(indices(subgraph.outputs))
    others = outputs | set(indices(subgraph.inputs))
    read = {tensor for op in subgraph.operators or [] for tensor in indices(op.inputs)}
    for operator in subgraph.operators or []:
        if op_name(model, operator) != "CAST":
            continue
        (source,), (copied,) = indices(operator.inputs), indices(operator.outputs)
        same = subgraph.tensors[source].type == subgraph.tensors[copied].type
        if same and source in others and copied in outputs and copied not in read:
            yield copied, source
