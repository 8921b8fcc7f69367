"""The inputs and outputs of a bare GraphDef, which has no signatures: they are inferred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from varhandle.graph.model import Graph, Node, Signature, TensorSpec, Variable, closure
from varhandle.graph.op_roles import CHECKPOINT_OPS

_NO_INPUTS = frozenset({"resource", "variant"})
_BRANCHES = frozenset({"Switch", "RefSwitch"})
_NO_OUTPUTS = frozenset(
    {"Assert", "Const", "NoOp", "Placeholder", "Print", "PrintV2", "VarHandleOp", "VariableV2"}
    | {"Assign", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
    | {"VarIsInitializedOp", "IsVariableInitialized"}
)


def infer_signature(graph: Graph) -> Signature:
    """Infer a signature; dtypes and shapes of its outputs stay unknown."""
    nodes = {node.name: node for node in graph.functions[0].nodes}
    inputs = []
    for name in placeholders(graph):
        read = nodes[name].attributes.get
        shape = read("shape")
        inputs.append(
            TensorSpec(name, str(read("dtype", "")), shape if isinstance(shape, tuple) else None)
        )
    ends = sinks(graph)
    outputs = tuple(TensorSpec(name, "", None) for name in ends)
    return Signature("", graph.functions[0].name, tuple(inputs), outputs, ends)


def placeholders(graph: Graph) -> tuple[str, ...]:
    """Return the names of the graph's inputs: its placeholders, but for those of handles.

    The one that takes the name of a checkpoint is none.
    """
    consumers, saver = _consumers(graph), _saver(graph)

    def is_input(node: Node) -> bool:
        if node.op != "Placeholder" or node.attributes.get("dtype") in _NO_INPUTS:
            return False
        reached = closure([node.name], lambda name: consumers.get(name, ()))
        ends = [name for name in reached if name not in consumers]
        return not saver or not saver.issuperset(ends)

    return tuple(node.name for node in graph.functions[0].nodes if is_input(node))


def sinks(graph: Graph) -> tuple[str, ...]:
    """Return the names of the graph's outputs: the nodes that compute what nobody takes.

    A saver's nodes are none, and what depends on no input (an initializer) is none where something
    else does. The same holds of what loops and branches of TensorFlow 1 leave over: the count of a
    loop, and the condition of a branch.
    """
    nodes = graph.functions[0].nodes
    consumers, saver = _consumers(graph), _saver(graph)
    ends = [
        node.name
        for node in nodes
        if node.name not in consumers
        and node.name not in saver
        and node.op not in _NO_OUTPUTS
        and (not node.op.startswith("Resource") or "Gather" in node.op)
    ]
    fed = closure(placeholders(graph), lambda name: consumers.get(name, ()))
    ends = [name for name in ends if name in fed] or ends
    branches = [node for node in nodes if node.op in _BRANCHES]
    conditional = {name for node in branches for name in (node.name, *node.sources[1:2])}
    left_over = {
        node.name
        for node in nodes
        if node.op in {"Exit", "RefExit"}
        or (node.op == "Identity" and not conditional.isdisjoint(node.sources))
    }
    return tuple([name for name in ends if name not in left_over] or ends)


def assigned_by_answers(graph: Graph) -> tuple[Variable, ...]:
    """Return the variables that are assigned by what makes the outputs: no training step."""
    main, *library = graph.functions
    nodes = {node.name: node for node in main.nodes}
    live = _needed(graph, sinks(graph))
    calls = {f.name: [call for node in f.nodes for call in node.calls] for f in library}
    called = [call for name in live for call in nodes[name].calls]
    reached = set(closure(called, lambda name: calls.get(name, ())))
    return tuple(
        variable
        for variable in graph.variables
        if any(
            one.node in live if one.function == main.name else one.function in reached
            for one in variable.assigns
        )
    )


def running_nodes(graph: Graph) -> frozenset[str]:
    """Return the nodes of the main graph that run to answer, or to save and restore.

    What nothing of this waits for is left over from the program that made the graph.
    """
    return _needed(graph, [*sinks(graph), *_saver(graph)])


def _needed(graph: Graph, ends: Iterable[str]) -> frozenset[str]:
    nodes = {node.name: node for node in graph.functions[0].nodes}
    return frozenset(
        closure(ends, lambda name: (*nodes[name].sources, *nodes[name].control_inputs))
    )


def _consumers(graph: Graph) -> Mapping[str, Sequence[str]]:
    """Return, for each node of the main graph, those that take its value or wait for it."""
    consumers: dict[str, list[str]] = {}
    for node in graph.functions[0].nodes:
        for source in (*node.sources, *node.control_inputs):
            consumers.setdefault(source, []).append(node.name)
    return consumers


def _saver(graph: Graph) -> set[str]:
    """Return the nodes of the main graph that save or restore, and all that comes after them."""
    main, *library = graph.functions
    writing = {f.name for f in library if any(node.op in CHECKPOINT_OPS for node in f.nodes)}
    own = [
        node.name
        for node in main.nodes
        if node.op in CHECKPOINT_OPS or not writing.isdisjoint(node.calls)
    ]
    consumers = _consumers(graph)
    return set(closure(own, lambda name: consumers.get(name, ())))
