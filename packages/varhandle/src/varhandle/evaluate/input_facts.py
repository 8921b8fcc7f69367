"""What a model shows of the values that its inputs take.

An input is followed along the edges of the graph to the first ops that tell: the scale of a
Rescaling layer, the mean of a Normalization layer, the size of a table that it picks rows of, the
keys of a look-up table. Names tell nothing here. Two graphs are looked at: that of the model, which
still has what the converter folds into a convolution, and that of the .tflite file, where all
functions are one and weights are constants.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from varhandle.formats import format_of, read_graph
from varhandle.formats.regular_file import open_regular
from varhandle.formats.tflite_reader import input_tensors
from varhandle.graph import Graph, Node, Shape, Signature, TensorSpec
from varhandle.graph.model import closure, output_index
from varhandle.graph.resource_flow import Location, ResourceFlow

Array = npt.NDArray[Any]

_MOST_STEPS = 5_000
_MOST_KEYS = 10_000


@dataclass(frozen=True)
class ValueRange:
    """Values from one number to another, both included."""

    low: float
    high: float
    why: str  # in words, such as ``"its Rescaling"``
    whole: bool = False  # whether they are whole numbers, of whatever dtype
    index: bool = False  # whether each stands for a row of a table

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g} ({self.why})"


@dataclass(frozen=True, eq=False)
class ValueDistribution:
    """Values of a mean and a deviation: one for all, or one for each feature."""

    mean: Array
    deviation: Array
    why: str

    def __str__(self) -> str:
        mean, deviation = float(self.mean.mean()), float(self.deviation.mean())
        return f"around {mean:.3g} ± {deviation:.3g} ({self.why})"


@dataclass(frozen=True)
class TableKeys:
    """Those that a look-up table knows, among others."""

    keys: tuple[Any, ...]  # bytes or integers
    why: str

    def __str__(self) -> str:
        return f"{len(self.keys)} keys ({self.why})"


InputFact = ValueRange | ValueDistribution | TableKeys


def facts_of_inputs(
    graph: Graph, signature: Signature, content: bytes | None
) -> dict[str, InputFact]:
    """Return what is known of the inputs of a signature, by name; nothing of the others.

    ``content`` is the .tflite file that was made from the model, if there is one.
    """
    found: dict[str, InputFact] = {}
    if content is not None:
        made = graph if format_of(graph).is_converted else read_graph(content)
        found = _Walk(made, content).facts(_starts_in_file(made, signature, content))
    if not format_of(graph).is_converted and Path(graph.source).exists():
        found |= _Walk(graph).facts(_starts(graph, signature))
    return found


def _starts(graph: Graph, signature: Signature) -> dict[str, Location]:
    """Return where each input of a signature enters the graph of the model."""
    known = {one.name: one for one in graph.signatures}
    function = known.get(signature.name, graph.main_signature).function
    inputs = graph.function(function).inputs
    if inputs:
        return _paired(function, signature.inputs, inputs)
    # A GraphDef. (In the main graph of a SavedModel of TensorFlow 1, inputs have names of its own.)
    names = {node.name for node in graph.function(function).nodes}
    return {s.name: (function, s.name) for s in signature.inputs if s.name in names}


def _starts_in_file(made: Graph, signature: Signature, content: bytes) -> dict[str, Location]:
    names = [one.name for one in made.signatures]
    name = signature.name if signature.name in names else next(iter(names), "")
    called = made.signature(name) if name else made.main_signature
    tensors = input_tensors(content, name) if name else {}
    own = [TensorSpec(tensors.get(s.name, s.name), s.dtype, s.shape) for s in called.inputs]
    by_name = {s.name: (called.function, tensors.get(s.name, s.name)) for s in called.inputs}
    if all(spec.name in by_name for spec in signature.inputs):
        return {spec.name: by_name[spec.name] for spec in signature.inputs}
    return _paired(called.function, signature.inputs, own)


def _paired(
    function: str, inputs: Sequence[TensorSpec], own: Sequence[TensorSpec]
) -> dict[str, Location]:
    """Match inputs with a function's by name; else by place, where their dtypes agree."""
    names = {spec.name for spec in own}
    if all(spec.name in names for spec in inputs):
        return {spec.name: (function, spec.name) for spec in inputs}
    pairs = list(zip(inputs, own, strict=False))
    if len(own) < len(inputs) or any(one.dtype != other.dtype for one, other in pairs):
        return {}
    return {one.name: (function, other.name) for one, other in pairs}


class _Affine(NamedTuple):
    """What has been done to an input on the way: times ``scale``, plus ``offset``."""

    scale: Array = np.ones(())
    offset: Array = np.zeros(())

    @property
    def is_identity(self) -> bool:
        return bool(np.all(self.scale == 1) and np.all(self.offset == 0))

    def times(self, factor: Array) -> _Affine:
        with np.errstate(invalid="ignore", over="ignore"):  # a factor may be infinite
            return _Affine(self.scale * factor, self.offset * factor)

    def plus(self, term: Array) -> _Affine:
        with np.errstate(invalid="ignore", over="ignore"):
            return _Affine(self.scale, self.offset + term)

    def averaged(self) -> _Affine:
        """Return one for all features, where a step mixes their places."""
        return _Affine(np.asarray(self.scale.mean()), np.asarray(self.offset.mean()))


def _canonical(op: str) -> str:
    """Return one name for an op of TensorFlow, of a .tflite file and of Keras."""
    return re.sub(r"V\d$", "", op.replace("_", "").upper())


_PASSES = frozenset(
    {"IDENTITY", "IDENTITYN", "CAST", "STOPGRADIENT", "ENSURESHAPE", "PLACEHOLDERWITHDEFAULT"}
    | {"QUANTIZE", "DEQUANTIZE", "RESIZEBILINEAR", "RESIZENEARESTNEIGHBOR", "PAD", "MIRRORPAD"}
    | {"SLICE", "STRIDEDSLICE", "SPLIT", "UNPACK", "UNSTACK", "CONCAT", "CONCATENATION"}
    | {"SELECT", "CHECKNUMERICS", "CLIPBYVALUE", "MAXIMUM", "MINIMUM", "BROADCASTTO", "TILE"}
    # Layers of Keras, as they are in inference.
    | {"INPUTLAYER", "RESIZING", "CENTERCROP", "CONCATENATE", "MASKING", "DROPOUT"}
    | {"ZEROPADDING1D", "ZEROPADDING2D", "CROPPING1D", "CROPPING2D", "SPATIALDROPOUT1D"}
    | {"SPATIALDROPOUT2D", "GAUSSIANNOISE", "GAUSSIANDROPOUT", "RANDOMFLIP", "RANDOMROTATION"}
    | {"RANDOMZOOM", "RANDOMTRANSLATION", "RANDOMCONTRAST", "RANDOMBRIGHTNESS", "RANDOMCROP"}
)
"""Ops that leave the values of an input as they are, or most of them."""

_MIXES = frozenset(
    {"RESHAPE", "EXPANDDIMS", "SQUEEZE", "TRANSPOSE", "PACK", "STACK", "FLATTEN", "PERMUTE"}
    | {"REPEATVECTOR"}
)
"""The same, but that a feature has another place afterwards."""

_TELLS_NOTHING = frozenset(
    {"SHAPE", "RANK", "SIZE", "NOOP", "ZEROSLIKE", "ONESLIKE", "ASSERT", "ISNAN", "ISFINITE"}
    | {"EQUAL", "NOTEQUAL", "LESS", "LESSEQUAL", "GREATER", "GREATEREQUAL"}
)

_FOLDED: Mapping[str, Callable[..., Any]] = {
    **{name: lambda value, *_: value for name in ("IDENTITY", "CAST", "READVARIABLEOP")},
    "SQRT": np.sqrt,
    "RSQRT": lambda value: 1 / np.sqrt(value),
    "NEG": np.negative,
    "MAXIMUM": np.maximum,
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "REALDIV": np.divide,
}
"""What is computed of constants before it meets an input, as a Normalization layer does."""


def _floats(values: Any) -> Array:
    return np.asarray(0.0 if values is None else values, float)


def _divided(affine: _Affine, divisor: Array) -> _Affine | None:
    return affine.times(1 / divisor) if np.all(divisor) else None


def _subtracted_from(affine: _Affine, first: Array) -> _Affine:
    return affine.times(np.array(-1.0)).plus(first)


_STEPS: Mapping[tuple[str, int], Callable[[_Affine, Array], _Affine | None]] = {
    ("ADD", 0): _Affine.plus,
    ("ADD", 1): _Affine.plus,
    ("BIASADD", 0): _Affine.plus,
    ("SUB", 0): lambda affine, other: affine.plus(-other),
    ("SUB", 1): _subtracted_from,
    ("MUL", 0): _Affine.times,
    ("MUL", 1): _Affine.times,
    ("REALDIV", 0): _divided,
    ("DIV", 0): _divided,
}
"""What is done to an input, at a position of an op, by the constant at the other."""


class _Walk:
    """Follows inputs through a graph."""

    def __init__(self, graph: Graph, content: bytes | None = None) -> None:
        self._graph = graph
        self._functions = {function.name: function for function in graph.functions}
        self._flow = ResourceFlow(graph.functions, output_index)
        self._is_file = format_of(graph).is_converted
        self._constants = format_of(graph).constants(graph, content)

    def facts(self, starts: Mapping[str, Location]) -> dict[str, InputFact]:
        found = {name: self._fact(start) for name, start in starts.items()}
        return {name: fact for name, fact in found.items() if fact is not None}

    def _fact(self, start: Location) -> InputFact | None:
        """Follow one input; where its ways do not agree on what it takes, nothing is known."""
        told, affines = [], []
        for end in self._ends(start):
            if isinstance(end, _Affine):
                affines.append(end)
            else:
                told.append(end)
        if told:
            return _narrowest(told)
        found = [_before(affine) for affine in affines]
        if not found or any(str(one) != str(found[0]) for one in found):
            return None
        return found[0]

    def _ends(self, start: Location) -> Iterator[InputFact | _Affine]:
        """Yield what each way of an input ends in: what an op tells, or what was done so far."""
        # The shortest way to a place comes first: past ids that are made positive, not through.
        waiting = deque[tuple[Location, _Affine, tuple[Location, ...]]]([(start, _Affine(), ())])
        seen: set[Location] = set()
        while waiting and len(seen) < _MOST_STEPS:
            place, affine, callers = waiting.popleft()
            if place in seen:
                continue
            seen.add(place)
            function, source = place
            consumers = self._flow.consumers(function, source)
            if not consumers and callers:  # what a function returns goes on where it was called
                waiting.append((callers[-1], affine, callers[:-1]))
            for node, position in consumers:
                op, here = _canonical(node.op), (function, node.name)
                entered = list(self._entered(node, position))
                if entered:
                    goes_on = "WHILE" not in op and "IF" not in op and "CASE" not in op
                    stack = (*callers, here) if goes_on else ()
                    waiting.extend((one, affine, stack) for one in entered)
                elif fact := _MEANINGS.get(op, _silent)(self, function, node, position):
                    yield _shifted(fact, affine)
                elif (changed := self._changed(function, node, position, affine)) is not None:
                    waiting.append((here, changed, callers))
                elif op in _PASSES:
                    waiting.append((here, affine, callers))
                elif op in _MIXES:
                    waiting.append((here, affine.averaged(), callers))
                elif op not in _TELLS_NOTHING:
                    yield affine

    def _entered(self, node: Node, position: int) -> Iterator[Location]:
        """Yield the arguments that an input of a call becomes; a condition comes before them."""
        for name in dict.fromkeys(node.calls):
            if name in self._functions:
                arguments = self._functions[name].inputs
                place = len(arguments) - len(node.inputs) + position
                if 0 <= place < len(arguments):
                    yield name, arguments[place].name

    def _changed(self, function: str, node: Node, position: int, affine: _Affine) -> _Affine | None:
        """Return what was done to an input after a step that adds or multiplies a constant."""
        op, read = _canonical(node.op), node.attributes.get
        if op == "RESCALING":
            return affine.times(_floats(read("scale"))).plus(_floats(read("offset")))
        if op == "NORMALIZATION" and read("mean") is not None:
            deviation = np.maximum(np.sqrt(_floats(read("variance"))), 1e-7)
            return affine.plus(-_floats(read("mean"))).times(1 / deviation)
        step = _STEPS.get((op, position))
        other = self.value(function, node, 1 - position) if step else None
        if step is None or other is None or other.dtype.kind not in "fiu":
            return None
        if self._is_file and other.dtype.itemsize < 4:  # the integers of a quantized file
            return None
        try:
            return step(affine, _floats(other))
        except ValueError:  # a step on the way has changed which features there are
            return None

    def value(self, function: str, node: Node, position: int, depth: int = 12) -> Array | None:
        """Return the value of a node's input, where that is a constant."""
        if position >= len(node.inputs):
            return None
        name = node.inputs[position] if self._is_file else node.sources[position]
        return self._value_of(function, name, depth)

    def _value_of(self, function: str, name: str, depth: int) -> Array | None:
        constant = self._constants.get((function, name))
        if constant is not None:
            return constant.read()
        node = self._nodes.get((function, name))
        if depth == 0 or self._is_file:
            return None
        if node is None:
            made = self._passed((function, name))
            return self._value_of(*made.pop(), depth - 1) if len(made) == 1 else None
        return self._folded(function, node, depth)

    def _passed(self, argument: Location) -> set[Location]:
        """Return the nodes whose outputs the callers of a function pass as one of its arguments."""
        found: set[Location] = set()

        def before(location: Location) -> Iterator[Location]:
            if location in self._nodes:
                found.add(location)
            else:
                yield from self._flow.passed(location)

        closure([argument], before)
        return found

    def is_deviation(self, function: str, node: Node, position: int) -> bool:
        """Tell whether a node takes the root of a constant variance that is kept above 0."""
        made = self._nodes.get((function, node.sources[position]))
        if made is None or _canonical(made.op) != "MAXIMUM":
            return False
        makers = [self._nodes.get((function, source)) for source in made.sources]
        is_root = any(one is not None and _canonical(one.op) == "SQRT" for one in makers)
        return is_root and self.value(function, node, position) is not None

    def _folded(self, function: str, node: Node, depth: int) -> Array | None:
        """Compute what a node makes of constants."""
        fold = _FOLDED.get(_canonical(node.op))
        places = range(len(node.inputs)) if fold is not None else ()
        operands = [self.value(function, node, place, depth - 1) for place in places]
        if fold is None or any(one is None for one in operands):
            return None
        try:
            with np.errstate(all="ignore"):
                return np.asarray(fold(*operands))
        except (TypeError, ValueError):  # shapes or a number of inputs that the op does not have
            return None

    @cached_property
    def _nodes(self) -> dict[Location, Node]:
        return {(f.name, node.name): node for f in self._graph.functions for node in f.nodes}

    def shape(self, function: str, node: Node, position: int) -> Shape | None:
        """Return the shape of a constant or of a variable that a node takes."""
        if self._is_file:
            constant = self._constants.get((function, node.inputs[position]))
            return None if constant is None else constant.shape
        origins = self._flow.origins([(function, node.sources[position])])
        origin = origins.pop() if len(origins) == 1 else ("", "")
        if origin in self._constants:
            return self._constants[origin].shape
        made = self._nodes.get(origin)
        shape = made.attributes.get("shape") if made else None
        return shape if isinstance(shape, tuple) else None

    def table_keys(self, function: str, node: Node) -> tuple[Any, ...]:
        """Return the keys of the look-up table that a node asks."""
        if self._is_file:
            table = self._table(function, node)
            imports = [
                (f.name, n)
                for f in self._graph.functions
                for n in f.nodes
                if n.op == "HASHTABLE_IMPORT" and self._table(f.name, n) == table
            ]
        else:
            handle = self._flow.origins([(function, node.sources[0])])
            imports = [
                (f.name, n)
                for f in self._graph.functions
                for n in f.nodes
                if _canonical(n.op) in _IMPORTS
                and self._flow.origins([(f.name, n.sources[0])]) == handle
            ]
        keys: list[Any] = []
        for place, one in imports:
            if "TEXTFILE" in _canonical(one.op):
                keys += self._lines(one)
            else:
                held = self.value(place, one, 1)
                keys += [] if held is None else held.ravel().tolist()
        return tuple(keys[:_MOST_KEYS])

    def _table(self, function: str, node: Node) -> object:
        maker = self._nodes.get((function, node.sources[0]))
        return maker.attributes.get("table_id") if maker else None

    def _lines(self, node: Node) -> list[Any]:
        """Return the keys in the text files that lie with the model; all files may be meant."""
        folder = Path(format_of(self._graph).path_to_load(self._graph.source), "assets")
        files = sorted(folder.glob("*")) if folder.is_dir() else []
        lines = [line for file in files for line in _head(file).splitlines()]
        return list(range(len(lines))) if node.attributes.get("key_index") == -1 else lines


def _head(path: Path) -> bytes:
    """Return the beginning of a text file; nothing of what is no regular file."""
    try:
        with open_regular(path) as file:
            return file.read(2**20)
    except OSError:
        return b""


_IMPORTS = frozenset(["LOOKUPTABLEIMPORT", "INITIALIZETABLE", "INITIALIZETABLEFROMTEXTFILE"])


def _shifted(fact: InputFact, affine: _Affine) -> InputFact:
    """Return what an input takes, of what an op takes after something was done to the input."""
    if affine.is_identity or isinstance(fact, TableKeys) or not np.all(affine.scale):
        return fact
    if isinstance(fact, ValueDistribution):
        mean = (fact.mean - affine.offset) / affine.scale
        return ValueDistribution(mean, fact.deviation / np.abs(affine.scale), fact.why)
    scale, offset = float(np.mean(affine.scale)), float(np.mean(affine.offset))
    ends = sorted(((fact.low - offset) / scale, (fact.high - offset) / scale))
    return ValueRange(np.ceil(ends[0]), np.floor(ends[1]), fact.why, fact.whole, fact.index)


def _narrowest(told: Sequence[InputFact]) -> InputFact:
    """Return what holds for all ways of an input."""
    keys = [fact for fact in told if isinstance(fact, TableKeys)]
    ranges = [fact for fact in told if isinstance(fact, ValueRange)]
    if keys or not ranges:
        return keys[0] if keys else told[0]
    low, high = max(one.low for one in ranges), min(one.high for one in ranges)
    first = min(ranges, key=lambda one: one.high)
    return ValueRange(low, max(low, high), first.why, first.whole, first.index)


_SIGNED = 30_000
"""From here on a scale is one of 16-bit sound, which has both signs."""


def _before(affine: _Affine) -> InputFact | None:
    """Return what an input takes whose first steps bring it to 0..1, to -1..1, or around 0."""
    scale, offset = affine
    size = np.abs(scale)
    if not (np.all((size > 1e-9) & (size < 1e9)) and np.all(np.isfinite(offset))):
        return None
    if np.all(scale == 1):
        # Only the mean is subtracted, as of pixels in the order blue, green, red.
        is_pixel_mean = bool(np.all((offset < -60) & (offset > -200)))
        return ValueRange(0, 255, "the mean is subtracted", whole=True) if is_pixel_mean else None
    one_for_all = np.ptp(scale) == 0 and np.ptp(offset) == 0
    if one_for_all and scale.flat[0] > 0:
        rescaled = _before_rescaling(1 / float(scale.flat[0]), float(offset.flat[0]))
        if rescaled is not None or offset.flat[0] == 0:  # a factor alone is no normalization
            return rescaled
    mean, deviation = -offset / scale, 1 / size
    if 90 <= np.mean(mean) <= 165 and 30 <= np.mean(deviation) <= 100:
        return ValueRange(0, 255, "its normalization", whole=True)
    return ValueDistribution(mean, deviation, "its normalization")


def _before_rescaling(factor: float, shift: float) -> ValueRange | None:
    """Return what ``value / factor + shift`` brings to 0..1 or to -1..1."""
    if abs(shift) < 0.01 and (factor >= 16 or abs(factor * 255 - 1) < 0.01):
        low = -factor if factor >= _SIGNED else 0.0
        return snapped_range(low, 1.0 if factor < 1 else factor, "its rescaling")
    if abs(shift + 1) < 0.1:
        return snapped_range((-1 - shift) * factor, (1 - shift) * factor, "its rescaling")
    return None


def snapped_range(low: float, high: float, why: str) -> ValueRange:
    """Return a range; what is nearly 0..255 is that, in whole numbers."""
    near = abs(low) < 3 and 250 < high < 260
    return ValueRange(0, 255, why, whole=True) if near else ValueRange(low, high, why)


def _size(walk: _Walk, function: str, node: Node, position: int, axis: int = 0) -> int | None:
    shape = walk.shape(function, node, position)
    return shape[axis] if shape and -len(shape) <= axis < len(shape) else None


def _rows(size: int | None, why: str = "the rows of its table") -> ValueRange | None:
    return ValueRange(0, size - 1, why, whole=True, index=True) if size else None


def _gather(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    if position != 1:
        return None
    axis: Any = node.attributes.get("axis", 0)
    if len(node.inputs) > 2:
        given = walk.value(function, node, 2)
        axis = 0 if given is None or given.size != 1 else given.item()
    return _rows(_size(walk, function, node, 0, int(axis)))


def _gather_nd(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    shape = walk.shape(function, node, 0) if position == 1 else None
    return _rows(min((size for size in shape if size), default=None)) if shape else None


def _embedding_lookup(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    return _rows(_size(walk, function, node, 1)) if position == 0 else None


def _one_hot(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    if position == 1:
        return ValueRange(2, 8, "a number of classes", whole=True)
    depth = walk.value(function, node, 1) if position == 0 else None
    return None if depth is None else _rows(int(depth), "the depth of its one-hot code")


def _updated_place(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    """Tell of the places of a variable or a tensor that an op writes into."""
    shape = walk.shape(function, node, 0) if position == 1 else None
    nested = "ND" in _canonical(node.op) or node.op.startswith("Tensor")
    sizes = (shape or ()) if nested else (shape or ())[:1]
    return _rows(min((size for size in sizes if size), default=None), "what it updates")


def _segment(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    count = walk.value(function, node, 2) if position == 1 else None
    return _rows(None if count is None else int(count), "the number of its segments")


def _scatter(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    shape = walk.value(function, node, 2) if position == 0 else None
    return _rows(None if shape is None else int(np.min(shape)), "the shape that it scatters into")


def _look_up(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    keys = walk.table_keys(function, node) if position == 1 else ()
    return TableKeys(keys, "its look-up table") if keys else None


def _inverted(walk: _Walk, function: str, node: Node, position: int) -> InputFact | None:
    """Tell of what is normalized already; a file does not: it may be a batch normalization."""
    if _canonical(node.op) == "NORMALIZATION":
        is_inverse = bool(node.attributes.get("invert"))
    else:
        is_inverse = walk.is_deviation(function, node, 1 - position)
    return (
        ValueDistribution(np.zeros(()), np.ones(()), "its inverted normalization")
        if is_inverse
        else None
    )


def _silent(_walk: _Walk, _function: str, _node: Node, _position: int) -> None:
    """Tell nothing, as most ops do."""


def _at(position: int, low: int, high: int, why: str) -> Callable[..., InputFact | None]:
    """Return what says that an input of an op takes whole numbers of a range."""

    def tell(_walk: _Walk, _function: str, _node: Node, at: int) -> InputFact | None:
        return ValueRange(low, high, why, whole=True) if at == position else None

    return tell


def _listed(setting: str, why: str) -> Callable[..., InputFact | None]:
    """Return what reads the keys that a layer of Keras knows."""

    def tell(_walk: _Walk, _function: str, node: Node, _position: int) -> InputFact | None:
        listed = node.attributes.get(setting)
        if not isinstance(listed, tuple) or not listed:
            return None
        keys = (key.encode() if isinstance(key, str) else key for key in listed[:_MOST_KEYS])
        return TableKeys(tuple(keys), why)

    return tell


def _counted(setting: str, why: str) -> Callable[..., InputFact | None]:
    """Return what reads how many numbers a layer of Keras knows."""

    def tell(_walk: _Walk, _function: str, node: Node, _position: int) -> InputFact | None:
        size = node.attributes.get(setting)
        return _rows(size, why) if isinstance(size, int) else None

    return tell


def _bins(_walk: _Walk, _function: str, node: Node, _position: int) -> InputFact | None:
    bounds = node.attributes.get("bin_boundaries")
    if not isinstance(bounds, tuple) or not bounds:
        return None
    margin = (max(bounds) - min(bounds)) / 4 or 1.0
    return ValueRange(min(bounds) - margin, max(bounds) + margin, "its bins")


_MEANINGS: Mapping[str, Callable[..., InputFact | None]] = {
    "GATHER": _gather,
    "RESOURCEGATHER": _gather,
    "GATHERND": _gather_nd,
    "RESOURCEGATHERND": _gather_nd,
    "EMBEDDINGLOOKUP": _embedding_lookup,
    "ONEHOT": _one_hot,
    "SCATTERND": _scatter,
    **{
        f"{kind}{how}": _updated_place
        for kind in (
            "RESOURCESCATTER",
            "RESOURCESCATTERND",
            "SCATTER",
            "SCATTERND",
            "TENSORSCATTER",
        )
        for how in ("UPDATE", "ADD", "SUB", "MUL", "DIV", "MIN", "MAX")
    },
    **{f"UNSORTEDSEGMENT{how}": _segment for how in ("SUM", "PROD", "MIN", "MAX")},
    "TOPK": _at(1, 1, 1, "how many of the largest"),
    "LOOKUPTABLEFIND": _look_up,
    "HASHTABLEFIND": _look_up,
    "FLOORMOD": _at(1, 1, 9, "a divisor"),
    "FLOORDIV": _at(1, 1, 9, "a divisor"),
    "MOD": _at(1, 1, 9, "a divisor"),
    "DIV": _at(1, 1, 9, "a divisor"),
    "MUL": _inverted,
    "TILE": _at(1, 1, 3, "how often"),
    "FILL": _at(0, 1, 4, "a size"),
    "PAD": _at(1, 0, 2, "a width of padding"),
    # Layers of Keras.
    "NORMALIZATION": _inverted,
    "EMBEDDING": _counted("input_dim", "the rows of its Embedding"),
    "CATEGORYENCODING": _counted("num_tokens", "its CategoryEncoding"),
    "STRINGLOOKUP": _listed("vocabulary", "the vocabulary of its StringLookup"),
    "INTEGERLOOKUP": _listed("vocabulary", "the vocabulary of its IntegerLookup"),
    "TEXTVECTORIZATION": _listed("vocabulary", "the vocabulary of its TextVectorization"),
    "DISCRETIZATION": _bins,
}
"""What an op, or a layer of Keras, tells of its inputs; asked with the input's position."""
