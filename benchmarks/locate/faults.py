"""Faults planted into a .tflite file with the schema's own objects, and what a bare run shows."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.tensor_difference import STEPS
from varhandle.tflite.flatbuffer import callees, has_data, op_name, pack, unpack

Rng = np.random.Generator
Planter = Callable[[schema.ModelT, int, int, Rng], bool]
"""Changes one operator of a subgraph; false where there is nothing of its kind to change."""

_NUMBERS = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
_ORDERED = frozenset(
    {
        *("SUB", "DIV", "POW", "FLOOR_DIV", "FLOOR_MOD", "LESS", "LESS_EQUAL", "GREATER"),
        *("GREATER_EQUAL", "BATCH_MATMUL", "CONCATENATION", "PACK"),
    }
)
_MASKS = ("beginMask", "endMask")
_FLAGS = ("halfPixelCenters", "alignCorners", "exclusive", "reverse", "adjX", "adjY", "approximate")
_HELD = (schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.TensorType.INT64)
_OF_VALUES = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.INT8)


def _own_constant(
    model: schema.ModelT, graph: int, operator: Any, place: int
) -> tuple[int, schema.TensorT, Any]:
    """Give an operator a constant of its own in place of one that others may share.

    Returns its index, the tensor, and its elements, which can be written to.
    """
    subgraph = model.subgraphs[graph]
    tensor = copy.copy(subgraph.tensors[operator.inputs[place]])
    data = np.array(model.buffers[tensor.buffer].data, np.uint8)
    model.buffers.append(schema.BufferT(data))
    tensor.buffer = len(model.buffers) - 1
    tensor.quantization = copy.copy(tensor.quantization)
    subgraph.tensors.append(tensor)
    inputs = list(operator.inputs)
    inputs[place] = len(subgraph.tensors) - 1
    operator.inputs = inputs
    return inputs[place], tensor, data.view(_NUMBERS[tensor.type])


def _constants(model: schema.ModelT, graph: int, operator: Any, types: Sequence[int]) -> list[int]:
    """Return the places of an operator's inputs that are constants of some dtypes."""
    tensors = model.subgraphs[graph].tensors
    return [
        place
        for place, t in enumerate([] if operator.inputs is None else operator.inputs)
        if t >= 0 and tensors[t].type in types and has_data(model.buffers[tensors[t].buffer])
    ]


def _weight(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    subgraph = model.subgraphs[graph]
    operator = subgraph.operators[number]
    if op_name(model, operator) in ("QUANTIZE", "DEQUANTIZE"):
        return False
    places = _constants(model, graph, operator, _OF_VALUES)
    made = {int(o): one for one in subgraph.operators for o in _list(one.outputs)}
    for place, t in enumerate(_list(operator.inputs)):  # stored as float16
        maker = made.get(int(t))
        stored = maker is not None and op_name(model, maker) == "DEQUANTIZE"
        if stored and _constants(model, graph, maker, _OF_VALUES):
            places.append(place)
    if not places:
        return False
    place = int(rng.choice(places))
    maker = made.get(int(operator.inputs[place]))
    changed, place = (operator, place) if maker is None else (maker, 0)
    _, _, weights = _own_constant(model, graph, changed, place)
    at = int(rng.integers(weights.size))
    if weights.dtype == np.int8:
        weights[at] = -127 if weights[at] > 0 else 127
    else:
        weights[at] += 3 * np.max(np.abs(weights)) + 0.5
    return True


def _bias(model: schema.ModelT, graph: int, number: int, _: Rng) -> bool:
    operator = model.subgraphs[graph].operators[number]
    op = op_name(model, operator)
    types = (schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.TensorType.INT64)
    if op not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return False
    if 2 not in _constants(model, graph, operator, types):
        return False
    if op == "FULLY_CONNECTED":
        operator.inputs = [*operator.inputs[:2], -1]
    else:
        _own_constant(model, graph, operator, 2)[2][:] = 0
    return True


def _option(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    operator = model.subgraphs[graph].operators[number]
    options = copy.copy(operator.builtinOptions)
    changes: list[tuple[str, Any]] = []
    for name, value in ({} if options is None else vars(options)).items():
        if name == "fusedActivationFunction":
            changes.append((name, 1 if value != 1 else 0))
        elif name in _FLAGS:
            changes.append((name, not value))
        elif name in ("padding", "mode"):
            changes.append((name, 1 - value))
        elif name in ("axis", "batchDims", "seqDim"):
            changes += [(name, value + 1), (name, value - 1)]
        elif name in _MASKS:
            changes += [(name, value ^ 1), (name, value ^ 2)]
        elif name in ("alpha", "beta"):
            changes.append((name, 2 * value + 0.5))
        elif name in ("strideW", "strideH", "dilationWFactor", "dilationHFactor"):
            changes.append((name, value + 1 if value == 1 else 1))
    if not changes:
        return False
    setattr(options, *changes[int(rng.integers(len(changes)))])
    operator.builtinOptions = options
    return True


def _axis(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    """Change an axis, a permutation, a place, an index, which are constants of their op."""
    operator = model.subgraphs[graph].operators[number]
    if op_name(model, operator) in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return False
    types = (schema.TensorType.INT32, schema.TensorType.INT64)
    places = _constants(model, graph, operator, types)
    if not places:
        return False
    _, _, values = _own_constant(model, graph, operator, int(rng.choice(places)))
    if values.size > 1 and rng.random() < 0.5:
        values[:] = rng.permutation(values)
    else:
        values[int(rng.integers(values.size))] += int(rng.choice([-1, 1]))
    return True


def _scale(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    subgraph = model.subgraphs[graph]
    operator = subgraph.operators[number]
    held = [
        place
        for place in _constants(model, graph, operator, (schema.TensorType.INT8,))
        if _is_scaled(subgraph.tensors[operator.inputs[place]])
    ]
    outputs = [t for t in _list(operator.outputs) if _is_scaled(subgraph.tensors[t])]
    if held and rng.random() < 0.6:
        _, tensor, _ = _own_constant(model, graph, operator, int(rng.choice(held)))
        factor = 2.0
    elif outputs:
        tensor, factor = subgraph.tensors[int(rng.choice(outputs))], 0.4
        tensor.quantization = copy.copy(tensor.quantization)
    else:
        return False
    tensor.quantization.scale = np.asarray(tensor.quantization.scale, np.float32) * factor
    return True


def _is_scaled(tensor: schema.TensorT) -> bool:
    held = tensor.quantization
    return held is not None and held.scale is not None and len(held.scale) > 0


def _swap(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    operator = model.subgraphs[graph].operators[number]
    inputs = list(operator.inputs if operator.inputs is not None else [])
    if op_name(model, operator) not in _ORDERED or len(inputs) < 2:
        return False
    a, b = rng.choice(len(inputs), 2, replace=False)
    inputs[a], inputs[b] = inputs[b], inputs[a]
    operator.inputs = inputs
    return True


def _initialization(model: schema.ModelT, graph: int, number: int, _: Rng) -> bool:
    return _dropped(model, graph, number, "CALL_ONCE")


def _first_value(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    """Let a variable begin with another value."""
    operator = model.subgraphs[graph].operators[number]
    if op_name(model, operator) != "CALL_ONCE":
        return False
    (called,) = callees(operator)
    assigns = [
        one
        for one in model.subgraphs[called].operators or []
        if op_name(model, one) == "ASSIGN_VARIABLE" and 1 in _constants(model, called, one, _HELD)
    ]
    if not assigns:
        return False
    chosen = assigns[int(rng.integers(len(assigns)))]
    values = _own_constant(model, called, chosen, 1)[2]
    values[int(rng.integers(values.size))] += 3 * np.max(np.abs(values)) + 1
    return True


def _assignment(model: schema.ModelT, graph: int, number: int, _: Rng) -> bool:
    return _dropped(model, graph, number, "ASSIGN_VARIABLE")


def _dropped(model: schema.ModelT, graph: int, number: int, op: str) -> bool:
    operators = model.subgraphs[graph].operators
    if op_name(model, operators[number]) != op:
        return False
    del operators[number]
    return True


def _moved(model: schema.ModelT, graph: int, number: int, _: Rng) -> bool:
    operators = model.subgraphs[graph].operators
    if op_name(model, operators[number]) != "ASSIGN_VARIABLE":
        return False
    operators.append(operators.pop(number))
    return True


def _order(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    """Let each round of a loop hand two values to the next in each other's place."""
    operator = model.subgraphs[graph].operators[number]
    if op_name(model, operator) != "WHILE":
        return False
    inside = model.subgraphs[callees(operator)[-1]]
    outputs = list(inside.outputs)
    kinds = [(inside.tensors[t].type, tuple(_list(inside.tensors[t].shape))) for t in outputs]
    pairs = [(a, b) for a in range(len(kinds)) for b in range(a) if kinds[a] == kinds[b]]
    if not pairs:
        return False
    a, b = pairs[int(rng.integers(len(pairs)))]
    outputs[a], outputs[b] = outputs[b], outputs[a]
    inside.outputs = outputs
    return True


def _loop(model: schema.ModelT, graph: int, number: int, rng: Rng) -> bool:
    """Change an operator of what a loop or a branch runs."""
    operator = model.subgraphs[graph].operators[number]
    if op_name(model, operator) not in ("WHILE", "IF"):
        return False
    places = [
        (planter, called, place)
        for called in callees(operator)
        for place in range(len(model.subgraphs[called].operators or []))
        for planter in (_weight, _option, _swap, _axis)
    ]
    for chosen in rng.permutation(len(places)):
        planter, called, place = places[chosen]
        if planter(model, called, place, rng):
            return True
    return False


KINDS: Mapping[str, Planter] = {
    "a weight changed": _weight,
    "a bias dropped": _bias,
    "an option flipped": _option,
    "an axis, a place or an index changed": _axis,
    "inputs swapped": _swap,
    "a scale off": _scale,
    "a CALL_ONCE removed": _initialization,
    "an assignment in CALL_ONCE with another value": _first_value,
    "an assignment dropped": _assignment,
    "an assignment moved": _moved,
    "a loop's order swapped": _order,
    "a loop or a branch changed": _loop,
}


@dataclass(frozen=True)
class Fault:
    """A fault of a file: at which operator of the sound file it was planted, and where it shows."""

    kind: str
    number: int
    op: str
    content: bytes
    call: int = 0  # the first that differs
    shown: int = -1  # the first operator of the faulty file that differs in it


def plant(content: bytes, kind: str, rng: Rng) -> Fault | None:
    """Plant a fault of a kind at a random operator of the main subgraph that can have it."""
    places = list(range(len(unpack(content).subgraphs[0].operators)))
    for number in rng.permutation(places):
        model = unpack(content)
        op = op_name(model, model.subgraphs[0].operators[number])
        if KINDS[kind](model, 0, int(number), rng):
            return Fault(kind, int(number), op, pack(model))
    return None


def shown(
    sound: bytes, fault: Fault, calls: Sequence[Mapping[str, Any]], least: float
) -> Fault | None:
    """Run both files in bare interpreters; return the fault with where it shows.

    ``None`` where it changes no op by a share of ``least``, or a shape, or first another op than
    its own; only what is wrong with a variable shows where it is read. An op that refuses a call
    shows it as well.
    """
    one, other = _Bare(sound), _Bare(fault.content)
    of_state = fault.op in ("CALL_ONCE", "ASSIGN_VARIABLE")
    for number, call in enumerate(calls, start=1):
        expected = one(call)
        try:
            got = other(call)
        except RuntimeError as error:
            at = _refusing(error)
            own = of_state or at == fault.number
            return dataclasses.replace(fault, call=number, shown=at) if own else None
        for tensor in other.order:
            if tensor not in expected or tensor not in got:
                continue
            a, b = expected[tensor].astype(np.float64), got[tensor].astype(np.float64)
            if a.shape != b.shape:
                return None
            if np.array_equal(a, b, equal_nan=True):
                continue
            at = other.producers[tensor]
            visible = _is_visible(a, b, least, other.step(tensor))
            if not visible or not (of_state or at == fault.number):
                return None
            return dataclasses.replace(fault, call=number, shown=at)
    return None


def _refusing(error: RuntimeError) -> int:
    """Return the operator of the main subgraph that refused; -1 where it is not said."""
    named = re.findall(r"Node number (\d+)", str(error))  # the innermost first
    return int(named[-1]) if named else -1


def _is_visible(expected: Any, got: Any, least: float, step: float) -> bool:
    """Whether a difference is a share of the range, and where it is quantized, some steps as well.

    A sound file may be ``STEPS`` off the model to one side. So a fault of less than twice that may
    be as near to the model on the other side, and no value tells it from rounding.
    """
    if not np.isfinite(got).all():
        return True
    apart = float(np.max(np.abs(expected - got), initial=0.0))
    reach = max(float(np.max(np.abs(expected), initial=0.0)), 1e-6)
    return apart >= max(least * reach, 2 * STEPS * step)


class _Bare:
    """A plain interpreter that keeps every tensor of the main subgraph."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        model = unpack(content)
        self._tensors = model.subgraphs[0].tensors
        signatures = self._interpreter.get_signature_list()
        self._runner = next(map(self._interpreter.get_signature_runner, signatures), None)
        fixed = {
            int(o)
            for one in model.subgraphs[0].operators
            if op_name(model, one) == "DEQUANTIZE"
            and has_data(model.buffers[self._tensors[one.inputs[0]].buffer])
            for o in one.outputs
        }
        operators = enumerate(model.subgraphs[0].operators)
        self.producers = {t: n for n, one in operators for t in _list(one.outputs)}
        handles = (schema.TensorType.RESOURCE, schema.TensorType.VARIANT)
        self.order = [
            t for t in self.producers if t not in fixed and self._tensors[t].type not in handles
        ]

    def __call__(self, call: Mapping[str, Any]) -> dict[int, Any]:
        from benchmarks.field.by_hand import coded_inputs, run_tensors

        if self._runner:
            self._runner(**coded_inputs(self._runner.get_input_details(), call))
        else:
            run_tensors(self._interpreter, call)
        found = {}
        for tensor in self.order:
            try:
                found[tensor] = self._real(tensor, self._interpreter.get_tensor(tensor))
            except ValueError:  # a resource
                continue
        return {t: value for t, value in found.items() if value.dtype.kind in "fiub"}

    def step(self, tensor: int) -> float:
        held = self._tensors[tensor]
        return float(np.max(held.quantization.scale)) if _is_scaled(held) else 0.0

    def _real(self, tensor: int, value: Any) -> Any:
        held = self._tensors[tensor].quantization
        if not self.step(tensor) or value.dtype.kind not in "iu":
            return np.array(value)
        return (value.astype(np.float64) - held.zeroPoint[0]) * held.scale[0]


def _list(vector: Any) -> list[int]:
    return [] if vector is None else [int(one) for one in vector]
