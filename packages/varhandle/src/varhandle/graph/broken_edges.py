"""What no run of a graph could come past: a node that takes what is not there, or its own value.

TensorFlow imports a main graph as a whole, and a function where something calls it. Of a SavedModel
that holds objects it loads each function by itself, and no main graph: there a node counts only
where a signature runs it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator

from varhandle.display import counted, printable
from varhandle.graph.model import Function, Node

_LOOPS_BACK = frozenset({"NextIteration", "RefNextIteration"})
"""Ops of a TF1 loop, whose value goes back to where the loop begins: to a ``Merge``."""

_MERGES = frozenset({"Merge", "RefMerge"})


_TAKES_AN_OP = frozenset({"SymbolicGradient"})
"""Ops that name an op where others name a function."""


def broken_edge(function: Function, returned: Iterable[str] = ()) -> str:
    """Say which edge of a function leads nowhere, or round in a circle; "" if none does.

    ``returned`` are the tensors that it gives back.
    """
    there = {node.name for node in function.nodes} | {given.name for given in function.inputs}
    for node in function.nodes:
        lost = next((name for name in _taken(node) if name not in there), None)
        if lost is not None:
            return f"its node {printable(node.name)} takes {printable(lost)!r}, which is not there"
    lost = next((name for name in returned if name.partition(":")[0] not in there), None)
    if lost is not None:
        return f"it gives back {printable(lost)!r}, which is not there"
    circle = _in_a_circle(function)
    if circle:
        return (
            f"{counted(len(circle), 'node')} of it, such as {printable(circle[0])}, would have to"
            " run after themselves"
        )
    return ""


def missing_call(nodes: Iterable[Node], functions: Container[str]) -> str:
    """Say which node calls a function that is not there; "" if none does."""
    for node in nodes:
        # An op may name no function where it could name one.
        missing = next((name for name in node.calls if name and name not in functions), None)
        if missing is not None and node.op not in _TAKES_AN_OP:
            return (
                f"its node {printable(node.name)} calls the function {printable(missing)!r}, which"
                " is not there"
            )
    return ""


def _taken(node: Node) -> Iterator[str]:
    yield from node.sources
    yield from node.control_inputs


def _in_a_circle(function: Function) -> list[str]:
    """Return the nodes that can never run: those of a circle, and those behind it."""
    back = {node.name for node in function.nodes if node.op in _LOOPS_BACK}
    names = {node.name for node in function.nodes}
    awaited: Counter[str] = Counter()
    takers: dict[str, list[str]] = defaultdict(list)
    for node in function.nodes:
        for name in names.intersection(_taken(node)):
            if not (node.op in _MERGES and name in back):
                awaited[node.name] += 1
                takers[name].append(node.name)
    waiting = [name for name in names if not awaited[name]]
    while waiting:
        for name in takers[waiting.pop()]:
            awaited[name] -= 1
            if not awaited[name]:
                waiting.append(name)
    return [node.name for node in function.nodes if awaited[node.name]]
