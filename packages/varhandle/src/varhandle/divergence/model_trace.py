"""The value of every op of a model, call after call, as TensorFlow computes it; in a child process.

A model is traced, and what it calls is inlined (as the converter does it), so that one flat graph
is left, whose names are those that a converted file repeats. Branches and loops stay ops. The graph
is then called with every tensor among its outputs: its variables are the loaded model's own, and
keep their state from call to call. What a loop or a branch calls is such a graph of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.divergence.flat_graph import plain_name
from varhandle.divergence.tf1_control_flow import with_functional_control, with_inlined_calls
from varhandle.formats.base import LoadedModel
from varhandle.graph.model import closure

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


@dataclass(frozen=True)
class ModelPart:
    """What a model computes of some of its tensors, with its weights, as plain data.

    Attributes:
        graph_def: The serialized GraphDef, without variables.
        given: The tensors that it is called with -> their shapes.
        wanted: The tensor that it returns.
    """

    graph_def: bytes
    given: Mapping[str, tuple[int, ...]]
    wanted: str

    def __call__(self, values: Sequence[Array]) -> Array:
        """Return the tensor for values in the order of ``given``, of any shape of their sizes."""
        session, graph = self._session
        fed = {
            name: np.reshape(value, shape).astype(
                graph.get_tensor_by_name(name).dtype.as_numpy_dtype
            )
            for (name, shape), value in zip(self.given.items(), values, strict=True)
        }
        return np.asarray(session.run(self.wanted, fed))

    @cached_property
    def _session(self) -> tuple[Any, Any]:
        import tensorflow as tf

        return _opened(tf.compat.v1.GraphDef.FromString(self.graph_def))


class ModelTrace:
    """A loaded model whose ops can be looked at.

    ``loaded`` is a fresh copy; ``calls`` are what it will be called with: what they have in common
    of their shapes is what it is traced with.
    """

    def __init__(
        self, loaded: LoadedModel, signature: str | None, calls: Sequence[Mapping[str, Any]]
    ) -> None:
        session = getattr(loaded, "session", None)
        self._take(_Session(session, loaded) if session else _traced(loaded, signature, calls))

    def _take(self, run: _Session | _Traced, variables: Mapping[int, str] | None = None) -> None:
        self._run = run
        self._variables = run.variables if variables is None else variables
        self.nodes = nodes = {node.name: node for node in self._run.graph_def.node}
        # With controls: what was read after an assignment rests on it.
        self._sources = {name: tuple(map(_node_of, node.input)) for name, node in nodes.items()}
        self.ops = [
            ModelOp(tensor, nodes[node].op, node, self._sources[node])
            for tensor in self._run.tensors
            for node in [_node_of(tensor)]
        ]
        self.outputs: Mapping[str, str] = self._run.outputs
        """Name of an output of the signature -> its tensor, among those of ``ops``."""
        self.arguments: Mapping[str, str] = self._run.arguments
        """Name of what a call gives -> the tensor that takes it."""

    @property
    def keeps_state(self) -> bool:
        """Whether a call may change what the next one answers."""
        return bool(self._run.state)

    def __call__(self, call: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Make the next call; yield the tensors' names and values, in no particular order.

        A list of tensors that is an output is TensorFlow's own value.
        """
        yield from self._run(call)

    def saved(self) -> Sequence[Any]:
        """Return what the variables hold that a call may change, for ``restore``."""
        return self._run.saved()

    def named_state(self, state: Sequence[Any]) -> dict[str, Array]:
        """Return what was ``saved`` by the names of the variables, as far as they are known."""
        named = zip(self._run.state, state, strict=False)
        return {self.variable_of(handle): np.asarray(value) for handle, value in named}

    def restore(self, state: Sequence[Any]) -> None:
        """Let the variables hold again what they held."""
        self._run.restore(state)

    def inputs_of(self, node: str, call: Mapping[str, Any]) -> list[Any]:
        """Make a call as far as a node; return what it takes, as TensorFlow's values."""
        return self._run.inputs_of(self.nodes[node], call)

    def part(self, given: Mapping[str, tuple[int, ...]], wanted: str) -> ModelPart:
        """Return what computes a tensor of others, by their names and shapes.

        Variables hold what they hold now. ``ValueError`` if it takes something else as well.
        """
        given = {self._handed_on(name): shape for name, shape in given.items()}
        wanted = self._handed_on(wanted)
        reached = closure(
            [wanted],
            lambda name: (
                self._handed_on(source)
                for source in self.nodes[_node_of(name)].input
                if name not in given and source[0] != "^"
            ),
        )
        if wanted in given or not reached.keys() >= given.keys():
            raise ValueError(f"{wanted} is not computed of these")
        above = {_node_of(name) for name in reached.keys() - given.keys()}
        if above & {*map(_node_of, self.arguments.values())}:
            raise ValueError(f"{wanted} takes something else as well")
        return _frozen(self._run, above, given, wanted, self._handed_on)

    def _handed_on(self, source: str) -> str:
        """Return the tensor that an IdentityN, which has several, hands on; another as it is."""
        tensor = _tensor_of(source)
        while self.nodes[_node_of(tensor)].op == "IdentityN":
            node, _, place = tensor.partition(":")
            tensor = _tensor_of(self.nodes[node].input[int(place)])
        return tensor

    def callee(self, node: str, attribute: str, values: Sequence[Any]) -> ModelTrace:
        """Return the graph that a node calls, which takes some values.

        It is called with the values by their place, and gives its outputs by theirs; handles of
        variables are left out.
        """
        name = self.nodes[node].attr[attribute].func.name
        made = ModelTrace.__new__(ModelTrace)
        made._take(_called(self._run.graph_def, name, values), self._variables)
        return made

    def rests_on(self, tensor: str, other: str) -> bool:
        """Whether a tensor is computed from another, or is of the same node."""
        place = self._places.get(_node_of(other))
        return place is not None and bool(self._above.get(_node_of(tensor), 0) >> place & 1)

    def variable_of(self, handle: Any) -> str:
        """Return the name of the variable that a handle stands for; empty if it is not known."""
        return self._variables.get(id(handle), "")

    def begins_with(self, tensor: str) -> Array | str:
        """Return what a loop's output is before the first round: a constant, or another tensor."""
        node, _, place = tensor.partition(":")
        source = self.nodes[node].input[int(place)]
        made = self.nodes[_node_of(self.origin(source))]
        return _constant(made) if made.op == "Const" else _tensor_of(source)

    def origin(self, tensor: str) -> str:
        """Return the tensor that an output of an Identity hands on; any other as it is."""
        while self.nodes[_node_of(tensor)].op == "Identity":
            tensor = self.nodes[_node_of(tensor)].input[0]
        return _tensor_of(tensor)

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


def _frozen(
    run: _Session | _Traced,
    names: Collection[str],
    given: Mapping[str, Any],
    wanted: str,
    handed_on: Callable[[str], str],
) -> ModelPart:
    """Make a graph of some nodes of a model, with the values of its variables."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    cut = type(run.graph_def)(versions=run.graph_def.versions)
    cut.library.CopyFrom(run.graph_def.library)
    for node in run.graph_def.node:
        if node.name in names:
            copied = cut.node.add()
            copied.CopyFrom(node)
            copied.attr.pop("_class", None)  # it may name a node that is left out
            del copied.input[:]
            copied.input.extend(handed_on(source) for source in node.input if source[0] != "^")

    def body(*fed: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        for variable in run.held:  # what is captured of these becomes a constant
            graph.watch_variable(variable)
        taken = {f"{name}:0": one for name, one in run.handles.items() if name in names}
        sources = {
            name: graph.capture(one) if one.dtype == tf.resource else tf.constant(one.numpy())
            for name, one in taken.items()
        }
        sources.update(zip(given, fed, strict=True))
        return tf.graph_util.import_graph_def(
            cut, input_map=sources, return_elements=[wanted], name="part"
        )

    specs = [tf.TensorSpec(shape, run.dtypes[name]) for name, shape in given.items()]
    function = tf.function(body, autograph=False).get_concrete_function(*specs)
    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    fed = dict(zip((one.name for one in frozen.inputs), given.values(), strict=True))
    return ModelPart(frozen.graph.as_graph_def().SerializeToString(), fed, frozen.outputs[0].name)


def _node_of(tensor: str) -> str:
    return tensor.lstrip("^").split(":", 1)[0]


def _traced(
    loaded: LoadedModel, signature: str | None, calls: Sequence[Mapping[str, Any]]
) -> _Traced:
    """Trace a model that is called as a function."""
    import tensorflow as tf

    specs = {
        name: tf.TensorSpec(*_common_spec([np.asarray(c[name]) for c in calls]))
        for name in calls[0]
    }

    def named(*values: Any) -> Mapping[str, Any]:
        return loaded(dict(zip(specs, values, strict=True)), signature)

    return _Traced(named, specs)


def _called(whole: Any, name: str, values: Sequence[Any]) -> _Traced:
    """Trace a function of a graph's library, which takes some values."""
    import tensorflow as tf
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

    function = next(each for each in whole.library.function if each.signature.name == name)
    _make_known(whole)
    graph_def, flat_names = function_def_to_graph_def(function)
    graph_def.library.CopyFrom(whole.library)
    arguments = [f"{argument.name}:0" for argument in function.signature.input_arg]
    given = [flat_names[function.ret[one.name]] for one in function.signature.output_arg]
    for node in graph_def.node:  # nothing has to wait for what is given
        taken = [s for s in node.input if s[0] != "^" or f"{s[1:]}:0" not in arguments]
        del node.input[:]
        node.input.extend(taken)
    handles = {a: v for a, v in zip(arguments, values, strict=True) if v.dtype == tf.resource}
    specs = {
        str(place): tf.TensorSpec(None, value.dtype)
        for place, value in enumerate(values)
        if value.dtype != tf.resource
    }

    def body(*fed: Any) -> Mapping[str, Any]:
        graph = tf.compat.v1.get_default_graph()
        names = [arguments[int(place)] for place in specs]
        sources = dict(zip(names, fed, strict=True))
        sources.update((name, graph.capture(handle)) for name, handle in handles.items())
        found = tf.graph_util.import_graph_def(
            graph_def, input_map=sources, return_elements=given, name=""
        )
        outputs = {str(place): value for place, value in enumerate(found)}
        return {place: v for place, v in outputs.items() if v.dtype != tf.resource}

    return _Traced(body, specs)


def _make_known(graph_def: Any) -> None:
    """Let TensorFlow find a graph's functions: what a loop of TensorFlow 1 became is only there."""
    from tensorflow.python.eager import context

    known = context.context()
    for each in graph_def.library.function:
        if not known.has_function(each.signature.name):
            known.add_function_def(each)


class _Traced:
    """A function whose graph is flat, and gives every tensor."""

    def __init__(self, function: Callable[..., Mapping[str, Any]], specs: Mapping[str, Any]):
        import tensorflow as tf
        from tensorflow.python.framework import convert_to_constants

        self._specs = specs
        traced = tf.function(function, autograph=False)
        self._function = traced.get_concrete_function(*specs.values())
        self._made_of = function  # it keeps the variables alive
        self.held = self._function.graph.variables
        self.variables = {id(one.handle): plain_name(one.name.split(":")[0]) for one in self.held}
        inline = convert_to_constants._run_inline_graph_optimization
        flattened = with_inlined_calls(inline(self._function, False, False))
        self.graph_def = with_functional_control(flattened)
        _make_known(self.graph_def)
        taken = [tensor.name for tensor in self._function.inputs]
        self.arguments = dict(zip(specs, taken, strict=False))
        self._captured = taken[len(specs) :]
        flat = tf.Graph()
        with flat.as_default():
            tf.graph_util.import_graph_def(self.graph_def, name="")
        assigned = _assigned(self.graph_def)
        self.handles = {
            _node_of(name): handle
            for name, handle in zip(self._captured, self._function.captured_inputs, strict=True)
        }
        self.state = [  # a tensor is captured as well: the mean of a Keras Normalization, for one
            handle
            for name, handle in self.handles.items()
            if name in assigned and handle.dtype == tf.resource
        ]
        self.outputs = {
            name: tensor.name for name, tensor in self._function.structured_outputs.items()
        }
        given = set(self.outputs.values())
        found = [
            tensor
            for op in _with_one_value(flat.get_operations())
            if op.type not in _WITHOUT_VALUE and not _is_weight(op, assigned)
            for tensor in op.outputs
            if op.type != "Placeholder" or tensor.name in taken
            if tensor.dtype not in (tf.resource, tf.variant) or tensor.name in given
        ]
        self.tensors = [tensor.name for tensor in found]
        self.dtypes = {tensor.name: tensor.dtype for tensor in found}
        self._chunks = _chunks(found)
        self._functions = [self._fetching(self.graph_def, chunk) for chunk in self._chunks]

    def _fetching(self, graph_def: Any, tensors: Sequence[str]) -> Callable[..., Any]:
        import tensorflow as tf

        nodes = {node.name for node in graph_def.node}

        def body(*arguments: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            captured = [graph.capture(tensor) for tensor in self._function.captured_inputs]
            names = [*self.arguments.values(), *self._captured]
            fed = dict(zip(names, [*arguments, *captured], strict=True))
            return tf.graph_util.import_graph_def(
                graph_def,
                input_map={name: one for name, one in fed.items() if _node_of(name) in nodes},
                return_elements=list(tensors),
                name="traced",
            )

        return tf.function(body, autograph=False)

    def __call__(self, call: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        # Each further chunk makes the same call again, from the same state.
        before = self.saved() if len(self._chunks) > 1 else []
        for number, (chunk, function) in enumerate(zip(self._chunks, self._functions, strict=True)):
            if number:
                self.restore(before)
            for name, value in zip(chunk, function(*self._fed(call)), strict=True):
                yield name, _plain_value(value)

    def _fed(self, call: Mapping[str, Any]) -> list[Any]:
        import tensorflow as tf

        values = ((call[name], spec.dtype) for name, spec in self._specs.items())
        return [v if tf.is_tensor(v) else tf.constant(v, dtype) for v, dtype in values]

    def saved(self) -> Sequence[Any]:
        return [variable_value(handle) for handle in self.state]

    def restore(self, state: Sequence[Any]) -> None:
        import tensorflow as tf

        for handle, value in zip(self.state, state, strict=True):
            tf.raw_ops.AssignVariableOp(resource=handle, value=value)

    def inputs_of(self, node: Any, call: Mapping[str, Any]) -> list[Any]:
        nodes = {each.name: each for each in self.graph_def.node}
        above = closure(
            [_node_of(source) for source in node.input],
            lambda name: map(_node_of, nodes[name].input),
        )
        cut = type(self.graph_def)(versions=self.graph_def.versions)
        cut.node.extend(each for each in self.graph_def.node if each.name in above)
        cut.library.CopyFrom(self.graph_def.library)
        taken = [source for source in node.input if source[0] != "^"]
        handles = {source: self._handle(nodes, source) for source in taken}
        fetched = [one for one in taken if handles[one] is None]
        found = iter(self._fetching(cut, [_tensor_of(one) for one in fetched])(*self._fed(call)))
        return [next(found) if handles[one] is None else handles[one] for one in taken]

    def _handle(self, nodes: Mapping[str, Any], source: str) -> Any:
        """Return the handle of a variable that a tensor passes on; ``None`` for a value."""
        name = _node_of(source)
        while nodes[name].op == "Identity":
            name = _node_of(nodes[name].input[0])
        return self.handles.get(name)


class _Session:
    """A GraphDef, which a session runs as it is."""

    def __init__(self, session: Any, loaded: Any) -> None:
        self._session, graph = session, session.graph
        self.graph_def = graph.as_graph_def()
        functional = with_functional_control(self.graph_def)
        if functional is not self.graph_def:
            self._session, graph = _opened(functional)
            self.graph_def = graph.as_graph_def()
        # What the answers do not need is not run: nobody has looked whether it may be.
        needed = closure(
            (graph.get_tensor_by_name(name).op for name in loaded.fetches.values()),
            lambda op: [*(tensor.op for tensor in op.inputs), *op.control_inputs],
        )
        found = [
            tensor
            for op in _with_one_value(graph.get_operations())
            if op.type not in _WITHOUT_VALUE and op in needed
            for tensor in op.outputs
            if tensor.dtype.base_dtype.name not in ("resource", "variant")
        ]
        self.tensors = [tensor.name for tensor in found]
        self.dtypes = {tensor.name: tensor.dtype.base_dtype for tensor in found}
        self._chunks = _chunks(found)
        self.handles: dict[str, Any] = {}
        self.held: Sequence[Any] = ()
        self.outputs: dict[str, str] = loaded.fetches
        self.arguments: dict[str, str] = {}
        self.variables: dict[int, str] = {}
        self.state = [op for op in graph.get_operations() if "Variable" in op.type]

    def __call__(self, call: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        feeds = {f"{name}:0": value for name, value in call.items()}
        for chunk in self._chunks:
            yield from zip(chunk, self._session.run(list(chunk), feeds), strict=True)

    def saved(self) -> Sequence[Any]:
        return ()

    def restore(self, state: Sequence[Any]) -> None:
        if self.state or state:
            raise ValueError("a session has moved on")

    def inputs_of(self, node: Any, call: Mapping[str, Any]) -> list[Any]:
        import tensorflow as tf

        feeds = {f"{name}:0": value for name, value in call.items()}
        taken = [_tensor_of(source) for source in node.input if source[0] != "^"]
        return [tf.constant(value) for value in self._session.run(taken, feeds)]


def _opened(graph_def: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return tf.compat.v1.Session(graph=graph), graph


def _with_one_value(operations: Iterable[Any]) -> Iterator[Any]:
    """Yield the ops of a graph of TensorFlow 1 that compute one value in every call.

    What a branch did not choose has none, and what a loop computes has several.
    """
    depths: dict[str, int] = {}  # how many loops an op is in
    chosen: set[str] = set()  # ops that only compute where a branch is chosen
    for op in operations:
        before = [*(tensor.op for tensor in op.inputs), *op.control_inputs]
        depth = max((depths.get(one.name, 0) for one in before), default=0)
        depth += op.type in {"Enter", "RefEnter"}
        depth -= op.type in {"Exit", "RefExit"}
        depths[op.name] = depth
        is_branch = depth == 0 and op.type in {"Switch", "RefSwitch"}
        joins = depth == 0 and op.type in {"Merge", "RefMerge"}
        if is_branch or (not joins and any(one.name in chosen for one in before)):
            chosen.add(op.name)
        elif depth == 0:
            yield op


def _tensor_of(source: str) -> str:
    return source if ":" in source else f"{source}:0"


def _constant(node: Any) -> Array:
    import tensorflow as tf

    return np.asarray(tf.make_ndarray(node.attr["value"].tensor))


def _plain_value(value: Any) -> Any:
    """Return an array; a list of tensors, which has none, as it is."""
    is_list = getattr(value.dtype, "name", "") == "variant"
    return value if is_list else np.asarray(value)


def variable_value(handle: Any) -> Any:
    """Return what a variable holds."""
    import tensorflow as tf

    dtype = handle._handle_data.shape_and_type[0].dtype
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)


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
