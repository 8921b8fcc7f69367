"""The flat graph of a model, and what can be built of a part of it; in child processes.

What a signature calls is inlined, as the converter does it, so that one graph is left. A part of it
is built anew as a SavedModel: a tensor that comes from outside the part becomes an input, what
nobody in the part takes becomes an output, and a variable keeps its value. A part of a GraphDef
stays a GraphDef, since that is converted in another way.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from varhandle.errors import InternalError
from varhandle.formats import format_of
from varhandle.formats.base import ModelSource
from varhandle.graph import Graph
from varhandle.graph.model import closure
from varhandle.graph.op_roles import VARIABLES, variable_role
from varhandle.sandbox import run_isolated
from varhandle.savedmodel.resave_tracked import export_keras

SIGNATURE = "serving_default"
SAVED_MODEL, GRAPH_DEF = "saved_model", "graph.pb"
Spec = tuple[str, tuple[int | None, ...] | None]
"""The dtype and the shape of a tensor."""

_OF_NO_VALUE = ("resource", "variant")
_FEW = 3
"""Ops that a part is named by, and numbers of a constant that are told."""

_LARGEST_VALUE = 2**20  # bytes; a larger variable is rebuilt with zeros
_VALUES = frozenset({"Const", "Placeholder", "NoOp"})
"""Ops that are never left out of a part by themselves: they come with whatever takes them."""


@dataclass(frozen=True)
class Held:
    """A variable that a graph takes from outside."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None  # as declared, which may be more open than the value's
    value: Any  # an array, or None for zeros where it is too large to be kept


@dataclass(frozen=True)
class FlatGraph:
    """A graph in plain data, so that it can be sent to a child process, and looked at without one.

    Attributes:
        graph_def: The serialized GraphDef, with its library of functions.
        ops: Name of a node -> its op, in the order of the graph.
        specs: Name of each tensor (``node:0``) -> its dtype and shape.
        variables: Name of the placeholder of a handle -> the variable.
        as_graph_def: Whether parts of it are converted as a GraphDef.
    """

    graph_def: bytes
    ops: Mapping[str, str]
    specs: Mapping[str, Spec]
    variables: Mapping[str, Held]
    as_graph_def: bool = False

    @property
    def divisible(self) -> list[str]:
        """The nodes that a part may have or not."""
        return [name for name, op in self.ops.items() if op not in _VALUES]

    def message(self) -> Any:
        """Return the GraphDef as TensorFlow's object."""
        import tensorflow as tf

        return tf.compat.v1.GraphDef.FromString(self.graph_def)


def tensor_of(source: str) -> str:
    """Return an input of a node as the name of a tensor: ``node`` is ``node:0``."""
    return source if ":" in source else f"{source}:0"


def node_of(source: str) -> str:
    """Return the node that an input of a node, or a control input, comes from."""
    return source.lstrip("^").split(":", 1)[0]


def flatten_saved_model(path: str, signature: str) -> FlatGraph:
    """Read a signature of a SavedModel."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    from varhandle.formats.saved_model import load_old_optimizers

    load_old_optimizers()
    loaded = tf.saved_model.load(path)
    function = loaded.signatures[signature]
    graph_def = convert_to_constants._run_inline_graph_optimization(function, False, False)
    captured = [tensor.name for tensor in function.inputs][-len(function.captured_inputs) :]
    handles = {id(variable.handle): variable for variable in function.variables}
    tables = dict(_tables(loaded))
    variables = {}
    for name, handle in zip(captured, function.captured_inputs, strict=False):
        held = handles.get(id(handle))
        if held is not None:
            variables[node_of(name)] = _held(held)
        elif handle.dtype == tf.resource and (made := tables.get(id(handle))):
            _put(graph_def, node_of(name), made)
    return flat_of(graph_def, variables)


def flat_of(graph_def: Any, variables: Mapping[str, Held], as_graph_def: bool = False) -> FlatGraph:
    """Return a graph as plain data; without specs where no TensorFlow imports it."""
    _forget_passing(graph_def)
    ops = {node.name: node.op for node in graph_def.node}
    try:
        specs = _specs(graph_def, variables)
    except ValueError:
        specs = {}
    return FlatGraph(graph_def.SerializeToString(), ops, specs, variables, as_graph_def)


def _held(variable: Any) -> Held:
    shape = None if variable.shape.rank is None else tuple(variable.shape.as_list())
    value = None
    if np.prod(variable.shape.as_list() if shape and None not in shape else [1]) < _LARGEST_VALUE:
        with contextlib.suppress(Exception):  # it was never given a value
            value = variable.numpy()
    return Held(plain_name(variable.name.split(":")[0]), variable.dtype.name, shape, value)


def plain_name(name: str) -> str:
    """Return the name of a variable of TF1 without what loading adds to it."""
    return re.sub(r"_load_\d+$", "", name)


def _tables(loaded: Any) -> Iterator[tuple[int, Any]]:
    """Yield the handle of each table of a loaded model, and the node that makes one."""
    import tensorflow as tf

    for each in tf.train.TrackableView(loaded).descendants():
        create = getattr(each, "_create_resource", None)
        if create is None or not hasattr(create, "concrete_functions"):
            continue
        for node in create.concrete_functions[0].graph.as_graph_def().node:
            if node.op.endswith(("TableV2", "Table")) and not node.input:
                yield id(each.resource_handle), node


def _put(graph_def: Any, name: str, made: Any) -> None:
    """Let a graph make a table itself, where it takes one from outside."""
    for node in graph_def.node:
        if node.name == name:
            node.CopyFrom(made)
            node.name = name


def flatten_graph_def(model_format: Any, path: str) -> FlatGraph:
    """Read a GraphDef of TF1."""
    return flat_of(model_format.graph_def(path), {}, as_graph_def=True)


def _forget_passing(graph_def: Any) -> None:
    """Let ops take a handle itself, and not what an Identity passes on of it.

    Inlining leaves such ops behind, and a variable that is read through one is not frozen.
    """
    resource = 20  # DT_RESOURCE
    passing = {
        node.name: node.input[0]
        for node in graph_def.node
        if node.op == "Identity" and node.attr["T"].type == resource
    }
    kept = [node for node in graph_def.node if node.name not in passing]
    for node in kept:
        for place, source in enumerate(node.input):
            origin = source
            while node_of(origin) in passing:
                origin = passing[node_of(origin)]
            node.input[place] = f"^{node_of(origin)}" if source[0] == "^" else origin
    del graph_def.node[:]
    graph_def.node.extend(kept)


def _specs(graph_def: Any, variables: Mapping[str, Held]) -> dict[str, Spec]:
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        handles = {
            f"{name}:0": tf.raw_ops.VarHandleOp(dtype=held.dtype, shape=tf.TensorShape(held.shape))
            for name, held in variables.items()
        }  # a placeholder of a handle does not tell the shape of what is read from it
        tf.graph_util.import_graph_def(graph_def, input_map=handles, name="")
    return {
        tensor.name: (
            tensor.dtype.base_dtype.name,
            None if tensor.shape.rank is None else tuple(tensor.shape.as_list()),
        )
        for op in graph.get_operations()
        for tensor in op.outputs
    }


@dataclass(frozen=True)
class Part:
    """Some nodes of a flat graph, and what they need to stand alone."""

    message: Any  # TensorFlow's GraphDef
    nodes: tuple[str, ...]
    inputs: Mapping[str, str]  # tensor from outside -> the placeholder in its place
    handles: tuple[str, ...]
    outputs: tuple[str, ...]


class CannotPartError(InternalError, ValueError):
    """A part takes something from outside that is neither a value nor a variable."""


def part(flat: FlatGraph, names: Collection[str]) -> Part:
    """Cut some nodes out of a graph.

    What makes a handle or a list that one of them takes comes along, and so do constants.
    """
    whole = flat.message()
    nodes = {node.name: node for node in whole.node}

    def along(name: str) -> list[str]:
        return [
            node_of(source)
            for source in nodes[name].input
            if not source.startswith("^") and _comes_along(flat, source)
        ]

    kept = set(closure(names, along))
    message = type(whole)(versions=whole.versions)
    inputs: dict[str, str] = {}
    taken: set[str] = set()
    for name in filter(kept.__contains__, nodes):
        node = nodes[name]
        copied = message.node.add()
        copied.CopyFrom(node)
        del copied.input[:]
        copied.attr.pop("_class", None)  # it may name a node that is left out
        for source in node.input:
            if node_of(source) in kept:
                copied.input.append(source)
                taken.add(tensor_of(source))
            elif not source.startswith("^"):
                tensor = tensor_of(source)
                own = flat.ops[node_of(source)] == "Placeholder"
                fed = node_of(source) if own else f"input_{len(inputs)}"
                copied.input.append(inputs.setdefault(tensor, fed))
    for tensor, name in inputs.items():
        _add_placeholder(message, name, *flat.specs[tensor])
    _add_library(whole, message)
    for name in sorted(kept):
        if flat.ops[name] == "Placeholder" and name not in flat.variables:
            inputs[f"{name}:0"] = name
    handles = tuple(name for name in flat.variables if name in kept)
    outputs = tuple(
        tensor
        for tensor, (dtype, _) in (flat.specs or _sinks(flat, taken)).items()
        if node_of(tensor) in kept
        and tensor not in taken
        and dtype not in _OF_NO_VALUE
        and flat.ops[node_of(tensor)] not in _VALUES
    )
    inner = tuple(name for name in flat.ops if name in kept)
    return Part(message, inner, inputs, handles, outputs)


def _sinks(flat: FlatGraph, taken: Collection[str]) -> dict[str, Spec]:
    """Return what stands for the outputs, where it is not known which tensors there are."""
    return {f"{name}:0": ("", None) for name in flat.ops if f"{name}:0" not in taken}


def _comes_along(flat: FlatGraph, source: str) -> bool:
    dtype, _ = flat.specs.get(tensor_of(source), ("variant", None))
    return dtype in _OF_NO_VALUE or flat.ops[node_of(source)] == "Const"


def _add_placeholder(
    message: Any, name: str, dtype: str, shape: tuple[int | None, ...] | None
) -> None:
    import tensorflow as tf

    if dtype in _OF_NO_VALUE:
        raise CannotPartError(name)
    node = message.node.add(op="Placeholder", name=name)
    node.attr["dtype"].type = tf.as_dtype(dtype).as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())


def _add_library(whole: Any, message: Any) -> None:
    """Add the functions that the nodes of a message call."""
    functions = {one.signature.name: one for one in whole.library.function}

    def called(nodes: Iterable[Any]) -> Iterator[str]:
        for node in nodes:
            for value in node.attr.values():
                yield from (f.name for f in (value.func, *value.list.func) if f.name in functions)

    needed = closure(called(message.node), lambda name: called(functions[name].node_def))
    message.library.function.extend(functions[name] for name in needed)


def alone(flat: FlatGraph, names: Collection[str]) -> tuple[FlatGraph, dict[str, str]]:
    """Return a part as a graph of its own, in a child process.

    And what it takes: the tensor of the whole graph -> the placeholder in its place.
    """
    cut = part(flat, names)
    held = {name: flat.variables[name] for name in cut.handles}
    return flat_of(cut.message, held, flat.as_graph_def), dict(cut.inputs)


def write_part(
    flat: FlatGraph, names: Collection[str], folder: str, outputs: Sequence[str] = ()
) -> tuple[dict[str, list[int | None] | None], list[str]]:
    """Write a part of a graph as a model of its own: ``saved_model`` or ``graph.pb`` in a folder.

    It gives ``outputs``, or what nobody in it takes. Returns the shape of each input by name, and
    the nodes that give outputs. ``CannotPartError`` if it cannot stand alone.
    """
    cut = part(flat, names)
    cut = replace(cut, outputs=tuple(outputs) or cut.outputs)
    shapes = {name: _spec(flat, cut, name)[1] for name in cut.inputs.values()}
    if flat.as_graph_def:
        Path(folder, GRAPH_DEF).write_bytes(cut.message.SerializeToString())
    else:
        _save(flat, cut, str(Path(folder, SAVED_MODEL)))
    ends = sorted({node_of(tensor) for tensor in cut.outputs})
    return {n: None if shape is None else list(shape) for n, shape in shapes.items()}, ends


def _save(flat: FlatGraph, cut: Part, path: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.held = [_variable(flat.variables[name]) for name in cut.handles]
    specs = [
        tf.TensorSpec(shape, dtype, name=name)
        for name in cut.inputs.values()
        for dtype, shape in [_spec(flat, cut, name)]
    ]

    def step(*values: Any) -> Mapping[str, Any]:
        graph = tf.compat.v1.get_default_graph()
        handles = [graph.capture(variable.handle) for variable in module.held]
        names = [*cut.inputs.values(), *cut.handles]
        fed = {f"{n}:0": v for n, v in zip(names, [*values, *handles], strict=True)}
        found = tf.graph_util.import_graph_def(
            cut.message, input_map=fed, return_elements=list(cut.outputs), name=""
        )
        made = {f"output_{number}": tf.identity(one) for number, one in enumerate(found)}
        return made or {"done": tf.constant(0.0)}

    module.step = tf.function(step, input_signature=specs, autograph=False)
    tf.saved_model.save(module, path, signatures={SIGNATURE: module.step})


def _spec(flat: FlatGraph, cut: Part, name: str) -> tuple[str, Any]:
    tensor = next(tensor for tensor, placeholder in cut.inputs.items() if placeholder == name)
    return flat.specs.get(tensor, ("float32", None))


def _variable(held: Held) -> Any:
    import tensorflow as tf

    value = held.value
    if value is None:
        value = np.zeros([size or 1 for size in held.shape or ()], tf.as_dtype(held.dtype).name)
    return tf.Variable(value, dtype=held.dtype, shape=tf.TensorShape(held.shape), name=held.name)


def convert_part(flat: FlatGraph, names: Collection[str], folder: str) -> bytes:
    """Convert a part of a graph, as a part of its own; the child process may end of it."""
    import tensorflow as tf

    shapes, outputs = write_part(flat, names, folder)
    if flat.as_graph_def:
        opened = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph
        converter = opened(str(Path(folder, GRAPH_DEF)), list(shapes), outputs, shapes)
    else:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder, SAVED_MODEL)))
    content: bytes = converter.convert()
    return content


def call_part(flat: FlatGraph, folder: str) -> None:
    """Let TensorFlow call a part that stands alone, with ones; raises what it raises."""
    import tensorflow as tf

    write_part(flat, flat.divisible, folder)
    loaded = tf.saved_model.load(str(Path(folder, SAVED_MODEL)))
    function = loaded.signatures[SIGNATURE]
    _, specs = function.structured_input_signature
    shapes = {name: [size or 1 for size in spec.shape or ()] for name, spec in specs.items()}
    function(**{n: tf.ones(shapes[n], spec.dtype) for n, spec in specs.items()})


def bodies(flat: FlatGraph, name: str) -> list[FlatGraph]:
    """Return the graphs that a node calls, such as a loop's condition and body; in a child."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

    whole = flat.message()
    node = next(node for node in whole.node if node.name == name)
    functions = {one.signature.name: one for one in whole.library.function}
    called = [f.name for value in node.attr.values() for f in (value.func, *value.list.func)]
    taken = [source for source in node.input if source[0] != "^"]
    found = []
    for function in (functions[each] for each in called if each in functions):
        graph_def, _ = function_def_to_graph_def(function)
        graph_def.library.CopyFrom(whole.library)
        arguments = [argument.name for argument in function.signature.input_arg]
        given = taken[len(taken) - len(arguments) :]  # a branch does not take the condition
        held = {
            argument: flat.variables[node_of(source)]
            for argument, source in zip(arguments, given, strict=False)
            if node_of(source) in flat.variables
        }
        found.append(flat_of(graph_def, held, flat.as_graph_def))
    return found


def smallest(names: Sequence[str], fails: Callable[[Sequence[str]], bool]) -> list[str]:
    """Leave nodes out, halves first, as long as what is left fails."""
    left = list(names)
    size = max(len(left) // 2, 1)
    while True:
        start, before = 0, len(left)
        while start < len(left) and len(left) > 1:
            fewer = left[:start] + left[start + size :]
            if fewer and fails(fewer):
                left = fewer
            else:
                start += size
        if size == 1 and len(left) == before:
            return left
        size = max(size // 2, 1)


def flattened(
    graph: Graph, source: ModelSource, signature: str | None, folder: str
) -> FlatGraph | None:
    """Return a model's flat graph, read in a child; ``None`` where TensorFlow makes none of it.

    ``folder`` is for what a Keras model is exported to.
    """
    model_format, path = format_of(graph), source.path
    if model_format.needs_checkpoint:
        record = run_isolated(flatten_graph_def, model_format, path, reads=[path])
        return record.value if record.ok else None
    if model_format.can_export:
        path, signature = str(Path(folder, "exported")), SIGNATURE
        export = source.path, path, source.trust, source.imports
        run_isolated(export_keras, *export, reads=source.reads, writes=[folder])
    record = run_isolated(flatten_saved_model, path, signature, reads=[path])
    return record.value if record.ok else None


@dataclass(frozen=True)
class PartNode:
    """A node of a part, and the dtype and shape of what it takes and gives."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class PartOutline:
    """What a part is made of: nodes but for constants, and what the graph does to its variables."""

    names: tuple[str, ...]  # the nodes that it was cut by
    nodes: tuple[PartNode, ...]
    variables: tuple[Mapping[str, Any], ...]

    @property
    def blamed(self) -> tuple[str, ...]:
        """The ops that are left, where they are few."""
        ops = tuple(dict.fromkeys(node.op for node in self.nodes))
        return ops if len(ops) <= _FEW else ()

    def as_dict(self) -> dict[str, Any]:
        """Return the nodes and the variables, fit for JSON."""
        nodes = [
            {"name": n.name, "op": n.op, "inputs": list(n.inputs), "outputs": list(n.outputs)}
            for n in self.nodes
        ]
        return {"nodes": nodes, "variables": [dict(one) for one in self.variables]}


def outline(flat: FlatGraph, names: Collection[str]) -> PartOutline:
    """Describe a part of a graph, in a child process."""
    cut = part(flat, names)
    whole = {node.name: node for node in flat.message().node}
    hidden = {"Const", "NoOp"} if len(cut.nodes) > 1 else set()
    shown = [
        whole[name]
        for name in cut.nodes
        if name not in flat.variables and flat.ops[name] not in hidden
    ]
    nodes = [
        PartNode(
            node.name,
            node.op,
            tuple(_told(flat, whole, source) for source in node.input if source[0] != "^"),
            tuple(_spec_words(spec) for spec in _given(flat, node.name)),
        )
        for node in shown
    ]
    held = {name: flat.variables[name] for name in cut.handles}
    held |= {n.name: _made(n) for n in shown if n.op in VARIABLES}
    variables = [_use(one, _users(whole.values(), name)) for name, one in held.items()]
    return PartOutline(tuple(names), tuple(nodes), tuple(variables))


def _told(flat: FlatGraph, nodes: Mapping[str, Any], source: str) -> str:
    origin = flat.variables.get(node_of(source))
    if origin:
        return origin.name
    spec = flat.specs.get(tensor_of(source), ("variant", None))
    if spec[0] in _OF_NO_VALUE:
        return node_of(source)
    node, (_, shape) = nodes[node_of(source)], spec
    small = node.op == "Const" and math.prod(size or 0 for size in shape or ()) <= _FEW
    return f"{_spec_words(spec)}{_small_value(node) if small else ''}"


def _given(flat: FlatGraph, name: str) -> Iterator[Spec]:
    """Yield the specs of the values that a node gives."""
    for number in itertools.count():
        spec = flat.specs.get(f"{name}:{number}")
        if spec is None:
            return
        if spec[0] not in _OF_NO_VALUE:
            yield spec


def _spec_words(spec: Spec) -> str:
    dtype, shape = spec
    return f"{dtype} {'?' if shape is None else [-1 if n is None else n for n in shape]}"


def _small_value(constant: Any) -> str:
    import tensorflow as tf

    value = tf.make_ndarray(constant.attr["value"].tensor)
    return f" = {value.tolist()}" if value.dtype.kind in "biuf" else ""


def _made(node: Any) -> Held:
    import tensorflow as tf

    shape = tf.TensorShape(node.attr["shape"].shape)
    sizes = None if shape.rank is None else tuple(shape.as_list())
    name = node.attr["shared_name"].s.decode() or node.name
    return Held(plain_name(name), tf.as_dtype(node.attr["dtype"].type).name, sizes, None)


def _users(nodes: Iterable[Any], handle: str) -> list[str]:
    """Return the ops that take a handle."""
    users = (n.op for n in nodes if handle in [node_of(s) for s in n.input if s[0] != "^"])
    return list(dict.fromkeys(users))


def _use(held: Held, ops: Sequence[str]) -> dict[str, Any]:
    updates = [op for op in ops if variable_role(op) == "assign"]
    return {
        "name": held.name,
        "dtype": held.dtype,
        "shape": None if held.shape is None else [-1 if n is None else n for n in held.shape],
        "reads": [op for op in ops if op not in updates],
        "updates": updates,
    }
