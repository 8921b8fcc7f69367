"""The plan of a repair: which steps lead from a model to the .tflite file that a target takes.

A decision, and nothing more: from what the diagnosis found, from the target and from the recipe. It
runs no TensorFlow. ``cure`` carries the plan out, and proves what comes of it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, replace

from varhandle.diagnosis import Diagnosis
from varhandle.display import Rich, code_html, panel_html
from varhandle.facts.recipes import needs_calibration, requested_recipe
from varhandle.facts.targets import Target, find_target
from varhandle.families.findings import inference_signature
from varhandle.formats import format_of
from varhandle.repair.plan_rules import (
    assigned_by,
    check_recipe,
    choose_steps,
    signatures_together,
    steps_for_state,
)
from varhandle.repair.steps import STEPS


@dataclass(frozen=True, repr=False)
class RepairPlan(Rich):
    """How a model becomes the file that a target takes.

    Attributes:
        id: What the plan is called, after the step that is its point: ``"as-it-is"``,
            ``"convert"``, ``"take-signature"``, ``"hold-variables"``, ``"recast-state"``,
            ``"whole-updates"``, ``"freeze"``, ``"lift-state"`` or ``"quantize"``.
        steps: Keys of ``STEPS``, in their order.
        why: One or two sentences, in terms of this model.
        code: TensorFlow and LiteRT code for this model, which leaves the file as ``content``, and
            where the state is lifted the state before the first call as ``state``.
        signatures: The signatures that the file gets; none where the model has none. Beside the
            one that is asked for, those that share state with it.
        left_out: The model's other signatures.
        narrow: Dtypes that are carried in a wider one.
        quantization: Name of the recipe; ``None`` for a float file.
    """

    id: str
    steps: tuple[str, ...]
    why: str
    code: str
    signatures: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    quantization: str | None = None

    def __repr__(self) -> str:
        return f"RepairPlan({self.id}: {', '.join(self.steps)})"

    def text(self) -> str:
        """Return the steps, the reason and the code."""
        steps = [f"{n}. {STEPS[step].does}" for n, step in enumerate(self.steps, start=1)]
        return "\n".join([f"plan: {self.id}", self.why, *steps, "", self.code])

    def html(self) -> str:
        """Return the same as a panel."""
        steps = "".join(f"<li>{html.escape(STEPS[step].does)}</li>" for step in self.steps)
        body = (
            f'<p style="overflow-wrap: anywhere">{html.escape(self.why)}</p><ol>{steps}</ol>'
            f"<details><summary>the code</summary>{code_html(self.code)}</details>"
        )
        return panel_html("neutral", f"plan: {self.id}", body)

    def quantizes_file(self, diagnosis: Diagnosis) -> bool:
        """Whether a .tflite file is quantized that is there already, and not by the converter."""
        lifted = "lift" in self.steps and needs_calibration(self.quantization)
        return lifted or format_of(diagnosis.graph).is_converted

    def with_step(self, diagnosis: Diagnosis, step: str, why: str) -> RepairPlan:
        """Return the plan with one more step, which only carrying it out showed to be needed."""
        steps = _in_order([*self.steps, step])
        plan = replace(self, id=_id_of(steps), steps=steps, why=f"{self.why} {why}")
        return replace(plan, code=_code(diagnosis, plan))


def plan_repair(
    diagnosis: Diagnosis,
    target: str | Target = "litert",
    quantization: str | None = None,
    *,
    signature: str | None = None,
) -> RepairPlan:
    """Decide how a model becomes a file that a target takes; a static diagnosis is enough.

    Args:
        diagnosis: What was found in the model.
        target: Where the file is to run.
        quantization: Name of a recipe (``facts.recipes.RECIPES``); ``None`` for a float file.
        signature: The signature to take; the one for inference if ``None``.

    Raises:
        NoCureError: The file alone does not hold what a cure would need.
        ValueError: There is no such target or no such recipe.
        KeyError: The model has no such signature.
    """
    place = find_target(target) if isinstance(target, str) else target
    recipe = requested_recipe(quantization)
    chosen = diagnosis.signature
    if signature is not None:
        chosen = inference_signature(diagnosis.graph, signature)
    choice = choose_steps(diagnosis, place, chosen)
    steps, why = list(choice.steps), list(choice.why)
    names: tuple[str, ...] = () if chosen is None else (chosen,)
    if chosen is not None and signature is None and "signature" not in steps:
        names = signatures_together(diagnosis, chosen)
    state = assigned_by(diagnosis, names)
    if recipe:
        check_recipe(diagnosis, recipe, choice.narrow, stateful=bool(state))
        steps.append("quantize")
    if state and "lift" not in steps:
        more, reason = steps_for_state(state, place, recipe)
        steps, why = steps + more, why + reason
    ordered = _in_order(steps)
    left_out = tuple(s.name for s in diagnosis.graph.signatures if s.name not in names)
    plan = RepairPlan(
        _id_of(ordered), ordered, " ".join(why), "", names, left_out, tuple(choice.narrow), recipe
    )
    return replace(plan, code=_code(diagnosis, plan))


def _in_order(steps: Iterable[str]) -> tuple[str, ...]:
    """Sort steps; a file that something is done to is not kept as it is."""
    several = set(steps) if len(set(steps)) == 1 else set(steps) - {"keep"}
    return tuple(step for step in STEPS if step in several)


def _id_of(steps: tuple[str, ...]) -> str:
    """Name a plan after its first step that has a name, converting and quantizing last."""
    named = [step for step in steps if STEPS[step].plan_id]
    telling = [step for step in named if step not in ("convert", "quantize")]
    return STEPS[(telling or named)[0]].plan_id


def _code(diagnosis: Diagnosis, plan: RepairPlan) -> str:
    """Write what a person would run to do by hand what the plan says.

    Names and paths out of a file enter it as Python literals, so that none can become code.
    """
    model_format = format_of(diagnosis.graph)
    path = model_format.path_to_load(diagnosis.graph.source)
    if model_format.is_converted:
        lines = ["from pathlib import Path", "", f"content = Path({path!r}).read_bytes()"]
    else:
        lines = ["import tensorflow as tf", "", f"source = {path!r}"]
    for step in plan.steps:
        lines += STEPS[step].code(diagnosis, plan)
    return "\n".join([*lines, 'open("model.tflite", "wb").write(content)'])
