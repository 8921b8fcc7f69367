"""GraphDef and its function library, read without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.message import DecodeError

from varhandle.display import printable
from varhandle.formats.embedded_code import code_in_functions
from varhandle.formats.proto_schema import MESSAGES, dtype_of_number
from varhandle.formats.text_proto import parse_text
from varhandle.graph import Function, Graph, Node, Shape, TensorSpec, Variable, damaged_file
from varhandle.graph.broken_edges import broken_edge, missing_call
from varhandle.graph.model import closure, output_index, refuse_too_much
from varhandle.graph.op_roles import CHECKPOINT_OPS, RESTORE_OPS, VARIABLES, variable_role
from varhandle.graph.resource_flow import EntryPoint, Handle, ResourceFlow, find_handles
from varhandle.graph.signature_inference import running_nodes

MAIN_GRAPH = "main graph"
"""Name of the function that stands for the graph itself. No library function can be called so:
function names hold no blank."""

_PASSES_ON = frozenset({"Identity", "NoOp", "Pack"})


def read_graph_def(message: str, data: bytes, source: str, *, is_text: bool = False) -> Any:
    """Parse a GraphDef, or the one in a MetaGraphDef, or raise ``ModelFileError``."""
    if is_text:
        parsed = parse_text(message, data, source)
    else:
        try:
            parsed = MESSAGES[message].FromString(data)
        except DecodeError as error:
            raise damaged_file(source, f"not a {message}, or damaged or cut short") from error
    graph_def = parsed if message == "GraphDef" else parsed.graph_def
    if not graph_def.node or not all(node.name and node.op for node in graph_def.node):
        raise damaged_file(source, f"no {message}: it holds no nodes with a name and an op")
    return graph_def


def graph_of(graph_def: Any, source: str, model_format: str) -> Graph:
    """Make a ``Graph`` of a GraphDef, or raise ``ModelFileError``.

    A GraphDef holds no variable's value, so none is ``initialized``. The nodes with which a
    variable starts, is saved and is restored are not reported as reads or assigns. Only what runs
    counts as code that it brings along: see ``running_nodes``. A function may be run by other ways
    than by a call, and always counts.
    """
    functions = read_functions(graph_def, source)
    refuse_broken_edges(functions, graph_def, source)
    flow = ResourceFlow(functions, output_index)
    handles = find_handles(functions, VARIABLES)
    entry = main_entry(None, functions[0], flow, _running_nodes(functions, handles, flow))
    handles.extend(_fed_handles(functions[0], flow, entry))
    variables = [
        Variable(h.name, h.dtype, h.shape, *flow.accesses(h, [entry]), initialized=False)
        for h in sorted(handles, key=lambda handle: handle.name)
    ]
    graph = Graph(source, model_format, functions, tuple(variables))
    saves, runs = _saver(functions, flow), running_nodes(graph)

    def is_ordinary(function: str, node: Node) -> bool:
        if function == MAIN_GRAPH and node.name not in runs:
            return True
        if node.op in RESTORE_OPS:
            return _only_restores(flow, function, node)
        return saves(function, node)

    return replace(graph, embedded_code=code_in_functions(functions, is_ordinary))


def main_entry(
    signature: str | None, main: Function, flow: ResourceFlow, live: Container[str]
) -> EntryPoint:
    """Return the entry point that runs some nodes of the main graph, and all that they call."""
    reached = flow.reached(call for node in main.nodes if node.name in live for call in node.calls)
    return EntryPoint(signature, reached | {MAIN_GRAPH}, {MAIN_GRAPH: live})


def _running_nodes(
    functions: tuple[Function, ...], handles: list[Handle], flow: ResourceFlow
) -> set[str]:
    """Return the main graph's nodes without those that initialize, save and restore.

    A bare GraphDef does not say which these are. A restoring assign takes its value from
    a checkpoint; the rest is known by the names that the variable's constructor gives.
    """
    library = functions[1:]
    machinery = {f.name for f in library if any(n.op in CHECKPOINT_OPS for n in f.nodes)}
    own = {name for h in handles for function, name in h.locations if function == MAIN_GRAPH}
    initializers = {f"{name}/Assign" for name in own}
    own_reads = {f"{name}/Read/ReadVariableOp" for name in own}

    def runs(node: Node) -> bool:
        if node.op in CHECKPOINT_OPS or node.name in initializers:
            return False
        if node.name in own_reads:
            consumers = flow.consumers(MAIN_GRAPH, node.name)
            return any(consumer.op not in CHECKPOINT_OPS for consumer, _ in consumers)
        if node.op in {"Assign", "AssignVariableOp"}:
            origin = flow.origin(MAIN_GRAPH, node)
            return origin is None or origin[0].op not in RESTORE_OPS
        return machinery.isdisjoint(node.calls)

    return {node.name for node in functions[0].nodes if runs(node)}


def taken_names(node: Node | None) -> tuple[str, ...]:
    """Return the names of the nodes that a node waits for; none where there is no such node."""
    return (*node.sources, *node.control_inputs) if node else ()


def _saver(functions: tuple[Function, ...], flow: ResourceFlow) -> Callable[[str, Node], bool]:
    """Return what tells the nodes that write a checkpoint and that only a saver waits for."""
    main, *library = functions
    writing = {f.name for f in library if any(n.op in CHECKPOINT_OPS for n in f.nodes)}
    writers = {
        node.name
        for node in main.nodes
        if node.op in CHECKPOINT_OPS or not writing.isdisjoint(node.calls)
    }
    # From the nodes that are no saver's back to what they wait for.
    users = [n for n in main.nodes if n.op not in _PASSES_ON and n.name not in writers]
    producers = {node.name: node for node in main.nodes}
    taken = (name for node in users for name in taken_names(node))
    needed = closure(taken, lambda name: taken_names(producers.get(name)))
    own = writers.difference(needed)
    called = flow.reached(call for n in main.nodes if n.name not in own for call in n.calls)

    def saves(function: str, node: Node) -> bool:
        if node.op not in CHECKPOINT_OPS:
            return False
        return node.name in own if function == MAIN_GRAPH else function not in called

    return saves


def _only_restores(flow: ResourceFlow, function: str, node: Node) -> bool:
    """Tell whether all that a node reads from a checkpoint goes into variables."""

    def users(name: str) -> list[Node]:
        return [user for user, _ in flow.consumers(function, name)]

    passing = closure([node.name], lambda n: [u.name for u in users(n) if u.op in _PASSES_ON])
    ends = [[u for u in users(name) if u.op not in _PASSES_ON] for name in passing]
    return all(map(users, passing)) and all(
        variable_role(user.op) == "assign" for end in ends for user in end
    )


def _fed_handles(main: Function, flow: ResourceFlow, entry: EntryPoint) -> Iterator[Handle]:
    """Yield the handles of variables that the graph is fed.

    A graph taken from a concrete function has placeholders in the place of its handles. Only
    what is done with one tells a variable from another resource, such as a hash table.
    """
    for node in main.nodes:
        if node.op != "Placeholder" or node.attributes.get("dtype") != "resource":
            continue
        location = (MAIN_GRAPH, node.name)
        dtypes = {
            str(user.attributes.get("dtype", user.attributes.get("T", "invalid")))
            for _, user in flow.uses([location], entry)
            if variable_role(user.op) in {"read", "assign"}
        }
        if dtypes:
            yield Handle(node.name, min(dtypes), None, [location])


def read_functions(graph_def: Any, source: str) -> tuple[Function, ...]:
    """Read a graph, as ``MAIN_GRAPH``, and its function library.

    Two nodes or functions of one name are refused, as TensorFlow refuses them.
    """
    library = graph_def.library.function
    count = len(graph_def.node) + sum(len(function.node_def) for function in library)
    refuse_too_much(source, count)
    names = frozenset(function.signature.name for function in library)
    main = Function(MAIN_GRAPH, read_nodes(graph_def.node, names))
    functions = (main, *(_read_function(function, names) for function in library))
    if len({function.name for function in functions}) < len(functions):
        raise damaged_file(source, "two of its functions have the same name")
    for function in functions:
        if len({node.name for node in function.nodes}) < len(function.nodes):
            fault = f"two nodes of {function.name!r} have the same name"
            raise damaged_file(source, fault)
    return functions


def refuse_broken_edges(
    functions: tuple[Function, ...],
    graph_def: Any,
    source: str,
    live: Container[str] | None = None,
) -> None:
    """Raise ``ModelFileError`` for what TensorFlow could not run, as it loads these functions.

    ``live`` are the nodes of the main graph that are run, where it loads each function by itself;
    ``None`` where it imports the main graph.
    """
    main, *library = functions
    held = {function.name: function for function in library}
    run = tuple(node for node in main.nodes if live is None or node.name in live)
    fault = broken_edge(replace(main, nodes=run)) or missing_call(run, held)
    if fault:
        raise damaged_file(source, fault)

    def called(name: str) -> Iterator[str]:
        yield from (call for node in held[name].nodes for call in node.calls if call in held)

    needed = closure((call for node in run for call in node.calls if call in held), called)
    for function, told in zip(library, graph_def.library.function, strict=True):
        fault = broken_edge(function, told.ret.values()) or missing_call(function.nodes, held)
        if fault and (live is not None or function.name in needed):
            where = f"(in its function {printable(function.name)})"
            raise damaged_file(source, f"{fault} {where}")


def _read_function(function_def: Any, names: Container[str]) -> Function:
    signature = function_def.signature
    inputs = []
    for i, argument in enumerate(signature.input_arg):
        attributes = function_def.arg_attr[i].attr if i in function_def.arg_attr else {}
        shapes: Any = ()
        if "_output_shapes" in attributes:
            shapes = attributes["_output_shapes"].list.shape
        shape = read_shape(shapes[0]) if len(shapes) == 1 else None
        inputs.append(TensorSpec(argument.name, dtype_of_number(argument.type), shape))
    outputs = (TensorSpec(o.name, dtype_of_number(o.type), None) for o in signature.output_arg)
    nodes = read_nodes(function_def.node_def, names)
    return Function(signature.name, nodes, tuple(inputs), tuple(outputs))


def read_nodes(node_defs: Iterable[Any], functions: Container[str]) -> tuple[Node, ...]:
    """Read NodeDefs; one whose op is the name of a function is a call."""
    nodes = []
    for node_def in node_defs:
        inputs = tuple(name for name in node_def.input if not name.startswith("^"))
        attributes, calls = _read_attributes(node_def.attr)
        if node_def.op in functions:
            calls = (node_def.op, *calls)
        nodes.append(
            Node(
                name=node_def.name,
                op=node_def.op,
                inputs=inputs,
                sources=tuple(name.partition(":")[0] for name in inputs),
                control_inputs=tuple(n[1:] for n in node_def.input if n.startswith("^")),
                attributes=attributes,
                calls=calls,
            )
        )
    return tuple(nodes)


def _read_attributes(attr: Mapping[str, Any]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return a node's attributes, and the functions that they name.

    Those that begin with an underscore are TensorFlow's own notes to itself and are left out.
    """
    attributes: dict[str, object] = {}
    calls: list[str] = []
    for name, value in sorted(attr.items()):  # a map has another order in each process
        if name.startswith("_"):
            continue
        kind = value.WhichOneof("value")
        if kind == "list":
            values: list[Any] = []
            for field, items in value.list.ListFields():  # one of them, or none
                kind = field.name
                convert = _PLAIN.get(kind)
                values = [convert(item) for item in items] if convert else list(items)
            attributes[name] = tuple(values)
        elif kind is not None:
            convert = _PLAIN.get(kind)
            plain = getattr(value, kind)
            attributes[name] = convert(plain) if convert else plain
            values = [attributes[name]]
        if kind == "func":
            calls.extend(map(str, values))
    return attributes, tuple(calls)


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def read_shape(shape: Any) -> Shape | None:
    """Read a TensorShapeProto."""
    if shape.unknown_rank:
        return None
    return tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)


_PLAIN: dict[str, Callable[[Any], object]] = {
    "s": _text,
    "type": dtype_of_number,
    "shape": read_shape,
    "tensor": lambda v: TensorSpec("", dtype_of_number(v.dtype), read_shape(v.tensor_shape)),
    "func": lambda v: v.name,
}
"""What turns each kind of attribute value into a Python value; the others are one already."""
