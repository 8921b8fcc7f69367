"""Example calls: what a model is called with, from the best source that there is.

The user's own inputs come first, then those that are stored with the model. Otherwise values are
made up: in the ranges that the model shows (``input_facts``), and in sizes with which it runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import ml_dtypes  # noqa: F401 - brings NumPy the dtype bfloat16
import numpy as np
import numpy.typing as npt

from varhandle.display import counted, printable
from varhandle.evaluate.given_inputs import (
    CallsError,
    GivenCalls,
    Inputs,
    given_calls,
    image_layout,
    load_calls,
)
from varhandle.evaluate.input_facts import (
    InputFact,
    TableKeys,
    ValueRange,
    facts_of_inputs,
    snapped_range,
)
from varhandle.evaluate.session import Session
from varhandle.formats import format_of
from varhandle.graph import Graph, Signature, TensorSpec
from varhandle.sandbox import run_isolated

__all__ = ["CallsError", "ExampleCalls", "Inputs", "example_calls", "load_calls", "make_calls"]

Array = npt.NDArray[Any]
Call = dict[str, Array]

MOST_VALUES = 2**26
"""Elements of one made-up input, above which a caller must bring inputs: 256 MB of float32."""

Origin = Literal["given", "stored", "graph", "made up"]
"""Where the values of calls come from, the best first: the user, a file stored with the model, what
the graph shows of its inputs, or nowhere."""

_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
_WORDS = (b"a", b"b", b"hello world")
_UNKNOWN_WORD = b"[a word that no table knows]"

_IMAGE_SIZES = (64, 128, 224, 256, 299, 512)
_LENGTHS = (64, 16, 128, 1000, 1024, 4096, 16_000, 48_000)
"""What an open size of an image, and any other, is tried with; most nets halve it some times. A
table of positions may be shorter than 64, and a convolution over time see more."""

_WHOLE_NUMBERS = (9, 1, 0)
"""The largest integer that is tried where nothing is known: it may be an index into anything."""


@dataclass(frozen=True)
class ExampleCalls:
    """What a signature is called with, call after call, and what these values rest on."""

    calls: list[Call] = field(repr=False)  # each: input name to array
    origin: Origin
    basis: str  # the same for people, such as "20 calls of yours"
    # Made-up ones to make in their place, where the model refuses what the file takes: with
    # smaller numbers, then in other sizes.
    others: Sequence[Sequence[Call]] = field(default=(), repr=False)


class Lazily(Sequence[Any]):
    """A sequence whose items are made when they are asked for, and not kept."""

    def __init__(self, count: int, make: Callable[[int], Any]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        return self._make(range(self._count)[number])


def example_calls(
    graph: Graph,
    signature: Signature,
    count: int,
    inputs: Inputs | None = None,
    content: bytes | None = None,
) -> ExampleCalls:
    """Return the calls of a signature: the user's, else the best that the model tells.

    Args:
        graph: The model that is called.
        signature: What is called: its inputs are the names, dtypes and shapes of each call.
        count: How many calls to make up; the user's and stored ones are as many as there are.
        inputs: The user's, as ``given_inputs.given_calls`` takes them.
        content: The .tflite file that was made from the model, where there is one. Its constants
            tell more of the inputs, and it is tried with sizes that the signature leaves open.

    Raises:
        CallsError: The user's do not fit, or none can be made up.
    """
    facts = facts_of_inputs(graph, signature, content)
    quantized: dict[str, ValueRange] = {}
    if content is not None and format_of(graph).is_converted:
        quantized, described = _of_file(signature, content)
        if any(node.op == "QUANTIZE" for node in graph.nodes):
            described = {**_quantized_at_once(graph, signature, content), **described}
        facts = {**quantized, **described, **facts}
    if inputs is not None:
        in_order = any(variable.assigns for variable in graph.variables)
        given = given_calls(inputs, signature, facts, quantized=quantized, in_order=in_order)
        return ExampleCalls(given.calls, "given", given.basis)
    stored = _stored(graph, signature)
    if stored is not None:
        return ExampleCalls(stored.calls, "stored", stored.basis)
    real = [replace(s, dtype="float32") if s.name in quantized else s for s in signature.inputs]
    made = _MadeUp(real, facts)
    size, largest = _that_runs(made, content, signature.name)
    others = [one for one in made.attempts if one[0] == size and one[1] < largest]
    others += [one for one in made.attempts if one[0] > size and one[1] == largest]
    others = [one for one in others if made.fits(one[0])] if content else []
    known = [f"{printable(name)} {fact}" for name, fact in made.facts.items()]
    basis = f"made-up calls: {'; '.join(known)}" if known else "made-up calls"
    complete = bool(real) and all(spec.name in made.facts for spec in real)
    return ExampleCalls(
        made.calls(count, size, largest),
        "graph" if complete else "made up",
        basis,
        Lazily(len(others), lambda number: made.calls(count, *others[number])),
    )


def make_calls(signature: Signature, count: int) -> list[Call]:
    """Make up the inputs of successive calls of which nothing is known but the signature.

    Floats and complex numbers are standard normal; integers are 0 or 1, since they may be indices
    into a table of unknown length. The same calls are made each time.

    Raises:
        CallsError: An input is too large to be made up, or of a dtype that holds no numbers,
            truth values or strings.
    """
    return _MadeUp(signature.inputs, {}).calls(count)


class _MadeUp:
    """Makes calls up."""

    def __init__(self, specs: Sequence[TensorSpec], facts: Mapping[str, InputFact]) -> None:
        self._specs = specs
        self.facts = {spec.name: facts[spec.name] for spec in specs if spec.name in facts}

    @property
    def attempts(self) -> list[tuple[int, int]]:
        """The arguments of ``calls`` that are worth trying."""
        sizes = range(len(_LENGTHS) if any(map(_open_axes, self._specs)) else 1)
        unknown = any(
            spec.dtype.lstrip("u").startswith("int") and spec.name not in self.facts
            for spec in self._specs
        )
        largest = _WHOLE_NUMBERS if unknown else _WHOLE_NUMBERS[:1]
        return [(size, number) for size in sizes for number in largest]

    def fits(self, size: int) -> bool:
        """Tell whether a call with the sizes of one attempt is small enough to be tried."""
        values = sum(math.prod(closed_shape(spec, size)) for spec in self._specs)
        return values <= MOST_VALUES // 16

    def calls(self, count: int, size: int = 0, largest: int = 1) -> list[Call]:
        """Make calls up, with the sizes of one attempt for what is open."""
        random = np.random.default_rng(0)
        shapes = {spec.name: closed_shape(spec, size) for spec in self._specs}
        return [
            {s.name: self._values(random, s, shapes[s.name], largest, i) for s in self._specs}
            for i in range(count)
        ]

    def _values(
        self, random: Any, spec: TensorSpec, shape: tuple[int, ...], largest: int, number: int
    ) -> Array:
        name, dtype = printable(spec.name), spec.dtype
        if math.prod(shape) > MOST_VALUES:
            raise CallsError(
                f"input {name} has {math.prod(shape)} values: too many to make up, "
                "give inputs of your own"
            )
        fact = self.facts.get(spec.name)
        if dtype == "string":
            words = fact.keys if isinstance(fact, TableKeys) else _WORDS
            return _picked(random, shape, [*map(_word, words), _UNKNOWN_WORD], number)
        if dtype == "bool":
            return np.asarray(random.random(shape) < 0.5)
        if dtype in {"complex64", "complex128"}:
            both = random.standard_normal(shape) + 1j * random.standard_normal(shape)
            return np.asarray(both).astype(dtype)
        whole = dtype.removeprefix("u") in {"int8", "int16", "int32", "int64"}
        if not whole and dtype not in _FLOATS:
            fault = f"input {name} is {printable(dtype)}: no example can be made up"
            raise CallsError(f"{fault}, give inputs of your own")
        if fact is None and whole:
            pixels = dtype == "uint8" and image_layout(spec) is not None
            fact = ValueRange(0, 255 if pixels else largest, "", whole=True)
        drawn = _drawn(random, shape, fact, number)
        return _within(drawn, dtype) if whole else drawn.astype(dtype)


def _drawn(random: Any, shape: tuple[int, ...], fact: InputFact | None, number: int) -> Array:
    """Draw real numbers of what is known; standard normal ones where nothing is."""
    if isinstance(fact, TableKeys):
        keys = [key for key in fact.keys if isinstance(key, (int, float))] or [0, 1]
        return _picked(random, shape, [*keys, max(keys) + 1], number)
    if isinstance(fact, ValueRange):
        return _spread(random, shape, fact, number)
    normal = np.asarray(random.standard_normal(shape))
    if fact is None:
        return normal
    return _broadcast(fact.mean, shape) + _broadcast(fact.deviation, shape) * normal


def _word(key: Any) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()


def _picked(random: Any, shape: tuple[int, ...], choices: Sequence[Any], number: int) -> Array:
    """Pick values; the last ones, of which the very last is unknown, are in the first calls."""
    held = np.array(choices, object if isinstance(choices[0], bytes) else None)
    picked = np.array(held[random.integers(0, len(choices), shape)], held.dtype)
    if picked.size and number < len(choices):
        picked.flat[0] = choices[-1 - number]
    return picked


def _broadcast(values: Array, shape: tuple[int, ...]) -> Array:
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        return np.asarray(np.mean(values))


def _within(values: Array, dtype: str) -> Array:
    """Return whole numbers, inside what a dtype holds."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), float(limits.min), float(limits.max)).astype(dtype)


def _spread(random: Any, shape: tuple[int, ...], fact: ValueRange, number: int) -> Array:
    """Draw from a range: of a table every row alike, of an image patches beside each other.

    Pixels that know nothing of their neighbors are the same gray to a network that averages them.
    """
    if fact.index or len(shape) < 3:
        drawn = random.random(shape)
    else:
        coarse = random.random([min(size, 4) for size in shape])
        for axis, size in enumerate(shape):
            coarse = np.take(coarse, np.arange(size) * coarse.shape[axis] // max(size, 1), axis)
        drawn = 0.75 * coarse + 0.25 * random.random(shape)
    if not fact.whole:
        return np.asarray(fact.low + drawn * (fact.high - fact.low))
    values = np.floor(fact.low + drawn * (fact.high - fact.low + 1))
    values = np.asarray(np.clip(values, fact.low, fact.high))
    if values.size and number < 2:
        values.flat[0] = (fact.high, fact.low)[number]
    return values


def _open_axes(spec: TensorSpec) -> list[int]:
    """Return which dimensions are open besides the batch."""
    shape = spec.shape or ()
    first = 0 if len(shape) == 1 or _is_one_image(spec) else 1
    return [axis for axis in range(first, len(shape)) if shape[axis] is None]


def _is_one_image(spec: TensorSpec) -> bool:
    """Whether the first dimension is the height of an image, and no batch."""
    layout = image_layout(spec) if spec.dtype == "uint8" else None
    return layout is not None and not layout.batch


def closed_shape(spec: TensorSpec, attempt: int = 0) -> tuple[int, ...]:
    """Return sizes that a model of this kind would get, for those that are open.

    A batch is 1, an image 64 by 64, a sequence 64 long; later attempts have other sizes. An unknown
    rank becomes one dimension of 1.
    """
    if spec.shape is None:
        return (1,)
    layout = image_layout(spec)
    is_image = layout is not None and None in (layout.height, layout.width) and len(spec.shape) > 2
    choices = _IMAGE_SIZES if is_image and not _is_series(spec) else _LENGTHS
    size = choices[min(attempt, len(choices) - 1)]
    axes = _open_axes(spec)
    return tuple(
        (size if axis in axes else 1) if given is None else given
        for axis, given in enumerate(spec.shape)
    )


def _is_series(spec: TensorSpec) -> bool:
    """Whether a shape is that of a series: a batch of steps, each of few features."""
    return len(spec.shape or ()) == 3 and not _is_one_image(spec)


def _that_runs(made: _MadeUp, content: bytes | None, signature: str) -> tuple[int, int]:
    """Return the first attempt with which the file runs and answers something.

    Where it runs with none, the first one of all: what is wrong shows in the comparison.
    """
    attempts = made.attempts
    if content is None:
        return 0, 1
    if len(attempts) == 1:
        return attempts[0]
    fitting = []
    for one in attempts:
        if made.fits(one[0]):
            fitting.append((one, made.calls(1, *one)[0]))
    record = run_isolated(
        _first_running, content, signature, [c for _, c in fitting], timeout=60, tensorflow=False
    )
    found = record.value if record.ok else None
    return attempts[0] if found is None else fitting[found][0]


def _first_running(content: bytes, signature: str, calls: list[Call]) -> int | None:
    """Return which call the plain kernels answer first, in the child process."""
    for number, call in enumerate(calls):
        try:
            session = _opened(content, signature)
            fed = call if set(call) == set(session.inputs) else None
            answer = session(fed or dict(zip(session.inputs, call.values(), strict=True)))
        except (RuntimeError, ValueError, KeyError):
            continue
        if all(array.size for array in answer.values()):
            return number
    return None


def _opened(content: bytes, signature: str) -> Session:
    try:
        return Session(content, signature=signature or None, delegates=False, strict=False)
    except KeyError:  # the file has made up a name, or has one signature and no name for it
        return Session(content, delegates=False, strict=False)


def _of_file(
    signature: Signature, content: bytes
) -> tuple[dict[str, ValueRange], dict[str, ValueRange]]:
    """Return what quantization and metadata of a .tflite file say of its inputs' real values."""
    from varhandle.formats.stored_inputs import tensor_metadata
    from varhandle.formats.tflite_reader import input_tensors, quantized_inputs

    quantized = {}
    for name, (dtype, scale, zero_point) in quantized_inputs(content, signature.name).items():
        limits = np.iinfo(dtype)
        low, high = ((limit - zero_point) * scale for limit in (limits.min, limits.max))
        quantized[name] = snapped_range(low, high, "the range of its integers")
    described = {}
    tensors = input_tensors(content, signature.name)
    main = list(input_tensors(content, ""))
    for tensor, told in zip(main, tensor_metadata(content), strict=False):
        ends: list[float] = []
        if told.mean and told.std and all(told.std):
            pairs = zip(told.mean, told.std, strict=False)
            ends = [((value - mean) / std) for mean, std in pairs for value in (0, 255)]
        elif told.low and told.high:
            ends = [*told.low, *told.high]
        for name in (name for name, own in tensors.items() if own == tensor and ends):
            described[name] = snapped_range(min(ends), max(ends), "its metadata")
    return quantized, described


def _quantized_at_once(graph: Graph, signature: Signature, content: bytes) -> dict[str, ValueRange]:
    """Return the ranges of float inputs that a file makes integers before anything else."""
    from varhandle.formats.tflite_reader import input_tensors
    from varhandle.tflite.tensor_ranges import quantized_ranges

    called = {one.name: one for one in graph.signatures}.get(signature.name, graph.main_signature)
    steps = [
        (part.name, node)
        for part in graph.functions
        for node in part.nodes
        if node.op == "QUANTIZE"
    ]
    ranges = zip(steps, quantized_ranges(content).of_op("QUANTIZE"), strict=True)
    made = {(part, node.name): one for (part, node), one in ranges}
    nodes, found = graph.function(called.function).nodes, {}
    for name, tensor in input_tensors(content, signature.name).items():
        uses = [node for node in nodes if tensor in node.inputs]
        if [node.op for node in uses] == ["QUANTIZE"]:
            one = made[called.function, uses[0].name]
            found[name] = snapped_range(one.smallest, one.largest, "the range of its integers")
    return found


def _stored(graph: Graph, signature: Signature) -> GivenCalls | None:
    """Return the calls in a SavedModel's file of warm-up requests, where they fit."""
    from varhandle.formats.stored_inputs import WARM_UP, warm_up_requests

    folder = Path(format_of(graph).path_to_load(graph.source))
    requests = warm_up_requests(folder) if folder.is_dir() else []
    found = [arrays for name, arrays in requests if name == signature.name]
    if not found:
        return None
    try:
        calls = given_calls(found, signature).calls
    except CallsError:
        return None
    return GivenCalls(calls, f"{counted(len(calls), 'call')} stored with the model ({WARM_UP})")
