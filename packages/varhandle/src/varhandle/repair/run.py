"""Cure a model: carry out the plan of its repair, and prove the file against TensorFlow.

Only the model file is at hand, and not the program that made it. Everything that TensorFlow or an
interpreter does to it happens in child processes. A file that does not answer as TensorFlow does
on the original model, over successive calls, with and without the default delegates, is no cure.
"""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from varhandle.diagnosis import Diagnosis, diagnose
from varhandle.display import Rich, code_html, join_names, panel_html, printable
from varhandle.evaluate.parity import Parity
from varhandle.extras import require
from varhandle.facts.recipes import needs_calibration, requested_recipe
from varhandle.facts.targets import Target, find_target
from varhandle.formats import format_of, read_graph
from varhandle.formats.trust import check_trust
from varhandle.graph import ModelFileError
from varhandle.repair.parity_proof import CALLS, prove, runs_on_micro
from varhandle.repair.plan import RepairPlan, plan_repair
from varhandle.repair.refusal import NoCureError, NotProvenError
from varhandle.repair.steps import STEPS, RepairJob
from varhandle.tflite.flatbuffer import unpack
from varhandle.tflite.state_files import check_target, write_with_state

__all__ = [
    "NoCureError",
    "NotProvenError",
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
_MADE_UP_CALIBRATION = (
    "The ranges were calibrated with made-up calls: bring inputs of your own (--inputs), or the "
    "quantized file saturates on real ones."
)


@dataclass(frozen=True, repr=False, eq=False)
class RepairResult(Rich):
    """A .tflite file that answers as the model does, and how it came about.

    Attributes:
        parity: Comparison of the float file with TensorFlow; of a .tflite file that was lifted,
            with its own answers before.
        quantized: Comparison of the quantized file, each answer by its share of the range of
            TensorFlow's; ``None`` for a float file.
        initial_state: Name to the state before the first call; empty if the file keeps its own.
        notes: What else is to be said, a sentence each.
        float_bytes: Size of the file before it was quantized.
        called: What the first signature was called with, input name to array.
        expected: The model's own answers to these calls, output name to array.
    """

    content: bytes = field(repr=False)
    plan: RepairPlan
    diagnosis: Diagnosis
    target: Target
    parity: Parity
    quantized: Parity | None
    initial_state: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    float_bytes: int = 0
    called: Calls = field(default=(), repr=False)
    expected: Calls = field(default=(), repr=False)

    def __repr__(self) -> str:
        return f"RepairResult({self.plan.id}: {len(self.content):,} bytes for {self.target.id})"

    def _headline(self) -> str:
        return f"cured: {self.plan.id}, {len(self.content):,} bytes for {self.target.name}"

    def _facts(self) -> list[str]:
        state = [f"state that the caller carries: {', '.join(map(printable, self.initial_state))}"]
        return [self.plan.why, *(state if self.initial_state else []), *self.notes]

    def text(self) -> str:
        """Return the plan, the reason and the comparisons."""
        parts = [self._headline(), *self._facts(), self.parity.text()]
        if self.quantized is not None:
            parts.append(f"quantized ({self.plan.quantization}):\n{self.quantized.text()}")
        return "\n".join(parts)

    def html(self) -> str:
        """Return the same as a panel."""
        body = "".join(f"<p>{html.escape(fact)}</p>" for fact in self._facts())
        body += self.parity.html()
        if self.quantized is not None:
            body += f"<p>quantized: {html.escape(str(self.plan.quantization))}</p>"
            body += self.quantized.html()
        code = f"<details><summary>the code</summary>{code_html(self.plan.code)}"
        return panel_html("right", self._headline(), f"{body}{code}</details>")

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, fit for JSON; no values of arrays."""
        return {
            "cured": True,
            "model": self.diagnosis.model,
            "format": self.diagnosis.format,
            "target": self.target.id,
            "way": {
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
            "calls": len(self.called),
            "parity": self.parity.as_dict(),
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
    target: str = "litert",
    quantization: str | None = None,
    signature: str | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    trust: bool = False,
    timeout: float = 300.0,
) -> RepairResult:
    """Make the .tflite file that a model should have become, and prove it.

    Args:
        source: A SavedModel folder, a ``.keras``, ``.h5``, ``.pb`` (binary GraphDef) or ``.tflite``
            file; or a diagnosis of one.
        target: Where the file is to run, as ``facts.targets.find_target`` takes it.
        quantization: Name of a recipe of ``facts.recipes.RECIPES``; a float file if ``None``.
        signature: The one signature to take; if ``None``, the one for inference, and those that
            share state with it.
        inputs: Inputs of the signature, as ``load_calls`` takes them; made up if ``None``.
        trust: Whether code that the model brings along may run.
        timeout: Seconds that each child process may take.

    Raises:
        NoCureError: There is no safe cure; it says what stands in the way, and what to change.
        ModelFileError: There is no model, or none that can be read.
        NotTrustedError: It brings code along, and is not trusted (a ``ValueError``).
        CallsError: ``inputs`` do not fit (a ``ValueError``).
        ValueError: There is no such target or recipe.
        KeyError: There is no such signature.
    """
    place = find_target(target)
    recipe = requested_recipe(quantization)
    graph = source.graph if isinstance(source, Diagnosis) else read_graph(source)
    if not format_of(graph).is_converted:
        require("tensorflow", "curing what is no .tflite file")
    elif recipe is not None:
        require("ai_edge_quantizer", f"{recipe} of a .tflite file")
    check_trust(graph, trust)
    if not Path(graph.source).exists():
        raise ModelFileError(graph.source, "a model file is wanted, not one in memory")
    diagnosis = source
    if not isinstance(diagnosis, Diagnosis):
        diagnosis = diagnose(
            graph,
            signature=signature,
            inputs=inputs,
            trust=trust,
            timeout=timeout,
            reference_calls=CALLS,
        )
    plan = plan_repair(diagnosis, place, quantization, signature=signature)
    if "lift" in plan.steps and needs_calibration(recipe):
        require("ai_edge_quantizer", f"{recipe} of a file whose state is an input")
    with tempfile.TemporaryDirectory(prefix="cure-") as folder:
        return _run_plan(RepairJob(diagnosis, place, plan, inputs, trust, timeout, Path(folder)))


def _run_plan(job: RepairJob) -> RepairResult:
    """Run the steps of a plan in their order, and prove the float file and the quantized one."""
    for name, step in STEPS.items():  # a step may lengthen the plan by a later one
        if name in job.plan.steps and name != "quantize":
            step.run(job)
    parity, plain, quantized = prove(job, None), job.content, None
    if job.plan.quantization is not None:
        STEPS["quantize"].run(job)
        quantized = prove(job, job.plan.quantization)
    first = job.called[0]
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
        called=first.calls,
        expected=first.expected,
    )


def _notes(job: RepairJob, parity: Parity, plain: bytes) -> list[str]:
    """Say what else there is to say, a sentence each; ``plain`` is the float file."""
    plan, notes = job.plan, []
    if plan.left_out:
        kind = "signature" if len(plan.left_out) == 1 else "signatures"
        notes.append(f"Not in the file: the {kind} {join_names(plan.left_out)}.")
    if parity.tolerance is not None:
        notes.append(
            f"It calculates in {' and '.join(plan.narrow)}: kernels round its steps one way or "
            f"the other, so answers may differ by {parity.tolerance:g} of their size."
        )
    if job.inputs is None:
        notes.append(_MADE_UP_CALIBRATION if needs_calibration(plan.quantization) else _MADE_UP)
    if job.target.id == "micro" and not runs_on_micro(job):
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
    kept = [Path(source)]
    if isinstance(options.get("inputs"), (str, os.PathLike)):
        kept.append(Path(options["inputs"]))
    check_target(path, *kept)
    result = cure(source, **options)
    state = write_with_state(path, result.content, result.initial_state or None)
    return RepairedFile(result, path, state if result.initial_state else None)
