"""A model file as plain data, the same for every format.

Names follow the formats themselves: a *node* runs an *op* inside a *function* (a subgraph, in a
.tflite file); a *variable* is a value that nodes read and assign through a handle; a *signature* is
a named entry point into one function.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from varhandle.display import counted, one_line, printable
from varhandle.errors import VarhandleError

Item = TypeVar("Item", bound=Hashable)

_LONGEST_FAULT = 500

Shape = tuple["int | None", ...]
"""Dimensions, ``None`` where one is unknown. An unknown rank is ``None`` instead of a Shape."""

MOST_NODES = 2_000_000
"""Nodes above which a file is refused. The largest models have some hundred thousand; a file of a
few megabytes can claim more nodes than there is memory for."""

_MOST_SIGNATURES = 1_000
_MOST_REACHED = 30_000_000
"""Nodes that all signatures together may reach: each one is looked at once for each signature."""

_OUTPUT_INDEX = re.compile(r":(\d+)$")


def output_index(tensor: str) -> int:
    """Return which output of its node a tensor is, by its name (``node:1``, ``node:output:1``)."""
    match = _OUTPUT_INDEX.search(tensor)
    return int(match[1]) if match else 0


class ModelFileError(VarhandleError, ValueError):
    """A path (or ``<bytes>``) that holds no model that can be read; the fault is one line."""

    def __init__(self, path: object, fault: str) -> None:
        self.path = str(path)
        self.fault = one_line(fault, _LONGEST_FAULT)
        super().__init__(f"{printable(self.path, most=None)}: {self.fault}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.path, self.fault)


SAVE_AGAIN = "save it again in the program that it comes from, or copy all of it again"
"""What to do about a file that is damaged."""


GIVE_ORIGINAL = "give the model that the file was converted from"
"""What to do about a .tflite file where a model is wanted."""

NO_MODEL = f"neither a SavedModel nor a Keras file nor a GraphDef: {GIVE_ORIGINAL}"


def damaged_file(path: object, fault: str) -> ModelFileError:
    """Return the error for a file that is not as any program writes it, with what to do."""
    words = one_line(fault, _LONGEST_FAULT - len(SAVE_AGAIN) - 2).rstrip(".")
    return ModelFileError(path, f"{words}: {SAVE_AGAIN}")


def closure(starts: Iterable[Item], onward: Callable[[Item], Iterable[Item]]) -> dict[Item, None]:
    """Return all that can be reached from some items, and these, each once."""
    seen: dict[Item, None] = {}
    waiting = list(starts)
    while waiting:
        item = waiting.pop()
        if item not in seen:
            seen[item] = None
            waiting.extend(onward(item))
    return seen


def refuse_too_much(source: str, nodes: int, signatures: int = 0) -> None:
    """Raise for a file that claims more than any model has, before it fills memory."""
    if nodes > MOST_NODES:
        raise damaged_file(source, f"it claims {nodes:,} nodes, more than any model has")
    if signatures > _MOST_SIGNATURES or signatures * nodes > _MOST_REACHED:
        fault = f"it claims {signatures:,} signatures of {nodes:,} nodes, more than any model has"
        raise damaged_file(source, fault)


@dataclass(frozen=True)
class TensorSpec:
    """A tensor at the edge of a function: its name, dtype (``"float32"``) and shape."""

    name: str
    dtype: str
    shape: Shape | None


def shape_fits(shape: Sequence[int], declared: Sequence[int | None]) -> bool:
    """Whether a shape is one of those declared; ``None`` or -1 there is open."""
    return len(shape) == len(declared) and all(
        wanted is None or wanted < 0 or size == wanted
        for size, wanted in zip(shape, declared, strict=True)
    )


@dataclass(frozen=True)
class Node:
    """One operation."""

    name: str  # unique within its function
    op: str  # the op type, as the format spells it (``VarHandleOp``, ``VAR_HANDLE``, ``Dense``)
    inputs: tuple[str, ...] = ()  # the tensors that it takes, in order, as the format names them
    sources: tuple[str, ...] = ()  # the node or function input that makes each of ``inputs``
    control_inputs: tuple[str, ...] = ()  # nodes that must run before it; none in a .tflite file
    attributes: Mapping[str, object] = field(default_factory=dict, hash=False)
    """The op's settings as plain Python values; of a tensor among them, its ``TensorSpec``."""
    calls: tuple[str, ...] = ()  # functions that it calls (``PartitionedCall``, ``While``, ``IF``)


@dataclass(frozen=True)
class Function:
    """A function of a SavedModel, a subgraph of a .tflite file, or the one graph of the others."""

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True)
class Access:
    """One node that touches a variable, and the signatures from which its function is reached."""

    op: str
    node: str
    function: str
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variable:
    """A variable of a model."""

    name: str
    dtype: str
    shape: Shape | None
    reads: tuple[Access, ...] = ()
    assigns: tuple[Access, ...] = ()  # while a signature runs, not when it is restored or set first
    initialized: bool | None = None  # whether the file has a value; ``None`` if it cannot say
    owner: str | None = None
    """Path of the attribute that holds it in the object graph (``layers/0/kernel``); ``None`` if no
    object owns it or the format has no owners."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, fit for JSON; ``initialised`` is the spelling of that form."""
        told: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        told["initialised"] = told.pop("initialized")
        return told


@dataclass(frozen=True)
class Signature:
    """A named entry point: what a caller passes and gets, and the function that runs."""

    name: str
    function: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ends: tuple[str, ...] = ()
    """The nodes that give the outputs, in a graph of TensorFlow 1, of which nothing else runs but
    what they need; none of a function, which runs whole."""
    fed: tuple[str, ...] = ()
    """The nodes that the inputs stand for, likewise: what is fed does not run."""


class CustomObject(NamedTuple):
    """A class or a function that a model names, and that only the program that made it has."""

    name: str  # as it is looked up: ``PosEmb``, ``my_package>PosEmb``
    module: str | None = None  # of the class, where the file says so

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


@dataclass(frozen=True)
class Graph:
    """A whole model.

    Attributes:
        source: Path it was read from, or ``<bytes>``.
        format: The ``id`` of its format; ``formats.format_of`` answers questions about that.
        functions: Every function; the main graph comes first.
        variables: Every variable, sorted by name.
        signatures: Every signature, sorted by name.
        producer: What wrote it (``"TensorFlow 2.21.0"``), where the file says so.
        embedded_code: What it brings along that would run as code, or touch other files, if it
            were loaded: a line each.
        custom_objects: What it does not bring along and needs to be loaded, each once.
        has_old_optimizer: Whether a SavedModel holds an optimizer of Keras 2 with slot variables,
            for which ``tf.saved_model.load`` has no class.
    """

    source: str
    format: str
    functions: tuple[Function, ...]
    variables: tuple[Variable, ...] = ()
    signatures: tuple[Signature, ...] = ()
    producer: str | None = None
    embedded_code: tuple[str, ...] = ()
    custom_objects: tuple[CustomObject, ...] = ()
    has_old_optimizer: bool = False

    def __repr__(self) -> str:
        parts = {
            "node": list(self.nodes),
            "function": self.functions,
            "variable": self.variables,
            "signature": self.signatures,
        }
        counts = ", ".join(counted(len(part), noun) for noun, part in parts.items())
        return f"Graph({self.format}: {counts})"

    @property
    def nodes(self) -> Iterator[Node]:
        """Yield the nodes of every function."""
        for function in self.functions:
            yield from function.nodes

    @property
    def called_nodes(self) -> Iterator[Node]:
        """Yield the nodes that signatures can reach; every one of a model without signatures."""
        starts = [one.function for one in self.signatures]
        reached = {f.name: f for start in starts for f in self.reachable(start)}
        for function in reached.values() if starts else self.functions:
            yield from function.nodes

    @cached_property
    def _by_name(self) -> Mapping[str, Function]:
        return {function.name: function for function in self.functions}

    def function(self, name: str) -> Function:
        """Return the function of that name, or raise ``KeyError``."""
        return self._by_name[name]

    def variable(self, name: str) -> Variable:
        """Return the variable of that name, or raise ``KeyError``."""
        return {variable.name: variable for variable in self.variables}[name]

    def signature(self, name: str) -> Signature:
        """Return the signature of that name, or raise ``KeyError``."""
        return {signature.name: signature for signature in self.signatures}[name]

    @property
    def main_signature(self) -> Signature:
        """The inputs and outputs of the main graph, as a signature without a name."""
        main = self.functions[0]
        return Signature("", main.name, main.inputs, main.outputs)

    def reachable(self, *functions: str) -> tuple[Function, ...]:
        """Return functions and all that they call, each once; none for an unknown name."""

        def called(name: str) -> Iterator[str]:
            for node in self._by_name[name].nodes if name in self._by_name else ():
                yield from reversed(node.calls)

        names = closure(functions, called)
        return tuple(self._by_name[name] for name in names if name in self._by_name)

    def nodes_of(self, signature: str) -> Iterator[Node]:
        """Yield the nodes that one signature runs: the parts of the main graph that it needs."""
        entry = self.signature(signature)
        if not entry.ends:
            for function in self.reachable(entry.function):
                yield from function.nodes
            return
        nodes = {node.name: node for node in self.function(entry.function).nodes}

        for name in entry.fed:
            nodes.pop(name, None)

        def needed(name: str) -> Iterator[str]:
            if name in nodes:
                yield from (*nodes[name].sources, *nodes[name].control_inputs)

        live = [nodes[name] for name in closure(entry.ends, needed) if name in nodes]
        yield from live
        called = (one for node in live for name in node.calls for one in self.reachable(name))
        for function in {one.name: one for one in called}.values():
            yield from function.nodes

    def op_counts(self, signature: str | None = None) -> Counter[str]:
        """Count the nodes of each op, of the whole model or of what one signature runs."""
        nodes = self.nodes if signature is None else self.nodes_of(signature)
        return Counter(node.op for node in nodes)
