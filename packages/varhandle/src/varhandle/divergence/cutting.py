"""Some operators of a .tflite file as a file of their own, and smaller versions of that."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.file_trace import FileTrace
from varhandle.tflite.flatbuffer import compact, decode, has_data, indices, op_name, pack, unpack
from varhandle.tflite.variable_values import VariableKey, constant_value

Array = npt.NDArray[Any]
Slices = Mapping[int, Mapping[int, Sequence[int]]]
"""Place among an operator's inputs -> axis -> the indices that are kept."""

_ON_VARIABLES = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
_HANDLES = (schema.TensorType.RESOURCE, schema.TensorType.VARIANT)


def taken(trace: FileTrace, numbers: Collection[int]) -> list[int]:
    """Return the tensors that some operators take and none of them makes: what must be fed."""
    kept = [op for op in trace.ops if op.number in numbers]
    made = {tensor for op in kept for tensor in op.outputs}
    return [
        tensor
        for tensor in dict.fromkeys(t for op in kept for t in op.inputs)
        if tensor >= 0
        and tensor not in made
        and not trace.is_constant(tensor)
        and not trace.subgraph.tensors[tensor].isVariable
        and trace.subgraph.tensors[tensor].type not in _HANDLES
    ]


def with_state(trace: FileTrace, number: int, known: Collection[int]) -> set[int]:
    """Return an operator and all that its state comes from, back to tensors that are known.

    A variable's handle, and whatever assigns it, come along.
    """
    kept: set[int] = set()
    waiting = [trace.ops[number]]
    while waiting:
        op = waiting.pop()
        if op.number in kept:
            continue
        kept.add(op.number)
        if op.op in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            name = trace.variable_of(op)
            waiting += [trace.producers[op.inputs[0]], *trace.assigns_of(name)]
        if op.op == "READ_VARIABLE":
            continue
        makers = (trace.producers.get(t) for t in op.inputs if t not in known)
        waiting += [maker for maker in makers if maker is not None]
    return kept


def cut(trace: FileTrace, numbers: Collection[int], output: int) -> bytes:
    """Return a file of some operators of a traced file, that gives one of their tensors.

    Its inputs are what ``taken`` returns, in that order, in the shapes of the last call. What sets
    variables before the first call stays, if one of the operators is about a variable.
    """
    state = any(trace.ops[number].op in _ON_VARIABLES for number in numbers)
    model, place = copy.copy(trace.model), trace.subgraph_index
    subgraph = copy.copy(trace.subgraph)
    subgraph.tensors = [copy.copy(tensor) for tensor in subgraph.tensors]
    subgraph.operators = [
        op.operator for op in trace.ops if op.number in numbers or (state and op.op == "CALL_ONCE")
    ]
    subgraph.inputs, subgraph.outputs = taken(trace, numbers), [output]
    for tensor in subgraph.inputs:
        value = trace.raw(tensor)
        if value is not None:
            subgraph.tensors[tensor].shape = list(value.shape)
        subgraph.tensors[tensor].shapeSignature = None
    model.subgraphs = [*model.subgraphs[:place], subgraph, *model.subgraphs[place + 1 :]]
    model.signatureDefs = model.metadata = None
    return pack(compact(model, [place]))


class OpenedCut:
    """A file that ``cut`` made, taken apart so that what it takes and holds can be changed.

    With ``one_op``, places are those among the inputs of its only operator; else they are those of
    the tensors that it is fed, then of all constants, and of what is read from variables: an
    interpreter takes its shape from the file.
    """

    def __init__(self, content: bytes, *, one_op: bool) -> None:
        self.model = unpack(content)
        main = self.model.subgraphs[0]
        given, numbers = indices(main.inputs), indices(main.inputs)
        held: list[schema.TensorT] = []
        if one_op:
            (operator,) = main.operators
            numbers = indices(operator.inputs)
        else:
            for subgraph in self.model.subgraphs:
                buffers = [self.model.buffers[tensor.buffer] for tensor in subgraph.tensors]
                held += [t for t, b in zip(subgraph.tensors, buffers, strict=True) if has_data(b)]
            main_ops = ((op_name(self.model, one), one) for one in main.operators)
            held += [main.tensors[one.outputs[0]] for op, one in main_ops if op == "READ_VARIABLE"]
        self.fed = {n: given.index(t) for n, t in enumerate(numbers) if t in given}
        """Place -> which of the tensors that are fed it is."""
        self._tensors = [*(None if n < 0 else main.tensors[n] for n in numbers), *held]

    @property
    def shapes(self) -> dict[int, tuple[int, ...]]:
        """Place -> the shape that the file has for it."""
        return {n: tuple(indices(t.shape)) for n, t in enumerate(self._tensors) if t is not None}

    def constant(self, place: int) -> Array | None:
        """Return the value of an input that the file holds."""
        tensor = self._tensor(place)
        if tensor is None or not has_data(self.model.buffers[tensor.buffer]):
            return None
        key = VariableKey("", decode(tensor.name))
        return constant_value(key, tensor, self.model.buffers[tensor.buffer].data).numpy()

    def set_constant(self, place: int, value: Array) -> None:
        """Let the file hold another value, of any shape."""
        tensor = self._tensor(place)
        assert tensor is not None
        tensor.shape, tensor.shapeSignature = list(value.shape), None
        data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.model.buffers.append(schema.BufferT(data))
        tensor.buffer = len(self.model.buffers) - 1

    def slice(self, slices: Slices) -> None:
        """Keep some indices of axes of the inputs; those that are fed only change their shapes."""
        done: set[int] = set()
        for place, axes in slices.items():
            tensor = self._tensor(place)
            if tensor is None or id(tensor) in done:
                continue
            done.add(id(tensor))
            value = self.constant(place)
            if value is not None:
                self.set_constant(place, sliced(value, axes))
            else:
                tensor.shape = [len(axes.get(n, range(s))) for n, s in enumerate(tensor.shape)]
            held = tensor.quantization
            along = None if held is None else axes.get(held.quantizedDimension)
            if along is not None and held.scale is not None and len(held.scale) > 1:
                tensor.quantization = held = copy.copy(held)
                held.scale = np.asarray(held.scale)[along]
                if held.zeroPoint is not None and len(held.zeroPoint) > 1:
                    held.zeroPoint = np.asarray(held.zeroPoint)[along]

    def content(self) -> bytes:
        """Return the file."""
        return pack(compact(self.model, [0]))

    def _tensor(self, place: int) -> schema.TensorT | None:
        return self._tensors[place] if 0 <= place < len(self._tensors) else None


def sliced(value: Array, axes: Mapping[int, Sequence[int]]) -> Array:
    """Return an array with some indices of some of its axes."""
    for axis, kept in axes.items():
        value = np.take(value, kept, axis)
    return value
