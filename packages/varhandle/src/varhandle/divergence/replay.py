"""Run one op of a float file on inputs of the caller's: what would a sound op have made of these?

An op of a quantized file never gives what the model gives: it inherits the rounding of all ops
before it. Its own share is found by giving its inputs, in real values, to the same op of a float
file.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.file_trace import FileOp, FileTrace
from varhandle.tflite.flatbuffer import callees, pack

Array = npt.NDArray[Any]


class OpReplay:
    """One op of an opened float file, ready to be run on other inputs of the same shapes."""

    def __init__(self, trace: FileTrace, op: FileOp) -> None:
        self._trace, self._op = trace, op
        self._interpreter: Any = None
        self._shapes: list[tuple[int, ...] | None] = []
        self._fed: list[tuple[int, int]] = []  # places among the op's inputs -> tensors to feed

    @property
    def possible(self) -> bool:
        """Whether the op is nothing but a function of its inputs."""
        tensors = [self._trace.subgraph.tensors[t] for t in self._op.inputs if t >= 0]
        kinds = schema.TensorType.RESOURCE, schema.TensorType.VARIANT, schema.TensorType.STRING
        return not callees(self._op.operator) and not any(
            tensor.isVariable or tensor.type in kinds for tensor in tensors
        )

    def __call__(self, inputs: Sequence[Array | None]) -> list[Array]:
        """Return the outputs for inputs in the op's order, ``None`` for one that is left out.

        Constants of the op are given as well. ``RuntimeError`` or ``ValueError`` if it refuses.
        """
        typed = [
            None if value is None or tensor < 0 else self._typed(value, tensor)
            for value, tensor in zip(inputs, self._op.inputs, strict=True)
        ]
        shapes = [None if value is None else value.shape for value in typed]
        if shapes != self._shapes:
            self._interpreter = None
            self._open(typed)
            self._shapes = shapes
        for place, tensor in self._fed:
            self._interpreter.set_tensor(tensor, typed[place])
        self._interpreter.invoke()
        indices = [one["index"] for one in self._interpreter.get_output_details()]
        return [self._interpreter.get_tensor(index) for index in indices]

    def _typed(self, value: Array, tensor: int) -> Array:
        like = self._trace.raw(tensor)
        return value if like is None else value.astype(like.dtype, copy=False)

    def _open(self, inputs: Sequence[Array | None]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        old = self._trace.subgraph
        tensors: list[schema.TensorT] = []
        buffers = [schema.BufferT()]
        operator = copy.copy(self._op.operator)
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, [], []
        operator.intermediates = None
        self._fed = []
        for place, (number, value) in enumerate(zip(self._op.inputs, inputs, strict=True)):
            if value is None:
                operator.inputs.append(-1)
                continue
            tensor = copy.copy(old.tensors[number])
            tensor.shape, tensor.shapeSignature, tensor.buffer = list(value.shape), None, 0
            if self._trace.is_constant(number):  # some ops plan their memory by it
                tensor.buffer = len(buffers)
                data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
                buffers.append(schema.BufferT(data))
            else:
                self._fed.append((place, len(tensors)))
            operator.inputs.append(len(tensors))
            tensors.append(tensor)
        for number in self._op.outputs:
            tensor = copy.copy(old.tensors[number])
            tensor.buffer = 0
            operator.outputs.append(len(tensors))
            tensors.append(tensor)
        fed = [tensor for _, tensor in self._fed]
        made = schema.ModelT()
        made.version = self._trace.model.version
        made.operatorCodes = [self._trace.model.operatorCodes[self._op.operator.opcodeIndex]]
        made.subgraphs = [schema.SubGraphT(tensors, fed, list(operator.outputs), [operator])]
        made.buffers = buffers
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreter = Interpreter(
            model_content=pack(made), experimental_op_resolver_type=plain
        )
        self._interpreter.allocate_tensors()
