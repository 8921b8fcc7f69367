"""The first op of a file, in the order of execution, that does not compute what the model does.

Everything here runs in a child process, and gives back plain data.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import printable
from varhandle.divergence import reasons
from varhandle.divergence.computed_ops import op_rows
from varhandle.divergence.cutting import cut, taken, weight_rounding, with_constants
from varhandle.divergence.file_trace import WITHOUT_VALUE, FileOp, FileTrace, dequantized
from varhandle.divergence.inside import Inside, look_inside
from varhandle.divergence.inside_model import ModelSide, look_inside_model
from varhandle.divergence.matching import CONTROL, Samples, TensorMatch, match_model, sample_file
from varhandle.divergence.model_trace import ModelOp, ModelPart, ModelTrace
from varhandle.divergence.op_check import Fault, OpCheck
from varhandle.divergence.tensor_difference import Difference, difference, has_largest
from varhandle.divergence.unseen_constants import not_shown, shows_elsewhere, unseen_change
from varhandle.evaluate.parity import TOLERANCES, paired_outputs
from varhandle.evaluate.proof import LOOSE, QUANTIZED
from varhandle.evaluate.stateful_parity import CarriedState
from varhandle.formats.base import LoadedModel

Array = npt.NDArray[Any]

SAMPLED_CALLS = 3
_SECONDS = 60.0  # in which constants are looked at that no answer shows

_HALF = ("float16", "bfloat16")


def compare_ops(
    load: Callable[[], LoadedModel],
    signature: str | None,
    calls: Sequence[Mapping[str, Any]],
    content: bytes,
    *,
    file_signature: str | None = None,
    witness: bytes | None = None,
    state: CarriedState | None = None,
    unexplained: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a model and a .tflite file side by side until the first op that differs.

    ``witness`` is a float file that was converted from the model anew: what the converter fuses in
    both files is matched by it. Without one, ``unexplained`` are the constants of the file that may
    not be the model's. ``state`` is what the caller of a lifted file carries.
    """
    named: dict[str, Any] = {
        "file_signature": file_signature,
        "witness": witness,
        "state": state,
        "unexplained": unexplained,
    }
    return OpComparison(load, signature, calls, content, **named).run()


class OpComparison:
    """A model and a file that run side by side; ``check`` has the files, once they are matched."""

    def __init__(
        self,
        load: Callable[[], LoadedModel],
        signature: str | None,
        calls: Sequence[Mapping[str, Any]],
        content: bytes,
        *,
        file_signature: str | None,
        witness: bytes | None,
        state: CarriedState | None = None,
        unexplained: Mapping[str, str] | None = None,
    ) -> None:
        self._unexplained = unexplained or {}
        self._load, self._signature, self._calls = load, signature, calls
        self._file = FileTrace(content, file_signature, state=state)
        self._other: FileTrace | None = None
        if witness is not None and witness != content:
            self._other = FileTrace(witness, file_signature)
        self.check = OpCheck(self._file, None)
        self.matches: dict[int, TensorMatch] = {}
        self._model: Any = None
        self._before: Sequence[Any] = ()
        self._model_ops: Sequence[ModelOp] = ()
        self._answers: list[dict[str, Array]] = []
        self._parts: dict[int, ModelPart | None] = {}
        self._missing: list[str] = []

    def _open_model(self) -> ModelTrace:
        return ModelTrace(self._load(), self._signature, self._calls)

    def run(self) -> dict[str, Any]:
        """Return what :class:`varhandle.divergence.location.Location` is made of."""
        self._made, self.matches, self._compared = 1, {}, set[int]()
        try:
            self._answer(self._file, self._calls[0])
        except RuntimeError as error:
            return self._result({}, self._refusal(error, 1))
        self._other = self._other if self._runs(self._other) else None
        self._model = self._open_model()
        self._model_ops = self._model.ops
        self._reopen()
        self._match()
        if not self._other:
            self._match_rewritten()
        self._model = self._open_model() if self._model.keeps_state else self._model
        self._reopen()
        pairs: dict[int, dict[str, Any]] = {}
        for number, call in enumerate(self._calls, start=1):
            self._made, self._before = number, self._model.saved()
            try:
                self._answers.append(self._answer(self._file, call))
            except RuntimeError as error:
                return self._result(pairs, self._refusal(error, number))
            self.check.before = self._before
            found = self._compare(call)
            for tensor, one in found.items():
                before = pairs.get(tensor)
                if before is None or before["difference"].share < one.share:
                    pairs[tensor] = {"call": number, "difference": one}
            fault = self.check.first(found, number)
            if fault:
                return self._result(pairs, self._parting(fault, found[fault.shown], number))
            self._compared |= found.keys()
            held = self._wrong_output(found, number)
            if held:
                return self._result(pairs, held)
        return self._result(pairs, self._unseen(pairs) or self._grown(pairs))

    def again(self, count: int, tensor: int) -> Iterator[Array | None]:
        """Make the first calls anew, after ``run``; yield what a tensor should be after each.

        It ends before a call that the file refuses.
        """
        self._reopen()
        self._model = model = self._open_model()
        match = self.matches.get(tensor)
        other = self.check.other
        pairs = self.check.tensor_pairs() if other else {}
        for call in self._calls[:count]:
            with contextlib.suppress(RuntimeError):
                self._before = model.saved()
                self._answer(self._file, call)
                wanted = dict.fromkeys([match.node] if match else [], None)
                wanted.update((name, value) for name, value in model(call) if name in wanted)
                found: Array | None = next(iter(wanted.values()), None)
                if other:
                    self._answer(other, call)
                    if found is None and tensor in pairs:
                        found = other.value(pairs[tensor])
                yield found
                continue
            return

    def part(self, call: Mapping[str, Any], tensor: int, fed: Sequence[int]) -> ModelPart | None:
        """Return what computes a tensor of others in the model, in the call that was made last.

        ``None`` where it is not known what in the model they are.
        """
        known = {entry: match.node for entry, match in self.matches.items()}
        takes = self._file.input_names  # one that is quantized is matched with nothing
        for mine, theirs in zip(takes, takes if set(takes) == set(call) else call, strict=True):
            node = self._model.arguments.get(theirs, f"{theirs}:0")
            known.setdefault(self._file.session.inputs[mine].index, node)
        names = [known[one] for one in (*fed, tensor) if one in known]
        if len(set(names)) < len(fed) + 1:
            return None
        try:
            self._model.restore(self._before)
            values = {name: value for name, value in self._model(call) if name in names}
            self._model.restore(self._before)
            given = {name: values[name].shape for name in names[:-1]}
            found = self._model.part(given, names[-1])
            made = found([values[name] for name in given])
        except Exception:  # of TensorFlow: it is known no better without
            return None
        return found if difference(made, values[names[-1]]).agrees else None

    def _unseen(self, pairs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the op that holds another constant than it should, where no value parts."""
        found = unseen_change(self.check, self._made) or self._unexplained_change(pairs)
        if found is None:
            return None
        fault, inside = found
        pair = pairs.get(fault.tensor)
        figures = _figures(pair["difference"]) if pair else dict.fromkeys(_FIGURES)
        place = self._place(fault.op, fault.tensor, self._made)
        inner = _inner(inside, self._made)
        return {**place, **figures, "why": fault.why, "unseen": True, "group": [], "inside": inner}

    def _unexplained_change(
        self, pairs: Mapping[int, Mapping[str, Any]]
    ) -> tuple[Fault, Inside | None] | None:
        """Return the op with a constant that is none of the model's, and that matters to it."""
        end = time.monotonic() + _SECONDS
        for op in self._file.ops if self._unexplained else ():
            if time.monotonic() > end:
                break
            if op.op == "IF" and (inside := self._untaken(op)):
                assert inside.fault
                return Fault(op, op.outputs[0], inside.fault.why, [op]), inside
            words = self._unexplained_words(self._file, op)
            if not words or op.op in CONTROL or not op.outputs:
                continue
            numbers = with_constants(
                self._file, [each.number for each in self.check.group(op, pairs)]
            )
            fed, tensor = taken(self._file, numbers), op.outputs[0]
            part = self.part(self._calls[self._made - 1], tensor, fed)
            values = [self._file.raw(one) for one in fed]
            known = [np.array(value) for value in values if value is not None]
            if part and shows_elsewhere(cut(self._file, numbers, tensor), part, known):
                return Fault(op, tensor, words, [op]), None
        return None

    def _untaken(self, op: FileOp) -> Inside | None:
        """Run the branch that the last call does not take, with what the other one takes."""
        found = look_inside_model(self._file, op, self._side(self._made), untaken=True)
        if found is None or found.fault is None:
            return None
        words = self._unexplained_words(found.check.file, found.fault.op)
        return found._replace(fault=replace(found.fault, why=words)) if words else None

    def _unexplained_words(self, file: FileTrace, op: FileOp) -> str:
        """Say that an op has a constant that is none of the model's; empty if it has not."""
        held = [file.constant(tensor) for tensor in op.inputs if tensor >= 0]
        names = [file.name(one) for one in held if one is not None]
        name = next((name for name in names if name in self._unexplained), None)
        if name is None:
            return ""
        words = f"its weights differ: {printable(name.partition(';')[0])}"
        return f"{words}{self._unexplained[name]}, {not_shown(self._made)}"

    def _grown(self, pairs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the op that adds most, where no op is wrong and the answers are far apart."""
        outputs = [t for t in self._file.outputs.values() if t in pairs]
        worst = max(outputs, key=lambda t: pairs[t]["difference"].share, default=None)
        if worst is None or not self.check.added:
            return None
        whole = pairs[worst]["difference"]
        narrow = any(
            op.op == "DEQUANTIZE" or any(self._file.step(t) for t in op.inputs if t >= 0)
            for op in self._file.ops
        )
        if whole.agrees or whole.share <= (QUANTIZED if narrow else LOOSE):
            return None
        tensor = max(self.check.added, key=lambda t: self.check.added[t].difference.share)
        most = self.check.added[tensor]
        where = self._place(self._file.producers[tensor], tensor, most.call)
        why = most.saturated or reasons.grown(most.difference, whole)
        own = _figures(most.difference)  # in the call that is named; the pair's may be another's
        return {**where, **own, "why": why, "unseen": False, "group": [], "inside": []}

    def _refusal(self, error: RuntimeError, call: int) -> dict[str, Any]:
        """Tell the op that refuses a call: it parts from any model."""
        op, why = self._file.refused(error)
        if "(READ_VARIABLE)" in str(error):  # which may be inside of the op
            why = reasons.uninitialized(self._file, op) or why
        figures = dict.fromkeys(_FIGURES)
        place = self._place(op, next(iter(op.outputs), -1), call)
        inside: list[dict[str, Any]] = []
        if op.op in CONTROL:
            if self._model is None:  # it was not asked yet
                self._model = self._open_model()
                self._before = self._model.saved()
            inside = _inner(look_inside_model(self._file, op, self._side(call)), call)
        return {**place, **figures, "why": why, "unseen": False, "group": [], "inside": inside}

    def _side(self, call: int) -> ModelSide:
        return ModelSide(self._model, self.matches, self._calls[call - 1], self._before)

    def _runs(self, other: FileTrace | None) -> bool:
        """Whether a fresh conversion takes the calls, which may be of a size that it does not."""
        try:
            return other is not None and bool(self._answer(other, self._calls[0]))
        except (RuntimeError, ValueError):
            return False

    def _match(self) -> None:
        """Sample both over the first calls, and pair their tensors."""
        values, expected, others = Samples(), Samples(), Samples()
        agree, coarseness = True, 0.0
        for number, call in enumerate(self._calls[:SAMPLED_CALLS]):
            try:
                answers = self._answer(self._file, call)
            except RuntimeError:
                if not number:
                    raise
                break
            sample_file(self._file, values)
            told = dict.fromkeys(self._model.outputs.values())
            for name, value in self._model(call):
                expected.add(name, value)
                if value.dtype.name in _HALF:
                    coarseness = max(coarseness, TOLERANCES[value.dtype.name])
                if name in told:
                    told[name] = value
            if self._other:
                answers = self._answer(self._other, call)
                sample_file(self._other, others)
            wanted = {name: told[node] for name, node in self._model.outputs.items()}
            agree = agree and _agree(answers, wanted, coarseness)
        if self._other and agree:
            self.check = OpCheck(self._file, self._other)
        self.check.coarseness = coarseness
        self.check.replay_in_model = self._replay_in_model
        if self.check.other:
            assert self._other
            through = match_model(self._other, self._model, others, expected, by_name=False)
            self.matches = {
                mine: TensorMatch(mine, through[theirs].node, through[theirs].how)
                for mine, theirs in self.check.tensor_pairs().items()
                if theirs in through
            }
        else:
            self._other = None
            self.matches = match_model(self._file, self._model, values, expected, by_name=not agree)
        outputs = paired_outputs(self._file.outputs, self._model.outputs)
        self._missing = sorted(set(self._model.outputs) - {theirs for _, theirs in outputs})
        for mine, theirs in outputs:
            tensor, node = self._file.outputs[mine], self._model.outputs[theirs]
            if tensor not in self.matches or not expected.same(self.matches[tensor].node, node):
                self.matches[tensor] = TensorMatch(tensor, node, "name")  # whatever its values say

    def _match_rewritten(self) -> None:
        """Pair what is the same in another dtype."""
        for op in self._file.ops:
            if op.op in ("QUANTIZE", "DEQUANTIZE"):
                ends = op.inputs[0], op.outputs[0]
                for one, other in (ends, ends[::-1]):
                    if one in self.matches and not self._file.is_constant(other):
                        self.matches.setdefault(other, replace(self.matches[one], tensor=other))

    def _replay_in_model(
        self, numbers: Collection[int], tensor: int
    ) -> tuple[Array, Callable[[], float]] | None:
        """Return what the model makes of what some ops of the file have taken in this call."""
        numbers = with_constants(self._file, numbers)
        fed = taken(self._file, numbers)
        if tensor not in self._parts or self._model.keeps_state:
            after = self._model.saved()
            self._parts[tensor] = self.part(self._calls[self._made - 1], tensor, fed)
            self._model.restore(after)
        part, raw = self._parts[tensor], [self._file.raw(one) for one in fed]
        values = [np.array(value) for value in raw if value is not None]
        if part is None or len(values) < len(fed):
            return None
        try:
            tensors = (self._file.subgraph.tensors[one] for one in fed)
            sound = part(list(map(dequantized, values, tensors)))
        except Exception:  # of TensorFlow: of a size that it was not traced with, for one
            return None
        return sound, lambda: weight_rounding(cut(self._file, numbers, tensor), values)

    def _reopen(self) -> None:
        """Begin anew with the first call: the calls that were made may have changed a state."""
        self._file.reopen()
        if self._other:
            self._other.reopen()

    @staticmethod
    def _answer(trace: FileTrace, call: Mapping[str, Any]) -> dict[str, Array]:
        return trace(named_for(trace.input_names, call))

    def _compare(self, call: Mapping[str, Any]) -> dict[int, Difference]:
        """Make a call that the file has made; return how far its tensors are from the model's."""
        wanted: dict[str, list[int]] = {}
        for match in self.matches.values():
            wanted.setdefault(match.node, []).append(match.tensor)
        found = {}
        for name, value in self._model(call):
            for tensor in wanted.get(name, ()):
                one = self.check.difference(tensor, value)
                if one is not None:
                    found[tensor] = one
        if self._other:
            self._answer(self._other, call)
            found = {**self.check.differences(), **found}
        return found

    def _parting(self, fault: Fault, one: Difference, call: int) -> dict[str, Any]:
        op, tensor, why = fault.op, fault.tensor, fault.why
        why = (call == 1 and self._begins_otherwise(fault)) or why
        step = look_inside(self.check, op, call)
        for each in [] if step else self._suspects(fault):
            step = look_inside_model(self._file, each, self._side(call))
            if step and each is not op:
                op, tensor, why = each, each.outputs[0], reasons.plain(one, [each])
            if step:
                break
        first = {**self._place(op, tensor, call), **_figures(one), "why": why, "unseen": False}
        first["lost_activation"] = one.lost
        first["clamped"] = self._is_clamped(one, [t for each in fault.group for t in each.inputs])
        first["group"] = [[each.op, each.number] for each in fault.group]
        first["inside"] = _inner(step, call)
        if fault.seen is not None:
            first["seen"] = fault.seen.number
        return first

    def _is_clamped(self, one: Difference, tensors: Sequence[int]) -> bool:
        """Whether one of the tensors is a constant that stands for the infinity of the model."""
        held = (self._file.constant(each) for each in tensors if each >= 0)
        values = (self._file.value(each) for each in held if each is not None)
        return bool(one.note) and any(v is not None and has_largest(v) for v in values)

    def _wrong_output(self, found: Mapping[int, Difference], call: int) -> dict[str, Any] | None:
        """Return an output that no op makes, and that is not the model's."""
        for tensor in self._without_op:
            one = found.get(tensor)
            if one is None or one.agrees:
                continue
            held = "a constant" if self._file.is_constant(tensor) else "an input, as it was given"
            note = f": {one.note}" if one.note else ""
            match = self.matches[tensor]
            return {
                "call": call,
                "op": None,
                "number": -1,
                "tensor": self._file.name(tensor),
                "node": match.node.split(":")[0],
                **_figures(one),
                "why": f"the file gives {held}, and the model something else{note}",
                "unseen": False,
                "clamped": self._is_clamped(one, [tensor]),
                "group": [],
                "inside": [],
            }
        return None

    @property
    def _without_op(self) -> list[int]:
        return [t for t in self._file.outputs.values() if t not in self._file.producers]

    def _begins_otherwise(self, fault: Fault) -> str:
        """Say that a state, which an op at fault takes from the caller, has a wrong first value."""
        carried, held = self._file.carried_inputs, self._model.named_state(self._before)
        for tensor in (tensor for op in fault.group for tensor in op.inputs):
            value = self._file.value(tensor) if tensor in carried else None
            words = "" if value is None else reasons.of_carried(carried[tensor], value, held)
            if words:
                return words
        return ""

    def _suspects(self, fault: Fault) -> list[FileOp]:
        """Return the loops and branches that may be what makes an op part, the last one first."""
        group, shown = [fault.op, *fault.group], fault.seen or fault.op
        if shown.op == "READ_VARIABLE":
            takers = self._file.takers_of(self._file.variable_of(shown))
            group += [op for op in takers if op.number < shown.number]
        control = {op.number: op for op in group if op.op in CONTROL}
        return [control[number] for number in sorted(control, reverse=True)]

    def _place(self, op: FileOp, tensor: int, call: int) -> dict[str, Any]:
        match = self.matches.get(tensor)
        return {
            "call": call,
            "op": op.op,
            "number": op.number,
            "tensor": "" if tensor < 0 else self._file.name(tensor),
            "node": match.node.split(":")[0] if match else None,
        }

    def _result(self, pairs: Mapping[int, Any], first: dict[str, Any] | None) -> dict[str, Any]:
        unmatched = [
            self._file.name(tensor)
            for op in self._file.ops
            for tensor in op.outputs
            if op.op not in WITHOUT_VALUE and tensor not in self.matches
        ]
        seen = {t: (pair["call"], pair["difference"]) for t, pair in pairs.items()}
        ops, left = op_rows(self._file, self._model_ops, self.matches)
        return {
            "first": first,
            "pairs": _pair_rows(self.check, self.matches, seen),
            "unmatched": unmatched,
            "outputs_without_op": (
                [self._file.name(t) for t in self._without_op if t in self._compared]
                if self._compared  # else the file may refuse to be opened
                else []
            ),
            "missing_outputs": self._missing,
            "calls": self._made,
            "answers": self._answers,
            "file_calls": [
                named_for(self._file.input_names, c) for c in self._calls[: len(self._answers)]
            ],
            "ops": ops,
            "only_in_model": left,
        }


def _inner(step: Inside | None, call: int) -> list[dict[str, Any]]:
    """Tell an op inside another, and what is inside of it, as plain data."""
    return [] if step is None else [_told(step, call), *_inner(step.deeper, call)]


def _told(step: Inside, call: int) -> dict[str, Any]:
    file, fault = step.check.file, step.fault
    match = step.matches.get(fault.tensor) if fault else None
    ops, _ = op_rows(file, step.model_ops, step.matches)
    seen = {tensor: (call, one) for tensor, one in step.found.items()}
    pairs = _pair_rows(step.check, step.matches, seen)
    begin = step.own.start
    return {
        "where": step.where,
        "op": fault.op.op if fault else None,
        "number": fault.op.number - begin if fault else None,
        "tensor": file.name(fault.tensor) if fault and fault.tensor >= 0 else None,
        "node": match.node.split(":")[0] if match else None,
        "why": fault.why if fault else step.why,
        "group": [[op.op, op.number - begin] for op in fault.group] if fault else [],
        "ops": [
            {
                **row,
                "number": row["number"] - begin,
                "inputs": [n - begin for n in row["inputs"] if n in step.own],
                "node_inputs": [n - begin for n in row["node_inputs"] if n in step.own],
            }
            for row in ops
            if row["number"] in step.own
        ],
        "pairs": [
            {**pair, "number": pair["number"] - begin}
            for pair in pairs
            if pair["number"] in step.own
        ],
    }


def _pair_rows(
    check: OpCheck,
    matches: Mapping[int, TensorMatch],
    seen: Mapping[int, tuple[int, Difference]],
) -> list[dict[str, Any]]:
    """Return a row for each op output of the file that was compared: in which call, and how."""
    rows = []
    for op in check.file.ops:
        for tensor in op.outputs:
            if op.op in WITHOUT_VALUE or tensor not in seen:
                continue
            (call, one), match = seen[tensor], matches.get(tensor)
            added = check.added.get(tensor)
            rows.append(
                {
                    "op": op.op,
                    "number": op.number,
                    "tensor": check.file.name(tensor),
                    "node": match.node.split(":")[0] if match else None,
                    "how": match.how if match else "converted anew",
                    "call": call,
                    "agrees": one.agrees,
                    "added": added.difference.share if added else None,
                    **asdict(one),
                }
            )
    return rows


_FIGURES = ("max_difference", "similarity", "steps")


def _figures(one: Difference) -> dict[str, Any]:
    return {"max_difference": one.largest, "similarity": one.similarity, "steps": one.steps}


def named_for(names: Sequence[str], call: Mapping[str, Any]) -> dict[str, Array]:
    """Name the inputs of a call as a file does; by their order, where it has other names."""
    if set(call) == set(names):
        return {name: np.asarray(value) for name, value in call.items()}
    if len(call) != len(names):
        raise KeyError(f"the model takes {len(call)} inputs, the file {len(names)}")
    return dict(zip(names, map(np.asarray, call.values()), strict=True))


def _agree(answers: Mapping[str, Array], wanted: Mapping[str, Any], allowed: float) -> bool:
    if len(answers) != len(wanted) or any(value is None for value in wanted.values()):
        return False
    return all(
        difference(answers[mine], wanted[theirs], allowed=allowed).agrees
        for mine, theirs in paired_outputs(answers, wanted)
    )
