"""The inputs and outputs of a bare GraphDef, which has no signatures: they are inferred."""

from __future__ import annotations

from collections.abc import Sequence

from varhandle.graph.model import Graph, Node, Signature, TensorSpec, closure

_NO_INPUTS = frozenset({"resource", "variant"})
_NO_OUTPUTS = frozenset(
    {"Assert", "Const", "NoOp", "Placeholder", "SaveV2", "RestoreV2", "VarHandleOp", "VariableV2"}
    | {"Assign", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "Print"}
    | {"VarIsInitializedOp", "IsVariableInitialized", "PrintV2", "MergeV2Checkpoints"}
)
_SAVERS = frozenset({"SaveV2", "RestoreV2"})


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
    outputs = tuple(TensorSpec(name, "", None) for name in sinks(graph))
    return Signature("", graph.functions[0].name, tuple(inputs), outputs)


def placeholders(graph: Graph) -> tuple[str, ...]:
    """Return the names of the graph's inputs: its placeholders, but for those of handles."""
    return tuple(
        node.name
        for node in graph.functions[0].nodes
        if node.op == "Placeholder" and node.attributes.get("dtype") not in _NO_INPUTS
    )


def sinks(graph: Graph) -> tuple[str, ...]:
    """Return the names of the graph's outputs: the nodes that compute what nobody takes.

    What depends on no placeholder (an initializer, a saver) is none, where something else does.
    """
    nodes = graph.functions[0].nodes
    taken = {source for node in nodes for source in (*node.sources, *node.control_inputs)}
    ends = [
        node.name
        for node in nodes
        if node.name not in taken
        and node.op not in _NO_OUTPUTS
        and (not node.op.startswith("Resource") or "Gather" in node.op)
    ]
    fed = _fed(nodes)
    return tuple([name for name in ends if name in fed] or ends)


def _fed(nodes: Sequence[Node]) -> set[str]:
    """Return the nodes whose value depends on a placeholder; a saver's do not."""
    consumers: dict[str, list[str]] = {}
    for node in nodes:
        if node.op not in _SAVERS:
            for source in node.sources:
                consumers.setdefault(source, []).append(node.name)
    placeholders = (node.name for node in nodes if node.op == "Placeholder")
    return set(closure(placeholders, lambda name: consumers.get(name, ())))
