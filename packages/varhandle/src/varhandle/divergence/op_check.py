"""Which op of a file is at fault: it differs, and what it takes does not explain it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import printable
from varhandle.divergence import reasons
from varhandle.divergence.file_trace import WITHOUT_VALUE, FileOp, FileTrace
from varhandle.divergence.matching import align_files
from varhandle.divergence.replay import OpReplay
from varhandle.divergence.tensor_difference import Difference, difference, reach
from varhandle.facts.random_ops import TFLITE_DRAWS

Array = npt.NDArray[Any]

HYBRID = 0.03
"""Share that an op on floats with integer weights may differ by: it quantizes its input to 8 bits
for each call, and adds up many such roundings."""

TABLE = 0.01
"""Share that a function may differ by which LiteRT looks up, for 16 bits, between 513 values."""

_BY_TABLE = frozenset({"SOFTMAX", "LOGISTIC", "TANH", "EXP", "LOG", "GELU", "RSQRT"})


@dataclass(frozen=True)
class Fault:
    """The op that parts.

    Attributes:
        op: The op.
        tensor: Its output.
        why: Why, in a sentence.
        group: The op and others before it, where their inputs are known to agree, and no more.
        seen: The read of a variable that holds what the op has made; ``None`` where the op's own
            output was compared.
    """

    op: FileOp
    tensor: int
    why: str
    group: Sequence[FileOp]
    seen: FileOp | None = None

    @property
    def shown(self) -> int:
        """The tensor that was compared."""
        return self.tensor if self.seen is None else self.seen.outputs[0]


ReplayInModel = Callable[[Collection[int], int], tuple[Array, Callable[[], float]] | None]
"""Gives what the model makes of what some ops of a file take: their output, in real values.

And what gives how far that moves where the weights of the file are rounded otherwise. ``None``
where it is not known what in the model the ops are.
"""


@dataclass(frozen=True)
class Added:
    """What one op adds to what its inputs differ by, in the call where that was most."""

    call: int
    difference: Difference
    saturated: str  # in words, where its scale ends; empty if it does not


class OpCheck:
    """Checks the ops of a file, call after call, beside those of a float file where there is one.

    ``other`` is the model converted anew.
    """

    def __init__(self, file: FileTrace, other: FileTrace | None) -> None:
        self.file, self.other = file, other
        self.aligned = align_files(file, other) if other else {}
        self.coarseness = 0.0  # share that whatever follows half floats in the model may differ by
        self.replay_in_model: ReplayInModel | None = None  # of ops without a twin
        self.before: Sequence[Any] = ()  # what the model's variables held before this call
        self.added: dict[int, Added] = {}
        self._replays: dict[int, OpReplay] = {}
        self._assigned: dict[str, Array] = {}

    def tensor_pairs(self) -> dict[int, int]:
        """Return the tensors of the file and of the other one that are each other's."""
        assert self.other
        pairs = dict(zip(self.file.inputs, self.other.inputs, strict=False))
        for mine, theirs in self.aligned.items():
            outputs = self.file.ops[mine].outputs, self.other.ops[theirs].outputs
            pairs.update(zip(*outputs, strict=False))
        for op in self.file.ops:
            if op.op in ("QUANTIZE", "DEQUANTIZE") and op.inputs[0] in pairs:
                pairs.setdefault(op.outputs[0], pairs[op.inputs[0]])
        return pairs

    def differences(self) -> dict[int, Difference]:
        """Return how far the tensors of the file are from the other's after the same call."""
        found = {}
        for tensor, theirs in self.tensor_pairs().items():
            value = self.other.value(theirs) if self.other else None
            one = None if value is None else self.difference(tensor, value)
            if one is not None:
                found[tensor] = one
        return found

    def difference(self, tensor: int, expected: Array) -> Difference | None:
        """Return how far a tensor is from what it should be; ``None`` where it has no value."""
        got = self.file.value(tensor)
        if got is None:
            return None
        producer = self.file.producers.get(tensor)
        taken = [
            self.file.value(each) for each in (producer.inputs if producer else ()) if each >= 0
        ]
        numbers = [one for one in taken if one is not None and one.dtype.kind in "fiu"]
        if producer and producer.op == "SOFTMAX":  # what is below the largest rounds nothing
            numbers = [np.max(one, axis=-1) for one in numbers if one.size]
        inputs = max(map(reach, numbers), default=0.0)
        step = self.file.step(tensor)
        return difference(got, expected, step=step, inputs=inputs, allowed=self._allowed(producer))

    def _allowed(self, op: FileOp | None) -> float:
        """Return what an op may differ by, where that is more than its dtype's own rounding."""
        if op is None or all(self.file.step(tensor) for tensor in op.outputs):
            return max(self.coarseness, TABLE if op and op.op in _BY_TABLE else 0.0)
        hybrid = any(t >= 0 and self.file.step(t) for t in op.inputs)
        return max(self.coarseness, HYBRID if hybrid else 0.0)

    def first(self, found: Mapping[int, Difference], call: int) -> Fault | None:
        """Return the first op, in the order of execution, that is at fault in this call."""
        fault = None
        for op in self.file.ops:
            for place, tensor in enumerate(op.outputs):
                one = found.get(tensor)
                if fault is None and one is not None and not one.agrees:
                    why, group = self._fault(op, place, found, call)
                    fault = Fault(op, tensor, why, group) if why else None
                    if fault and op not in group:
                        fault = Fault(group[-1], group[-1].outputs[0], why, group, seen=op)
        self._note_assigned()
        return fault

    def _fault(
        self, op: FileOp, place: int, found: Mapping[int, Difference], call: int
    ) -> tuple[str, list[FileOp]]:
        """Say why an op, whose output differs, is what makes it differ; empty where it inherits."""
        tensor = op.outputs[place]
        if op.op == "READ_VARIABLE":
            one, last, twin = found[tensor], self._last_assigned(op), self.twin(op)
            why = reasons.of_variable(self.file, op, one, last=last, call=call, twin=twin)
            return (why, [op]) if why or twin else self._assigned_wrongly(op, found)
        own = self._own_fault(op, place, call)
        if own:
            return own, [op]
        group = self.group(op, found)
        if own is None and self.replay_in_model:
            replayed = self.replay_in_model([each.number for each in group], tensor)
            plain = reasons.of_its_size(self.file, op) or reasons.plain(found[tensor], group)
            own = replayed and self._judged(tensor, replayed[0], call, plain, replayed[1])
            if own is not None:
                return own, group
        inherits = any(t in found and not found[t].agrees for each in group for t in each.inputs)
        # Where it is known to compute rightly, what differs came in by an op without a partner.
        if inherits or (own == "" and len(group) < 2):
            return "", group
        if len(group) == 1 and (told := reasons.of_its_size(self.file, op)):
            return told, group
        return reasons.plain(found[tensor], group), group

    def _assigned_wrongly(
        self, read: FileOp, found: Mapping[int, Difference]
    ) -> tuple[str, list[FileOp]]:
        """Say which ops before a read make what its variable is assigned; empty where they inherit.

        In the model an op may compute it and assign it in one, so that it has no value to compare.
        The variable holds what was assigned, so neither the assignment nor the read is to blame.
        """
        assigns = self.file.assigns_of(self.file.variable_of(read))
        last = [op for op in assigns if op.number < read.number] or assigns
        if not last:
            return "", [read]
        group, value = self.group(last[-1], found), last[-1].inputs[1]
        if any(t in found and not found[t].agrees for each in group for t in each.inputs):
            return "", group
        if value in self.file.inputs or value in found:
            name = printable(self.file.variable_of(read))
            return f"the variable {name} is read where the model has assigned it anew", [read]
        group = [op for op in group if op is not last[-1]] or [read]
        return reasons.plain(found[read.outputs[0]], group), group

    def twin(self, op: FileOp) -> tuple[FileTrace, FileOp] | None:
        """Return the same op of the other file, where there is one."""
        if self.other is None or op.number not in self.aligned:
            return None
        return self.other, self.other.ops[self.aligned[op.number]]

    def _own_fault(self, op: FileOp, place: int, call: int) -> str | None:
        """Say what an op has or does wrong; empty where nothing, ``None`` where that is unknown."""
        twin, tensor = self.twin(op), op.outputs[place]
        changed = twin and (
            reasons.changed_inputs(self.file, op, *twin) or self._rewired(op, *twin)
        )
        if changed:
            return changed
        if op.op in TFLITE_DRAWS:
            return reasons.DRAWS
        sound = self._sound(op, place)
        if sound is None:
            return None
        otherwise = reasons.computes_otherwise(op, twin[1] if twin else op)
        return self._judged(tensor, sound, call, otherwise)

    def _judged(
        self,
        tensor: int,
        sound: Array,
        call: int,
        otherwise: str,
        rounding: Callable[[], float] = float,
    ) -> str | None:
        """Say what is wrong with a tensor that should be ``sound``; empty where nothing is.

        ``None`` where it has no value. ``otherwise`` is what to say where neither the end of its
        scale, nor its own rounding, nor that of weights, explains it.
        """
        saturated, beyond = reasons.saturates(self.file, tensor, sound)
        variable = self.file.variable_in(tensor) if saturated else None
        if variable is not None:
            saturated += f"; it holds the variable {printable(variable)}"
        limits = self.file.limits(tensor)
        whole = self.difference(tensor, sound)
        own = self.difference(tensor, sound if limits is None else np.clip(sound, *limits))
        if whole is None or own is None:
            return None
        before = self.added.get(tensor)
        if before is None or whole.share > 1.01 * before.difference.share:
            self.added[tensor] = Added(call, whole, saturated)
        if beyond > reasons.SATURATED:
            return saturated
        return "" if own.agrees or own.without(rounding()).agrees else otherwise

    def _rewired(self, op: FileOp, other: FileTrace, twin: FileOp) -> str:
        """Say that an op takes the output of another one than it should; empty if it does not."""
        pairs = self.tensor_pairs()
        for place, (mine, theirs) in enumerate(zip(op.inputs, twin.inputs, strict=False)):
            maker = self.file.producers.get(mine)
            if maker is not None and maker.number > op.number:
                return f"its input {place}, {self.file.title(mine)}, is computed after it"
            if mine in pairs and theirs >= 0 and pairs[mine] != theirs:
                taken, wanted = self.file.title(mine), other.title(theirs)
                return f"its input {place} is {taken} where a fresh conversion takes {wanted}"
        return ""

    def _sound(self, op: FileOp, place: int) -> Array | None:
        """Return what is right for an op's own inputs, in real values; ``None`` if unknown."""
        twin = self.twin(op)
        if twin is None:
            return self.file.value(op.inputs[0]) if op.op in ("QUANTIZE", "DEQUANTIZE") else None
        if op.number not in self._replays:
            self._replays[op.number] = OpReplay(*twin)
        replay = self._replays[op.number]
        inputs = [None if t < 0 else self.file.value(t) for t in op.inputs]
        if not replay.possible or len(op.inputs) != len(twin[1].inputs):
            return None
        try:
            return replay(inputs)[place]
        except (RuntimeError, ValueError):
            return None

    def group(self, op: FileOp, found: Collection[int]) -> list[FileOp]:
        """Return the op and those before it, up to inputs that are known to agree."""
        group, waiting = {op.number: op}, [op]
        while waiting:
            for tensor in waiting.pop().inputs:
                maker = self.file.producers.get(tensor)
                if maker is None or tensor in found or maker.op in WITHOUT_VALUE:
                    continue
                if maker.op == "READ_VARIABLE" and self._reads_what_was_held(maker):
                    continue
                if maker.number not in group and not self._rests_on_constants(maker):
                    group[maker.number] = maker
                    waiting.append(maker)
        return [group[number] for number in sorted(group)]

    def _reads_what_was_held(self, read: FileOp) -> bool:
        """Whether a read gives what the model's variable held before the call.

        Which one that is nobody has to know where all of the shape hold the same.
        """
        assigns = self.file.assigns_of(self.file.variable_of(read))
        value = self.file.value(read.outputs[0])
        if value is None or any(op.number < read.number for op in assigns):
            return False
        held = [one for one in map(np.asarray, self.before) if one.shape == value.shape]
        return bool(held) and all(difference(value, one).agrees for one in held)

    def _rests_on_constants(self, op: FileOp) -> bool:
        kind = op.op in ("DEQUANTIZE", "SHAPE")
        return kind and all(t < 0 or self.file.is_constant(t) for t in op.inputs)

    def _last_assigned(self, read: FileOp) -> Array | None:
        """Return what a variable was assigned last, in this call or in one before."""
        name = self.file.variable_of(read)
        for op in reversed(self.file.assigns_of(name)):
            if op.number < read.number:
                return self.file.value(op.inputs[1])
        return self._assigned.get(name)

    def _note_assigned(self) -> None:
        """Keep, at the end of a call, what the variables hold."""
        for op in self.file.ops:
            if op.op == "ASSIGN_VARIABLE" and (value := self.file.value(op.inputs[1])) is not None:
                self._assigned[self.file.variable_of(op)] = value.copy()
