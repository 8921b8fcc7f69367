"""Choose the way from a model to the .tflite file that a target takes.

A decision, and nothing more: from what the diagnosis found, from the target and from the recipe. It
runs no TensorFlow. ``cure`` goes the way and proves it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from varhandle.diagnosis import Diagnosis, Finding
from varhandle.display import Rich, code_html, panel_html, printable
from varhandle.errors import VarhandleError
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.recipes import RECIPES, needs_calibration, requested_recipe
from varhandle.facts.targets import Target
from varhandle.facts.targets import target as find_target
from varhandle.facts.variable_updates import CONVERTED_UPDATES
from varhandle.families.catalog import FAMILIES
from varhandle.families.findings import inference_signature
from varhandle.formats import format_of
from varhandle.graph import Variable
from varhandle.repair import plan_code

STEPS = {
    "keep": "take the file as it is",
    "freeze": "put the checkpoint's values into the graph",
    "signature": "take one signature only",
    "export": "save the Keras model as a SavedModel",
    "hold": "hold the captured variables in a module, and save again",
    "recast": "carry values in a wider dtype",
    "whole": "compute whole new values instead of updates of a part",
    "convert": "convert",
    "lift": "lift the state into inputs and outputs",
    "quantize": "quantize",
}
"""Step to what it does, in the order in which steps follow each other."""

_IDS = {
    "freeze": "freeze",
    "recast": "recast-state",
    "whole": "whole-updates",
    "hold": "hold-variables",
    "signature": "take-signature",
    "lift": "lift-state",
    "convert": "convert",
    "keep": "as-it-is",
    "quantize": "quantize",
}
"""Step to the id of a way whose point it is; the first that a way has gives its name."""

_REBUILDS = {family.id: family.repair_step for family in FAMILIES if family.repair_step}
"""Family to the step that rewrites its signature."""


@dataclass(frozen=True, repr=False)
class Way(Rich):
    """How a model becomes the file that a target takes.

    Attributes:
        id: ``"as-it-is"``, ``"convert"``, ``"take-signature"``, ``"hold-variables"``,
            ``"recast-state"``, ``"whole-updates"``, ``"freeze"``, ``"lift-state"`` or
            ``"quantize"``.
        steps: Keys of ``STEPS``, in their order.
        why: One or two sentences, in terms of this model.
        code: TensorFlow and LiteRT code for this model, which leaves the file as ``content``.
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
        return f"Way({self.id}: {', '.join(self.steps)})"

    def text(self) -> str:
        """Return the steps, the reason and the code."""
        steps = [f"{n}. {STEPS[step]}" for n, step in enumerate(self.steps, start=1)]
        return "\n".join([f"way: {self.id}", self.why, *steps, "", self.code])

    def html(self) -> str:
        """Return the same as a panel."""
        steps = "".join(f"<li>{html.escape(STEPS[step])}</li>" for step in self.steps)
        body = (
            f'<p style="overflow-wrap: anywhere">{html.escape(self.why)}</p><ol>{steps}</ol>'
            f"<details><summary>the code</summary>{code_html(self.code)}</details>"
        )
        return panel_html("neutral", f"way: {self.id}", body)


class NoCureError(VarhandleError, ValueError):
    """There is no safe cure for a model from its file alone.

    Attributes:
        reason: Why, in one line.
        finding: What stands in the way; ``None`` where it is nothing that was found in the file.
        change: What the author of the model must change: code, or a sentence.
    """

    def __init__(self, reason: str, finding: Finding | None = None, change: str = "") -> None:
        self.reason = " ".join(reason.split())
        self.finding = finding
        self.change = change or (_by_hand(finding.fix) if finding else "")
        super().__init__(self.reason)

    def text(self) -> str:
        """Return the reason, and what the author of the model must change."""
        return "\n".join(filter(None, [printable(self.reason, None), self.change]))

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain data, fit for JSON."""
        return {
            "cured": False,
            "reason": self.reason,
            "finding": None if self.finding is None else self.finding.id,
            "variables": [] if self.finding is None else list(self.finding.variables),
            "change": self.change,
        }

    def __reduce__(self) -> tuple[type, tuple[str, Finding | None, str]]:
        return type(self), (self.reason, self.finding, self.change)


def _by_hand(fix: str) -> str:
    """Leave out of a fix that the tool could try: it has."""
    return fix.partition("# Without the program that made the file")[0].rstrip()


class NotProvenError(NoCureError):
    """A file could be made, and there is nothing that would prove it right."""


def choose_way(
    diagnosis: Diagnosis,
    target: str | Target = "litert",
    quantization: str | None = None,
    *,
    signature: str | None = None,
) -> Way:
    """Decide how a model becomes a file that a target takes.

    Args:
        diagnosis: What was found in the model; a static reading is enough.
        target: Where the file is to run.
        quantization: Name of a recipe (``facts.recipes.RECIPES``); ``None`` for a float file.
        signature: The signature to take; the one for inference if ``None``.

    Returns:
        The way.

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
    steps, why, narrow = (list(part) for part in _decided(diagnosis, place, chosen))
    names: tuple[str, ...] = () if chosen is None else (chosen,)
    if chosen is not None and signature is None and "signature" not in steps:
        names = _together(diagnosis, chosen)
    state = _state(diagnosis, names)
    if recipe:
        _check_recipe(diagnosis, recipe, narrow, stateful=bool(state))
    if state and "lift" not in steps:
        more, reason = _for_the_state(state, place, recipe)
        steps, why = steps + more, why + reason
    ordered = _in_order([*steps, *(["quantize"] if recipe else [])])
    left_out = tuple(s.name for s in diagnosis.graph.signatures if s.name not in names)
    way = Way(_named(ordered), ordered, " ".join(why), "", names, left_out, tuple(narrow), recipe)
    return replace(way, code=plan_code.write(diagnosis, way))


def _decided(diagnosis: Diagnosis, place: Target, signature: str | None) -> Decision:
    model_format = format_of(diagnosis.graph)
    if model_format.is_converted:
        return _of_converted(diagnosis, place)
    if model_format.needs_checkpoint:
        return _of_graph_def(diagnosis)
    return _of_model(diagnosis, signature)


def _for_the_state(
    state: Sequence[Variable], place: Target, recipe: str | None
) -> tuple[list[str], list[str]]:
    """Return what has to be done with state that is assigned, and why."""
    names = listed(v.name for v in state)
    if not place.resource_variables:
        why = f"{_no_variables(place)}, so {names} becomes an input and an output."
        return ["lift"], [why]
    if needs_calibration(recipe):
        why = (
            f"Calibration must see {names}: it becomes an input and an output, and stays as it "
            "is, since it may grow out of any range."
        )
        return ["lift"], [why]
    told = f"TensorFlow Lite Micro must be given a variable store for {names}."
    return [], [told] if place.id == "micro" else []


def _no_variables(place: Target) -> str:
    """Begin a sentence about a runtime that keeps no state."""
    return f"{place.name[0].upper()}{place.name[1:]} has no variables"


def _named(steps: Sequence[str]) -> str:
    """Return the id of a way of these steps."""
    return next(name for step, name in _IDS.items() if step in steps)


def _in_order(steps: Iterable[str]) -> tuple[str, ...]:
    """Sort steps; a file that something is done to is not kept as it is."""
    several = set(steps) if len(set(steps)) == 1 else set(steps) - {"keep"}
    return tuple(step for step in STEPS if step in several)


def _together(diagnosis: Diagnosis, chosen: str) -> tuple[str, ...]:
    """Return a signature and those that share with it what one of them assigns.

    Keras exports the same function twice, as ``serve`` and as ``serving_default``.
    """
    found = {chosen}
    for variable in diagnosis.variables:
        accesses = (*variable.reads, *variable.assigns)
        touching = {name for access in accesses for name in access.signatures}
        if chosen in touching and variable.assigns:
            found |= touching
    twins = {"serve", "serving_default"}
    return tuple(sorted(found - (twins - {chosen} if chosen in twins else set())))


def _check_recipe(
    diagnosis: Diagnosis, recipe: str, narrow: Sequence[str], *, stateful: bool
) -> None:
    """Refuse a recipe that the converter alone can follow, where it is not converted now."""
    if format_of(diagnosis.graph).is_converted and not RECIPES[recipe].fits_tflite:
        raise NoCureError(
            f"the recipe {recipe} is the converter's, and cannot be applied to a .tflite file",
            change="Give the model that the file was converted from, or take int8 or 16x8.",
        )
    if needs_calibration(recipe) and {"float16", "bfloat16"} & set(narrow):
        raise NoCureError(
            f"the recipe {recipe} would quantize the steps that round to {' or '.join(narrow)}",
            change="Keep the state in float32 where the model is written, and quantize that.",
        )
    if stateful and RECIPES[recipe].selective:
        raise NoCureError(
            f"the recipe {recipe} is for models without state",
            change="Take int8: the state stays float32 in any case.",
        )


Decision = tuple[Sequence[str], Sequence[str], Sequence[str]]
"""Steps, sentences, and dtypes to carry."""


def _state(diagnosis: Diagnosis, signatures: Sequence[str]) -> list[Variable]:
    """Return the variables that the signatures assign."""

    def mine(variable: Variable) -> bool:
        return any(
            not signatures or not access.signatures or set(signatures) & set(access.signatures)
            for access in variable.assigns
        )

    return [variable for variable in diagnosis.variables if mine(variable)]


def _errors(diagnosis: Diagnosis) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for finding in diagnosis.findings:
        if finding.severity == "error":
            found.setdefault(finding.id, finding)
    return found


def _refuse(errors: Iterable[Finding]) -> None:
    for finding in errors:
        raise NoCureError(f"no safe cure for {finding.id}: {finding.message}", finding)


def _of_converted(diagnosis: Diagnosis, place: Target) -> Decision:
    _refuse(_errors(diagnosis).values())
    if diagnosis.other:
        raise NoCureError(
            f"no safe cure: {diagnosis.other[0]}",
            change="Give the model that the file was converted from.",
        )
    if diagnosis.variables and not place.resource_variables:
        names = listed(v.name for v in diagnosis.variables)
        return ("lift",), (f"{_no_variables(place)}, and the file keeps {names}.",), ()
    return ("keep",), ("Nothing in the file stands in the way.",), ()


def _of_graph_def(diagnosis: Diagnosis) -> Decision:
    errors = _errors(diagnosis)
    unfrozen = errors.pop("unfrozen-graph", None)
    _refuse(errors.values())
    if diagnosis.other:
        raise NoCureError(f"no safe cure: {diagnosis.other[0]}", change=_NO_FAMILY)
    if unfrozen is None:
        return ("convert",), ("All values are in the graph: it is a frozen one.",), ()
    checkpoint = checkpoint_beside(diagnosis)
    if checkpoint is None:
        raise NoCureError(
            f"no safe cure for unfrozen-graph: {unfrozen.message} No checkpoint beside the file "
            "holds all of them.",
            unfrozen,
        )
    names = listed(v.name for v in diagnosis.variables)
    why = (
        f"The graph holds no value for {names}; the checkpoint {printable(checkpoint.name)} "
        "beside it does."
    )
    return ("freeze", "convert"), (why,), ()


def checkpoint_beside(diagnosis: Diagnosis) -> Path | None:
    """Find the one checkpoint in a GraphDef's folder that holds a value for every variable.

    Args:
        diagnosis: Of a GraphDef.

    Returns:
        The path without ``.index``; ``None`` where none holds them all, or more than one does.
    """
    from varhandle.formats.checkpoint import read_checkpoint

    found = []
    for index in sorted(Path(diagnosis.graph.source).parent.glob("*.index")):
        prefix = index.with_suffix("")
        try:
            held = read_checkpoint(prefix)
        except (OSError, ValueError):
            continue
        if all(
            v.name in held and held[v.name].dtype == v.dtype and held[v.name].shape == v.shape
            for v in diagnosis.variables
        ):
            found.append(prefix)
    return found[0] if len(found) == 1 else None


def _of_model(diagnosis: Diagnosis, signature: str | None) -> Decision:
    errors = _errors(diagnosis)
    rebuilds = {family: errors.pop(family) for family in _REBUILDS if family in errors}
    lost = errors.pop("keras3-export", None)
    _refuse(errors.values())
    narrow = _calculated_in(diagnosis)
    if format_of(diagnosis.graph).can_export:
        _refuse(rebuilds.values())
        return _of_keras(narrow)
    if rebuilds:
        return _rebuilt(diagnosis, rebuilds, narrow)
    if narrow:
        return ("recast", "convert"), (_why_calculated(narrow),), narrow
    if lost is not None:
        names = listed(lost.variables)
        why = (
            f"The file gives {names} no value where the converter looks; tf.saved_model.load "
            "finds it, so a module holds what it found."
        )
        return ("hold", "convert"), (why,), ()
    if signature is None:
        why = "The model has no signature: its call becomes one."
        return ("hold", "convert"), (why,), ()
    return _of_signature(diagnosis, signature)


def by_export(diagnosis: Diagnosis, way: Way) -> Way:
    """Return the way of a Keras model that goes through a SavedModel.

    Args:
        diagnosis: Of the Keras model.
        way: The one that does not.
    """
    why = f"{way.why} Its other door, by Model.export, is the one that is open."
    other = replace(way, steps=_in_order([*way.steps, "export"]), why=why)
    return replace(other, code=plan_code.write(diagnosis, other))


def by_lifting(diagnosis: Diagnosis, way: Way) -> Way:
    """Return a way that lifts the state besides, which the converted file shows.

    Args:
        diagnosis: Of the model.
        way: The one that does not.
    """
    why = f"{way.why} The converted file keeps a state, which becomes inputs and outputs."
    steps = _in_order([*way.steps, "lift"])
    other = replace(way, id=_named(steps), steps=steps, why=why)
    return replace(other, code=plan_code.write(diagnosis, other))


def _of_keras(narrow: Sequence[str]) -> Decision:
    if narrow:
        return ("export", "recast", "convert"), (_why_calculated(narrow),), narrow
    return ("convert",), ("A Keras file is loaded as the model that it is.",), ()


def _of_signature(diagnosis: Diagnosis, signature: str) -> Decision:
    """Decide for a SavedModel whose signature has no error in it."""
    warned = [f for f in diagnosis.findings if f.severity == "warning" and f.id in _BLOCKING]
    if warned and len(diagnosis.graph.signatures) > 1:
        others = listed(s.name for s in diagnosis.graph.signatures if s.name != signature)
        why = (
            f"The signature {printable(signature)} converts by itself; what stands in the way "
            f"({listed(f.id for f in warned)}) is in {others}."
        )
        return ("signature", "convert"), (why,), ()
    if diagnosis.other:
        raise NoCureError(f"no safe cure: {diagnosis.other[0]}", change=_NO_FAMILY)
    return ("convert",), ("Nothing in the model stands in the way.",), ()


_NO_FAMILY = (
    "It is no matter of variables. Write it with ops that have builtins, or leave it to the "
    "program around the model."
)
_BLOCKING = frozenset({*_REBUILDS, "keras3-export", "uninitialised-variable", "other-resource"})


_UNTOUCHED = frozenset(
    """
    AssignVariableOp Cast Const Identity IdentityN If PartitionedCall Placeholder ReadVariableOp
    StatefulPartitionedCall StatelessIf StatelessWhile VarHandleOp While
    """.split()  # noqa: SIM905
)
"""Ops that a value may pass without being calculated with: half-precision weights, for one."""

_ELEMENTS = {"f16": "float16", "bf16": "bfloat16"}


def _calculated_in(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the dtypes of half precision in which the model calculates: no builtin does.

    A SavedModel shows it. Of a Keras file the converter's message tells, in the dtypes of MLIR.
    """
    if diagnosis.proof is not None and diagnosis.proof.passed:
        return ()
    if not format_of(diagnosis.graph).shows_ops:
        conversion = diagnosis.proof and diagnosis.proof.conversion
        told = conversion.record.message if diagnosis.other and conversion else ""
        found = {_ELEMENTS[name] for name in re.findall(r"[x<](b?f16)>", told)}
    else:
        found = {
            str(value)
            for node in diagnosis.graph.nodes
            if node.op not in _UNTOUCHED
            for name, value in node.attributes.items()
            if name == "T" and value in _ELEMENTS.values()
        }
    return tuple(sorted(found))


def _why_calculated(narrow: Sequence[str]) -> str:
    names = " and ".join(narrow)
    return (
        f"It calculates in {names}, and no builtin op does: the values are carried in float32, and "
        "rounded after each step as they were."
    )


def _rebuilt(
    diagnosis: Diagnosis, found: dict[str, Finding], calculated: Sequence[str]
) -> Decision:
    steps, why, narrow, parts = ["convert"], [], set(calculated), set()
    for family, finding in found.items():
        mine = [v for v in diagnosis.variables if v.name in finding.variables]
        wrong = [v for v in mine if not dtype_of(v.dtype).calculated]
        for variable in wrong:
            if not dtype_of(variable.dtype).widened:
                raise NoCureError(_no_carrier(variable, finding), finding)
        if wrong:
            why.append(_why_carried(wrong))
        narrow |= {v.dtype for v in wrong}
        if _REBUILDS[family] == "whole":
            gathered = family == "gather-from-frozen-table"
            ops = {v.name: {access.op for access in v.assigns} for v in mine}
            parts |= {name for name in ops if gathered or ops[name] - CONVERTED_UPDATES}
    if calculated and not why:
        why.append(_why_calculated(calculated))
    if parts:
        steps.append("whole")
        names = listed(sorted(parts))
        why.append(f"{names} is updated in part, and only a whole value can be assigned.")
    return [*steps, *(["recast"] if narrow else [])], why, sorted(narrow)


def _why_carried(state: Sequence[Variable]) -> str:
    dtypes = [dtype_of(name) for name in sorted({v.dtype for v in state})]
    names = " or ".join(dtype.name for dtype in dtypes)
    none = (
        f"No builtin op calculates in {names}"
        if all(dtype.carried for dtype in dtypes)
        else f"No variable of a .tflite file can be {names}"
    )
    carried = listed(f"{v.name} ({v.dtype})" for v in state)
    return (
        f"{none}: {carried} is carried in "
        f"{' or '.join(sorted({dtype.widened for dtype in dtypes}))}, and brought back to its own "
        "numbers after each step."
    )


def _no_carrier(variable: Variable, finding: Finding) -> str:
    what = (
        f"no safe cure for {finding.id}: {printable(variable.name)} is {printable(variable.dtype)}"
    )
    if variable.dtype == "string":
        return f"{what}, and no number stands for its values"
    if dtype_of(variable.dtype).loss:
        return f"{what}, and no dtype that builtins calculate in holds all of its values"
    return f"{what}, which the tool cannot carry in another dtype"


def listed(names: Iterable[str], most: int = 4) -> str:
    """Write names for a sentence: the first few, and how many more.

    Args:
        names: The names, out of a file.
        most: How many are written.

    Returns:
        The names, commas between them, safe to print.
    """
    every = [printable(name) for name in names]
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")
