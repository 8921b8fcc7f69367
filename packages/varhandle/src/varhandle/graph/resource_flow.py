"""Which nodes read and which assign each variable: its handle followed from node to node.

A handle is made by one node (``VarHandleOp``, ``VAR_HANDLE``) and goes from there, as a tensor,
into reads, assigns and calls; inside a called function it is an argument. Everything here works
on ``Function`` and ``Node``, so that one walk serves every format.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from varhandle.graph.model import Access, Function, Node, Shape, closure
from varhandle.graph.op_roles import REFERENCE_VARIABLES, variable_role

_EVERY_OUTPUT = frozenset({"Switch", "RefSwitch"})
"""Ops whose outputs are all the handle that came in."""

_SAME_OUTPUT = frozenset({"IdentityN", "While", "StatelessWhile"})
"""Ops whose output ``n`` is the handle that came in as input ``n``."""

_FIRST_OUTPUT = frozenset(
    {"Identity", "Enter", "Exit", "Merge", "NextIteration"}
    | {"RefIdentity", "RefEnter", "RefExit", "RefMerge", "RefNextIteration"}
)

_QUERIES = frozenset(
    {"VarIsInitializedOp", "IsVariableInitialized", "VariableShape"}
    | {"DisableCopyOnRead", "DestroyResourceOp", "_Retval"}
)
"""Ops that take a handle and touch no value."""

Location = tuple[str, str]
"""A node, or an argument: name of its function, and its own."""


@dataclass
class Handle:
    """A variable as a graph declares it, before anyone has looked who uses it."""

    name: str
    dtype: str
    shape: Shape | None
    locations: list[Location] = field(default_factory=list)
    """The nodes that make it."""
    is_reference: bool = False
    """Whether it is a TF1 reference variable, which any consumer reads directly."""


@dataclass(frozen=True)
class EntryPoint:
    """What runs when a signature is called, or the model is loaded or saved (then without name)."""

    signature: str | None
    functions: Container[str]  # names of those that can be reached
    live: Mapping[str, Container[str]] = field(default_factory=dict)
    """Of some functions only these nodes, by name, run; the others run whole."""

    def runs(self, function: str, node: str) -> bool:
        """Return whether a node of a function runs."""
        if function not in self.functions:
            return False
        return function not in self.live or node in self.live[function]


class ResourceFlow:
    """Follows handles through all functions of one model.

    ``output_index`` returns which output of its producer a tensor is, from the tensor's name.
    """

    def __init__(
        self, functions: Iterable[Function], output_index: Callable[[str], int] = lambda _: 0
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._output_index = output_index
        self._consumers: dict[str, dict[str, list[tuple[Node, int]]]] = {}
        self._by_output: dict[tuple[str, str], dict[int, list[tuple[Node, int]]]] = {}
        self._nodes: dict[str, dict[str, Node]] = {}

    def consumers(self, function: str, source: str) -> list[tuple[Node, int]]:
        """Return the nodes that take a tensor of a node or argument, with the input's position."""
        if function not in self._consumers:
            by_source: dict[str, list[tuple[Node, int]]] = defaultdict(list)
            for node in self._functions[function].nodes:
                for position, producer in enumerate(node.sources):
                    by_source[producer].append((node, position))
            self._consumers[function] = by_source
        return self._consumers[function].get(source, [])

    def _consumers_by_output(self, function: str, source: str) -> dict[int, list[tuple[Node, int]]]:
        """Return the consumers of a node by the number of the output that they take."""
        location = function, source
        if location not in self._by_output:
            takers: dict[int, list[tuple[Node, int]]] = defaultdict(list)
            for node, position in self.consumers(function, source):
                takers[self._output_index(node.inputs[position])].append((node, position))
            self._by_output[location] = takers
        return self._by_output[location]

    def origin(self, function: str, assign: Node) -> tuple[Node, int] | None:
        """Return the node that makes the value of an assign, and which of its outputs that is.

        Ops of one input are looked through. ``None`` if the value is an argument of the function.
        """
        seen: set[str] = set()
        node, position = assign, 1
        while position < len(node.inputs):
            source = self._node(function, node.sources[position])
            if source is None or source.name in seen:
                return None
            if len(source.inputs) != 1:
                return source, self._output_index(node.inputs[position])
            seen.add(source.name)
            node, position = source, 0
        return None

    def origins(self, starts: Iterable[Location]) -> set[Location]:
        """Follow tensors back through ops of one input, and out of functions to their callers.

        The argument of a function that nobody calls has no origin.
        """
        found: set[Location] = set()

        def before(location: Location) -> Iterator[Location]:
            node = self._node(*location)
            if node is None:
                yield from self.passed(location)
            elif len(node.inputs) == 1 and not node.calls:
                yield location[0], node.sources[0]
            else:
                found.add(location)

        closure(starts, before)
        return found

    def passed(self, argument: Location) -> Iterator[Location]:
        """Yield what the callers of a function pass as one of its arguments."""
        names = [each.name for each in self._functions[argument[0]].inputs]
        if argument[1] in names:
            # The last inputs are the arguments; If and Case have a condition before them.
            back = len(names) - names.index(argument[1])
            for caller, call in self._callers.get(argument[0], ()):
                if back <= len(call.sources):
                    yield caller, call.sources[-back]

    @cached_property
    def _callers(self) -> dict[str, list[tuple[str, Node]]]:
        callers: dict[str, list[tuple[str, Node]]] = defaultdict(list)
        for function in self._functions.values():
            for node in function.nodes:
                for name in node.calls:
                    callers[name].append((function.name, node))
        return callers

    def _node(self, function: str, name: str) -> Node | None:
        if function not in self._nodes:
            self._nodes[function] = {n.name: n for n in self._functions[function].nodes}
        return self._nodes[function].get(name)

    def reached(self, starts: Iterable[str]) -> set[str]:
        """Return the names of the functions that a run of some can reach, themselves included.

        What ``CALL_ONCE`` calls is left out: it initializes, before the run.
        """
        names = closure(starts, lambda name: self._callees.get(name, ()))
        return self._callees.keys() & names

    @cached_property
    def _callees(self) -> dict[str, set[str]]:
        return {
            name: {call for n in function.nodes if n.op != "CALL_ONCE" for call in n.calls}
            for name, function in self._functions.items()
        }

    def uses(
        self, starts: Iterable[Location], entry: EntryPoint, is_reference: bool = False
    ) -> Iterator[tuple[str, Node]]:
        """Yield the nodes that run and that a handle ends in, each with its function's name."""
        waiting = [(function, source, 0) for function, source in starts]
        seen = set()
        while waiting:
            tensor = function, source, output = waiting.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            for node, position in self._consumers_by_output(function, source).get(output, ()):
                if not entry.runs(function, node.name):
                    continue
                onward = list(self._onward(function, node, position, is_reference))
                waiting.extend(onward)
                if not onward and not node.calls and node.op not in _QUERIES:
                    yield function, node

    def _onward(
        self, function: str, node: Node, position: int, is_reference: bool
    ) -> Iterator[tuple[str, str, int]]:
        """Yield where a handle goes that enters a node: its outputs, and what it calls."""
        if node.op in _EVERY_OUTPUT:
            yield function, node.name, 0
            yield function, node.name, 1
        elif node.op in _SAME_OUTPUT:
            yield function, node.name, position
        elif node.op in _FIRST_OUTPUT and not (is_reference and node.op == "Identity"):
            yield function, node.name, 0
        for name in dict.fromkeys(node.calls):
            if name in self._functions:
                # The last inputs are the arguments; If and Case have a condition before them.
                arguments = self._functions[name].inputs
                argument = len(arguments) - len(node.inputs) + position
                if 0 <= argument < len(arguments):
                    yield name, arguments[argument].name, 0

    def accesses(
        self, handle: Handle, entries: Iterable[EntryPoint]
    ) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
        """Return who reads and who assigns a variable while one of the entries runs.

        Each is sorted by function and node. Whatever takes a handle and is not known to assign
        reads.
        """
        found: dict[tuple[str, str], tuple[Node, set[str]]] = {}
        for entry in entries:
            starts = [location for location in handle.locations if entry.runs(*location)]
            for function, node in self.uses(starts, entry, handle.is_reference):
                signatures = found.setdefault((function, node.name), (node, set()))[1]
                if entry.signature is not None:
                    signatures.add(entry.signature)
        reads: list[Access] = []
        assigns: list[Access] = []
        for (function, name), (node, signatures) in sorted(found.items(), key=lambda i: i[0]):
            accesses = assigns if variable_role(node.op) == "assign" else reads
            accesses.append(Access(node.op, name, function, tuple(sorted(signatures))))
        return tuple(reads), tuple(assigns)


def find_handles(functions: Iterable[Function], ops: Container[str]) -> list[Handle]:
    """Find the variables, whose handles some ops make.

    Handles of one ``shared_name`` and ``container`` are the same variable, wherever they are.
    """
    handles: dict[object, Handle] = {}
    for function in functions:
        for node in function.nodes:
            if node.op not in ops:
                continue
            read = node.attributes.get
            name, shape = str(read("shared_name") or node.name), read("shape")
            handle = handles.setdefault(
                (read("container") or "", name),
                Handle(
                    name,
                    str(read("dtype", "invalid")),
                    shape if isinstance(shape, tuple) else None,
                    is_reference=node.op in REFERENCE_VARIABLES,
                ),
            )
            handle.locations.append((function.name, node.name))
    return list(handles.values())
