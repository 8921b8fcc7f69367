"""The value of every op of a .tflite file, call after call, by LiteRT's plain kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.display import printable
from varhandle.divergence.debug_metadata import node_names
from varhandle.evaluate.session import Session
from varhandle.evaluate.stateful_parity import CarriedState
from varhandle.tflite.flatbuffer import callees, decode, indices, op_name, subgraph_of, unpack

Array = npt.NDArray[Any]

_INTEGERS = {
    schema.TensorType.INT8: "int8",
    schema.TensorType.UINT8: "uint8",
    schema.TensorType.INT16: "int16",
    schema.TensorType.INT32: "int32",
}

_HANDLES = (schema.TensorType.RESOURCE, schema.TensorType.VARIANT)
WITHOUT_VALUE = frozenset({"VAR_HANDLE", "ASSIGN_VARIABLE", "CALL_ONCE"})


@dataclass(frozen=True)
class FileOp:
    """An operator of the subgraph that a signature runs."""

    number: int  # its place in the order of execution
    op: str
    inputs: tuple[int, ...]  # tensors, constants and -1 for one that is left out among them
    outputs: tuple[int, ...]
    operator: Any  # the schema's object

    @property
    def key(self) -> str:
        """Its name in a sentence."""
        return f"{self.op} (operator {self.number})"


class FileTrace:
    """A .tflite file whose tensors can be read after each call; without ``keep``, its outputs.

    ``whole`` is the model that the file was cut out of. ``state`` is what the caller of a lifted
    file carries: it is no input or output here.
    """

    def __init__(
        self,
        content: bytes | memoryview,
        signature: str | None = None,
        *,
        delegates: bool = False,
        keep: bool = True,
        whole: schema.ModelT | None = None,
        state: CarriedState | None = None,
    ) -> None:
        self.content = content
        self._state = state or CarriedState()
        self._carried = dict(self._state.first)
        self._options = {"delegates": delegates, "keep_tensors": keep}
        self.model = unpack(content)
        self.whole = whole or self.model
        names = [decode(one.signatureKey) for one in self.model.signatureDefs or []]
        self.signature = signature if signature is not None or len(names) != 1 else names[0]
        self.subgraph_index = subgraph_of(self.model, self.signature)
        self.subgraph: schema.SubGraphT = self.model.subgraphs[self.subgraph_index]
        self.ops = [
            FileOp(
                number,
                op_name(self.model, operator),
                tuple(indices(operator.inputs)),
                tuple(indices(operator.outputs)),
                operator,
            )
            for number, operator in enumerate(self.subgraph.operators or [])
        ]
        self.producers = {tensor: one for one in self.ops for tensor in one.outputs}

    @cached_property
    def session(self) -> Session:
        """The file, opened; raises what :class:`Session` does."""
        return Session(self.content, signature=self.signature, strict=False, **self._options)

    @property
    def outputs(self) -> Mapping[str, int]:
        """Name of an output of the signature -> its tensor."""
        gives = self._state.gives
        return {n: one.index for n, one in self.session.outputs.items() if n not in gives}

    @property
    def input_names(self) -> list[str]:
        """What a call gives."""
        return [name for name in self.session.inputs if name not in self._state.takes]

    @property
    def carried_inputs(self) -> dict[int, str]:
        """The tensors of the state that the caller carries -> its name."""
        return {self.session.inputs[name].index: name for name in self._state.takes}

    @property
    def inputs(self) -> list[int]:
        """The tensors of the signature's inputs, by name; without one, in their order."""
        if self.signature is None:
            return indices(self.subgraph.inputs)
        return [entry.index for _, entry in sorted(self.session.inputs.items())]

    def reopen(self) -> None:
        """Begin anew with the first call."""
        self._carried = dict(self._state.first)
        self.__dict__.pop("session", None)

    def run(self, values: Sequence[Array]) -> None:
        """Make a call of a file without a signature, with its inputs in their order."""
        interpreter = self.session.interpreter
        typed = []
        for tensor, value in zip(self.inputs, values, strict=True):
            held = self.subgraph.tensors[tensor]
            typed.append(quantized(value, held))
            interpreter.resize_tensor_input(tensor, value.shape)
        interpreter.allocate_tensors()
        for tensor, value in zip(self.inputs, typed, strict=True):
            interpreter.set_tensor(tensor, value)
        interpreter.invoke()

    def refused(self, error: RuntimeError) -> tuple[FileOp, str]:
        """Return the op that refused a call, and why; raises the error where it names none."""
        from varhandle.evaluate.parity import split_refusal

        words, nodes = split_refusal(str(error))
        if not nodes or nodes[-1][0] >= len(self.ops):
            raise error
        return self.ops[nodes[-1][0]], f"it refuses the call: {words}"

    def results(self) -> list[Array]:
        """Return the real values that the last ``run`` gave."""
        values = [self.value(tensor) for tensor in indices(self.subgraph.outputs)]
        if any(value is None for value in values):
            raise ValueError("an output of the subgraph has no value")
        return [value for value in values if value is not None]

    def __call__(self, call: Mapping[str, Any]) -> dict[str, Array]:
        """Make the next call; return the outputs, in real values."""
        from varhandle.evaluate.parity import answer_call

        fed = {**call, **{name: self._carried[name] for name in self._state.takes}}
        answers = {name: value for name, (value, _) in answer_call(self.session, fed).items()}
        self._carried.update({name: answers.pop(name) for name in self._state.gives})
        return answers

    def variable_of(self, op: FileOp) -> str:
        """Return the shared name of the variable of an op; its handle's, if that is passed in."""
        return variable_name(self.model, self.subgraph, op.inputs[0])

    def variable_behind(self, tensor: int) -> str | None:
        """Return the variable that a tensor is the handle of."""
        if tensor < 0 or self.subgraph.tensors[tensor].type not in _HANDLES:
            return None
        return variable_name(self.model, self.subgraph, tensor)

    def assigns_of(self, variable: str) -> list[FileOp]:
        """Return the operators that assign a variable."""
        assigns = [one for one in self.ops if one.op == "ASSIGN_VARIABLE"]
        return [one for one in assigns if self.variable_of(one) == variable]

    def takers_of(self, variable: str) -> list[FileOp]:
        """Return the operators that take the handle of a variable."""
        return [op for op in self.ops for t in op.inputs if self.variable_behind(t) == variable]

    def variable_in(self, tensor: int) -> str | None:
        """Return the variable that was read into a tensor, or is assigned it, in any dtype."""
        maker, rewrites = self.producers.get(tensor), ("QUANTIZE", "DEQUANTIZE", "CAST")
        while maker is not None and maker.op in rewrites:
            maker = self.producers.get(maker.inputs[0])
        if maker is not None and maker.op == "READ_VARIABLE":
            return self.variable_of(maker)
        held = {tensor}
        for op in self.ops:
            if op.op in rewrites and op.inputs[0] in held:
                held.add(op.outputs[0])
            elif op.op == "ASSIGN_VARIABLE" and op.inputs[1] in held:
                return self.variable_of(op)
        return None

    @cached_property
    def initialized(self) -> frozenset[str]:
        """Return the shared names of the variables that ``CALL_ONCE`` assigns."""
        found = set()
        for one in self.ops:
            for number in callees(one.operator) if one.op == "CALL_ONCE" else ():
                called = self.model.subgraphs[number]
                for operator in called.operators or []:
                    if op_name(self.model, operator) == "ASSIGN_VARIABLE":
                        found.add(variable_name(self.model, called, int(operator.inputs[0])))
        return frozenset(found)

    def name(self, tensor: int) -> str:
        """Return the name of a tensor."""
        return decode(self.subgraph.tensors[tensor].name)

    def title(self, tensor: int) -> str:
        """Return the name for a sentence: of what was fused, the first."""
        return printable(self.name(tensor).partition(";")[0])

    @cached_property
    def written(self) -> Mapping[int, tuple[str, ...]]:
        """The nodes that the converter wrote down for each operator, by its number."""
        places = [self.subgraph_index]
        if self.whole is not self.model:  # a subgraph has another number there
            of_all = enumerate(self.whole.subgraphs)
            places = [number for number, one in of_all if one.name == self.subgraph.name]
        if len(places) > 1:
            return {}
        return node_names(self.whole, places[0], self.subgraph.operators)

    def is_constant(self, tensor: int) -> bool:
        """Whether the file holds the tensor's value."""
        buffer = self.model.buffers[self.subgraph.tensors[tensor].buffer]
        return buffer.data is not None and len(buffer.data) > 0

    def raw(self, tensor: int) -> Array | None:
        """Return a tensor as it lies in memory after the last call; ``None`` if it has no value."""
        if self.subgraph.tensors[tensor].type in _HANDLES:  # asked for one, LiteRT may crash
            return None
        try:
            value = self.session.interpreter.get_tensor(tensor, self.subgraph_index)
        except (RuntimeError, ValueError):  # an op that did not run, or a file that is not opened
            return None
        return np.asarray(value)

    def value(self, tensor: int) -> Array | None:
        """Return a tensor's real values."""
        raw = self.raw(tensor)
        return raw if raw is None else dequantized(raw, self.subgraph.tensors[tensor])

    def step(self, tensor: int) -> float:
        """Return the real value of one step of a quantized tensor, the largest of its channels."""
        steps = self.steps(tensor)
        return 0.0 if steps is None else float(np.max(steps))

    def steps(self, tensor: int) -> Array | None:
        """Return the same for each channel, in a shape that fits the tensor's."""
        return per_channel(self.subgraph.tensors[tensor], scales_of(self.subgraph.tensors[tensor]))

    def limits(self, tensor: int) -> tuple[float, float] | None:
        """Return the least and the largest real value of a quantized tensor of one scale."""
        raw, scales = self.raw(tensor), scales_of(self.subgraph.tensors[tensor])
        if raw is None or scales is None or len(scales) != 1 or raw.dtype.kind not in "iu":
            return None
        ends = np.iinfo(raw.dtype)
        (zero,) = zero_points_of(self.subgraph.tensors[tensor])
        return float((ends.min - zero) * scales[0]), float((ends.max - zero) * scales[0])

    def constant(self, tensor: int) -> int | None:
        """Return the tensor that holds the value of a constant: itself, or what is dequantized."""
        maker = self.producers.get(tensor)
        if maker is not None and maker.op == "DEQUANTIZE":
            tensor = maker.inputs[0]
        return tensor if tensor >= 0 and self.is_constant(tensor) else None


def variable_name(model: schema.ModelT, subgraph: schema.SubGraphT, handle: int) -> str:
    """Return the shared name of the variable of a handle; the handle's, if that is passed in."""
    for operator in subgraph.operators or []:
        if op_name(model, operator) == "VAR_HANDLE" and handle in indices(operator.outputs):
            return decode(operator.builtinOptions.sharedName)
    return decode(subgraph.tensors[handle].name)


def per_channel(tensor: schema.TensorT, values: Array | None) -> Array | None:
    """Return a value for each channel in a shape that fits the tensor's; () for a single one."""
    if values is not None and len(values) == 1:
        return values.reshape(())  # which fits a scalar as well
    if values is None or tensor.shape is None:
        return values
    shape = [1] * len(tensor.shape)
    shape[tensor.quantization.quantizedDimension] = -1
    return values.reshape(shape)


def scales_of(tensor: schema.TensorT) -> Array | None:
    """Return the scales of a quantized tensor; ``None`` for one of floats."""
    held = tensor.quantization
    if held is None or held.scale is None or not len(held.scale):
        return None
    if tensor.type in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16):
        return None
    return np.asarray(held.scale, np.float64)


def dequantized(raw: Array, tensor: schema.TensorT) -> Array:
    """Return the real values of integers; anything else as it is. Scales may be per channel."""
    scales = scales_of(tensor)
    if scales is None or raw.dtype.kind not in "iu":
        return raw
    steps, zeros = per_channel(tensor, scales), per_channel(tensor, zero_points_of(tensor))
    real = (raw.astype(np.float64) - zeros) * steps  # type: ignore[operator]
    return np.asarray(real, np.float32)


def quantized(value: Array, tensor: schema.TensorT) -> Array:
    """Return the integers of real values, for a tensor of one scale; anything else as it is."""
    scales = scales_of(tensor)
    if scales is None or value.dtype.kind != "f":
        return value
    dtype = np.dtype(_INTEGERS[tensor.type])
    ends = np.iinfo(dtype)
    steps = np.round(value / scales[0]) + zero_points_of(tensor)[0]
    integers: Array = np.clip(steps, ends.min, ends.max).astype(dtype)
    return integers


def zero_points_of(tensor: schema.TensorT) -> Array:
    """Return as many zero points as a quantized tensor has scales."""
    count = len(tensor.quantization.scale)
    held = tensor.quantization.zeroPoint
    if held is None or not len(held):
        return np.zeros(count)
    return np.resize(np.asarray(held, np.float64), count)
