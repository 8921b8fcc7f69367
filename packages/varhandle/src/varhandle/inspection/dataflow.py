"""The boxes of one function as a reader thinks of them: calls inlined, wrappers left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from varhandle.graph import Function, Graph, Node, TensorSpec, Variable, variable_role
from varhandle.graph.model import output_index
from varhandle.inspection.variables import shape_text

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_SOURCES = {"Const": "constant", "Placeholder": "input", "InputLayer": "input"}
_PASSES_ON = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient"})

# A function may call another twice, which calls a third twice, and so on: a few lines of a file
# that are more boxes than there is memory for.
_MOST_CALLS = 5_000
_DEEPEST_CALL = 100

_Port = tuple[str, str, int]
"""Where a tensor comes from: the path of calls, the node or input, the number of its output."""


@dataclass(frozen=True)
class Box:
    """One box of a drawing."""

    id: str  # unique in its drawing
    kind: str  # ``input``, ``output``, ``variable``, ``constant``, ``read``, ``assign`` or ``op``
    name: str  # an op type, numbered where it occurs again, or a name from the file
    detail: str = ""  # dtype and shape, or the functions that the op calls
    sources: tuple[str, ...] = ()  # ids of what it takes; for an access, its variable as well
    after: tuple[str, ...] = ()  # ids of accesses that must run before it, by a control input
    variable: str | None = None  # id of the variable that it reads or assigns
    # What it stands for, and where: for a variable the node that makes its handle; ``None`` for an
    # end of the function, and for a constant of a .tflite file.
    node: Node | None = field(default=None, compare=False, repr=False)
    function: str = field(default="", compare=False, repr=False)

    @property
    def consumed(self) -> tuple[str, ...]:
        """Ids of the boxes whose values it takes: an assignment does not take its variable's."""
        return tuple(id for id in self.sources if self.kind != "assign" or id != self.variable)


def boxes_of(
    graph: Graph, function: Function, outputs: Sequence[TensorSpec] = ()
) -> tuple[Box, ...]:
    """Follow a function from its inputs to its outputs.

    Functions that it calls are put in place of the calls (of the first 5,000, up to 100 deep), and
    ops that only pass a tensor on are left out. Returned in topological order.
    """
    return _Flow(graph).boxes(function, outputs)


class _Flow:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.functions = {function.name: function for function in graph.functions}
        self.accesses = {
            (access.function, access.node): (variable, kind)
            for variable in graph.variables
            for kind, accesses in (("read", variable.reads), ("assign", variable.assigns))
            for access in accesses
        }
        self.nodes: dict[str, tuple[str, str, Node]] = {}  # id -> path, function, node
        self.same: dict[_Port, _Port] = {}
        self.calls = 0

    def boxes(self, function: Function, names: Sequence[TensorSpec]) -> tuple[Box, ...]:
        self._collect(function, "", ())
        variables = self._origins()
        boxes = {
            spec.name: Box(spec.name, "input", spec.name, spec_text(spec))
            for spec in function.inputs
        }
        boxes |= {id: self._box(id, variables) for id in self.nodes}
        ends = _outputs(function)
        specs = names if len(names) == len(ends) else [spec for spec, _ in ends]
        for number, (spec, (_, (source, output))) in enumerate(zip(specs, ends, strict=True)):
            id = f"output {number}"
            origin = self._origin(("", source, output))
            boxes[id] = Box(id, "output", spec.name, spec_text(spec), (origin,))
        for origin, variable in variables.items():
            boxes.pop(origin, None)
            id = _variable_id(variable)
            detail = f"{variable.dtype} {shape_text(variable.shape)}"
            node, within = self._handle(origin, variable)
            boxes[id] = Box(id, "variable", variable.name, detail, node=node, function=within)
        for id in [id for box in boxes.values() for id in box.sources if id not in boxes]:
            boxes[id] = Box(id, "constant", id)
        used = {id for box in boxes.values() for id in (*box.sources, box.variable)}
        kept = [box for box in boxes.values() if box.kind != "constant" or box.id in used]
        return _numbered(_in_order(kept))

    def _collect(self, function: Function, path: str, within: tuple[str, ...]) -> None:
        """Note every node of a function and, in their place, of those it calls."""
        within = (*within, function.name)
        for node in function.nodes:
            ports = _ports(node, path)
            callee = self._inlined(node, within)
            if callee is not None:
                self.calls += 1
                inner = f"{path}{node.name}/"
                for spec, port in zip(callee.inputs, ports, strict=False):
                    self.same[inner, spec.name, 0] = port
                for number, (_, (source, output)) in enumerate(_outputs(callee)):
                    self.same[path, node.name, number] = (inner, source, output)
                self._collect(callee, inner, within)
            elif node.op in _PASSES_ON and (function.name, node.name) not in self.accesses:
                self.same |= {(path, node.name, i): port for i, port in enumerate(ports)}
            elif node.op != "NoOp":
                self.nodes[path + node.name] = (path, function.name, node)

    def _inlined(self, node: Node, within: Collection[str]) -> Function | None:
        """Return the function to put in the place of a call."""
        if node.op not in _CALLS or len(node.calls) != 1 or node.calls[0] in within:
            return None
        if len(within) > _DEEPEST_CALL or self.calls >= _MOST_CALLS:
            return None
        return self.functions.get(node.calls[0])

    def _origin(self, port: _Port) -> str:
        """Return the id of the box that a tensor really comes from."""
        seen = {port}
        while (through := self.same.get(port)) is not None and through not in seen:
            seen.add(port := through)
        return port[0] + port[1]

    def _origins(self) -> dict[str, Variable]:
        """Map handles, and inputs that carry handles, to their variables."""
        found = {}
        for path, function, node in self.nodes.values():
            if (function, node.name) in self.accesses and node.inputs:
                variable, _ = self.accesses[function, node.name]
                found[self._origin(_ports(node, path)[0])] = variable
        return found

    def _handle(self, origin: str, variable: Variable) -> tuple[Node | None, str]:
        """Return the node that makes a variable's handle, and the function that it is in."""
        if origin in self.nodes:
            _, function, node = self.nodes[origin]
            return node, function
        for each in self.graph.functions:  # the flow begins in a function that is given the handle
            for node in each.nodes:
                named = node.attributes.get("shared_name") or node.name
                if variable_role(node.op) == "handle" and named == variable.name:
                    return node, each.name
        return None, ""

    def _box(self, id: str, variables: dict[str, Variable]) -> Box:
        path, function, node = self.nodes[id]
        accessed = self.accesses.get((function, node.name))
        kind = accessed[1] if accessed else _kind(node)
        if kind in {"constant", "input", "variable"}:
            value = node.attributes.get("value")
            dtype = str(node.attributes.get("dtype", ""))
            detail = spec_text(value) if isinstance(value, TensorSpec) else dtype
            return Box(id, kind, node.name, detail, node=node, function=function)
        origins = [self._origin(port) for port in _ports(node, path) if port[1]]
        box = Box(
            id,
            kind,
            node.op,
            f"calls {', '.join(node.calls)}" if node.calls else "",
            tuple(_variable_id(variables[o]) if o in variables else o for o in origins),
            node=node,
            function=function,
        )
        if accessed is None:
            return box
        # A node and those that it waits for are in one function.
        befores = (n for n in node.control_inputs if (function, n) in self.accesses)
        after = tuple(path + name for name in befores if path + name in self.nodes)
        return replace(box, after=after, variable=_variable_id(accessed[0]))


def spec_text(spec: TensorSpec) -> str:
    """Write dtype and shape of a tensor."""
    return f"{spec.dtype} {shape_text(spec.shape)}"


def subset(boxes: Iterable[Box], kept: Collection[str]) -> tuple[Box, ...]:
    """Take a part of a flow."""
    return tuple(
        replace(
            box,
            sources=tuple(id for id in box.sources if id in kept),
            after=tuple(id for id in box.after if id in kept),
        )
        for box in boxes
        if box.id in kept
    )


def _variable_id(variable: Variable) -> str:
    return f"variable {variable.name}"


def _kind(node: Node) -> str:
    if node.op in _SOURCES:
        return _SOURCES[node.op]
    role = variable_role(node.op)
    return {"handle": "variable", "read": "read", "assign": "assign"}.get(role or "", "op")


def _ports(node: Node, path: str) -> list[_Port]:
    """Say where each input comes from; a constant of a .tflite file is known by its own name."""
    return [
        (path, source or tensor, output_index(tensor))
        for source, tensor in zip(node.sources, node.inputs, strict=True)
    ]


def _outputs(function: Function) -> list[tuple[TensorSpec, tuple[str, int]]]:
    """Pair each output of a function with the node, or the input, that gives it.

    A ``Function`` names its outputs only. In a .tflite file these are names of tensors, which a
    node may take as well; TensorFlow derives them from the nodes' names (``Identity_1`` gives
    ``identity_1``). What is left is paired in order with the nodes that nothing takes from.
    """
    takers = {
        tensor: source
        for node in function.nodes
        for tensor, source in zip(node.inputs, node.sources, strict=True)
    }
    named = {_normal(spec.name): spec.name for spec in function.inputs}
    named |= {_normal(node.name): node.name for node in function.nodes}
    sources = [takers.get(each.name) or named.get(_normal(each.name)) for each in function.outputs]
    taken = {*takers.values(), *sources}
    last = [
        node.name
        for node in function.nodes
        if node.name not in taken and node.op != "NoOp" and variable_role(node.op) is None
    ]
    if len(last) == sources.count(None):
        ends = iter(last)
        sources = [source or next(ends) for source in sources]
    return [
        (spec, (source, output_index(spec.name)))
        for spec, source in zip(function.outputs, sources, strict=True)
        if source
    ]


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9_#]", "_", name.lower())


def _in_order(boxes: Sequence[Box]) -> list[Box]:
    """Sort topologically; where boxes run in a circle, the first one met comes first."""
    by_id = {box.id: box for box in boxes}
    done: dict[str, Box] = {}
    for box in boxes:
        waiting = [(box, False)]
        entered = set()
        while waiting:
            current, ready = waiting.pop()
            if ready:
                done.setdefault(current.id, current)
            elif current.id not in done and current.id not in entered:
                entered.add(current.id)
                waiting.append((current, True))
                before = (*current.after, *current.sources)
                waiting.extend((by_id[id], False) for id in reversed(before) if id in by_id)
    return list(done.values())


def _numbered(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Tell apart boxes of the same op: ``AddV2``, ``AddV2 #2``."""
    seen: Counter[str] = Counter()
    numbered = []
    for box in boxes:
        seen[box.name] += 1
        again = box.kind in {"op", "read", "assign"} and seen[box.name] > 1
        numbered.append(replace(box, name=f"{box.name} #{seen[box.name]}") if again else box)
    return tuple(numbered)
