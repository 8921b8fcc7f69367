"""Ops of a GraphDef that take a variable's handle, and find the constant that a freezer made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from varhandle.display import join_names, printable
from varhandle.families import code
from varhandle.families.base import Finding, Reading
from varhandle.formats import format_of
from varhandle.formats.graph_def import GraphDef
from varhandle.graph import Graph, Node

WRITE_MENDED = 'open("mended.pb", "wb").write(graph_def.SerializeToString())'


def constant_handles(
    reading: Reading,
    family: str,
    takes_handle: Callable[[str], bool],
    fix: Callable[[Graph, Sequence[str]], str],
) -> Iterator[Finding]:
    """Yield one finding for all ops on a handle that a freezer replaced by a constant.

    ``fix`` gets the graph and the names of the nodes.
    """
    nodes = {node.name: node for node in reading.graph.functions[0].nodes}
    users = [node for node in reading.graph.functions[0].nodes if takes_handle(node.op)]
    hits = [(node, _constant_behind(nodes, node)) for node in users]
    hit = [(node, constant) for node, constant in hits if constant is not None]
    if hit:
        tables = tuple(sorted({constant for _, constant in hit}))
        named = [f"{node.op} {printable(node.name)}" for node, _ in hit]
        message = (
            f"{join_names(named)} takes a variable's handle, and finds the constant "
            f"{join_names(tables)}: a freezer left it behind, and the importer answers "
            '"incompatible with expected resource".'
        )
        mended = fix(reading.graph, [node.name for node, _ in hit])
        yield Finding(family, "error", tables, message, mended)


def _constant_behind(nodes: dict[str, Node], user: Node) -> str | None:
    """Return the name of the constant where a handle should be, looking through identities."""
    seen: set[str] = set()
    source = nodes.get(user.sources[0]) if user.sources else None
    while source is not None and source.name not in seen:
        if source.op == "Const":
            return source.name if source.attributes.get("dtype") != "resource" else None
        seen.add(source.name)
        through = source.op in {"Identity", "Enter"} and source.sources
        source = nodes.get(source.sources[0]) if through else None
    return None


def read_graph_code(graph: Graph) -> list[str]:
    """Write the lines that read the GraphDef of a file."""
    model_format = format_of(graph)
    assert isinstance(model_format, GraphDef)
    return model_format.graph_def_code(graph.source)


def change_nodes(graph: Graph, nodes: Sequence[str], change: Sequence[str]) -> str:
    """Let the nodes take the constant as the tensor that it is."""
    return code.with_tensorflow(
        "# Let them take the constant as the tensor that it is:",
        *read_graph_code(graph),
        "for node in list(graph_def.node):",
        f"    if node.name in {list(nodes)!r}:",
        *change,
        WRITE_MENDED,
    )
