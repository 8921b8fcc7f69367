"""Some operators of a .tflite file as a file of their own, and smaller versions of that."""

from __future__ import annotations

import copy
import itertools
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.file_trace import (
    FileTrace,
    dequantized,
    scales_of,
    zero_points_of,
)
from varhandle.divergence.model_trace import ModelPart
from varhandle.evaluate.parity import absolute_errors
from varhandle.tflite.flatbuffer import compact, decode, has_data, indices, op_name, pack, unpack
from varhandle.tflite.variable_values import VariableKey, constant_value, dtype_name

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


def with_constants(trace: FileTrace, numbers: Collection[int]) -> set[int]:
    """Return some operators, and those that dequantize a constant for them."""
    makers = [
        trace.producers[tensor].number
        for number in numbers
        for tensor in trace.ops[number].inputs
        if tensor in trace.producers and trace.constant(tensor) is not None
    ]
    return {*numbers, *makers}


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
    return pack(compact(model, [place], unused=True))


def weight_rounding(content: bytes, fed: Sequence[Array]) -> float:
    """Return how far the output of a file moves where its narrow weights are rounded otherwise.

    ``fed`` are its inputs, as they lie in memory. Each weight moves by a step, or not, three times
    as much as rounding moves it: so that no element of the output is likely to be farther off.
    """
    found: list[Array] = []
    for draw in range(_ROUNDINGS + 1):
        model, random = unpack(content), np.random.default_rng(draw)
        for tensor in model.subgraphs[0].tensors if draw else ():
            buffer = model.buffers[tensor.buffer]
            is_rounded = tensor.type == schema.TensorType.FLOAT16 or scales_of(tensor) is not None
            if has_data(buffer) and is_rounded and tensor.type in _NARROW:
                held = np.frombuffer(bytes(buffer.data), dtype_name(tensor))
                moved = _moved(held, random.integers(-1, 2, held.shape))
                tensor.buffer = len(model.buffers)
                model.buffers.append(schema.BufferT(moved.view(np.uint8)))
        file = FileTrace(pack(model))
        try:
            file.run(fed)
        except (RuntimeError, ValueError):
            return 0.0
        found.append(np.array(file.results()[0]))
    return max(float(np.max(absolute_errors(one, found[0]), initial=0.0)) for one in found)


_ROUNDINGS = 4
_NARROW = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.FLOAT16)


def _moved(value: Array, steps: npt.NDArray[np.int64]) -> Array:
    """Return integers, or half floats, a few steps higher."""
    if value.dtype.kind == "f":
        return value + (steps * np.spacing(value)).astype(value.dtype)
    ends = np.iinfo(value.dtype)
    return np.clip(value + steps, ends.min, ends.max).astype(value.dtype)


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
            (only,) = main.operators
            numbers = indices(only.inputs)
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
        return pack(compact(self.model, [0], unused=True))

    def _tensor(self, place: int) -> schema.TensorT | None:
        return self._tensors[place] if 0 <= place < len(self._tensors) else None


def with_own_shapes(content: bytes) -> bytes | None:
    """Return a file whose tensors have the shapes that an interpreter finds for its inputs.

    ``None`` if it finds that they do not fit together.
    """
    file = FileTrace(content)
    try:
        details = file.session.interpreter.get_tensor_details()
    except RuntimeError:
        return None
    for one in details:
        if one["index"] < len(file.subgraph.tensors) and not file.is_constant(one["index"]):
            file.subgraph.tensors[one["index"]].shape = one["shape"].tolist()
    return pack(file.model)


def sliced(value: Array, axes: Mapping[int, Sequence[int]]) -> Array:
    """Return an array with some indices of some of its axes."""
    for axis, kept in axes.items():
        value = np.take(value, kept, axis)
    return value


@dataclass(frozen=True, eq=False)
class Whole:
    """What a smaller file was cut out of, of which it is known what it should give.

    The smaller file is right where it gives just what this one gives somewhere in its output, when
    what it is fed is this one's inputs in part. The rest of them stays as it was; or it is 0, where
    TensorFlow computes what is expected. What an op adds up over an axis is then as if the axis had
    ended, and the model has to take the axis in the same way: see ``_is_alike``.

    Attributes:
        content: The file.
        calls: What it is fed in each call, as it lies in memory.
        expected: What it should give in each call.
        part: What computes that in the model, where it is known.
        kept: Which input -> axis -> its indices that the smaller file is fed.
    """

    content: bytes
    calls: Sequence[Sequence[Array]]
    expected: Sequence[Array]
    part: ModelPart | None = None
    kept: Slices = field(default_factory=dict)

    def smaller(self, slices: Slices) -> Whole:
        """Return the same for a file that is fed some indices of those that it was fed before."""
        kept = {number: dict(axes) for number, axes in self.kept.items()}
        for number, axes in slices.items():
            before = kept.setdefault(number, {})
            for axis, places in axes.items():
                had = before.get(axis, range(self.calls[0][number].shape[axis]))
                before[axis] = [had[place] for place in places]
        return replace(self, kept=kept)

    def sound(self, file: FileTrace, calls: Sequence[Sequence[Array]]) -> Sequence[Array]:
        """Return what a smaller file should give in some calls.

        ``ValueError`` if it gives something that this file does not give anywhere, in these calls
        or in others.
        """
        whole, part = FileTrace(self.content), self.part
        if file.content == self.content:
            return self.expected if part is None else [part(_real(whole, calls[0]))]
        small: list[Array] = []
        mine: list[list[Array]] = []
        theirs: list[list[Array]] = []
        for draw in range(_DRAWS):
            file.reopen()
            whole.reopen()
            for values, held in zip(calls, self.calls, strict=True):
                full = self._filled(values, held) if not draw else _drawn(whole, held, draw)
                file.run([full[n][self._places(n)] for n in range(len(full))])
                small.append(np.array(file.results()[0]))
                variants, answers = self._variants(whole, full), []
                for variant in variants:
                    whole.run(variant)
                    answers.append(np.array(whole.results()[0]))
                mine.append(answers)
                if part is not None:
                    sound = (part(_real(whole, variant)) for variant in variants)
                    theirs.append([one.reshape(answers[0].shape) for one in sound])
        window = _window(list(zip(small, (first for first, *_ in mine), strict=True)))
        if part is None:
            (shape,) = {first.shape for first, *_ in mine}
            return [value.reshape(shape)[window] for value in self.expected]
        if not _is_alike(mine, theirs, window):
            raise ValueError("the model takes another axis")
        return [theirs[0][0][window]]

    def _places(self, number: int) -> Any:
        """Return what an input's array is indexed with to have the smaller file's."""
        axes, shape = self.kept.get(number, {}), self.calls[0][number].shape
        return np.ix_(*(axes.get(n, range(size)) for n, size in enumerate(shape)))

    def _filled(self, values: Sequence[Array], held: Sequence[Array]) -> list[Array]:
        """Return what this file is fed where the smaller one is fed some values."""
        found = [np.array(value) for value in held]
        for number, value in enumerate(values):
            found[number][self._places(number)] = value
        return found

    def _variants(self, whole: FileTrace, full: Sequence[Array]) -> list[list[Array]]:
        """Return the inputs with the rest of all of them at 0, of each alone, and of none."""
        if self.part is None:
            return [list(full)]
        blank = list(full)
        for number, tensor in enumerate(_fed(whole)):
            zero = 0 if scales_of(tensor) is None else zero_points_of(tensor)[0]
            blank[number] = np.full_like(full[number], zero)
            blank[number][self._places(number)] = full[number][self._places(number)]
        cut = [number for number, axes in self.kept.items() if axes]
        alone = [[*full[:n], blank[n], *full[n + 1 :]] for n in cut if len(cut) > 1]
        return [blank, *alone, list(full)]


_DRAWS = 4
"""Times that a smaller file is compared with the whole: with its inputs, and with others."""


def _fed(whole: FileTrace) -> list[schema.TensorT]:
    return [whole.subgraph.tensors[tensor] for tensor in whole.inputs]


def _real(whole: FileTrace, values: Sequence[Array]) -> list[Array]:
    return list(map(dequantized, values, _fed(whole)))


def _drawn(whole: FileTrace, held: Sequence[Array], draw: int) -> list[Array]:
    """Return random numbers in the range of each input; indices and shapes as they are."""
    random, found = np.random.default_rng(draw), list(held)
    for number, (value, tensor) in enumerate(zip(held, _fed(whole), strict=True)):
        reach = float(np.max(np.abs(value), initial=0.0)) or 1.0 if value.dtype.kind == "f" else 0
        if scales_of(tensor) is not None:
            found[number] = random.choice(value.ravel(), value.shape)
        elif reach:
            found[number] = random.uniform(-reach, reach, value.shape).astype(value.dtype)
    return found


def _is_alike(
    mine: Sequence[Sequence[Array]], theirs: Sequence[Sequence[Array]], window: tuple[slice, ...]
) -> bool:
    """Whether the rest of the inputs matters to a file just where it does to the model.

    Each has its answers to some variants of a call. Where an axis does not reach, its rest changes
    nothing; and of two axes that are summed over together, either one's rest is as good as both.
    """

    def pattern(calls: Sequence[Sequence[Array]]) -> list[bool]:
        variants = list(zip(*calls, strict=True))
        return [
            all(np.all(_same(a[window], b[window], a)) for a, b in zip(one, other, strict=True))
            for one, other in itertools.combinations(variants, 2)
        ]

    return pattern(mine) == pattern(theirs)


def _window(pairs: Sequence[tuple[Array, Array]]) -> tuple[slice, ...]:
    """Return where in each larger array the smaller one stands: at the same place in all."""
    (small, large), *_ = pairs
    if small.ndim != large.ndim or any(map(operator.gt, small.shape, large.shape)):
        raise ValueError("no part of the output has this shape")
    starts = None
    for place in np.linspace(0, small.size - 1, _LOOKS).astype(int) if small.size else ():
        index = np.unravel_index(place, small.shape)
        for one, other in pairs:
            if starts is None:
                ends = zip(index, other.shape, one.shape, strict=True)
                part = other[tuple(slice(i, i + a - b + 1) for i, a, b in ends)]
                starts = np.argwhere(_same(part, one[index], other))
            else:
                there = other[tuple((starts + index).T)]
                starts = starts[_same(there, one[index], other)]
    for start in () if starts is None else starts:
        window = tuple(slice(s, s + n) for s, n in zip(start, small.shape, strict=True))
        if all(np.all(_same(other[window], one, other)) for one, other in pairs):
            return window
    raise ValueError("no part of the output is the same")


_LOOKS = 8
"""Elements that are compared at all places at once."""


def _same(one: Array, other: Any, whole: Array) -> Any:
    """Say of each element whether it is the same, but for the order of a sum."""
    if whole.dtype.kind != "f":
        return np.asarray(one == other)
    reach = float(np.max(np.abs(whole), initial=0.0, where=np.isfinite(whole)))
    return np.isclose(one, other, 1e-5, 1e-6 * reach, equal_nan=True)
