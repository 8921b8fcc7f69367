"""The weights of a model: its variables and its constants, each with its value.

TensorFlow is not needed: values lie in a checkpoint, an HDF5 file, a GraphDef or a .tflite file.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from varhandle.display import counted
from varhandle.evaluate.parity import absolute_errors
from varhandle.formats import TFLITE, format_of
from varhandle.formats.constants import Constant
from varhandle.formats.tflite_bytes import stored_bytes
from varhandle.graph import Graph, Shape
from varhandle.graph.model import Node, Variable

Array = npt.NDArray[Any]

_MOST_VALUES = 2**28
"""Elements above which a value is not compared: 1 GB of float32."""

_SAMPLE = 256  # elements that are compared before all are
_MOST_AXES = 5
_MOST_KEPT = 32 * 2**20  # bytes of values that are not read again
_BLOCK = 2**20  # elements that are compared at once, each in 8 bytes

HALF_DIGITS = 2.0**-11  # what float16 rounds a value by, as a share of it

Axes = tuple[int, ...]
"""An order of the axes of a value, but for those of length 1, which make no difference."""


@dataclass(frozen=True, eq=False)
class ValueOutline:
    """What is kept of a value that was read: it tells most others from it.

    Attributes:
        kind: NumPy's letter for its kind of dtype.
        largest: The largest absolute value that is a number.
        tells: Whether it is one that others hardly have by chance: not all the same.
        samples: Elements at places spread evenly over it, for each order of its axes.
    """

    kind: str
    size: int
    summary: str
    largest: float
    tells: bool
    is_zero: bool
    samples: Mapping[Axes, Array]

    @property
    def sample(self) -> Array:
        """The elements as it lies in its file."""
        return next(iter(self.samples.values()))


def outline_of(value: Array) -> ValueOutline:
    """Look once at a value that will not be kept."""
    flat = value.reshape(-1)
    if not value.size or value.dtype.kind not in "fiu":
        tells = value.size > 1 and bool(np.any(flat != flat[0]))
        summary = "empty" if not value.size else "" if value.size > 1 else str(flat[0])
        largest = float(np.max(np.abs(flat), initial=0.0))
        is_zero = value.size > 0 and not np.any(flat)
    else:
        least, most = float(np.min(flat)), float(np.max(flat))
        tells, is_zero = value.size > 1 and least != most, least == most == 0
        if least == most:
            summary = f"{least:.6g}" if value.size == 1 else f"all {least:.6g}"
        else:
            with np.errstate(invalid="ignore"):
                mean = float(np.mean(flat, dtype=np.float64))
            summary = f"{least:.4g} to {most:.4g}, mean {mean:.4g}"
        if not math.isfinite(least) or not math.isfinite(most):
            flat = flat[np.isfinite(flat)]
            least, most = (float(f(flat, initial=0.0)) for f in (np.min, np.max))
        largest = max(abs(least), abs(most))
    samples = dict(_samples(value))
    return ValueOutline(value.dtype.kind, value.size, summary, largest, tells, is_zero, samples)


def _samples(value: Array) -> Iterator[tuple[Axes, Array]]:
    value = value.reshape([size for size in value.shape if size != 1])
    places = np.linspace(0, value.size - 1, min(value.size, _SAMPLE)).astype(np.int64)
    for axes in axes_of(value):
        turned = value.transpose(axes)
        yield axes, turned[np.unravel_index(places, turned.shape)] if axes else value.reshape(-1)


def axes_of(value: Array) -> Iterator[Axes]:
    """Yield the ways to order the axes, the given one first."""
    straight = tuple(range(value.ndim))
    yield straight
    if 1 < value.ndim <= _MOST_AXES:
        yield from (axes for axes in permutations(straight) if axes != straight)


def blocks(one: Array, two: Array) -> Iterator[tuple[Array, Array]]:
    """Yield two values of one size a part after the other."""
    one, two = one.reshape(-1), two.reshape(-1)
    for start in range(0, one.size, _BLOCK):
        yield one[start : start + _BLOCK], two[start : start + _BLOCK]


def largest_difference(one: Array, two: Array) -> tuple[float, int]:
    """Return how far two values are apart at most, and how many elements differ."""
    largest, count = 0.0, 0
    for mine, other in blocks(one, two):
        apart = absolute_errors(mine, other)
        largest = max(largest, float(np.max(apart)))
        count += int(np.count_nonzero(apart))
    return largest, count


class RecentValues:
    """The values of a model that were read last; those before are read anew from its file."""

    def __init__(self) -> None:
        self._kept: dict[Constant, Array] = {}

    def get(self, key: Constant, read: Callable[[], Array | None]) -> Array | None:
        """Return a value, from memory if it is there."""
        value = self._kept.pop(key, None)
        value = read() if value is None else value
        if value is not None and value.nbytes <= _MOST_KEPT:
            self._kept[key] = value
            taken = sum(each.nbytes for each in self._kept.values())
            while taken > _MOST_KEPT:
                taken -= self._kept.pop(next(iter(self._kept))).nbytes
        return value


@dataclass(frozen=True, eq=False)
class Weight:
    """A variable or a constant of a model.

    Attributes:
        names: What it may be known by: its own name, its owner, and in a .tflite file the names of
            what is computed with it.
        held: Its value in the file; ``None`` where the file has none.
        initialized: Whether it has a first value; ``None`` if the model's file cannot say.
        is_used: Whether anything reads or assigns it; ``None`` where the file does not show ops.
        users: The nodes that take its value; in a .tflite file, the names of what they make.
    """

    name: str
    kind: Literal["variable", "constant"]
    dtype: str
    shape: Shape | None
    names: tuple[str, ...] = ()
    held: Constant | None = field(default=None, repr=False)
    variable: Variable | None = field(default=None, repr=False)
    initialized: bool | None = True
    is_used: bool | None = True
    scales: Array | None = field(default=None, repr=False)  # of a quantized constant, per channel
    zero_points: Array | None = field(default=None, repr=False)
    recent: RecentValues = field(default_factory=RecentValues, repr=False)
    buffer: int = -1  # the number of the buffer that holds it in a .tflite file
    users: tuple[str, ...] = ()

    @property
    def value(self) -> Array | None:
        """Its real value; ``None`` if there is none, or none that NumPy knows.

        It is read from the file, and not kept for long.
        """
        return None if self.held is None else self.recent.get(self.held, self._read)

    def _read(self) -> Array | None:
        assert self.held is not None
        value = self.held.read(most=_MOST_VALUES)
        if value is None or (value.dtype.kind not in "fciub" and value.dtype.name != "bfloat16"):
            return None
        if value.dtype.name in ("bfloat16", "float16"):
            return value.astype(np.float32)
        if self.scales is None or self.zero_points is None:
            return value
        # A product of float32 is rounded once, as that of float64 would be, if both are exact.
        exact = np.float32 if value.dtype.itemsize <= 2 else np.float64
        real: Array = value.astype(exact)
        np.subtract(real, self.zero_points.astype(exact), out=real)
        np.multiply(real, self.scales.astype(exact), out=real)
        return real.astype(np.float32, copy=False)

    @cached_property
    def outline(self) -> ValueOutline | None:
        """What is kept of the value; ``None`` where there is none."""
        value = self.value
        return None if value is None else outline_of(value)

    @property
    def allowed(self) -> float:
        """How far its value may be from the one that it was made of."""
        if self.scales is not None:
            return 0.51 * float(np.max(self.scales))
        if self.dtype in ("float16", "bfloat16") and self.outline is not None:
            digits = HALF_DIGITS if self.dtype == "float16" else 2.0**-8
            return 1.01 * digits * self.outline.largest
        return 0.0

    @property
    def count(self) -> int | None:
        """How many elements it has; ``None`` where that is open."""
        if self.held is not None and self.held.shape is not None:
            sizes: Shape = self.held.shape
        elif self.shape is None:
            return None
        else:
            sizes = self.shape
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def summary(self) -> str:
        """Return its values in a few words."""
        if self.outline is None:
            return "" if self.held is None else "not decoded"
        return self.outline.summary


def weights_of(graph: Graph) -> tuple[list[Weight], str]:
    """Return the variables and constants of a model, and what is not known of them, in a line."""
    model_format, recent = format_of(graph), RecentValues()
    values = model_format.variable_values(graph)
    takers = _takers(graph) if model_format.shows_ops else {}
    found = [_of_variable(graph, one, values, recent, takers) for one in graph.variables]
    without = [w for w in found if w.held is None and w.initialized is not False]
    doubt = ""
    if without:
        where = (
            "a checkpoint that is not beside it" if model_format.needs_checkpoint else "no value"
        )
        lies = f"lie in {where}" if model_format.needs_checkpoint else "have no value in the file"
        doubt = f"the values of {counted(len(without), 'variable')} {lies}"
    if model_format.is_converted:
        found += _constants_of_file(graph, recent)
    else:
        found += [
            Weight(
                *(name, "constant", str(_dtype(constant)), constant.shape, (name,), constant),
                recent=recent,
            )
            for (_, name), constant in model_format.constants(graph).items()
            if _is_known(constant)
        ]
    return found, doubt


def _dtype(constant: Constant) -> Any:
    value = constant.read(most=_MOST_VALUES)
    return "" if value is None else value.dtype


def _is_known(constant: Constant) -> bool:
    return constant.shape is not None and None not in constant.shape and bool(_dtype(constant))


def _takers(graph: Graph) -> dict[tuple[str, str], list[Node]]:
    """Return the nodes that take what a node makes, by its function and its name."""
    found: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for function in graph.functions:
        for node in function.nodes:
            for source in dict.fromkeys(node.sources):
                found[function.name, source].append(node)
    return found


def _users(one: Variable, takers: Mapping[tuple[str, str], Sequence[Node]]) -> tuple[str, ...]:
    """Return the names of the nodes that take what is read of a variable, behind each Identity."""
    waiting, found = [(access.function, access.node) for access in one.reads], dict[str, None]()
    for function, source in waiting:
        for node in takers.get((function, source), ()):
            if node.op == "Identity":
                waiting.append((function, node.name))
            else:
                found[node.name] = None
    return tuple(found)


def _of_variable(
    graph: Graph,
    one: Variable,
    values: Mapping[str, Constant],
    recent: RecentValues,
    takers: Mapping[tuple[str, str], Sequence[Node]],
) -> Weight:
    model_format = format_of(graph)
    held = values.get(one.name)
    initialized = True if held is not None else one.initialized
    if held is None and model_format.needs_checkpoint:
        initialized = None
    used = bool(one.reads or one.assigns) if model_format.shows_ops else None
    names = (one.name, one.owner) if one.owner else (one.name,)
    return Weight(
        *(one.name, "variable", one.dtype, one.shape, names, held, one, initialized),
        is_used=used,
        recent=recent,
        users=_users(one, takers),
    )


def _constants_of_file(graph: Graph, recent: RecentValues) -> Iterator[Weight]:
    from varhandle.divergence.file_trace import per_channel, scales_of, zero_points_of
    from varhandle.tflite.flatbuffer import decode, indices, op_name, unpack
    from varhandle.tflite.variable_values import dtype_name

    path = Path(graph.source)
    part = TFLITE.graph_part(path)
    model = unpack(part, graph.source)
    for subgraph in model.subgraphs:
        users: dict[int, list[str]] = {}
        dequantized: dict[int, int] = {}
        assigned: set[int] = set()
        for operator in subgraph.operators or []:
            outputs = indices(operator.outputs)
            if op_name(model, operator) == "ASSIGN_VARIABLE":  # what a variable starts from
                assigned.update(indices(operator.inputs)[1:])
                continue
            is_cast = op_name(model, operator) == "DEQUANTIZE"
            for tensor in indices(operator.inputs):
                if is_cast:
                    dequantized[outputs[0]] = tensor
                at = dequantized.get(tensor, tensor)
                users.setdefault(at, []).extend(decode(subgraph.tensors[t].name) for t in outputs)
        for number, tensor in enumerate(subgraph.tensors):
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data) or (number in assigned and number not in users):
                continue
            scales, name = scales_of(tensor), decode(tensor.name)
            dtype, shape = dtype_name(tensor), tuple(indices(tensor.shape))
            read = partial(_array, partial(stored_bytes, path, part, data), dtype, shape)
            yield Weight(
                name,
                "constant",
                dtype,
                shape,
                (name, *users.get(number, ())),
                Constant(shape, read),
                is_used=number in users,
                scales=per_channel(tensor, scales),
                zero_points=None if scales is None else per_channel(tensor, zero_points_of(tensor)),
                recent=recent,
                buffer=tensor.buffer,
                users=tuple(users.get(number, ())),
            )


def share_outlines(ours: Sequence[Weight], theirs: Sequence[Weight]) -> set[tuple[int, int]]:
    """Let the constants of two .tflite files that are the same share what is kept of them.

    Returns the numbers of their buffers. Each constant is read once. They are compared by name:
    whatever has another name or value is left to be recognized.
    """
    named: dict[tuple[Any, ...], list[Weight]] = defaultdict(list)
    for weight in theirs:
        named[weight.name, weight.dtype, weight.shape].append(weight)
    same = set()
    for mine in ours:
        for other in named[mine.name, mine.dtype, mine.shape][:1]:
            named[mine.name, mine.dtype, mine.shape].remove(other)
            one, two = mine.value, other.value
            if one is not None and two is not None and _same_bytes(one, two):
                mine.__dict__["outline"] = other.__dict__["outline"] = outline_of(one)
                same.add((mine.buffer, other.buffer))
    return same


def _same_bytes(one: Array, two: Array) -> bool:
    mine, other = (np.ascontiguousarray(value).reshape(-1).view(np.uint8) for value in (one, two))
    return (one.shape, one.dtype) == (two.shape, two.dtype) and np.array_equal(mine, other)


def _array(read: Callable[[], Array], dtype: str, shape: tuple[int, ...], most: int) -> Any:
    return plain_array(read(), dtype, shape) if math.prod(shape) <= most else None


def plain_array(data: Array, dtype: str, shape: tuple[int, ...]) -> Any:
    """Return a stored array; ``None`` for one that is packed, or of a dtype that NumPy lacks."""
    try:
        return np.asarray(data).view(dtype).reshape(shape)
    except (TypeError, ValueError):
        return None
