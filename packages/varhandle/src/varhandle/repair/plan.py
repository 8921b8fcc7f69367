"""The plan of a repair: which steps lead from a model to the .tflite file that a target takes.

A decision, and nothing more: from what the diagnosis found, from the target and from the recipe. It
runs no TensorFlow. ``cure`` carries the plan out, and proves what comes of it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from varhandle.diagnosis import Diagnosis, Finding
from varhandle.display import Rich, code_html, join_names, panel_html, printable
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.recipes import RECIPES, needs_calibration, requested_recipe
from varhandle.facts.tables import CHANGES
from varhandle.facts.targets import DEFAULT_TARGET, MICRO_TARGET, Target, find_target
from varhandle.facts.variable_updates import CONVERTED_UPDATES
from varhandle.families.base import converts_with_others, inference_signature
from varhandle.families.catalog import FAMILIES
from varhandle.families.converter_call import OUTPUT_TENSORS
from varhandle.formats import format_of
from varhandle.graph import Variable
from varhandle.graph.signature_inference import assigned_by_answers
from varhandle.repair.refusal import (
    DIFFERS,
    NO_FAMILY,
    NO_VARIABLES,
    ORIGINAL_MODEL,
    NoCureError,
    because,
)
from varhandle.repair.steps import REWRITES, SETTINGS, STEPS
from varhandle.savedmodel.checkpoint_freezer import checkpoint_beside
from varhandle.savedmodel.close_shapes import Sizes
from varhandle.tflite.shared_reads import shared_read_words
from varhandle.verdict_rules import (
    QUANTIZED_ALREADY,
    UNEXPLAINED,
    fatal_shared_reads,
    is_broken_beside,
    is_fused_wrongly,
    is_not_loaded,
    other_floats,
)

_FAMILIES = {family.id: family for family in FAMILIES}
_BLOCKING = frozenset(family.id for family in FAMILIES if family.spoils_whole_file)


@dataclass(frozen=True, repr=False)
class RepairPlan(Rich):
    """How a model becomes the file that a target takes.

    Attributes:
        id: What the plan is called: ``plan_id`` of the step that is its point.
        steps: Keys of ``STEPS``, in their order.
        why: One or two sentences, in terms of this model.
        code: TensorFlow and LiteRT code for this model, which leaves the file as ``content``, and
            where the state is lifted the state before the first call as ``state``.
        signatures: The signatures that the file gets; none where the model has none. Beside the
            one that is asked for, those that share state with it.
        left_out: The model's other signatures.
        narrow: Dtypes that are carried in a wider one.
        shapes: By signature and input, what open shapes are closed to; a batch of 1 if empty.
    """

    id: str
    steps: tuple[str, ...]
    why: str
    code: str
    signatures: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    quantization: str | None = None
    shapes: Mapping[str, Sizes] = field(default_factory=dict)

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
        plan = replace(self, steps=(*self.steps, step), why=f"{self.why} {why}".rstrip())
        return _finished(diagnosis, plan)


def plan_repair(
    diagnosis: Diagnosis,
    target: str | Target = DEFAULT_TARGET,
    quantization: str | None = None,
    *,
    signature: str | None = None,
) -> RepairPlan:
    """Decide how a model becomes a file that a target takes; a static diagnosis is enough.

    ``quantization`` is the name of a recipe (``facts.recipes.RECIPES``), ``None`` for a float file;
    ``signature`` the one to take, the one for inference if ``None``.

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
    choice = _choose_steps(diagnosis, place, chosen)
    steps, why = list(choice.steps), [choice.why]
    names: tuple[str, ...] = () if chosen is None else (chosen,)
    if chosen is not None and signature is None and "signature" not in steps:
        names = _signatures_together(diagnosis, chosen)
    if format_of(diagnosis.graph).is_converted:  # the file keeps them all
        names = tuple(one.name for one in diagnosis.graph.signatures)
    state = _assigned_by(diagnosis, names)
    if recipe:
        _check_recipe(diagnosis, recipe, choice.narrow, stateful=bool(state))
        steps.append("quantize")
    if state and "lift" not in steps:
        held = join_names(v.name for v in state)
        if not place.resource_variables or needs_calibration(recipe):
            steps.append("lift")
        if not place.resource_variables:
            why.append(f"{_no_variables(place)}, so {held} becomes an input and an output.")
        elif needs_calibration(recipe):
            why.append(
                f"Calibration must see {held}: it becomes an input and an output, and stays as it "
                "is, since it may grow out of any range."
            )
        elif place.id == MICRO_TARGET:
            why.append(f"TensorFlow Lite Micro must be given a variable store for {held}.")
    left_out = tuple(s.name for s in diagnosis.graph.signatures if s.name not in names)
    plan = RepairPlan(
        "", tuple(steps), " ".join(why), "", names, left_out, tuple(choice.narrow), recipe
    )
    return _finished(diagnosis, plan)


def _finished(diagnosis: Diagnosis, plan: RepairPlan) -> RepairPlan:
    """Sort a plan's steps, name it after the first that has a name, and write its code."""
    wanted = set(plan.steps)
    if len(wanted) > 1:
        wanted.discard("as-it-is")  # a file that something is done to is not kept as it is
    steps = tuple(step for step in STEPS if step in wanted)
    named = [step for step in steps if STEPS[step].plan_id]
    telling = [step for step in named if step not in ("convert", "quantize")]
    plan = replace(plan, steps=steps, id=STEPS[(telling or named)[0]].plan_id)
    return replace(plan, code=_code(diagnosis, plan))


def _code(diagnosis: Diagnosis, plan: RepairPlan) -> str:
    """Write what a person would run to do by hand what the plan says.

    Names and paths out of a file enter it as Python literals, so that none can become code.
    """
    model_format = format_of(diagnosis.graph)
    before, path = model_format.source_code(diagnosis.graph.source)
    if model_format.is_converted:
        lines = ["from pathlib import Path", "", f"content = Path({path!r}).read_bytes()"]
    else:
        lines = [*before, "import tensorflow as tf", "", f"source = {path!r}"]
    for step in plan.steps:
        lines += STEPS[step].code(diagnosis, plan)
    return "\n".join([*lines, 'open("model.tflite", "wb").write(content)'])


def _signatures_together(diagnosis: Diagnosis, chosen: str) -> tuple[str, ...]:
    """Return a signature and those that share with it what one of them assigns.

    Keras exports the same function twice, as ``serve`` and as ``serving_default``.
    """
    found = {chosen}
    for variable in diagnosis.variables:
        accesses = (*variable.reads, *variable.assigns)
        touching = {name for access in accesses for name in access.signatures}
        if chosen in touching and variable.assigns:
            found |= {n for n in touching if converts_with_others(diagnosis.graph, n, True)}
    twins = {"serve", "serving_default"}
    return tuple(sorted(found - (twins - {chosen} if chosen in twins else set())))


def _assigned_by(diagnosis: Diagnosis, signatures: Sequence[str]) -> list[Variable]:
    """Return the variables that the signatures assign."""
    return [
        variable
        for variable in diagnosis.variables
        if any(
            not signatures or not access.signatures or set(signatures) & set(access.signatures)
            for access in variable.assigns
        )
    ]


def _check_recipe(
    diagnosis: Diagnosis, recipe: str, narrow: Sequence[str], *, stateful: bool
) -> None:
    """Refuse a recipe that the converter alone can follow, where it is not converted now."""
    if format_of(diagnosis.graph).is_converted and not RECIPES[recipe].fits_tflite:
        raise NoCureError(
            f"the recipe {recipe} is the converter's, and cannot be applied to a .tflite file",
            change="Give the model that the file was converted from, or take int8 or 16x8.",
        )
    if needs_calibration(recipe) and _HALVES & set(narrow):
        raise NoCureError(
            f"the recipe {recipe} would quantize the steps that round to {' or '.join(narrow)}",
            change="Keep the state in float32 where the model is written, and quantize that.",
        )
    if stateful and RECIPES[recipe].selective:
        raise NoCureError(
            f"the recipe {recipe} is for models without state",
            change="Take int8: the state stays float32 in any case.",
        )


def _no_variables(target: Target) -> str:
    """Begin a sentence about a runtime that keeps no state."""
    return f"{target.name[0].upper()}{target.name[1:]} has no variables"


class _Choice(NamedTuple):
    """Steps that make a float file, the reason, and the dtypes that are carried in a wider one."""

    steps: Sequence[str]
    why: str
    narrow: Sequence[str] = ()


def _choose_steps(diagnosis: Diagnosis, target: Target, signature: str | None) -> _Choice:
    """Choose the steps that make a float file of a model, or raise ``NoCureError``."""
    model_format = format_of(diagnosis.graph)
    errors: dict[str, Finding] = {}
    for finding in diagnosis.findings:
        if finding.severity == "error":
            errors.setdefault(finding.id, finding)
    set_otherwise = _mended_by(errors, *SETTINGS)
    twice = fatal_shared_reads(diagnosis.proof)
    diagnosis = replace(diagnosis, other=()) if twice else diagnosis
    if model_format.is_converted:
        choice = _plan_for_tflite(diagnosis, errors, target)
    elif model_format.needs_checkpoint:
        choice = _plan_for_graph_def(diagnosis, errors)
    else:
        choice = _plan_for_source(diagnosis, errors, target, signature)
    why = [one.message for one in set_otherwise.values()]
    why += [f"{shared_read_words(twice)}: it is read twice."] if twice else []
    if not why:
        return choice
    mending = [str(_FAMILIES[each].repair_step) for each in set_otherwise]
    mending += ["split-shared-reads"] if twice else []
    told = [*why, "" if choice.why in _NOTHING else choice.why]
    return choice._replace(steps=[*choice.steps, *mending], why=" ".join(told).rstrip())


_NOTHING = (
    "Nothing in the model stands in the way.",
    "Nothing in the file stands in the way.",
)


def _mended_by(errors: dict[str, Finding], *steps: str) -> dict[str, Finding]:
    """Take those out of the errors that these steps mend."""
    mine = [each for each in errors if _FAMILIES[each].repair_step in steps]
    return {each: errors.pop(each) for each in mine}


def _refuse(errors: Iterable[Finding]) -> None:
    for finding in errors:
        raise _refused(finding)


def _refused(finding: Finding, more: str = "") -> NoCureError:
    return NoCureError(f"no safe cure for {finding.id}: {finding.message}{more}", finding)


def _refuse_other(diagnosis: Diagnosis, change: str = "") -> None:
    """Refuse a model that fails in a way that no family tells of."""
    if not diagnosis.other:
        return
    if len(diagnosis.other) > 1:  # the others say what the first means, and what to do
        change = "\n".join(diagnosis.other[1:])
    if not change:
        compared = diagnosis.proof is not None and diagnosis.proof.parity is not None
        change = DIFFERS if compared else NO_FAMILY
        change = change if diagnosis.variables else f"{NO_VARIABLES} {change}"
        if compared and UNEXPLAINED not in diagnosis.other[0]:
            change = ""  # it says itself what to do
    raise because(diagnosis.other[0], change)


def _plan_for_tflite(
    diagnosis: Diagnosis, errors: Mapping[str, Finding], target: Target
) -> _Choice:
    _refuse(errors.values())
    _refuse_other(diagnosis, ORIGINAL_MODEL)
    if diagnosis.variables and not target.resource_variables:
        names = join_names(v.name for v in diagnosis.variables)
        return _Choice(["lift"], f"{_no_variables(target)}, and the file keeps {names}.")
    return _Choice(["as-it-is"], _NOTHING[1])


def _plan_for_graph_def(diagnosis: Diagnosis, errors: dict[str, Finding]) -> _Choice:
    unfrozen = next(iter(_mended_by(errors, "freeze").values()), None)
    _refuse(errors.values())
    _refuse_other(diagnosis)
    if unfrozen is None:
        return _Choice(["convert"], "All values are in the graph: it is a frozen one.")
    if assigned_by_answers(diagnosis.graph):
        raise _refused(unfrozen)
    checkpoint = checkpoint_beside(diagnosis.graph)
    if checkpoint is None:
        raise _refused(unfrozen, " No checkpoint beside the file holds all of them.")
    names = join_names(v.name for v in diagnosis.variables)
    why = (
        f"The graph holds no value for {names}; the checkpoint {printable(checkpoint.name)} "
        "beside it does."
    )
    return _Choice(["freeze", "convert"], why)


def _plan_for_source(
    diagnosis: Diagnosis, errors: dict[str, Finding], target: Target, signature: str | None
) -> _Choice:
    if is_not_loaded(diagnosis.proof):
        raise NoCureError(f"no safe cure: {diagnosis.other[0]}")
    for cause in diagnosis.other:
        if cause == QUANTIZED_ALREADY or cause.endswith(OUTPUT_TENSORS):
            raise NoCureError(f"no safe cure: {cause}")
    rewrites = _mended_by(errors, *REWRITES)
    lost = next(iter(_mended_by(errors, "track-variables").values()), None)
    closing = _mended_by(errors, "close-shapes")
    _refuse(errors.values())
    narrow = _calculated_in(diagnosis)
    open_sizes = closing or _stops_on_open_sizes(
        diagnosis, target, signature, explained=lost is not None
    )
    fused = is_fused_wrongly(diagnosis.proof)
    if (open_sizes or fused) and not (rewrites or narrow):
        return _plan_to_close(diagnosis, lost, fused)
    names = " and ".join(narrow)
    why_calculated = (
        f"It calculates in {names}, and no builtin op does: the values are carried in float32, and "
        "rounded after each step as they were."
    )
    if format_of(diagnosis.graph).can_export:
        return _plan_for_keras(diagnosis, rewrites, narrow)
    if rewrites:
        return _rewritten(diagnosis, rewrites, narrow, why_calculated)
    if narrow:
        return _Choice(["widen-dtype", "convert"], why_calculated, narrow)
    broken = is_broken_beside(diagnosis.proof)
    if lost is None and signature is not None and not broken:
        return _plan_for_signature(diagnosis, signature)
    return _plan_to_track(lost, broken)


def _plan_for_keras(
    diagnosis: Diagnosis, rewrites: dict[str, Finding], narrow: tuple[str, ...]
) -> _Choice:
    _refuse(_mended_by(rewrites, "widen-dtype", "functional-updates").values())
    if rewrites:
        choice = _rewritten(diagnosis, rewrites, (), "")
        return choice._replace(steps=["export", *choice.steps])
    if not narrow:
        return _Choice(["convert"], "A Keras file is loaded as the model that it is.")
    names = " and ".join(narrow)
    why = f"It calculates in {names}, and no builtin op does: it is loaded in float32."
    return _Choice(["float32-policy", "export", "convert"], why, narrow)


def _plan_to_track(lost: Finding | None, broken: bool = False) -> _Choice:
    why = "The model has no signature: its call becomes one."
    if broken:
        why = "A node that no call runs takes what is not there: it is saved anew without."
    if lost is not None:
        why = (
            f"The file gives {join_names(lost.variables)} no value where the converter looks; "
            "tf.saved_model.load finds it, so a module holds what it found."
        )
    return _Choice(["track-variables", "convert"], why)


def _plan_to_close(diagnosis: Diagnosis, lost: Finding | None, fused: bool) -> _Choice:
    why = "The sizes of its inputs are open, and the converter or an op needs them."
    if fused:
        why = (
            "The converter makes one op of an LSTM of Keras 2, whose state goes on from call to "
            "call: without its mark, the LSTM stays the loop that it is."
        )
    if format_of(diagnosis.graph).can_export:
        return _Choice(["export", "close-shapes", "convert"], why)
    if lost is not None:
        why = f"{_plan_to_track(lost).why} {why}"
    return _Choice([*(["track-variables"] if lost else []), "close-shapes", "convert"], why)


def _stops_on_open_sizes(
    diagnosis: Diagnosis, target: Target, signature: str | None, *, explained: bool
) -> bool:
    """Tell whether a model with open sizes gave no file, or one that no interpreter runs.

    Before a conversion, or where something else explains that it failed, a finding of them counts.
    A target that takes no other sizes than the file's needs all but the batch, which is 1 there.
    """
    graph, proof = diagnosis.graph, diagnosis.proof
    if format_of(graph).lacks_signature(graph):
        return False
    inputs = graph.signature(signature).inputs if signature else graph.main_signature.inputs
    if inputs and not any(spec.shape is None or None in spec.shape for spec in inputs):
        return False
    if not target.resizes and any(None in (spec.shape or (1, None))[1:] for spec in inputs):
        return True
    if proof is None or explained:
        return any(_FAMILIES[f.id].repair_step == "close-shapes" for f in diagnosis.findings)
    parity = proof.parity
    return proof.refused or (parity is not None and any(run.refusal for run in parity.runs))


def _plan_for_signature(diagnosis: Diagnosis, signature: str) -> _Choice:
    """Decide for a SavedModel whose signature has no error in it."""
    warned = [f.id for f in diagnosis.findings if f.severity == "warning" and f.id in _BLOCKING]
    if warned and len(diagnosis.graph.signatures) > 1:
        others = join_names(s.name for s in diagnosis.graph.signatures if s.name != signature)
        why = (
            f"The signature {printable(signature)} converts by itself; what stands in the way "
            f"({join_names(warned)}) is in {others}."
        )
        return _Choice(["signature", "convert"], why)
    _refuse_other(diagnosis)
    return _Choice(["convert"], _NOTHING[0])


_UNTOUCHED = frozenset(
    """
    AssignVariableOp Cast Const Identity IdentityN If PartitionedCall Placeholder ReadVariableOp
    StatefulPartitionedCall StatelessIf StatelessWhile VarHandleOp While
    """.split()  # noqa: SIM905
)
"""Ops that a value may pass without being calculated with: half-precision weights, for one."""

_HALVES = frozenset({"float16", "bfloat16"})
_POLICIES = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def _calculated_in(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the dtypes in which the model calculates, and no builtin does.

    A SavedModel shows those of half precision. Of a Keras file the policies of its layers do, and
    the converter's message, in the dtypes of MLIR.
    """
    if diagnosis.proof is not None and diagnosis.proof.passed:
        return ()
    if not format_of(diagnosis.graph).shows_ops:
        conversion = diagnosis.proof and diagnosis.proof.conversion
        told = conversion.record.message if diagnosis.other and conversion else ""
        found = set(other_floats(told))
        policies = (str(node.attributes.get("dtype")) for node in diagnosis.graph.nodes)
        found |= {_POLICIES.get(name, name) for name in policies} & _HALVES
    else:
        found = {
            str(value)
            for node in diagnosis.graph.nodes
            if node.op not in _UNTOUCHED
            for name, value in node.attributes.items()
            if name == "T" and value in _HALVES
        }
    return tuple(sorted(found))


_WHY_REWRITTEN = {
    "builtin-draws": "What is drawn at random is drawn by builtins, from the same distributions.",
    "compare-with-keys": (
        "A table that has no builtin becomes a comparison with its keys, or is filled anew."
    ),
}


def _rewritten(
    diagnosis: Diagnosis,
    found: Mapping[str, Finding],
    calculated: Sequence[str],
    why_calculated: str,
) -> _Choice:
    """Decide for a SavedModel whose signatures are written anew."""
    narrow, parts = set(calculated), set[str]()
    why: list[str] = []
    for family, finding in found.items():
        mine = [v for v in diagnosis.variables if v.name in finding.variables]
        wrong = [v for v in mine if not dtype_of(v.dtype).calculated]
        for variable in wrong:
            if not dtype_of(variable.dtype).widened:
                raise _no_carrier(variable, finding)
        if wrong:
            why.append(_why_widened(wrong))
        narrow |= {v.dtype for v in wrong}
        if _FAMILIES[family].repair_step == "functional-updates":
            gathered = _FAMILIES[family].is_in_reads
            ops = {v.name: {access.op for access in v.assigns} for v in mine}
            parts |= {name for name in ops if gathered or ops[name] - CONVERTED_UPDATES}
    if calculated and not why:
        why.append(why_calculated)
    others = {str(_FAMILIES[family].repair_step) for family in found} & set(_WHY_REWRITTEN)
    if "compare-with-keys" in others and any(
        CHANGES.fullmatch(node.op) for node in diagnosis.graph.called_nodes
    ):
        _refuse(f for f in found.values() if _FAMILIES[f.id].repair_step == "compare-with-keys")
    why += [_WHY_REWRITTEN[step] for step in sorted(others)]
    if parts:
        names = join_names(sorted(parts))
        why.append(f"{names} is updated in part, and only a whole value can be assigned.")
    steps = [
        *(["widen-dtype"] if narrow else []),
        *(["functional-updates"] if parts else []),
        *sorted(others),
        "convert",
    ]
    return _Choice(steps, " ".join(why), sorted(narrow))


def _why_widened(state: Sequence[Variable]) -> str:
    dtypes = [dtype_of(name) for name in sorted({v.dtype for v in state})]
    names = " or ".join(dtype.name for dtype in dtypes)
    none = (
        f"No builtin op calculates in {names}"
        if all(dtype.carried for dtype in dtypes)
        else f"The converter makes no variable of {names}"
    )
    carried = join_names(f"{v.name} ({v.dtype})" for v in state)
    wider = " or ".join(sorted({dtype.widened for dtype in dtypes}))
    return (
        f"{none}: {carried} is carried in {wider}, and brought back to its own numbers after each "
        "step."
    )


def _no_carrier(variable: Variable, finding: Finding) -> NoCureError:
    if variable.dtype == "string":
        why = "and no number stands for its values"
    elif dtype_of(variable.dtype).loss:
        why = "and no dtype that builtins calculate in holds all of its values"
    else:
        why = "which the tool cannot carry in another dtype"
    name, dtype = printable(variable.name), printable(variable.dtype)
    return NoCureError(f"no safe cure for {finding.id}: {name} is {dtype}, {why}", finding)
