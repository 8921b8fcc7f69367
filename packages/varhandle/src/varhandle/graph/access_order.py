"""Accesses to a variable that nothing orders: which of them comes first is left to chance.

Two nodes of one call have an order if one is reached from the other over data and control edges.
What a ``tf.function`` traces has one (automatic control dependencies); a graph of TensorFlow 1,
``wrap_function`` and a file written by hand need not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from graphlib import CycleError, TopologicalSorter
from operator import or_
from typing import NamedTuple

from varhandle.display import printable
from varhandle.graph.model import Access, Function, Graph, Node, Signature, closure, output_index
from varhandle.graph.op_roles import VARIABLES, variable_role
from varhandle.graph.resource_flow import ResourceFlow, find_handles

_SWITCHES = frozenset({"Switch", "RefSwitch"})
_BRANCH_ENDS = frozenset({"Merge", "RefMerge", "Exit", "RefExit"})
_NEXT_ROUND = frozenset({"NextIteration", "RefNextIteration"})
_SAME_MEMORY = (
    frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient"})
    | frozenset({"Reshape", "Squeeze", "ExpandDims", "Enter", "RefEnter", "RefIdentity"})
    | (_SWITCHES | _BRANCH_ENDS | _NEXT_ROUND)
)
"""Ops that hand on the memory of an input, and copy nothing."""

_SUMS = frozenset({"AssignAddVariableOp", "AssignSubVariableOp", "ResourceScatterAdd"})
"""Updates on a handle that come to the same in any order: each holds a lock, and gives nothing."""


class UnorderedPair(NamedTuple):
    """Two accesses that one call makes in no fixed order; the second one assigns."""

    variable: str
    first: Access
    second: Access
    is_reference: bool  # a reference variable of TF1: it is read where its value is used

    def __str__(self) -> str:
        """Say what is left to chance, and what the author of the graph does about it."""
        one, other = (
            f"{printable(access.node)} ({printable(access.op)})"
            for access in (self.first, self.second)
        )
        reads = variable_role(self.first.op) != "assign"
        does = f"read by {one} and assigned by" if reads else f"assigned by {one} and by"
        handle = (
            ", and has resource variables (tf.compat.v1.enable_resource_variables), since a "
            "reference variable is not copied where it is read"
        )
        return (
            f"{printable(self.variable)} is {does} {other} in one call, and nothing orders the "
            "two: TensorFlow itself answers by chance, and no comparison can prove a file. The "
            "author of the graph makes the later one under tf.control_dependencies([the earlier "
            f"one]){handle if reads and self.is_reference else ''}"
        )


class _Event(NamedTuple):
    """What a node does to a variable, itself or in a function that it calls."""

    variable: str
    node: str
    access: Access  # which may be in a function that the node calls
    assigns: bool
    is_late: bool = False  # the caller gets the variable's memory, and reads it after the call


def unordered_accesses(graph: Graph, called: Signature) -> Iterator[UnorderedPair]:
    """Yield the accesses that one call of a signature makes in no fixed order.

    Of each function and variable one pair is yielded. The graph is TensorFlow's: the ops of a
    .tflite file run one after the other.
    """
    if any(variable.assigns for variable in graph.variables):
        yield from _Call(graph, called).unordered()


class _Call:
    """What one call of a signature does to the variables that it assigns."""

    def __init__(self, graph: Graph, called: Signature) -> None:
        self._graph = graph
        self._called = called
        self._flow = ResourceFlow(graph.functions, output_index)
        self._handles = {one.name: one for one in find_handles(graph.functions, VARIABLES)}
        self._parts = {one.name: _Part(one, called) for one in graph.reachable(called.function)}

    def unordered(self) -> Iterator[UnorderedPair]:
        for name, part in self._parts.items() if self._events else ():
            here: dict[str, list[_Event]] = defaultdict(list)
            for node in part.nodes.values():
                for event in self._events_at(name, node):
                    here[event.variable].append(event)
            for pair in part.unordered(here):
                yield UnorderedPair(*pair, self._is_reference(pair[0]))

    def _is_reference(self, variable: str) -> bool:
        return variable in self._handles and self._handles[variable].is_reference

    def _events_at(self, function: str, node: Node) -> Iterator[_Event]:
        yield from self._direct.get((function, node.name), ())
        of_calls = {event: None for call in node.calls for event in self._events.get(call, ())}
        if not of_calls:
            return
        passed = self._passed(function, node)
        for event in of_calls:
            if event.variable in passed:
                yield event._replace(node=node.name)

    @cached_property
    def _direct(self) -> Mapping[tuple[str, str], Sequence[_Event]]:
        """The accesses by function and node, of the variables that the signature assigns."""
        found: dict[tuple[str, str], list[_Event]] = defaultdict(list)
        for variable in self._graph.variables:
            if not any(map(self._runs, variable.assigns)):
                continue
            for access in filter(self._runs, (*variable.reads, *variable.assigns)):
                for event in self._events_of(variable.name, access):
                    found[access.function, event.node].append(event)
        return found

    def _runs(self, access: Access) -> bool:
        part = self._parts.get(access.function)
        mine = not access.signatures or self._called.name in access.signatures
        return mine and part is not None and access.node in part.nodes

    def _events_of(self, variable: str, access: Access) -> Iterator[_Event]:
        part, assigns = self._parts[access.function], variable_role(access.op) == "assign"
        is_reference = self._is_reference(variable)
        keeps = is_reference and (assigns or access.op in _SAME_MEMORY)
        if assigns or (not keeps and part.is_used(access.node)):
            yield _Event(variable, access.node, access, assigns)
        if not keeps:
            return
        # A reference variable is not copied where it is read, and its assignment gives itself.
        for node, is_late in part.users(access.node):
            user = Access(node.op, node.name, access.function, access.signatures)
            yield _Event(variable, node.name, user, False, is_late)

    @cached_property
    def _events(self) -> Mapping[str, Collection[_Event]]:
        """The accesses of each function, those of what it calls included."""
        found: dict[str, dict[_Event, None]] = defaultdict(dict)
        for (function, _), events in self._direct.items():
            found[function].update(dict.fromkeys(events))
        callers = defaultdict(set)
        for name, part in self._parts.items():
            for callee in (callee for node in part.nodes.values() for callee in node.calls):
                callers[callee].add(name)
        waiting = list(found)
        while waiting:
            callee = waiting.pop()
            for caller in callers[callee]:
                more = [event for event in found[callee] if event not in found[caller]]
                if more:
                    found[caller].update(dict.fromkeys(more))
                    waiting.append(caller)
        return found

    def _passed(self, function: str, node: Node) -> set[str]:
        """Return the variables that a call hands on, and those that it has handles of itself."""
        own = {part.name for call in node.calls for part in self._graph.reachable(call)}
        given = self._flow.origins((function, source) for source in node.sources)
        return {
            name
            for name, handle in self._handles.items()
            if any(within in own for within, _ in handle.locations)
            or not given.isdisjoint(handle.locations)
        }


class _Part:
    """A function, and the nodes of it that run."""

    def __init__(self, function: Function, called: Signature) -> None:
        self._ends = called.ends if function.name == called.function else ()
        nodes = {node.name: node for node in function.nodes}
        running = closure(self._ends, lambda name: _before(nodes.get(name))) or nodes
        self.nodes = {name: node for name, node in nodes.items() if name in running}

    def is_used(self, name: str) -> bool:
        """Tell whether a value that is read goes anywhere, as far as that is known."""
        return not self._ends or any(True for _ in self.users(name))

    def users(self, name: str) -> Iterator[tuple[Node, bool]]:
        """Yield where the memory that a node gives is used, and whether that is after the call."""
        same = closure([name], lambda one: (n.name for n in self._sharing(one)))
        for one in same:
            if one in self._ends:
                yield self.nodes[one], True
            for node in self._takers.get(one, ()):
                if node.name not in same:
                    yield node, False

    def _sharing(self, name: str) -> Iterator[Node]:
        for node in self._takers.get(name, ()):
            if node.op in _SAME_MEMORY:
                yield node

    @cached_property
    def _takers(self) -> Mapping[str, Sequence[Node]]:
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes.values():
            for source in dict.fromkeys(node.sources):
                found[source].append(node)
        return found

    def unordered(
        self, events: Mapping[str, Sequence[_Event]]
    ) -> Iterator[tuple[str, Access, Access]]:
        """Yield of each variable two accesses that nothing orders, if there are such."""
        places = sorted({event.node for each in events.values() for event in each})
        bits = {name: 1 << number for number, name in enumerate(places)}
        earlier = self._earlier(bits) if len(places) > 1 else {}
        for variable, each in events.items():
            pairs = ((event, assign) for assign in each if assign.assigns for event in each)
            for event, assign in pairs if earlier else ():
                ordered = earlier[event.node] & bits[assign.node] or (
                    earlier[assign.node] & bits[event.node] and not event.is_late
                )
                sums = {event.access.op, assign.access.op} <= _SUMS
                if event.node == assign.node or ordered or sums:
                    continue
                if not self._exclude_each_other(event.node, assign.node):
                    yield variable, event.access, assign.access
                    break

    def _earlier(self, bits: Mapping[str, int]) -> Mapping[str, int]:
        """Return for each node which of some others come before it, as a sum of their bits."""
        taken = {
            name: [before for before in _before(node) if before not in self._next_rounds]
            for name, node in self.nodes.items()
        }
        earlier: dict[str, int] = {}
        try:
            for name in TopologicalSorter(taken).static_order():
                befores = taken.get(name, ())
                earlier[name] = reduce(or_, (earlier[one] | bits.get(one, 0) for one in befores), 0)
        except CycleError:  # nothing runs such a graph
            return {}
        return earlier

    @cached_property
    def _next_rounds(self) -> Collection[str]:
        """The nodes that begin another round of a loop of TensorFlow 1."""
        return {node.name for node in self.nodes.values() if node.op in _NEXT_ROUND}

    def _exclude_each_other(self, one: str, other: str) -> bool:
        """Tell whether two nodes are in the two branches of one condition of TensorFlow 1."""
        return any(
            (one in no and other in yes) or (one in yes and other in no)
            for no, yes in self._branches
        )

    @cached_property
    def _branches(self) -> Sequence[tuple[Collection[str], Collection[str]]]:
        """What runs only if a condition is false, and only if it is true."""
        after: dict[str, list[str]] = defaultdict(list)
        starts: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for node in self.nodes.values():
            for before in _before(node):
                after[before].append(node.name)
            for tensor, source in zip(node.inputs, node.sources, strict=True):
                switch = self.nodes.get(source)
                if switch and switch.op in _SWITCHES and len(switch.sources) > 1:
                    starts[switch.sources[1]][min(output_index(tensor), 1)].append(node.name)

        def onward(name: str) -> Sequence[str]:
            return () if self.nodes[name].op in _BRANCH_ENDS else after[name]

        return [(closure(no, onward), closure(yes, onward)) for no, yes in starts.values()]


def _before(node: Node | None) -> tuple[str, ...]:
    return (*node.sources, *node.control_inputs) if node else ()
