"""Into a branch or a loop from the model's side: TensorFlow runs what the op calls, round by round.

It needs no file that was converted anew, so it sees what the converter itself makes wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import printable
from varhandle.divergence.file_trace import FileOp, FileTrace
from varhandle.divergence.flat_graph import node_of
from varhandle.divergence.inside import CROSSED, DEEPEST, MOST_ROUNDS, Inside, file_of_subgraph
from varhandle.divergence.matching import (
    CONTROL,
    Samples,
    TensorMatch,
    align,
    match_model,
    sample_file,
)
from varhandle.divergence.model_trace import ModelTrace, variable_value
from varhandle.divergence.op_check import Fault, OpCheck
from varhandle.divergence.tensor_difference import Difference, difference
from varhandle.tflite.flatbuffer import callees, indices

Array = npt.NDArray[Any]
Call = Mapping[str, Any]
"""What a graph of the model takes, by its place among the values that its node takes."""

_SAMPLED_ROUNDS = 3
_SECONDS = 60.0
_ALIKE = 0.01  # share of their range by which two values of a loop may differ to be each other's


@dataclass(frozen=True)
class ModelSide:
    """A graph of the model in the call in which a file parts from it.

    Attributes:
        trace: The graph.
        matches: The file's tensors and the graph's.
        call: What it is called with.
        before: What its variables held before (``ModelTrace.saved``).
        end: When to stop looking (``time.monotonic``).
    """

    trace: ModelTrace
    matches: Mapping[int, TensorMatch]
    call: Call
    before: Sequence[Any]
    end: float = field(default_factory=lambda: time.monotonic() + _SECONDS)


def look_inside_model(
    file: FileTrace, op: FileOp, side: ModelSide, depth: int = 0, *, untaken: bool = False
) -> Inside | None:
    """Run the subgraphs of a ``WHILE`` or ``IF`` beside what the model's node calls.

    With ``untaken``, it is the branch that the call does not take. ``None`` where that is not
    possible.
    """
    node = _node_of(op, side) if op.op in CONTROL else None
    if node is None or depth > DEEPEST:
        return None
    try:
        return _Control(file, op, side, node, depth, untaken=untaken).look()
    except Exception:  # of TensorFlow or LiteRT: the op around it is named all the same
        return None


def _node_of(op: FileOp, side: ModelSide) -> str | None:
    """Return the model's loop or branch: the one whose output is matched, or the only one left."""
    matched = {t: node_of(side.trace.origin(one.node)) for t, one in side.matches.items()}
    # A loop in a branch of TensorFlow 1 is a node like others, and is not computed in every call.
    computed = {one.node for one in side.trace.ops if one.op in CONTROL[op.op]}
    nodes = [name for name in side.trace.nodes if name in computed]
    own = [matched[t] for t in op.outputs if matched.get(t) in nodes]
    left = [name for name in nodes if name not in matched.values()]
    return own[0] if own else left[0] if len(left) == 1 else None


class _Control:
    """A loop or a branch of the file, and the model's node for it, as far as both have run."""

    def __init__(
        self,
        file: FileTrace,
        op: FileOp,
        side: ModelSide,
        node: str,
        depth: int,
        *,
        untaken: bool,
    ) -> None:
        self._file, self._op, self._side, self._node, self._depth = file, op, side, node, depth
        side.trace.restore(side.before)
        self._values = side.trace.inputs_of(node, side.call)
        if op.op == "IF":
            self._chosen = 0 if bool(np.all(self._values.pop(0))) != untaken else 1
        self._begin = side.trace.saved()
        values = list(enumerate(self._values))
        self._handles = {place: v for place, v in values if v.dtype.name == "resource"}
        self._call = {str(n): variable_value(v) if n in self._handles else v for n, v in values}
        taken = op.inputs[1:] if op.op == "IF" else op.inputs
        names = {n: file.variable_behind(tensor) for n, tensor in enumerate(taken)}
        self._variables = {n: name for n, name in names.items() if name is not None}
        self._held = {n: self._place_of(name) for n, name in self._variables.items()}
        self._given = [
            np.array(self._call[str(self._held[n])] if n in self._held else file.value(tensor))
            for n, tensor in enumerate(taken)
        ]
        if any(value.dtype == object and value.item() is None for value in self._given):
            raise ValueError("what the op takes has no value")

    def _place_of(self, variable: str) -> int:
        """Return the place of a variable of the file among what the model's node takes."""
        name = self._side.trace.variable_of
        (place,) = [n for n, handle in self._handles.items() if name(handle) == variable]
        return place

    def look(self) -> Inside | None:
        """Return the op that parts."""
        return self._in_branch() if self._op.op == "IF" else self._in_loop()

    def _subgraph(self, number: int, attribute: str, outputs: Sequence[int | None]) -> _Subgraph:
        made = file_of_subgraph(self._file, number, self._variables)
        handed = self._file.model.subgraphs[number]
        handles = [handed.inputs[place] for place in self._variables]
        after = sum(tensor in handles for tensor in handed.outputs)
        own = range(2 * len(handles), len(made.ops) - after)
        trace = self._side.trace.callee(self._node, attribute, self._values)
        return _Subgraph(made, trace, outputs, self._handles, own)

    def _in_branch(self) -> Inside | None:
        where = ("the first branch", "the second branch")[self._chosen]
        attribute = ("then_branch", "else_branch")[self._chosen]
        matches, origin = self._side.matches, self._side.trace.origin
        nodes = [origin(matches[t].node) if t in matches else "" for t in self._op.outputs]
        places = [int(n.partition(":")[2]) if node_of(n) == self._node else None for n in nodes]
        branch = self._subgraph(callees(self._op.operator)[self._chosen], attribute, places)
        given = [
            own if n in self._held else self._theirs(n, own) for n, own in enumerate(self._given)
        ]
        branch.sample(given, self._call)
        self._side.trace.restore(self._begin)
        branch.match()
        return branch.compare(given, self._call, where, self._side, self._depth)[0]

    def _theirs(self, number: int, own: Array) -> Array:
        """Return the model's value of what a branch takes; its own, where that is a constant."""
        alike = [v for n, v in self._call.items() if int(n) not in self._handles and _alike(own, v)]
        if alike:
            return min(
                (as_array(value, own).reshape(own.shape) for value in alike),
                key=lambda value: difference(own, value).share,
            )
        if self._file.is_constant(self._op.inputs[1 + number]):
            return own
        raise ValueError("what differs came in")

    def _in_loop(self) -> Inside | None:
        """Run both in lockstep: each round begins with what the model hands on."""
        numbers = callees(self._op.operator)
        condition = self._subgraph(numbers[0], "cond", [0])
        body = self._subgraph(numbers[1], "body", [None for _ in self._given])
        places = self._places(body)
        body.set_outputs(places)
        restore = self._side.trace.restore

        def fed(call: Call) -> list[Array]:
            return [
                own if place is None else as_array(call[str(place)], own)
                for own, place in zip(self._given, places, strict=True)
            ]

        restore(self._begin)
        call = self._call
        for _ in range(_SAMPLED_ROUNDS):
            if body.refusal or not np.all(condition.sample(fed(call), call)["0"]):
                break
            call = body.sample(fed(call), call)
        condition.match(places)
        body.match(places)
        restore(self._begin)
        call = self._call
        for number in range(1, MOST_ROUNDS):
            given, where = fed(call), f"iteration {number}"
            rest = self._side, self._depth
            parted, test = condition.compare(given, call, f"the condition of {where}", *rest)
            if parted or not np.all(test["0"]) or time.monotonic() > self._side.end:
                return parted
            parted, call = body.compare(given, call, where, *rest)
            if parted:
                return parted
        return None

    def _places(self, body: _Subgraph) -> list[int | None]:
        """Return the model's place of each value of the file's loop; ``None`` for the file's own.

        Those of one place begin alike, and mostly are alike after a round; their order is the same
        in both, and the file may leave some out. The file's own stay as they are in all rounds.
        """
        theirs = body.run(self._given, self._call)[1]
        after = self._given if body.refusal else body.file.results()
        begin = self._given
        free = [n for n in range(len(begin)) if n not in self._held]
        places = [int(n) for n in theirs if int(n) not in self._handles]
        scores = [
            [
                _alike(begin[n], self._call[str(p)]) and 1 + _alike(after[n], theirs[str(p)])
                for p in places
            ]
            for n in free
        ]
        found: list[int | None] = [self._held.get(n) for n in range(len(begin))]
        for n, column in zip(free, align(scores), strict=True):
            found[n] = None if column is None else places[column]
            if column is None and not np.array_equal(begin[n], after[n]):
                raise ValueError("a value of the loop is the file's own, and changes")
        return found


def as_array(value: Any, like: Array) -> Array:
    """Return a value of TensorFlow; a list of tensors as the one tensor that the file has."""
    import tensorflow as tf

    if tf.is_tensor(value) and value.dtype == tf.variant:
        value = tf.raw_ops.TensorListStack(
            input_handle=value,
            element_shape=like.shape[1:],
            element_dtype=like.dtype,
            num_elements=-1,
        )
    return np.asarray(value)


def _alike(mine: Array, theirs: Any) -> bool:
    import tensorflow as tf

    try:
        other = as_array(theirs, mine)
    except tf.errors.InvalidArgumentError:  # a list of another dtype or shape
        return False
    same = mine.size == other.size and mine.dtype.kind == other.dtype.kind
    return same and difference(mine, other, allowed=_ALIKE).agrees


class _Subgraph:
    """A subgraph of the file and the graph that the model has for it, which take the same values.

    ``outputs`` has the place among the graph's outputs of each of the file's, ``None`` for what is
    the file's own; ``handles`` the variables that the graph takes, by place; ``own`` are the
    operators of ``file`` that are the subgraph's.
    """

    def __init__(
        self,
        file: FileTrace,
        trace: ModelTrace,
        outputs: Sequence[int | None],
        handles: Mapping[int, Any],
        own: range,
    ) -> None:
        self.file, self._trace, self._check = file, trace, OpCheck(file, None)
        self._handles, self._own = {str(place): one for place, one in handles.items()}, own
        self.refusal: tuple[FileOp, str] | None = None  # of the file, in the last run
        self._results: list[tuple[int, str]] = []
        self._matches: dict[int, TensorMatch] = {}
        self._samples = Samples(), Samples()
        self.set_outputs(outputs)

    def set_outputs(self, places: Sequence[int | None]) -> None:
        """Say which outputs of the two are each other's."""
        named = {**{place: place for place in self._handles}, **self._trace.outputs}
        self._results = [
            (tensor, named[str(place)])
            for tensor, place in zip(indices(self.file.subgraph.outputs), places, strict=True)
            if place is not None
        ]

    def run(self, given: Sequence[Array], call: Call) -> tuple[dict[str, Array], dict[str, Any]]:
        """Run both; return every value of the model's graph by name, and its outputs by place.

        What the variables hold then is among both, by place.
        """
        self.refusal = None
        try:
            self.file.run(given)
        except RuntimeError as error:
            self.refusal = self.file.refused(error)
        values = dict(self._trace(call))
        following = {place: values[name] for place, name in self._trace.outputs.items()}
        following |= {place: variable_value(handle) for place, handle in self._handles.items()}
        values |= {place: np.asarray(following[place]) for place in self._handles}
        for tensor, name in self._results:
            like = self.file.value(tensor)
            if like is not None:
                values[name] = as_array(values[name], like)
        return {n: v for n, v in values.items() if isinstance(v, np.ndarray)}, following

    @property
    def _ran(self) -> list[FileOp]:
        """The ops of the file that have run."""
        return self.file.ops[: self.refusal[0].number if self.refusal else None]

    def sample(self, given: Sequence[Array], call: Call) -> dict[str, Any]:
        """Run both, and keep their values for ``match``; return the outputs by place."""
        values, following = self.run(given, call)
        mine, theirs = self._samples
        if not (self.refusal and mine.sizes):
            sample_file(self.file, mine, self._ran)
            for name in values.keys() - self._handles.keys():
                theirs.add(name, values[name])
        return following

    def match(self, inputs: Sequence[int | None] = ()) -> None:
        """Pair the tensors; ``inputs`` are the graph's places of those that the file takes."""
        arguments = self._trace.arguments
        known = {
            tensor: arguments[str(place)]
            for tensor, place in zip(self.file.inputs, inputs, strict=False)
            if str(place) in arguments
        }
        self._matches = match_model(self.file, self._trace, *self._samples, inputs=known)
        for tensor, name in self._results:
            found = self._matches.get(tensor)
            if tensor in self.file.producers and (found is None or "value" not in found.how):
                self._matches[tensor] = TensorMatch(tensor, name, "name")

    def compare(
        self, given: Sequence[Array], call: Call, where: str, side: ModelSide, depth: int
    ) -> tuple[Inside | None, dict[str, Any]]:
        """Run both; return the op that parts, and the outputs of the model's graph by place."""
        before = self._trace.saved()
        values, following = self.run(given, call)
        known = {*self.file.inputs, *(t for op in self._ran for t in op.outputs)}
        pairs = [(t, m.node) for t, m in self._matches.items() if t in known]
        found = dict(self._differences(pairs, values))
        fault = self._check.first(found, 1)
        if fault is None and self.refusal:
            op, why = self.refusal
            fault = Fault(op, next(iter(op.outputs), -1), why, [op])
        rest = found, self._named(), self._trace.ops, self._own
        if fault:
            inner = ModelSide(self._trace, self._matches, call, before, side.end)
            fault, deeper = self._look_deeper(fault, inner, depth + 1)
            return Inside(where, self._check, fault, deeper, *rest), following
        results = self._differences(self._results, values)
        wrong = next((tensor for tensor, one in results if not one.agrees), None)
        if wrong is None:
            return None, following
        why, handed = CROSSED, dict(self._results)[wrong]
        if handed in self._handles:
            name = printable(self.file.name(wrong))
            why = f"the variable {name} is not left with what it should hold"
        return Inside(where, self._check, None, None, *rest, why), following

    def _look_deeper(
        self, fault: Fault, side: ModelSide, depth: int
    ) -> tuple[Fault, Inside | None]:
        """Look into the op that parts, and into the loops and branches that it rests on."""
        for op in (fault.op, *reversed(fault.group)):
            deeper = look_inside_model(self.file, op, side, depth)
            if deeper is not None:
                if op is not fault.op:
                    fault = replace(fault, op=op, tensor=op.outputs[0])
                return fault, deeper
        return fault, None

    def _differences(
        self, pairs: Sequence[tuple[int, str]], values: Mapping[str, Array]
    ) -> Iterator[tuple[int, Difference]]:
        for tensor, name in pairs:
            one = self._check.difference(tensor, values[name]) if name in values else None
            if one is not None:
                yield tensor, one

    def _named(self) -> dict[int, TensorMatch]:
        """Return the pairs with the op that makes a value, and not what hands it on."""
        made = {op.name for op in self._trace.ops}
        found = {}
        for tensor, match in self._matches.items():
            if match.node not in self._handles:
                origin = self._trace.origin(match.node)
                found[tensor] = replace(match, node=origin) if origin in made else match
        return found
