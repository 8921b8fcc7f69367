"""The value of every op of a model, call after call, as TensorFlow computes it; in a child process.

A model is traced, and what it calls is inlined (as the converter does it), so that one flat graph
is left, whose names are those that a converted file repeats. Branches and loops stay ops. The graph
is then called with every tensor among its outputs: its variables are the loaded model's own, and
keep their state from call to call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.formats.base import LoadedModel

Array = npt.NDArray[Any]

_CHUNK = 256 * 2**20  # bytes of values that are asked for at once

_WITHOUT_VALUE = frozenset({"NoOp", "Const", "VarHandleOp", "Assert"})


@dataclass(frozen=True)
class ModelOp:
    """One output of an op of the flat graph."""

    name: str  # ``node:0``
    op: str
    node: str
    inputs: tuple[str, ...]  # nodes, controls among them
    attributes: Any = None  # the NodeDef, for what looks inside a branch or a loop


class ModelTrace:
    """A loaded model whose ops can be looked at.

    ``loaded`` is a fresh copy; ``calls`` are what it will be called with: what they have in common
    of their shapes is what it is traced with.
    """

    def __init__(
        self, loaded: LoadedModel, signature: str | None, calls: Sequence[Mapping[str, Any]]
    ) -> None:
        session = getattr(loaded, "session", None)
        self._run = _Session(session, loaded) if session else _Traced(loaded, signature, calls)
        nodes = {node.name: node for node in self._run.graph_def.node}
        # With controls: what was read after an assignment rests on it.
        self._sources = {name: tuple(map(_node_of, node.input)) for name, node in nodes.items()}
        self.ops = [
            ModelOp(tensor, nodes[node].op, node, self._sources[node], nodes[node])
            for tensor in self._run.tensors
            for node in [_node_of(tensor)]
        ]
        self.outputs: Mapping[str, str] = self._run.outputs
        """Name of an output of the signature -> its tensor, among those of ``ops``."""

    @property
    def keeps_state(self) -> bool:
        """Whether a call may change what the next one answers."""
        return bool(self._run.state)

    @property
    def graph_def(self) -> Any:
        """The flat graph, with its library of functions."""
        return self._run.graph_def

    def __call__(self, call: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        """Make the next call; yield the tensors' names and values, in no particular order."""
        yield from self._run(call)

    def rests_on(self, tensor: str, other: str) -> bool:
        """Whether a tensor is computed from another, or is of the same node."""
        place = self._places.get(_node_of(other))
        return place is not None and bool(self._above.get(_node_of(tensor), 0) >> place & 1)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self._sources)}

    @cached_property
    def _above(self) -> dict[str, int]:
        """The nodes that each rests on, itself too, as bits; the ways back of loops left out."""
        found: dict[str, int] = {}
        entered: set[str] = set()
        waiting = list(self._sources)
        while waiting:
            name = waiting[-1]
            sources = self._sources.get(name, ())
            first = name not in entered
            entered.add(name)
            missing = [each for each in sources if each not in entered] if first else []
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if name not in found:
                bits = 1 << self._places[name] if name in self._places else 0
                for each in sources:
                    bits |= found.get(each, 0)
                found[name] = bits
        return found


def _node_of(tensor: str) -> str:
    return tensor.lstrip("^").split(":", 1)[0]


class _Traced:
    """A model that is called as a function."""

    def __init__(
        self, loaded: LoadedModel, signature: str | None, calls: Sequence[Mapping[str, Any]]
    ) -> None:
        import tensorflow as tf
        from tensorflow.python.framework import convert_to_constants

        self._loaded = loaded  # it keeps the variables alive
        self._specs = {
            name: _common_spec([np.asarray(c[name]) for c in calls]) for name in calls[0]
        }
        names = list(self._specs)

        def named(*values: Any) -> Mapping[str, Any]:
            return loaded(dict(zip(names, values, strict=True)), signature)

        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in self._specs.values()]
        self._function = tf.function(named, autograph=False).get_concrete_function(*specs)
        inline = convert_to_constants._run_inline_graph_optimization
        self.graph_def = inline(self._function, False, False)
        taken = [tensor.name for tensor in self._function.inputs]
        self._arguments, self._captured = taken[: len(names)], taken[len(names) :]
        flat = tf.Graph()
        with flat.as_default():
            tf.graph_util.import_graph_def(self.graph_def, name="")
        assigned = _assigned(self.graph_def)
        handles = zip(self._captured, self._function.captured_inputs, strict=True)
        self.state = [handle for name, handle in handles if _node_of(name) in assigned]
        found = [
            tensor
            for op in flat.get_operations()
            if op.type not in _WITHOUT_VALUE and not _is_weight(op, assigned)
            for tensor in op.outputs
            if tensor.dtype not in (tf.resource, tf.variant)
        ]
        self.tensors = [tensor.name for tensor in found]
        self._chunks = _chunks(found)
        self.outputs = {
            name: tensor.name for name, tensor in self._function.structured_outputs.items()
        }
        self._functions = [self._fetching(chunk) for chunk in self._chunks]

    def _fetching(self, tensors: Sequence[str]) -> Callable[..., Any]:
        import tensorflow as tf

        def body(*arguments: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            captured = [graph.capture(tensor) for tensor in self._function.captured_inputs]
            fed = dict(
                zip([*self._arguments, *self._captured], [*arguments, *captured], strict=True)
            )
            return tf.graph_util.import_graph_def(
                self.graph_def, input_map=fed, return_elements=list(tensors), name="traced"
            )

        return tf.function(body, autograph=False)

    def __call__(self, call: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        import tensorflow as tf

        fed = [tf.constant(call[name], dtype) for name, (_, dtype) in self._specs.items()]
        # Each further chunk makes the same call again, from the same state.
        state = self.state if len(self._chunks) > 1 else []
        before = [tf.raw_ops.ReadVariableOp(resource=h, dtype=_dtype(h)) for h in state]
        for number, (chunk, function) in enumerate(zip(self._chunks, self._functions, strict=True)):
            if number:
                for handle, value in zip(state, before, strict=True):
                    tf.raw_ops.AssignVariableOp(resource=handle, value=value)
            for name, value in zip(chunk, function(*fed), strict=True):
                yield name, value.numpy() if hasattr(value, "numpy") else np.asarray(value)


class _Session:
    """A GraphDef, which a session runs as it is."""

    def __init__(self, session: Any, loaded: Any) -> None:
        self._session = session
        graph = session.graph
        self.graph_def = graph.as_graph_def()
        # What a branch did not choose has no value, and what a loop computes has several.
        within: set[str] = set()
        found = []
        for op in graph.get_operations():
            if op.type in {"Switch", "RefSwitch", "Enter", "RefEnter"} or (
                op.type not in {"Merge", "Exit"} and any(t.op.name in within for t in op.inputs)
            ):
                within.add(op.name)
            elif op.type not in _WITHOUT_VALUE:
                found += [
                    t for t in op.outputs if t.dtype.base_dtype.name not in ("resource", "variant")
                ]
        self.tensors = [tensor.name for tensor in found]
        self._chunks = _chunks(found)
        self.outputs: dict[str, str] = loaded.fetches
        self.state = [op for op in graph.get_operations() if "Variable" in op.type]

    def __call__(self, call: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        feeds = {f"{name}:0": value for name, value in call.items()}
        for chunk in self._chunks:
            yield from zip(chunk, self._session.run(list(chunk), feeds), strict=True)


def _dtype(handle: Any) -> Any:
    """Return the dtype of the variable that a handle stands for."""
    return handle._handle_data.shape_and_type[0].dtype


def _common_spec(arrays: Sequence[Array]) -> tuple[list[int | None], Any]:
    """Return the shape that some arrays share, ``None`` where they differ, and their dtype."""
    shapes = {array.shape for array in arrays}
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError("the calls give one input with different numbers of dimensions")
    sizes = [set(size) for size in zip(*shapes, strict=True)]
    return [size.pop() if len(size) == 1 else None for size in sizes], arrays[0].dtype


def _assigned(graph_def: Any) -> set[str]:
    """Return the arguments of a flat graph that something else than a read takes."""
    passes = {node.name: node.input[0] for node in graph_def.node if node.op == "Identity"}

    def origin(name: str) -> str:
        while name in passes:
            name = _node_of(passes[name])
        return name

    return {
        origin(_node_of(each))
        for node in graph_def.node
        if node.op not in ("ReadVariableOp", "Identity", "ResourceGather")
        for each in node.input
        if not each.startswith("^")
    }


def _is_weight(op: Any, assigned: set[str]) -> bool:
    """Whether an op reads a variable that no call changes: a constant of the file."""
    if op.type != "ReadVariableOp":
        return False
    tensor = op.inputs[0]
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor.op.name not in assigned


def _chunks(tensors: Sequence[Any]) -> list[list[str]]:
    """Cut a list of tensors so that the values of each part fit into memory."""
    chunks: list[list[str]] = [[]]
    size = 0
    for tensor in tensors:
        count = tensor.shape.num_elements() if tensor.shape.rank is not None else None
        size += (count or 1) * max(tensor.dtype.size, 1)
        if size > _CHUNK and chunks[-1]:
            chunks.append([])
            size = 0
        chunks[-1].append(tensor.name)
    return chunks
