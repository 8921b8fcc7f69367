"""Cure a model: carry out the plan of its repair, and prove the file against TensorFlow.

Only the model file is at hand, and not the program that made it. Everything that TensorFlow or an
interpreter does to it happens in child processes. A file that does not answer as TensorFlow does
on the original model, over successive calls, with and without the default delegates, is no cure.
One that could not be compared with anything that tells is made, and called unproved.
"""

from __future__ import annotations

import copy
import functools
import html
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from varhandle.diagnosis import Diagnosis, diagnose
from varhandle.display import Rich, code_html, join_names, panel_html, printable
from varhandle.evaluate.given_inputs import Inputs, inputs_path, rereadable_inputs
from varhandle.evaluate.parity import Parity
from varhandle.evaluate.proof import (
    STATEFUL_CALLS,
    ReferenceCalls,
    are_same_calls,
    compare,
    doubt,
    origin_of,
    reference_calls,
    refuses,
    rests_on,
    rounding_note,
    with_answers,
    without_numbers,
)
from varhandle.evaluate.reference import Loader, loader_of
from varhandle.evaluate.stateful_parity import MICRO, has_micro, load_file
from varhandle.extras import require
from varhandle.facts.recipes import needs_calibration, requested_recipe
from varhandle.facts.targets import DEFAULT_TARGET, MICRO_TARGET, Target, find_target
from varhandle.facts.verdicts import MEANINGS, Verdict
from varhandle.families import clamped_infinity
from varhandle.formats import format_of, read_graph
from varhandle.formats.base import LoadedModel
from varhandle.formats.custom_code import check_imports
from varhandle.formats.trust import NotTrustedError, check_trust
from varhandle.graph import Graph, ModelFileError, Signature
from varhandle.repair.plan import RepairPlan, plan_repair
from varhandle.repair.refusal import (
    ADD_SIGNATURE,
    BRING_INPUTS,
    DIFFERS,
    OTHER_OPS,
    OTHER_RECIPE,
    WRITE_OTHERWISE,
    NoCureError,
    change_for,
)
from varhandle.repair.steps import STEPS, RepairJob, close_more
from varhandle.sandbox import run_isolated
from varhandle.sandbox.lock import locking
from varhandle.sandbox.scratch import temporary_folder
from varhandle.savedmodel import checkpoint_freezer, resave_tracked
from varhandle.tflite.externalize_state import Lifted, lift_state
from varhandle.tflite.flatbuffer import unpack
from varhandle.tflite.runtime_support import refusals
from varhandle.tflite.state_files import check_target, write_with_state
from varhandle.verdict_rules import known_difference

if TYPE_CHECKING:
    from varhandle.divergence.location import Location

__all__ = [
    "NoCureError",
    "RepairResult",
    "RepairedFile",
    "cure",
    "cure_file",
    "plan_repair",
]

Array = npt.NDArray[Any]
Calls = Sequence[Mapping[str, Any]]

_MADE_UP = (
    "The calls were made up: bring inputs of your own (--inputs) before you rely on the comparison."
)


@dataclass(frozen=True, repr=False, eq=False)
class RepairResult(Rich):
    """A .tflite file that answers as the model does, as far as that could be shown.

    Attributes:
        parity: Comparison of the float file with TensorFlow; of a .tflite file that was lifted,
            with its own answers before. All signatures of the file are in it. ``None`` where
            nothing could be compared.
        quantized: Comparison of the quantized file, each answer by its share of the range of
            TensorFlow's; ``None`` for a float file.
        initial_state: Name to the state before the first call; empty if the file keeps its own.
        notes: What else is to be said, a sentence each.
        float_bytes: Size of the file before it was quantized.
        asked: What was called, and the model's own answers.
        doubt: Why the file is unproved, in one line; empty where it is proved.
    """

    content: bytes = field(repr=False)
    plan: RepairPlan
    diagnosis: Diagnosis
    target: Target
    parity: Parity | None
    quantized: Parity | None
    initial_state: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    float_bytes: int = 0
    asked: Sequence[ReferenceCalls] = field(default=(), repr=False)
    doubt: str = ""

    @property
    def proved(self) -> bool:
        """Whether the file was shown to answer as the model does."""
        return not self.doubt

    @property
    def verdict(self) -> Verdict:
        """What is to be said of the file."""
        return "ready" if self.proved else "unproved"

    @property
    def called(self) -> Calls:
        """What the first signature was called with, input name to array."""
        return self.asked[0].calls

    @property
    def expected(self) -> Calls:
        """The model's own answers to these calls, output name to array."""
        return self.asked[0].answers

    def __repr__(self) -> str:
        return f"RepairResult({self.plan.id}: {len(self.content):,} bytes for {self.target.id})"

    def _headline(self) -> str:
        made = f"{self.plan.id}, {len(self.content):,} bytes for {self.target.name}"
        if self.parity is None or not self.proved:
            return f"unproved: {printable(self.doubt, None)} ({made})"
        converted = format_of(self.diagnosis.graph).is_converted
        whose = "the file before it" if converted else "TensorFlow"
        kernels = " and ".join(run.kernels for run in self.parity.runs)
        return f"cured: {made}; answers as {whose}, with {kernels}: {rests_on(self.asked)}"

    def _facts(self) -> list[str]:
        state = [f"state that the caller carries: {', '.join(map(printable, self.initial_state))}"]
        return [self.plan.why, *(state if self.initial_state else []), *self.notes]

    def text(self) -> str:
        """Return the plan, the reason and the comparisons."""
        parts = [self._headline(), *self._facts()]
        if self.parity is not None:
            parts.append(self.parity.text())
        if self.quantized is not None:
            parts.append(f"quantized ({self.plan.quantization}):\n{self.quantized.text()}")
        return "\n".join(parts)

    def html(self) -> str:
        """Return the same as a panel."""
        body = "".join(f"<p>{html.escape(fact)}</p>" for fact in self._facts())
        body += "" if self.parity is None else self.parity.html()
        if self.quantized is not None:
            body += f"<p>quantized: {html.escape(str(self.plan.quantization))}</p>"
            body += self.quantized.html()
        code = f"<details><summary>the code</summary>{code_html(self.plan.code)}"
        tone = MEANINGS[self.verdict].tone
        return panel_html(tone, self._headline(), f"{body}{code}</details>")

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, fit for JSON; no values of arrays."""
        return {
            "cured": self.proved,
            "doubt": self.doubt or None,
            "rests_on": rests_on(self.asked),
            "inputs": origin_of(self.asked),
            "model": self.diagnosis.model,
            "format": self.diagnosis.format,
            "target": self.target.id,
            "plan": {
                "id": self.plan.id,
                "steps": list(self.plan.steps),
                "why": self.plan.why,
                "code": self.plan.code,
            },
            "signatures": list(self.plan.signatures),
            "left_out": list(self.plan.left_out),
            "quantization": self.plan.quantization,
            "bytes": len(self.content),
            "state": {
                name: {"dtype": str(value.dtype), "shape": list(value.shape)}
                for name, value in self.initial_state.items()
            },
            "calls": sum(len(one.answers) for one in self.asked),
            "parity": None if self.parity is None else self.parity.as_dict(),
            "quantized_parity": None if self.quantized is None else self.quantized.as_dict(),
            "notes": list(self.notes),
        }


class RepairedFile(NamedTuple):
    """What :func:`cure_file` made: the result, the .tflite file, and the file of the state."""

    result: RepairResult
    model: Path
    state: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Return the result and the files as plain data, fit for JSON."""
        state = None if self.state is None else str(self.state)
        return {**self.result.as_dict(), "file": str(self.model), "state_file": state}

    def text(self) -> str:
        """Return the result, and what was written."""
        beside = (
            "" if self.state is None else f", and the state before the first call to {self.state}"
        )
        return f"{self.result.text()}\nwrote {self.model}{beside}"


def cure(
    source: str | os.PathLike[str] | Diagnosis,
    *,
    target: str = DEFAULT_TARGET,
    quantization: str | None = None,
    signature: str | None = None,
    inputs: Inputs | None = None,
    trust: bool = False,
    lock: bool = True,
    timeout: float = 300.0,
    imports: Sequence[str | os.PathLike[str]] = (),
    custom_objects: Mapping[str, Any] | None = None,
) -> RepairResult:
    """Make the .tflite file that a model should have become, and prove it.

    Args:
        source: A path, as ``read_graph`` takes it; or a diagnosis of one.
        target: Where the file is to run, as ``facts.targets.find_target`` takes it.
        quantization: Name of a recipe of ``facts.recipes.RECIPES``; a float file if ``None``.
        signature: The one signature to take; if ``None``, the one for inference, and those that
            share state with it.
        inputs: Inputs of the signature, as ``given_calls`` takes them; if ``None``, what is stored
            with the model or made up.
        trust: Whether code that the model brings along may run.
        lock: Whether these are locked by the kernel, as for ``diagnose``.
        timeout: Seconds that each child process may take.
        imports: The user's own code that the model needs, as ``diagnose`` takes it.
        custom_objects: The same.

    Raises:
        NoCureError: There is no safe cure; it says what stands in the way, and what to change.
        ModelFileError: There is no model, or none that can be read.
        NotTrustedError: It brings code along, and is not trusted (a ``ValueError``).
        CallsError: ``inputs`` do not fit (a ``ValueError``).
        ValueError: There is no such target or recipe.
        KeyError: There is no such signature.
    """
    own_code = check_imports(imports, custom_objects)
    place = find_target(target)
    recipe = requested_recipe(quantization)
    inputs = rereadable_inputs(inputs)  # the diagnosis and the proof both read them
    graph = source.graph if isinstance(source, Diagnosis) else read_graph(source)
    if not format_of(graph).is_converted:
        require("tensorflow", "curing what is no .tflite file")
    elif recipe is not None:
        require("ai_edge_quantizer", f"{recipe} of a .tflite file")
    if not Path(graph.source).exists():
        raise ModelFileError(graph.source, "a model file is wanted, and not one in memory")
    try:
        check_trust(graph, trust)
    except NotTrustedError as error:
        _refuse_as_read(graph, place, quantization, signature, error)
        raise
    diagnosis = source
    if not isinstance(diagnosis, Diagnosis):
        diagnosis = diagnose(
            graph,
            signature=signature,
            inputs=inputs,
            trust=trust,
            lock=lock,
            timeout=timeout,
            reference_calls=STATEFUL_CALLS if needs_calibration(recipe) else 0,
            imports=imports,
            custom_objects=custom_objects,
        )
    try:
        plan = plan_repair(diagnosis, place, quantization, signature=signature)
    except NoCureError as error:
        error.location = diagnosis.location  # of the file as the converter makes it
        raise
    if "lift" in plan.steps and needs_calibration(recipe):
        require("ai_edge_quantizer", f"{recipe} of a file whose state is an input")
    with locking(lock), temporary_folder("cure-") as folder:
        return _run_plan(
            RepairJob(diagnosis, place, plan, inputs, trust, timeout, Path(folder), own_code)
        )


def _refuse_as_read(
    graph: Graph,
    target: Target,
    quantization: str | None,
    signature: str | None,
    error: NotTrustedError,
) -> None:
    """Refuse what the file alone shows to have no cure, which no trust would change."""
    try:
        plan_repair(
            diagnose(graph, static=True, signature=signature),
            target,
            quantization,
            signature=signature,
        )
    except NoCureError as refused:
        refused.change = f"{refused.change}\n\n# {error}".lstrip()
        raise refused from error


def _run_plan(job: RepairJob) -> RepairResult:
    """Run the steps of a plan in their order, and prove the float file and the quantized one."""
    for name, step in STEPS.items():  # a step may lengthen the plan by a later one
        if name in job.plan.steps and name != "quantize":
            step.run(job)
    parity = _float_parity(job)
    plain, quantized = job.content, None
    doubts = [_left_to_chance(job), doubt(job.graph, job.asked, parity)]
    recipe = job.plan.quantization
    if recipe is not None:
        missing = next((one.refusal for one in job.called if not one.calls), "")
        if needs_calibration(recipe) and missing:
            raise NoCureError(f"no safe cure with {recipe}: {missing}", change=BRING_INPUTS)
        STEPS["quantize"].run(job)
        quantized = _compared(job, recipe)
        doubts.append(doubt(job.graph, job.asked, quantized, recipe))
    doubts.append(known_difference(job.graph, job.diagnosis.findings))
    return RepairResult(
        content=job.content,
        plan=job.plan,
        diagnosis=job.diagnosis,
        target=job.target,
        parity=parity,
        quantized=quantized,
        initial_state={} if job.lifted is None else job.lifted.start(),
        notes=tuple(_notes(job, parity, plain)),
        float_bytes=len(plain),
        asked=job.asked,
        doubt=next(filter(None, doubts), ""),
    )


def _float_parity(job: RepairJob) -> Parity | None:
    """Compare the float file; where it differs, and more sizes can be closed, the one that has."""
    while True:
        job.asked = _asked(job)
        try:
            return _compared(job, None)
        except NoCureError:
            if not close_more(job):
                raise


def _asked(job: RepairJob) -> list[ReferenceCalls]:
    """Call every signature of the float file on the original model."""
    at_least = STATEFUL_CALLS if needs_calibration(job.plan.quantization) else 0
    given_to = job.diagnosis.signature
    asked = reference_calls(
        job.graph,
        _signatures(job),
        job.made,
        inputs=job.inputs,
        given_to=given_to if given_to in job.plan.signatures else None,
        at_least=at_least,
    )
    proof = job.diagnosis.proof
    known = proof.asked if proof else ()
    # Not of a model that draws; of a file, its plain kernels are asked, which may have refused.
    if job.held or (job.model_format.is_converted and not (proof and proof.passed)):
        known = ()
    load, needs_tensorflow = _loader(job), not job.model_format.is_converted
    return [
        with_answers(one, load, known, timeout=job.timeout, tensorflow=needs_tensorflow)
        for one in asked
    ]


def _signatures(job: RepairJob) -> list[Signature]:
    if job.plan.shapes:  # no others are taken by the file
        held = {one.name: one for one in read_graph(job.made).signatures}
        return [held[name] for name in job.plan.shapes]
    names = job.plan.signatures or (None,)
    called = [job.model_format.call_signature(job.graph, name) for name in names]
    shown = [signature for signature in called if signature is not None]
    if shown:
        return shown
    if job.model_format.lacks_signature(job.graph):
        record = run_isolated(
            resave_tracked.call_of, job.path, timeout=job.timeout, reads=[job.path]
        )
        if not record.ok:
            raise NoCureError(f"no safe cure: {record.message}", change=ADD_SIGNATURE)
        return [record.value]
    made = read_graph(job.made)
    return [next(iter(made.signatures), made.main_signature)]


def _loader(job: RepairJob) -> Callable[[], LoadedModel]:
    """Return what makes fresh copies of the original model, in a child."""
    first = next(iter(job.plan.signatures), None)
    if job.held:
        return loader_of(read_graph(job.held_source), first, job.trust)
    if job.model_format.is_converted:
        return functools.partial(load_file, job.made)
    if job.model_format.lacks_signature(job.graph):
        return Loader(functools.partial(resave_tracked.load_call, job.path), [job.path])
    if job.model_format.needs_checkpoint and job.graph.variables:
        checkpoint = str(checkpoint_freezer.checkpoint_beside(job.graph))
        outputs = [spec.name for one in _signatures(job) for spec in one.outputs]
        load = checkpoint_freezer.load_restored
        files: list[str | Path] = [job.path, *checkpoint_freezer.files_of(checkpoint)]
        return Loader(functools.partial(load, job.path, checkpoint, outputs), files)
    return loader_of(job.graph, first, job.trust, job.imports)


def _compared(job: RepairJob, recipe: str | None) -> Parity | None:
    """Compare every signature of ``job.content``; ``None`` where there is nothing to compare with.

    ``recipe`` is how the file was quantized; ``None`` for the float file. ``NoCureError`` if the
    target would not take the file, or one signature answers otherwise.
    """
    if recipe == job.plan.quantization:  # the last file that is made
        why = refusals(read_graph(job.content), job.target, job.content)
        if why:
            raise NoCureError(f"no safe cure for {job.target.name}: {why[0]}", change=OTHER_OPS)
    micro = runs_on_micro(job) and recipe == job.plan.quantization
    content, lifted = job.content, job.lifted
    if job.draws:
        if not job.held:
            return None
        content, lifted = _held_file(job, recipe)
    before = job.diagnosis.proof
    known = before is not None and before.passed and job.content == before.content
    if before and known and not (recipe or micro) and are_same_calls(job.asked, before.asked):
        return before.parity
    try:
        parity = compare(
            content,
            job.asked,
            lifted=lifted,
            recipe=recipe,
            narrow=job.plan.narrow,
            micro=micro,
            timeout=job.timeout,
        )
    except KeyError as error:
        reason = f"no cure: the file takes other inputs ({error.args[0]})"
        raise NoCureError(reason, job.error, change_for(job.error, BRING_INPUTS)) from error
    if _left_to_chance(job) and not (parity and refuses(parity)):
        return None
    if parity is not None and not parity.passed:
        raise _differs(job, parity, recipe)
    return parity


def _left_to_chance(job: RepairJob) -> str:
    return job.model_format.left_to_chance(job.graph, job.plan.signatures or [None])


def _held_file(job: RepairJob, recipe: str | None) -> tuple[bytes, Lifted | None]:
    """Make the same file of the copy whose random numbers are held: that can be compared."""
    twin = copy.copy(job)
    twin.source, twin.content = job.held_source, job.held
    if job.lifted:
        twin.lifted = lift_state(job.held)
        twin.content = twin.lifted.content
    if recipe:
        STEPS["quantize"].run(twin)
    return twin.content, twin.lifted


def _differs(job: RepairJob, parity: Parity, recipe: str | None) -> NoCureError:
    if not refuses(parity) and (odd := without_numbers(job.asked)):
        return NoCureError(f"no safe cure: {odd}", change=BRING_INPUTS)
    verdicts = "; ".join(f"{run.kernels}: {run.verdict}" for run in parity.runs)
    how = f"quantized by {recipe}" if recipe else "made"
    reason = f"no cure: the file that was {how} does not answer as the model ({verdicts})"
    change = change_for(job.error, DIFFERS)
    if recipe:
        change = OTHER_RECIPE
    elif "keep-infinities" in job.plan.steps:
        change = clamped_infinity.FINITE
    elif [run.kernels for run in parity.runs if run.refusal] == [MICRO]:
        change = OTHER_OPS
    elif {"widen-dtype", "functional-updates"} & set(job.plan.steps):
        change = WRITE_OTHERWISE
    return NoCureError(reason, job.error, change, _location(job))


def _location(job: RepairJob) -> Location | None:
    """Say where the file parts from the model."""
    if job.draws:
        return None
    from varhandle.divergence.failed_comparison import locate_failure

    return locate_failure(
        job.graph,
        job.content,
        converted=job.made,
        lifted=job.lifted,
        signature=next(iter(job.plan.signatures), None),
        inputs=job.inputs,
        trust=job.trust,
        timeout=job.timeout,
        own_code=job.imports,
    )


def runs_on_micro(job: RepairJob) -> bool:
    """Tell whether a file is run on TensorFlow Lite Micro too.

    Its Python package runs the main graph, so it can be asked about one signature only.
    """
    return job.target.id == MICRO_TARGET and has_micro() and len(job.plan.signatures) < 2


def _notes(job: RepairJob, parity: Parity | None, plain: bytes) -> list[str]:
    """Say what else there is to say, a sentence each; ``plain`` is the float file."""
    plan, notes = job.plan, []
    if plan.left_out:
        kind = "signature" if len(plan.left_out) == 1 else "signatures"
        notes.append(f"Not in the file: the {kind} {join_names(plan.left_out)}.")
    if parity is not None and (words := rounding_note(parity)):
        narrow = f"It calculates in {' and '.join(plan.narrow)}: " if plan.narrow else ""
        notes.append(f"{narrow or 'Compared: '}{words}.")
    if job.held and parity is not None:
        notes.append(
            "Compared with every random number held at one value, in the model and in the file."
        )
    made = read_graph(job.content)
    ends = [one for s in made.signatures for one in (*s.inputs, *s.outputs)]
    if halves := [one.name for one in ends if one.dtype == "bfloat16"]:
        notes.append(
            f"{join_names(halves)} is bfloat16: a Python program that runs the file needs a line "
            "before it makes the Interpreter: import ml_dtypes"
        )
    if job.inputs is None and not needs_calibration(plan.quantization):
        notes.append(_MADE_UP)
    if job.target.id == MICRO_TARGET and not runs_on_micro(job):
        notes.append("It was not run on TensorFlow Lite Micro; its table of ops was compared.")
    if job.lifted is not None and job.lifted.note:
        notes.append(job.lifted.note)
    if job.model_format.is_converted:
        notes.append("Compared with the file's own answers: there is no TensorFlow model.")
    if plan.quantization is not None and _dtypes(plain) == _dtypes(job.content):
        # dynamic range leaves small weights alone
        notes.append(
            f"The recipe {plan.quantization} changed nothing: it found no weights to quantize."
        )
    return notes


def _dtypes(content: bytes) -> list[int]:
    """Return the dtypes of all tensors of a file, sorted; the bytes also tell how it was made."""
    model = unpack(content, "the file that was made")
    return sorted(tensor.type for part in model.subgraphs for tensor in part.tensors)


def cure_file(
    source: str | os.PathLike[str], target_file: str | os.PathLike[str], **options: Any
) -> RepairedFile:
    """Cure a model, and write the file, with its first state beside it if that was lifted.

    The state goes into a file of the same name that ends in ``.state.npz``, as ``numpy.load`` reads
    it. ``options`` are those of :func:`cure`. Nothing is written unless the cure passed, and then
    both files or none.

    Raises:
        NoCureError: As :func:`cure`.
        ModelFileError: As :func:`cure`; or a file cannot be written, or would replace the model.
    """
    path = Path(target_file)
    taken = [Path(source)]
    if isinstance(options.get("inputs"), (str, os.PathLike)):
        taken += filter(None, [inputs_path(options["inputs"])])
    check_target(path, *taken)
    result = cure(source, **options)
    state = write_with_state(path, result.content, result.initial_state or None)
    return RepairedFile(result, path, state if result.initial_state else None)
