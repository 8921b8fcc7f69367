"""Cure a model: carry out the plan of its repair, and prove the file against TensorFlow.

Only the model file is at hand, and not the program that made it. Everything that TensorFlow or an
interpreter does to it happens in child processes. A file that does not answer as TensorFlow does
on the original model, over successive calls, with and without the default delegates, is no cure.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.atomic_write import write_all
from varhandle.diagnosis import Diagnosis, diagnose
from varhandle.display import join_names
from varhandle.extras import require
from varhandle.facts.recipes import needs_calibration, requested_recipe
from varhandle.facts.targets import find_target
from varhandle.formats import format_of, read_graph
from varhandle.formats.trust import check_trust
from varhandle.graph import ModelFileError
from varhandle.repair.job import RepairJob
from varhandle.repair.parity_proof import prove, runs_on_micro
from varhandle.repair.plan import plan_repair
from varhandle.repair.refusal import NoCureError, NotProvenError
from varhandle.repair.result import RepairedFile, RepairResult
from varhandle.repair.steps import STEPS
from varhandle.tflite.flatbuffer import unpack
from varhandle.tflite.state_files import as_npz, state_beside, writing

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Parity

__all__ = [
    "NoCureError", "NotProvenError", "RepairResult", "RepairedFile", "cure", "cure_file",
    "plan_repair",
]  # fmt: skip

_MADE_UP = (
    "The calls were made up: bring inputs of your own (--inputs) before you rely on the comparison."
)
_MADE_UP_CALIBRATION = (
    "The ranges were calibrated with made-up calls: bring inputs of your own (--inputs), or the "
    "quantized file saturates on real ones."
)


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
            graph, signature=signature, inputs=inputs, trust=trust, timeout=timeout
        )
    plan = plan_repair(diagnosis, place, quantization, signature=signature)
    if "lift" in plan.steps and needs_calibration(recipe):
        require("ai_edge_quantizer", f"{recipe} of a file whose state is an input")
    with tempfile.TemporaryDirectory(prefix="cure-") as folder:
        return _carry_out(RepairJob(diagnosis, place, plan, inputs, trust, timeout, Path(folder)))


def _carry_out(job: RepairJob) -> RepairResult:
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
        job.content, job.plan, job.diagnosis, job.target, parity, quantized,
        {} if job.lifted is None else job.lifted.start(),
        len(first.calls), tuple(_notes(job, parity, plain)), len(plain), first.calls,
        first.expected,
    )  # fmt: skip


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

    Args:
        source: The model.
        target_file: The .tflite file to write. The state goes beside it, as ``numpy.load`` reads
            it, into a file of the same name that ends in ``.state.npz``.
        **options: As :func:`cure` takes them.

    Returns:
        The result and the files. Nothing is written unless the cure passed, and then both or none.

    Raises:
        NoCureError: As :func:`cure`.
        ModelFileError: As :func:`cure`; or a file cannot be written, or would replace the model.
    """
    path = Path(target_file)
    kept = [Path(source)]
    if isinstance(options.get("inputs"), (str, os.PathLike)):
        kept.append(Path(options["inputs"]))
    with writing(path):
        state = state_beside(path, *kept)
    result = cure(source, **options)
    files = {path: result.content}
    if result.initial_state:
        files[state] = as_npz(result.initial_state)
    with writing(path):
        write_all(files)
    return RepairedFile(result, path, state if result.initial_state else None)
