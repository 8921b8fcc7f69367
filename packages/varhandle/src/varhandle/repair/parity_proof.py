"""The proof of a repair: every signature of the file, against the model's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from varhandle.evaluate.example_inputs import CallsError, example_calls
from varhandle.evaluate.parity import TOLERANCES, Parity
from varhandle.evaluate.reference import NotRepeatableError, reference_answers
from varhandle.evaluate.stateful_parity import (
    MICRO,
    CarriedState,
    answers_with_own_state,
    compare_file,
    has_micro,
)
from varhandle.formats import read_graph
from varhandle.graph import Signature
from varhandle.repair.refusal import (
    BRING_INPUTS,
    OTHER_OPS,
    OTHER_RECIPE,
    PASS_RANDOM_IN,
    SIGN,
    WRITE_OTHERWISE,
    NoCureError,
    NotProvenError,
)
from varhandle.repair.steps import RepairJob
from varhandle.sandbox import Record, run_isolated
from varhandle.savedmodel import checkpoint_freezer, resave_tracked
from varhandle.tflite.runtime_support import refusals

CALLS = 20
"""Made-up calls that are compared: a ring or a counter has to go round."""


@dataclass(frozen=True)
class CalledSignature:
    """One signature, what it is called with, and the model's own answers."""

    signature: Signature
    calls: Sequence[Mapping[str, Any]]
    expected: Sequence[Mapping[str, Any]]

    def name_in(self, content: bytes) -> str | None:
        """Return its name in a .tflite file, which may have made one up, or have none."""
        held = [own.name for own in read_graph(content).signatures]
        return self.signature.name if self.signature.name in held else next(iter(held), None)


def _call_signatures(job: RepairJob) -> list[CalledSignature]:
    """Call every signature of the float file on the original model.

    ``CallsError`` if the inputs that were given do not fit; ``NotProvenError`` if none could be
    made up, or the model does not answer.
    """
    found = []
    for number, signature in enumerate(_signatures(job)):
        wanted = job.diagnosis.signature
        given = number == 0 if wanted is None else signature.name == wanted
        mine = job.inputs is not None and given
        try:
            inputs = job.inputs if mine else None
            calls = example_calls(job.graph, signature, CALLS, inputs, job.made).calls
        except CallsError as error:
            if mine:
                raise
            reason = f"nothing to compare with: {error}"
            raise NotProvenError(reason, change=BRING_INPUTS) from error
        found.append(CalledSignature(signature, calls, _answers(job, signature, calls)))
    return found


def _signatures(job: RepairJob) -> list[Signature]:
    names = job.plan.signatures or (None,)
    called = [job.model_format.call_signature(job.graph, name) for name in names]
    shown = [signature for signature in called if signature is not None]
    if shown:
        return shown
    if job.model_format.lacks_signature(job.graph):
        return [_call_signature(job)]
    made = read_graph(job.made)
    return [next(iter(made.signatures), made.main_signature)]


def _call_signature(job: RepairJob) -> Signature:
    """Describe the call of a SavedModel without signatures."""
    record = run_isolated(resave_tracked.call_of, job.path, timeout=job.timeout)
    if not record.ok:
        raise NoCureError(f"no safe cure: {record.message}", change=SIGN)
    signature: Signature = record.value
    return signature


def _answered_before(job: RepairJob, calls: Sequence[Mapping[str, Any]]) -> Any:
    """Return what TensorFlow answered when the model was diagnosed; ``None`` to other calls."""
    proof = job.diagnosis.proof
    asked = proof.asked[: len(calls)] if proof else ()
    if proof is None or len(asked) < len(calls):
        return None
    for before, call in zip(asked, calls, strict=True):
        if before.keys() != call.keys():
            return None
        if not all(np.array_equal(before[name], call[name]) for name in call):
            return None
    return proof.answered[: len(calls)]


def _answers(job: RepairJob, signature: Signature, calls: Sequence[Mapping[str, Any]]) -> Any:
    """Return the answers of the original model."""
    if job.diagnosis.signature in (None, signature.name):
        known = _answered_before(job, calls)
        if known is not None:
            return known
    record = _reference(job, signature, calls)
    if record.ok:
        return record.value
    words = record.message.strip().splitlines()
    drawn = record.exception_type == NotRepeatableError.__name__
    raise NotProvenError(
        "no proof: TensorFlow does not answer for the model itself "
        f"({words[0] if words else record.outcome})",
        change=PASS_RANDOM_IN if drawn else BRING_INPUTS,
    )


def _reference(job: RepairJob, signature: Signature, calls: Sequence[Mapping[str, Any]]) -> Record:
    if job.model_format.is_converted:
        name = signature.name or None
        return run_isolated(
            answers_with_own_state,
            job.made,
            list(calls),
            name,
            timeout=job.timeout,
            tensorflow=False,
        )
    if job.model_format.lacks_signature(job.graph):
        return run_isolated(resave_tracked.answers_of_call, job.path, calls, timeout=job.timeout)
    if job.model_format.needs_checkpoint and job.graph.variables:
        outputs = [spec.name for spec in signature.outputs]
        checkpoint = str(checkpoint_freezer.checkpoint_beside(job.graph))
        return run_isolated(
            checkpoint_freezer.restored_answers,
            job.path,
            checkpoint,
            list(calls),
            outputs,
            timeout=job.timeout,
        )
    return reference_answers(job.path, calls, signature.name, job.trust, job.timeout)


def prove(job: RepairJob, recipe: str | None) -> Parity:
    """Compare every signature of ``job.content``; return the comparison of the first.

    ``recipe`` is how the file was quantized; ``None`` for the float file. ``NoCureError`` if the
    target would not take the file, or one signature answers otherwise.
    """
    if recipe == job.plan.quantization:  # the last file that is made
        why = refusals(read_graph(job.content), job.target, job.content)
        if why:
            raise NoCureError(f"no safe cure for {job.target.name}: {why[0]}", change=OTHER_OPS)
    job.called = job.called or _call_signatures(job)
    parities = [_compared(job, one, recipe) for one in job.called]
    for parity in parities:
        if not parity.passed:
            verdicts = "; ".join(f"{run.kernels}: {run.verdict}" for run in parity.runs)
            how = f"quantized by {recipe}" if recipe else "made"
            reason = f"no cure: the file that was {how} does not answer as the model ({verdicts})"
            if recipe:
                change = OTHER_RECIPE
            elif [run.kernels for run in parity.runs if run.refusal] == [MICRO]:
                change = OTHER_OPS
            else:
                change = (
                    WRITE_OTHERWISE
                    if {"widen-dtype", "functional-updates"} & set(job.plan.steps)
                    else ""
                )
            raise NoCureError(reason, job.error, change)
    return parities[0]


def runs_on_micro(job: RepairJob) -> bool:
    """Tell whether a file is run on TensorFlow Lite Micro too.

    Its Python package runs the main graph, so it can be asked about one signature only.
    """
    return job.target.id == "micro" and has_micro() and len(job.plan.signatures) < 2


def _compared(job: RepairJob, one: CalledSignature, recipe: str | None) -> Parity:
    """Compare one signature, as exactly as the dtypes allow in which the model calculates."""
    name = one.name_in(job.content)
    micro = runs_on_micro(job) and recipe == job.plan.quantization

    def compared(tolerance: float | None) -> Parity:
        return compare_file(
            job.content,
            one.calls,
            one.expected,
            name,
            CarriedState.of(job.lifted, name),
            recipe=recipe,
            tolerance=tolerance,
            timeout=job.timeout,
            micro=micro,
        )

    parity = compared(None)
    halves = [TOLERANCES[dtype] for dtype in job.plan.narrow if dtype in TOLERANCES]
    return parity if parity.passed or recipe or not halves else compared(max(halves))
