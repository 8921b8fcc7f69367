"""The first op of a file, in the order of execution, that does not compute what the model does.

Everything here runs in a child process, and gives back plain data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.divergence import reasons
from varhandle.divergence.difference import Difference, difference
from varhandle.divergence.file_trace import WITHOUT_VALUE, FileOp, FileTrace
from varhandle.divergence.matching import Match, Samples, align_files, match_model
from varhandle.divergence.model_trace import ModelTrace
from varhandle.divergence.replay import OpReplay
from varhandle.evaluate.parity import paired_outputs
from varhandle.evaluate.proof import LOOSE, QUANTIZED
from varhandle.formats.base import LoadedModel

Array = npt.NDArray[Any]

SAMPLED_CALLS = 3

HYBRID = 0.03
"""Share that an op on floats with integer weights may differ by: it quantizes its input to 8 bits
for each call, and adds up many such roundings."""


def compare_ops(
    load: Callable[[], LoadedModel],
    signature: str | None,
    calls: Sequence[Mapping[str, Any]],
    content: bytes,
    *,
    file_signature: str | None = None,
    witness: bytes | None = None,
) -> dict[str, Any]:
    """Run a model and a .tflite file side by side until the first op that differs.

    ``witness`` is a float file that was converted from the model anew: what the converter fuses in
    both files is matched by it.
    """
    steps = load, signature, calls
    return _Comparison(*steps, content, file_signature=file_signature, witness=witness).run()


@dataclass(frozen=True)
class Added:
    """What one op adds to what its inputs differ by, in the call where that was most."""

    call: int
    difference: Difference
    saturated: str  # in words, where its scale ends; empty if it does not


class _Comparison:
    def __init__(
        self,
        load: Callable[[], LoadedModel],
        signature: str | None,
        calls: Sequence[Mapping[str, Any]],
        content: bytes,
        *,
        file_signature: str | None,
        witness: bytes | None,
    ) -> None:
        self._load, self._signature, self._calls = load, signature, calls
        self._content, self._file_signature, self._witness = content, file_signature, witness
        self._file = FileTrace(content, file_signature)
        self._other: FileTrace | None = None
        if witness is not None and witness != content:
            self._other = FileTrace(witness, file_signature)
        self._replays: dict[int, OpReplay] = {}
        self._adds: dict[int, Added] = {}
        self._assigned: dict[str, Array] = {}

    def _open_model(self) -> ModelTrace:
        return ModelTrace(self._load(), self._signature, self._calls)

    def run(self) -> dict[str, Any]:
        """Return what :class:`varhandle.divergence.location.Location` is made of."""
        self._made = 1
        self.matches: dict[int, Match] = {}
        refused = self._refused(self._calls[0])
        if refused:
            return self._result({}, refused)
        self._model = self._open_model()
        self._reopen()
        self._match()
        self._model = self._open_model() if self._model.keeps_state else self._model
        self._reopen()
        pairs: dict[int, dict[str, Any]] = {}
        for number, call in enumerate(self._calls, start=1):
            self._made = number
            found = self._compare(call)
            for tensor, one in found.items():
                before = pairs.get(tensor)
                if before is None or before["difference"].share < one.share:
                    pairs[tensor] = {"call": number, "difference": one}
            first = self._first(found, number)
            self._note_assigned()
            if first:
                return self._result(pairs, first)
        return self._result(pairs, self._grown(pairs))

    def _grown(self, pairs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the op that adds most, where no op is wrong and the answers are far apart."""
        outputs = [t for t in self._file.outputs.values() if t in pairs]
        worst = max(outputs, key=lambda t: pairs[t]["difference"].share, default=None)
        if worst is None or not self._adds:
            return None
        whole = pairs[worst]["difference"]
        narrow = any(self._file.step(t) for one in self._file.ops for t in one.inputs if t >= 0)
        if whole.agrees or whole.share <= (QUANTIZED if narrow else LOOSE):
            return None
        tensor = max(self._adds, key=lambda t: self._adds[t].difference.share)
        most = self._adds[tensor]
        where = self._place(self._file.producers[tensor], tensor, most.call)
        why = most.saturated or reasons.grown(most.difference, whole)
        return {**where, **_figures(pairs[tensor]["difference"]), "why": why, "group": []}

    def _refused(self, call: Mapping[str, Any]) -> dict[str, Any] | None:
        """Make the first call of the file alone: an op that refuses it parts from any model."""
        try:
            self._answer(self._file, call)
        except RuntimeError as error:
            message = str(error)
            nodes = re.findall(r"Node number (\d+) \((\w+)\) failed", message)
            if not nodes or int(nodes[-1][0]) >= len(self._file.ops):
                raise
            op = self._file.ops[int(nodes[-1][0])]
            why = f"it refuses the call: {message.partition('Node number')[0].strip()}"
            if op.op == "READ_VARIABLE":
                why = reasons.of_variable(self._file, op, None, last=None, call=1) or why
            tensor = next(iter(op.outputs), -1)
            figures = {"max_difference": None, "similarity": None, "steps": None}
            return {**self._place(op, tensor, 1), **figures, "why": why, "group": []}
        return None

    def _match(self) -> None:
        """Sample both over the first calls, and pair their tensors."""
        values, expected, others = Samples(), Samples(), Samples()
        agree = True
        for call in self._calls[:SAMPLED_CALLS]:
            answers = self._answer(self._file, call)
            _sample_file(self._file, values)
            told = dict.fromkeys(self._model.outputs.values())
            for name, value in self._model(call):
                expected.add(name, value)
                if name in told:
                    told[name] = value
            if self._other:
                answers = self._answer(self._other, call)
                _sample_file(self._other, others)
            wanted = {name: told[node] for name, node in self._model.outputs.items()}
            agree = agree and _agree(answers, wanted)
        self._aligned: dict[int, int] = {}
        if self._other and agree:
            self._aligned = align_files(self._file, self._other)
            through = match_model(self._other, self._model, others, expected, by_name=False)
            self.matches = {
                mine: Match(mine, through[theirs].node, through[theirs].how)
                for mine, theirs in self._tensor_pairs().items()
                if theirs in through
            }
        else:
            self._other = None
            self.matches = match_model(self._file, self._model, values, expected, by_name=not agree)
        for mine, theirs in paired_outputs(self._file.outputs, self._model.outputs):
            tensor, node = self._file.outputs[mine], self._model.outputs[theirs]
            self.matches.setdefault(tensor, Match(tensor, node, "name"))

    def _tensor_pairs(self) -> dict[int, int]:
        """Return the tensors of the file and of the witness that are each other's."""
        assert self._other
        pairs = {
            tensor.index: self._other.session.inputs[name].index
            for name, tensor in self._file.session.inputs.items()
            if name in self._other.session.inputs
        }
        for mine, theirs in self._aligned.items():
            pairs.update(
                zip(self._file.ops[mine].outputs, self._other.ops[theirs].outputs, strict=False)
            )
        for op in self._file.ops:
            if op.op in ("QUANTIZE", "DEQUANTIZE") and op.inputs[0] in pairs:
                pairs.setdefault(op.outputs[0], pairs[op.inputs[0]])
        return pairs

    def _reopen(self) -> None:
        """Begin anew with the first call, where the calls that were made have changed a state."""
        self._file = FileTrace(self._content, self._file_signature)
        if self._other:
            assert self._witness
            self._other = FileTrace(self._witness, self._file_signature)

    @staticmethod
    def _answer(trace: FileTrace, call: Mapping[str, Any]) -> dict[str, Array]:
        return trace(_named_for(trace, call))

    def _compare(self, call: Mapping[str, Any]) -> dict[int, Difference]:
        """Make one call of each; return how far the file's tensors are from what they should be."""
        self._answer(self._file, call)
        wanted: dict[str, list[int]] = {}
        for match in self.matches.values():
            wanted.setdefault(match.node, []).append(match.tensor)
        found = {}
        for name, value in self._model(call):
            for tensor in wanted.get(name, ()):
                one = self._difference(tensor, value)
                if one is not None:
                    found[tensor] = one
        if self._other:
            self._answer(self._other, call)
            for tensor, theirs in self._tensor_pairs().items():
                if tensor not in found and (own := self._other.value(theirs)) is not None:
                    one = self._difference(tensor, own)
                    if one is not None:
                        found[tensor] = one
        return found

    def _difference(self, tensor: int, expected: Array) -> Difference | None:
        got = self._file.value(tensor)
        if got is None:
            return None
        producer = self._file.producers.get(tensor)
        reach = 0.0
        for each in producer.inputs if producer else ():
            value = self._file.value(each) if each >= 0 else None
            if value is not None and value.dtype.kind in "fiu":
                reach = max(reach, float(np.max(np.abs(value.astype(np.float64)), initial=0.0)))
        step = self._file.step(tensor)
        return difference(got, expected, step=step, inputs=reach, allowed=self._allowed(producer))

    def _allowed(self, op: FileOp | None) -> float:
        """Return what an op may differ by because of how it was quantized."""
        if op is None or all(self._file.step(tensor) for tensor in op.outputs):
            return 0.0
        return HYBRID if any(t >= 0 and self._file.step(t) for t in op.inputs) else 0.0

    def _first(self, found: Mapping[int, Difference], call: int) -> dict[str, Any] | None:
        for op in self._file.ops:
            for place, tensor in enumerate(op.outputs):
                one = found.get(tensor)
                if one is None or one.agrees:
                    continue
                why, group = self._fault(op, place, found, call)
                if why:
                    where = self._place(op, tensor, call)
                    ops = [[each.op, each.number] for each in group]
                    return {**where, **_figures(one), "why": why, "group": ops}
        return None

    def _fault(
        self, op: FileOp, place: int, found: Mapping[int, Difference], call: int
    ) -> tuple[str, list[FileOp]]:
        """Say why an op, whose output differs, is what makes it differ; empty where it inherits."""
        group = self._group(op, found)
        if op.op == "READ_VARIABLE":
            one, last = found[op.outputs[place]], self._last_assigned(op)
            twin = self._twin(op)
            why = reasons.of_variable(self._file, op, one, last=last, call=call, twin=twin)
            return why, [op]
        own = self._own_fault(op, op.outputs[place], place)
        if own:
            return own, [op]
        inherits = any(t in found and not found[t].agrees for each in group for t in each.inputs)
        # Where it is known to compute rightly, what differs came in by an op without a partner.
        if inherits or (own == "" and len(group) < 2):
            return "", group
        return reasons.plain(found[op.outputs[place]], group), group

    def _last_assigned(self, read: FileOp) -> Array | None:
        """Return what a variable was assigned last, in this call or in one before."""
        name = self._file.variable_of(read)
        for op in reversed(self._file.assigns_of(name)):
            if op.number < read.number:
                return self._file.value(op.inputs[1])
        return self._assigned.get(name)

    def _note_assigned(self) -> None:
        """Keep, at the end of a call, what the variables hold."""
        for op in self._file.ops:
            if op.op == "ASSIGN_VARIABLE" and (value := self._file.value(op.inputs[1])) is not None:
                self._assigned[self._file.variable_of(op)] = value.copy()

    def _own_fault(self, op: FileOp, tensor: int, place: int) -> str | None:
        """Say what an op has or does wrong; empty where nothing, ``None`` where that is unknown."""
        twin = self._twin(op)
        changed = reasons.changed_inputs(self._file, op, *twin) if twin else ""
        if changed:
            return changed
        sound = self._sound(op, place)
        if sound is None:
            return None
        saturated, beyond = reasons.saturates(self._file, tensor, sound)
        whole = self._difference(tensor, sound)
        limits = self._file.limits(tensor)
        added = self._difference(tensor, sound if limits is None else np.clip(sound, *limits))
        if added is None or whole is None:
            return None
        before = self._adds.get(tensor)
        if before is None or whole.share > 1.01 * before.difference.share:
            self._adds[tensor] = Added(self._made, whole, saturated)
        if beyond > reasons.SATURATED:
            return saturated
        return "" if added.agrees else reasons.computes_otherwise(op, twin[1] if twin else op)

    def _twin(self, op: FileOp) -> tuple[FileTrace, FileOp] | None:
        """Return the same op of the file that was converted anew, where there is one."""
        if self._other is None or op.number not in self._aligned:
            return None
        return self._other, self._other.ops[self._aligned[op.number]]

    def _sound(self, op: FileOp, place: int) -> Array | None:
        """Return what is right for an op's own inputs, in real values; ``None`` if unknown."""
        twin = self._twin(op)
        if twin is None:
            return self._file.value(op.inputs[0]) if op.op in ("QUANTIZE", "DEQUANTIZE") else None
        if op.number not in self._replays:
            self._replays[op.number] = OpReplay(*twin)
        replay = self._replays[op.number]
        inputs = [None if t < 0 else self._file.value(t) for t in op.inputs]
        if not replay.possible or len(op.inputs) != len(twin[1].inputs):
            return None
        try:
            return replay(inputs)[place]
        except (RuntimeError, ValueError):
            return None

    def _place(self, op: FileOp, tensor: int, call: int) -> dict[str, Any]:
        match = self.matches.get(tensor)
        return {
            "call": call,
            "op": op.op,
            "number": op.number,
            "tensor": "" if tensor < 0 else self._file.name(tensor),
            "node": match.node.split(":")[0] if match else None,
        }

    def _group(self, op: FileOp, found: Mapping[int, Difference]) -> list[FileOp]:
        """Return the op and those before it, up to inputs that are known to agree."""
        group, waiting = {op.number: op}, [op]
        while waiting:
            for tensor in waiting.pop().inputs:
                maker = self._file.producers.get(tensor)
                if maker is None or tensor in found or maker.op in WITHOUT_VALUE:
                    continue
                if maker.number not in group and not self._is_computed_before(maker):
                    group[maker.number] = maker
                    waiting.append(maker)
        return [group[number] for number in sorted(group)]

    def _is_computed_before(self, op: FileOp) -> bool:
        """Whether an op rests on constants alone: its value is the same whoever computes it."""
        return all(t < 0 or self._file.is_constant(t) for t in op.inputs) and op.op in (
            "DEQUANTIZE",
            "SHAPE",
        )

    def _result(self, pairs: Mapping[int, Any], first: dict[str, Any] | None) -> dict[str, Any]:
        rows, unmatched = [], []
        for op in self._file.ops:
            for tensor in op.outputs:
                if op.op in WITHOUT_VALUE:
                    continue
                match, seen = self.matches.get(tensor), pairs.get(tensor)
                if match is None:
                    unmatched.append(self._file.name(tensor))
                if seen:
                    one, added = seen["difference"], self._adds.get(tensor)
                    rows.append(
                        {
                            "op": op.op,
                            "number": op.number,
                            "tensor": self._file.name(tensor),
                            "node": match.node.split(":")[0] if match else None,
                            "how": match.how if match else "converted anew",
                            "call": seen["call"],
                            "agrees": one.agrees,
                            "added": added.difference.share if added else None,
                            **asdict(one),
                        }
                    )
        return {"first": first, "pairs": rows, "unmatched": unmatched, "calls": self._made}


def _figures(one: Difference) -> dict[str, Any]:
    return {"max_difference": one.largest, "similarity": one.similarity, "steps": one.steps}


def _named_for(trace: FileTrace, call: Mapping[str, Any]) -> dict[str, Array]:
    """Name the inputs of a call as the file does; by their order, where it has other names."""
    names = list(trace.session.inputs)
    if set(call) == set(names):
        return {name: np.asarray(value) for name, value in call.items()}
    if len(call) != len(names):
        raise KeyError(f"the model takes {len(call)} inputs, the file {len(names)}")
    return dict(zip(names, map(np.asarray, call.values()), strict=True))


def _sample_file(trace: FileTrace, samples: Samples) -> None:
    tensors = [one.index for one in trace.session.inputs.values()]
    for op in trace.ops:
        if op.op not in WITHOUT_VALUE:
            tensors += op.outputs
    for tensor in tensors:
        value = trace.value(tensor)
        if value is not None:
            samples.add(tensor, value)


def _agree(answers: Mapping[str, Array], wanted: Mapping[str, Any]) -> bool:
    if len(answers) != len(wanted) or any(value is None for value in wanted.values()):
        return False
    return all(
        difference(answers[mine], wanted[theirs]).agrees
        for mine, theirs in paired_outputs(answers, wanted)
    )
