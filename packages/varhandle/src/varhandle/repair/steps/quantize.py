"""Quantize: by the converter, or a .tflite file that is there already.

Calibration must see the state, so a state is lifted before a calibrated recipe, and the lifted file
is what is quantized.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from varhandle.evaluate.stateful_parity import with_state
from varhandle.facts.recipes import RECIPES, ConverterSettings, Recipe
from varhandle.repair.refusal import OTHER_RECIPE, NoCureError
from varhandle.repair.steps.base import RepairStep
from varhandle.repair.steps.convert import CALLS_ARE, convert_source
from varhandle.tflite.externalize_state import lift_state
from varhandle.tflite.runtime_support import update_runtime_version

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan


def _run(job: RepairJob) -> None:
    from varhandle.conversion.quantization import quantize
    from varhandle.conversion.quantization_debugger import QuantizationError

    recipe = RECIPES[str(job.plan.quantization)]
    try:
        if job.plan.quantizes_file(job.diagnosis):
            job.content = _quantized_file(job, recipe)
        elif recipe.selective:
            samples = [list(call.values()) for call in job.called[0].calls]
            job.content = quantize(job.source, recipe, samples, timeout=job.timeout).content
        else:
            made = convert_source(job, _settings(job, recipe))
            job.content = update_runtime_version(lift_state(made).content) if job.lifted else made
    except NoCureError:
        raise
    except (QuantizationError, ValueError, KeyError) as error:
        reason = f"no safe cure with {recipe.name}: {error}"
        raise NoCureError(reason, change=OTHER_RECIPE) from error


def _quantized_file(job: RepairJob, recipe: Recipe) -> bytes:
    from varhandle.conversion.quantization import quantize_file

    calls: dict[str, Any] = {one.name_in(job.content) or "": list(one.calls) for one in job.called}
    kept: list[str] = []
    if job.lifted is not None:
        calls = {name: with_state(job.lifted, c, name or None) for name, c in calls.items()}
        kept = sorted(job.lifted.initial_state)
    if recipe.float_inputs:
        kept += [name for one in job.called for name in one.calls[0]]
        kept += [spec.name for one in job.called for spec in one.signature.outputs]
    bits = recipe.activation_bits
    return quantize_file(
        job.content, calls, activation_bits=bits, float_tensors=kept, timeout=job.timeout
    ).content


def _settings(job: RepairJob, recipe: Recipe) -> ConverterSettings:
    if not recipe.calibrated:
        return recipe.settings
    samples: list[Any] = [
        (one.signature.name, dict(call)) if job.plan.signatures else list(call.values())
        for one in job.called
        for call in one.calls
    ]
    return replace(recipe.settings, representative_dataset=samples)


def _code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    recipe = RECIPES[str(plan.quantization)]
    if recipe.selective:  # by what quantizing each layer costs: that is no converter's setting
        return [
            *CALLS_ARE,
            "from varhandle import quantize",
            "",
            "samples = [list(call.values()) for each in calls.values() for call in each]",
            f"content = quantize(source, {recipe.name!r}, samples).content",
        ]
    if not plan.quantizes_file(diagnosis):
        return []
    lifted = "lift" in plan.steps
    kept = "sorted(state)" if lifted else "[]"
    if recipe.float_inputs:
        kept += f" + {_ends(diagnosis, plan)!r}"
    lines = ["", "from varhandle.conversion.quantization import quantize_file"]
    lines += ["from varhandle.evaluate.stateful_parity import with_state"] if lifted else []
    lines += ["", *CALLS_ARE]
    if lifted:
        lines.append(
            "calls = {name: with_state(lifted, calls[name], name or None) for name in calls}"
        )
    bits = recipe.activation_bits
    return [
        *lines,
        f"made = quantize_file(content, calls, activation_bits={bits}, float_tensors={kept})",
        "content = made.content",
    ]


def _ends(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    """Return the names of the inputs and outputs that the file has besides the state."""
    graph = diagnosis.graph
    sides = [graph.signature(name) for name in plan.signatures] or [graph.main_signature]
    return sorted({spec.name for one in sides for spec in (*one.inputs, *one.outputs)})


QUANTIZE = RepairStep("quantize", "quantize", "quantize", _run, _code)
