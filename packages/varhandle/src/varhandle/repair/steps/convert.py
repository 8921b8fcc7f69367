"""Convert what the steps before have made of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.conversion.converter import convert
from varhandle.evaluate.proof import converter_words
from varhandle.facts.recipes import RECIPES, ConverterSettings, needs_calibration
from varhandle.formats import SAVED_MODEL, format_of, read_graph
from varhandle.repair.refusal import OTHER_BUILTINS, NoCureError
from varhandle.repair.steps.base import RepairStep
from varhandle.repair.steps.export import EXPORT

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan

_SAVING = frozenset({"export", "recast", "whole", "hold"})
"""After these steps it is a SavedModel that is converted."""


def _run(job: RepairJob) -> None:
    job.made = job.content = _proved_before(job) or _float_file(job)
    keeps = job.target.resource_variables and not needs_calibration(job.plan.quantization)
    if not keeps and "lift" not in job.plan.steps and read_graph(job.made).variables:
        why = "The converted file keeps a state, which becomes inputs and outputs."
        job.plan = job.plan.with_step(job.diagnosis, "lift", why)


def _proved_before(job: RepairJob) -> bytes | None:
    """Return the file that the diagnosis made, where it is the one that is wanted."""
    known = (job.diagnosis.signature,) if job.diagnosis.signature else ()
    if job.source == job.path and job.diagnosis.proof and job.plan.signatures == known:
        return job.diagnosis.proof.content
    return None


def _float_file(job: RepairJob) -> bytes:
    try:
        return convert_source(job)
    except NoCureError:
        if not job.model_format.can_export or "export" in job.plan.steps:
            raise
    # The other door of a Keras model; a stateful one may go through it alone.
    why = "Its other door, by Model.export, is the one that is open."
    job.plan = job.plan.with_step(job.diagnosis, "export", why)
    EXPORT.run(job)
    return convert_source(job)


def convert_source(job: RepairJob, settings: ConverterSettings | None = None) -> bytes:
    """Convert ``job.source``.

    Raises:
        NoCureError: The converter gives no file.
    """
    record = convert(
        job.source, settings=settings, signature_keys=job.signatures, trust=job.trust,
        timeout=job.timeout,
    ).record  # fmt: skip
    if not record.ok:
        change = "" if job.source == job.path and job.error else OTHER_BUILTINS
        raise NoCureError(f"no safe cure: {converter_words(record)}", job.error, change)
    content: bytes = record.value
    return content


def _code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    recipe = RECIPES[plan.quantization] if plan.quantization else None
    if recipe and recipe.selective:
        return []  # it is the recipe that converts
    model_format = SAVED_MODEL if _SAVING & set(plan.steps) else format_of(diagnosis.graph)
    called = model_format.call_signature(diagnosis.graph, None)
    return [
        *model_format.converter_code(called, plan.signatures),
        *(_settings(plan) if recipe and not plan.quantizes_file(diagnosis) else []),
        "content = converter.convert()",
    ]


CALLS_ARE = [
    "# calls: signature ('' where the model has none) to inputs of your own, for each call a",
    "# dictionary of input name to array",
]


def _settings(plan: RepairPlan) -> list[str]:
    """Write what a recipe sets on the converter."""
    recipe = RECIPES[str(plan.quantization)]
    ops = ", ".join(f"tf.lite.OpsSet.{name}" for name in recipe.settings.supported_ops)
    lines = [
        "converter.optimizations = [tf.lite.Optimize.DEFAULT]",
        f"converter.target_spec.supported_ops = [{ops}]",
    ]
    if recipe.settings.supported_types:
        types = ", ".join(f"tf.{name}" for name in recipe.settings.supported_types)
        lines.append(f"converter.target_spec.supported_types = [{types}]")
    if recipe.calibrated:
        lines += [
            *CALLS_ARE,
            "converter.representative_dataset = lambda: (",
            "    (name, call) for name in calls for call in calls[name]"
            if plan.signatures
            else "    list(call.values()) for call in calls['']",
            ")",
            f"converter.inference_input_type = tf.{recipe.settings.inference_input_type}",
            f"converter.inference_output_type = tf.{recipe.settings.inference_output_type}",
        ]
    return lines


CONVERT = RepairStep("convert", "convert", "convert", _run, _code)
