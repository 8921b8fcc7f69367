"""Loops and branches of TensorFlow 1 (Enter, Switch, Merge, Exit) as ``While`` and ``If`` nodes.

What such a loop computes has another value in each round, which no session gives. As a function
its body is run one round at a time, as that of a loop of TensorFlow 2 is; and a branch is run by
itself. The nodes keep their names, and what a loop hands on is ordered as the converter orders it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from varhandle.divergence.flat_graph import node_of, tensor_of
from varhandle.errors import VarhandleError
from varhandle.graph.model import closure

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_ENTER, _EXIT = ("Enter", "RefEnter"), ("Exit", "RefExit")
_MERGE, _SWITCH = ("Merge", "RefMerge"), ("Switch", "RefSwitch")


class _UnknownFormError(VarhandleError, ValueError):
    """A loop or branch that holds another one, or is not made as TensorFlow makes one."""


def with_inlined_calls(graph_def: Any) -> Any:
    """Return a graph with the functions that have such control flow in the place of their calls.

    TensorFlow inlines all others, and leaves these; the graph itself if there is none. The nodes of
    a function are named after its call.
    """
    functions = {one.signature.name: one for one in graph_def.library.function}
    while True:
        calls = [node for node in graph_def.node if _has_control(node, functions)]
        if not calls:
            return graph_def
        made = type(graph_def)(versions=graph_def.versions)
        made.library.CopyFrom(graph_def.library)
        for node in graph_def.node:
            inlined = _inlined(node, functions) if node in calls else [node]
            made.node.extend(inlined)
        graph_def = made


def _has_control(node: Any, functions: Mapping[str, Any]) -> bool:
    """Whether a node calls a function that has such control flow, or calls one that has."""
    called = functions.get(node.attr["f"].func.name) if node.op in _CALLS else None
    return called is not None and any(
        each.op in (*_ENTER, *_SWITCH) or _has_control(each, functions) for each in called.node_def
    )


def _inlined(call: Any, functions: Mapping[str, Any]) -> list[Any]:
    """Return the nodes of a function, and an ``IdentityN`` that has the name of its call."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

    function = functions[call.attr["f"].func.name]
    body, flat_names = function_def_to_graph_def(function)
    data = [source for source in call.input if source[0] != "^"]
    controls = [source for source in call.input if source[0] == "^"]
    arguments = function.signature.input_arg
    given = {one.name: source for one, source in zip(arguments, data, strict=True)}

    def renamed(source: str) -> str:
        node, is_control = node_of(source), source[0] == "^"
        if node in given:
            return f"^{node_of(given[node])}" if is_control else given[node]
        return f"^{call.name}/{node}" if is_control else f"{call.name}/{source}"

    found = []
    for node in body.node:
        if node.name in given:
            continue
        taken = [renamed(source) for source in node.input]
        del node.input[:]
        node.input.extend([*taken, *(() if taken else controls)])
        node.name = f"{call.name}/{node.name}"
        node.attr.pop("_class", None)
        if node.op in _ENTER:
            node.attr["frame_name"].s = f"{call.name}/{node.attr['frame_name'].s.decode()}".encode()
        found.append(node)
    gives = type(call)(name=call.name, op="IdentityN")
    results = [flat_names[function.ret[one.name]] for one in function.signature.output_arg]
    gives.input.extend(map(renamed, results))
    gives.input.extend(renamed(f"^{node}") for node in function.control_ret.values())
    gives.attr["T"].CopyFrom(call.attr["Tout"])
    return [*found, gives]


def with_functional_control(graph_def: Any) -> Any:
    """Return a graph with a ``While`` for each loop and an ``If`` for each pair of branches.

    What is within another becomes part of its function. What is not made as TensorFlow makes it
    stays, and so does a graph that has none of them.
    """
    frames = {node.attr["frame_name"].s for node in graph_def.node if node.op in _ENTER}
    entered = {node.name for node in graph_def.node if node.op in _ENTER}
    scopes: dict[str, list[str]] = {}  # where one ``cond`` has made its nodes
    for node in graph_def.node:
        if node.op in _MERGE and not entered.intersection(map(node_of, node.input)):
            scopes.setdefault(node.name.rpartition("/")[0], []).append(node.name)
    waiting: list[tuple[Any, Any]] = [(_Loop, frame) for frame in sorted(frames)]
    waiting += [(_Branch, merges) for merges in scopes.values()]
    while waiting:
        left = []
        for kind, what in waiting:
            try:
                graph_def = kind(graph_def, what).replaced()
            except (KeyError, ValueError):  # a reference to a variable, for one
                left.append((kind, what))
        if len(left) == len(waiting):
            break
        waiting = left
    return graph_def


@dataclass(frozen=True)
class _Argument:
    """What a loop hands from round to round, or (without ``merge``) what all rounds take."""

    enter: Any
    merge: str = ""
    following: str = ""  # the tensor that the next round begins with
    next_iteration: str = ""


class _Functional:
    """Makes functions of a graph of some of its nodes."""

    def __init__(self, graph_def: Any) -> None:
        self._whole = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._users: dict[str, list[Any]] = {}
        for node in graph_def.node:
            for source in node.input:
                self._users.setdefault(node_of(source), []).append(node)
        self._name = ""

    def _after(self, name: str, ops: Sequence[str]) -> list[Any]:
        return [user for user in self._users.get(name, ()) if user.op in ops]

    def _named(self, name: str, otherwise: str) -> str:
        """Return a name that no node has."""
        return self._named(name + otherwise, otherwise) if name in self._nodes else name

    def _part(self, ends: Sequence[str], given: Mapping[str, int]) -> list[str]:
        """Return the nodes that compute something of what a round begins with."""

        def before(name: str) -> list[str]:
            sources = map(node_of, self._nodes[name].input)
            return [each for each in sources if each not in given]

        found = list(closure([e for e in map(node_of, ends) if e not in given], before))
        if any(self._nodes[name].op in (*_ENTER, *_MERGE) for name in found):
            raise _UnknownFormError
        return found

    def _opened(self) -> Any:
        import tensorflow as tf

        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(self._whole, name="")
        return graph

    def _function(
        self, attribute: str, ends: Sequence[str], given: Mapping[str, int], handed: Sequence[Any]
    ) -> Any:
        import tensorflow as tf
        from tensorflow.python.framework.graph_to_function_def import graph_to_function_def

        message = type(self._whole)(versions=self._whole.versions)
        message.library.CopyFrom(self._whole.library)
        for name in self._part(ends, given):
            copied = message.node.add()
            copied.CopyFrom(self._nodes[name])
            copied.attr.pop("_class", None)  # it may name a node that is left out
            del copied.input[:]
            copied.input.extend(
                _argument(given[node_of(source)]) if node_of(source) in given else source
                for source in self._nodes[name].input
                if source[0] != "^" or node_of(source) not in given
            )
        graph = tf.Graph()
        with graph.as_default():
            inputs = [
                tf.compat.v1.placeholder(one.dtype.base_dtype, one.shape, _argument(n))
                for n, one in enumerate(handed)
            ]
            taken = {source for node in message.node for source in node.input}
            fed = {one.op.name: one for one in inputs if one.op.name in taken}
            tf.graph_util.import_graph_def(message, fed, name="")
            places = [given.get(node_of(end)) for end in ends]
            outputs = [
                tf.identity(graph.get_tensor_by_name(tensor_of(end)) if n is None else inputs[n])
                for n, end in zip(places, ends, strict=True)
            ]
        function = graph_to_function_def(graph, graph.get_operations(), inputs, outputs)
        function.signature.name = re.sub(r"\W", "_", f"{self._name}_{attribute}")
        return function


class _Loop(_Functional):
    """One loop of a graph, by the name of its frame."""

    def __init__(self, graph_def: Any, frame: bytes) -> None:
        super().__init__(graph_def)
        enters = [n for n in graph_def.node if n.op in _ENTER and n.attr["frame_name"].s == frame]
        enters.sort(key=lambda node: node.name)  # the converter's order
        self._arguments = [self._argument(node) for node in enters]
        self._name = self._named(frame.decode().rpartition("/")[0] or frame.decode(), "_loop")
        merged = [(n, one.merge) for n, one in enumerate(self._arguments) if one.merge]
        self._merges = {merge: n for n, merge in merged}
        self._switches = {s.name: n for n, merge in merged for s in self._after(merge, _SWITCH)}
        conditions = {node_of(self._nodes[switch].input[1]) for switch in self._switches}
        if len(conditions) != 1:
            raise _UnknownFormError
        self._condition = conditions.pop()  # LoopCond
        fixed = {one.enter.name: n for n, one in enumerate(self._arguments) if not one.merge}
        body = [one.following or one.enter.name for one in self._arguments]
        self._functions = (
            ("cond", [self._nodes[self._condition].input[0]], {**self._merges, **fixed}),
            ("body", body, {**self._switches, **fixed}),
        )  # what each gives, and the place among the arguments of each node that it begins with

    def _argument(self, enter: Any) -> _Argument:
        merges = self._after(enter.name, _MERGE)
        if not merges:
            return _Argument(enter)
        following = [self._nodes[node_of(s)] for s in merges[0].input if node_of(s) != enter.name]
        if [node.op.removeprefix("Ref") for node in following] != ["NextIteration"]:
            raise _UnknownFormError
        (made,) = following
        return _Argument(enter, merges[0].name, made.input[0], made.name)

    def replaced(self) -> Any:
        """Return the graph with a ``While`` in the place of the loop's nodes."""
        parts = [self._part(ends, given) for _, ends, given in self._functions]
        own = {self._condition, *self._merges, *self._switches}
        own |= {name for one in self._arguments for name in (one.enter.name, one.next_iteration)}
        exits = {user.name: n for s, n in self._switches.items() for user in self._after(s, _EXIT)}

        def inside(name: str) -> list[str]:  # with what nothing takes
            return [u.name for u in self._users.get(name, ()) if u.name not in exits]

        within = closure(own.union(*parts), inside)
        made = type(self._whole)(versions=self._whole.versions)
        made.library.CopyFrom(self._whole.library)
        for node in self._whole.node:
            if node.name in within:
                continue
            copied = made.node.add()
            copied.CopyFrom(node)
            if node.name in exits:
                copied.op, copied.input[0] = "Identity", f"{self._name}:{exits[node.name]}"
        self._add_while(made)
        return made

    def _add_while(self, made: Any) -> None:
        graph = self._opened()
        handed = [
            graph.get_tensor_by_name(f"{one.merge or one.enter.name}:0") for one in self._arguments
        ]
        node = made.node.add(name=self._name, op="While")
        node.input.extend(one.enter.input[0] for one in self._arguments)
        node.attr["T"].list.type.extend(one.dtype.base_dtype.as_datatype_enum for one in handed)
        for attribute, ends, given in self._functions:
            function = self._function(attribute, ends, given, handed)
            made.library.function.add().CopyFrom(function)
            node.attr[attribute].func.name = function.signature.name


class _Branch(_Functional):
    """What computes one value where a condition holds, and another where it does not."""

    def __init__(self, graph_def: Any, merges: Sequence[str]) -> None:
        super().__init__(graph_def)
        self._merges = merges
        self._taken: dict[str, int] = {}  # what comes in, in its order
        self._switches: dict[str, int] = {}  # which of that each hands on
        ends = [self._nodes[merge].input[:2] for merge in merges]
        self._ends = {
            "else_branch": [no for no, _ in ends],
            "then_branch": [yes for _, yes in ends],
        }
        for place, sources in enumerate(self._ends.values()):
            self._find_switches(sources, place)
        conditions = {self._origin(self._nodes[switch].input[1]) for switch in self._switches}
        if len(conditions) != 1:
            raise _UnknownFormError
        self._condition = conditions.pop()
        self._name = self._named(merges[0].rpartition("/")[0] or merges[0], "_branch")

    def _origin(self, source: str) -> str:
        while self._nodes[node_of(source)].op == "Identity":
            source = self._nodes[node_of(source)].input[0]
        return tensor_of(source)

    def _find_switches(self, ends: Sequence[str], place: int) -> None:
        """Find where the values of a branch come in: of a Switch, it takes the output ``place``."""
        waiting, seen = list(ends), set[str]()
        while waiting:
            source = waiting.pop()
            node = self._nodes[node_of(source)]
            if node.op in _SWITCH:
                if source[0] != "^" and tensor_of(source) != f"{node.name}:{place}":
                    raise _UnknownFormError
                taken = tensor_of(node.input[0])
                self._taken.setdefault(taken, len(self._taken))
                self._switches[node.name] = self._taken[taken]
            elif node.op in (*_MERGE, *_ENTER, "Placeholder"):
                raise _UnknownFormError
            elif node.name not in seen:
                seen.add(node.name)
                waiting.extend(node.input)

    def replaced(self) -> Any:
        """Return the graph with an ``If`` in the place of the branches."""

        def inside(name: str) -> list[str]:
            return [u.name for u in self._users.get(name, ()) if u.name not in self._merges]

        within = closure(self._switches, inside)
        parts = {name for e in self._ends.values() for name in self._part(e, self._switches)}
        left = (self._nodes[name] for name in within.keys() - parts - self._switches.keys())
        if any(node.op not in ("Identity", "NoOp") for node in left):
            raise _UnknownFormError
        made = type(self._whole)(versions=self._whole.versions)
        made.library.CopyFrom(self._whole.library)
        for node in self._whole.node:
            if any(node_of(s) in self._merges and s.endswith(":1") for s in node.input):
                raise _UnknownFormError
            if node.name in within:
                continue
            copied = made.node.add()
            copied.CopyFrom(node)
            if node.name in self._merges:
                copied.op = "Identity"
                del copied.input[:]
                copied.input.append(f"{self._name}:{self._merges.index(node.name)}")
                del copied.attr["N"]
        self._add_if(made)
        return made

    def _add_if(self, made: Any) -> None:
        graph = self._opened()

        def tensors(names: Iterable[str]) -> list[Any]:
            return [graph.get_tensor_by_name(tensor_of(name)) for name in names]

        handed = tensors(self._taken)
        node = made.node.add(name=self._name, op="If")
        node.input.extend([self._condition, *self._taken])
        node.attr["Tcond"].type = graph.get_tensor_by_name(self._condition).dtype.as_datatype_enum
        for attribute, given in (("Tin", handed), ("Tout", tensors(self._merges))):
            types = [one.dtype.base_dtype.as_datatype_enum for one in given]
            node.attr[attribute].list.type.extend(types)
        for attribute, ends in self._ends.items():
            function = self._function(attribute, ends, self._switches, handed)
            made.library.function.add().CopyFrom(function)
            node.attr[attribute].func.name = function.signature.name


def _argument(place: int) -> str:
    return f"loop_argument_{place}"
