"""The first op of a file, in the order of execution, that does not compute what the model does.

Everything here runs in a child process, and gives back plain data.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.divergence import reasons
from varhandle.divergence.computed_ops import op_rows
from varhandle.divergence.file_trace import WITHOUT_VALUE, FileOp, FileTrace
from varhandle.divergence.inside import Inside, look_inside
from varhandle.divergence.matching import Samples, TensorMatch, match_model
from varhandle.divergence.model_trace import ModelOp, ModelTrace
from varhandle.divergence.op_check import Fault, OpCheck
from varhandle.divergence.tensor_difference import Difference, difference
from varhandle.evaluate.parity import TOLERANCES, paired_outputs
from varhandle.evaluate.proof import LOOSE, QUANTIZED
from varhandle.formats.base import LoadedModel

Array = npt.NDArray[Any]

SAMPLED_CALLS = 3

_HALF = ("float16", "bfloat16")


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
    return OpComparison(*steps, content, file_signature=file_signature, witness=witness).run()


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
    ) -> None:
        self._load, self._signature, self._calls = load, signature, calls
        self._file = FileTrace(content, file_signature)
        self._other: FileTrace | None = None
        if witness is not None and witness != content:
            self._other = FileTrace(witness, file_signature)
        self.check = OpCheck(self._file, None)
        self._model_ops: Sequence[ModelOp] = ()
        self._answers: list[dict[str, Array]] = []

    def _open_model(self) -> ModelTrace:
        return ModelTrace(self._load(), self._signature, self._calls)

    def run(self) -> dict[str, Any]:
        """Return what :class:`varhandle.divergence.location.Location` is made of."""
        self._made = 1
        self.matches: dict[int, TensorMatch] = {}
        refused = self._refused(self._calls[0])
        if refused:
            return self._result({}, refused)
        self._other = self._other if self._runs(self._other) else None
        self._model = self._open_model()
        self._model_ops = self._model.ops
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
            fault = self.check.first(found, number)
            if fault:
                return self._result(pairs, self._parting(fault, found[fault.tensor], number))
        return self._result(pairs, self._grown(pairs))

    def again(self, count: int, tensor: int) -> Iterator[Array | None]:
        """Make the first calls anew, after ``run``; yield what a tensor should be after each.

        It ends before a call that the file refuses.
        """
        self._reopen()
        model, match = self._open_model(), self.matches.get(tensor)
        other = self.check.other
        pairs = self.check.tensor_pairs() if other else {}
        for call in self._calls[:count]:
            with contextlib.suppress(RuntimeError):
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

    def _grown(self, pairs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the op that adds most, where no op is wrong and the answers are far apart."""
        outputs = [t for t in self._file.outputs.values() if t in pairs]
        worst = max(outputs, key=lambda t: pairs[t]["difference"].share, default=None)
        if worst is None or not self.check.added:
            return None
        whole = pairs[worst]["difference"]
        narrow = any(self._file.step(t) for one in self._file.ops for t in one.inputs if t >= 0)
        if whole.agrees or whole.share <= (QUANTIZED if narrow else LOOSE):
            return None
        tensor = max(self.check.added, key=lambda t: self.check.added[t].difference.share)
        most = self.check.added[tensor]
        where = self._place(self._file.producers[tensor], tensor, most.call)
        why = most.saturated or reasons.grown(most.difference, whole)
        one = pairs[tensor]["difference"]
        return {**where, **_figures(one), "why": why, "group": [], "inside": []}

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
            return {**self._place(op, tensor, 1), **figures, "why": why, "group": [], "inside": []}
        return None

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
        for call in self._calls[:SAMPLED_CALLS]:
            answers = self._answer(self._file, call)
            _sample_file(self._file, values)
            told = dict.fromkeys(self._model.outputs.values())
            for name, value in self._model(call):
                expected.add(name, value)
                if value.dtype.name in _HALF:
                    coarseness = max(coarseness, TOLERANCES[value.dtype.name])
                if name in told:
                    told[name] = value
            if self._other:
                answers = self._answer(self._other, call)
                _sample_file(self._other, others)
            wanted = {name: told[node] for name, node in self._model.outputs.items()}
            agree = agree and _agree(answers, wanted, coarseness)
        if self._other and agree:
            self.check = OpCheck(self._file, self._other)
        self.check.coarseness = coarseness
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
        for mine, theirs in paired_outputs(self._file.outputs, self._model.outputs):
            tensor, node = self._file.outputs[mine], self._model.outputs[theirs]
            if tensor not in self.matches or not expected.same(self.matches[tensor].node, node):
                self.matches[tensor] = TensorMatch(tensor, node, "name")  # whatever its values say

    def _reopen(self) -> None:
        """Begin anew with the first call: the calls that were made may have changed a state."""
        self._file.reopen()
        if self._other:
            self._other.reopen()

    @staticmethod
    def _answer(trace: FileTrace, call: Mapping[str, Any]) -> dict[str, Array]:
        return trace(named_for(trace, call))

    def _compare(self, call: Mapping[str, Any]) -> dict[int, Difference]:
        """Make one call of each; return how far the file's tensors are from what they should be."""
        self._answers.append(self._answer(self._file, call))
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
        first = {**self._place(fault.op, fault.tensor, call), **_figures(one), "why": fault.why}
        first["group"] = [[each.op, each.number] for each in fault.group]
        first["inside"] = inside = []
        step = look_inside(self.check, fault.op)
        while step:
            inside.append(_inner(step))
            step = step.deeper
        return first

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
        rows, unmatched = [], []
        for op in self._file.ops:
            for tensor in op.outputs:
                if op.op in WITHOUT_VALUE:
                    continue
                match, seen = self.matches.get(tensor), pairs.get(tensor)
                if match is None:
                    unmatched.append(self._file.name(tensor))
                if seen:
                    one, added = seen["difference"], self.check.added.get(tensor)
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
        ops, left = op_rows(self._file, self._model_ops, self.matches)
        return {
            "first": first,
            "pairs": rows,
            "unmatched": unmatched,
            "calls": self._made,
            "answers": self._answers,
            "file_calls": [named_for(self._file, c) for c in self._calls[: len(self._answers)]],
            "ops": ops,
            "only_in_model": left,
        }


def _inner(step: Inside) -> dict[str, Any]:
    """Tell an op inside another as plain data."""
    if step.fault is None:
        why = "its ops agree, and it hands their values on in another order"
        return {"where": step.where, "op": None, "number": None, "tensor": None, "why": why}
    fault = step.fault
    return {
        "where": step.where,
        "op": fault.op.op,
        "number": fault.op.number,
        "tensor": step.check.file.name(fault.tensor),
        "why": fault.why,
    }


def _figures(one: Difference) -> dict[str, Any]:
    return {"max_difference": one.largest, "similarity": one.similarity, "steps": one.steps}


def named_for(trace: FileTrace, call: Mapping[str, Any]) -> dict[str, Array]:
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


def _agree(answers: Mapping[str, Array], wanted: Mapping[str, Any], allowed: float) -> bool:
    if len(answers) != len(wanted) or any(value is None for value in wanted.values()):
        return False
    return all(
        difference(answers[mine], wanted[theirs], allowed=allowed).agrees
        for mine, theirs in paired_outputs(answers, wanted)
    )
