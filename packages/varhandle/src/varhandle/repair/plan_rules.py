"""The rules by which a plan is chosen: what was found in a model, and what mends it.

Each rule gives the steps that make a float file, the reasons, and the dtypes to carry; or it says
why there is no safe cure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from varhandle.diagnosis import Diagnosis, Finding
from varhandle.display import join_names, printable
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.recipes import RECIPES, needs_calibration
from varhandle.facts.targets import Target
from varhandle.facts.variable_updates import CONVERTED_UPDATES
from varhandle.families.catalog import FAMILIES
from varhandle.formats import format_of
from varhandle.graph import Variable
from varhandle.repair.refusal import NO_FAMILY, ORIGINAL_MODEL, NoCureError
from varhandle.savedmodel.checkpoint_freezer import checkpoint_beside

_REWRITING = {family.id: family.repair_step for family in FAMILIES if family.repair_step}
"""Family to the step that rewrites its signature."""


class _Choice(NamedTuple):
    """Steps of a plan, the reasons for them, and the dtypes that are carried in a wider one."""

    steps: Sequence[str]
    why: Sequence[str]
    narrow: Sequence[str] = ()


def choose_steps(diagnosis: Diagnosis, target: Target, signature: str | None) -> _Choice:
    """Choose the steps that make a float file of a model.

    Raises:
        NoCureError: The file alone does not hold what a cure would need.
    """
    model_format = format_of(diagnosis.graph)
    if model_format.is_converted:
        return _of_converted(diagnosis, target)
    if model_format.needs_checkpoint:
        return _of_graph_def(diagnosis)
    return _of_model(diagnosis, signature)


def signatures_together(diagnosis: Diagnosis, chosen: str) -> tuple[str, ...]:
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


def check_recipe(
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


def steps_for_state(
    state: Sequence[Variable], target: Target, recipe: str | None
) -> tuple[list[str], list[str]]:
    """Return what has to be done with state that is assigned, and why."""
    names = join_names(v.name for v in state)
    if not target.resource_variables:
        why = f"{_no_variables(target)}, so {names} becomes an input and an output."
        return ["lift"], [why]
    if needs_calibration(recipe):
        why = (
            f"Calibration must see {names}: it becomes an input and an output, and stays as it "
            "is, since it may grow out of any range."
        )
        return ["lift"], [why]
    told = f"TensorFlow Lite Micro must be given a variable store for {names}."
    return [], [told] if target.id == "micro" else []


def _no_variables(target: Target) -> str:
    """Begin a sentence about a runtime that keeps no state."""
    return f"{target.name[0].upper()}{target.name[1:]} has no variables"


def assigned_by(diagnosis: Diagnosis, signatures: Sequence[str]) -> list[Variable]:
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


def _of_converted(diagnosis: Diagnosis, target: Target) -> _Choice:
    _refuse(_errors(diagnosis).values())
    if diagnosis.other:
        raise NoCureError(f"no safe cure: {diagnosis.other[0]}", change=ORIGINAL_MODEL)
    if diagnosis.variables and not target.resource_variables:
        names = join_names(v.name for v in diagnosis.variables)
        return _Choice(("lift",), (f"{_no_variables(target)}, and the file keeps {names}.",))
    return _Choice(("keep",), ("Nothing in the file stands in the way.",))


def _of_graph_def(diagnosis: Diagnosis) -> _Choice:
    errors = _errors(diagnosis)
    unfrozen = errors.pop("unfrozen-graph", None)
    _refuse(errors.values())
    if diagnosis.other:
        raise NoCureError(f"no safe cure: {diagnosis.other[0]}", change=NO_FAMILY)
    if unfrozen is None:
        return _Choice(("convert",), ("All values are in the graph: it is a frozen one.",))
    checkpoint = checkpoint_beside(diagnosis.graph)
    if checkpoint is None:
        raise NoCureError(
            f"no safe cure for unfrozen-graph: {unfrozen.message} No checkpoint beside the file "
            "holds all of them.",
            unfrozen,
        )
    names = join_names(v.name for v in diagnosis.variables)
    why = (
        f"The graph holds no value for {names}; the checkpoint {printable(checkpoint.name)} "
        "beside it does."
    )
    return _Choice(("freeze", "convert"), (why,))


def _of_model(diagnosis: Diagnosis, signature: str | None) -> _Choice:
    errors = _errors(diagnosis)
    rewrites = {family: errors.pop(family) for family in _REWRITING if family in errors}
    lost = errors.pop("keras3-export", None)
    _refuse(errors.values())
    narrow = _calculated_in(diagnosis)
    if format_of(diagnosis.graph).can_export:
        _refuse(rewrites.values())
        return _of_keras(narrow)
    if rewrites:
        return _rewritten(diagnosis, rewrites, narrow)
    if narrow:
        return _Choice(("recast", "convert"), (_why_calculated(narrow),), narrow)
    if lost is not None:
        names = join_names(lost.variables)
        why = (
            f"The file gives {names} no value where the converter looks; tf.saved_model.load "
            "finds it, so a module holds what it found."
        )
        return _Choice(("hold", "convert"), (why,))
    if signature is None:
        why = "The model has no signature: its call becomes one."
        return _Choice(("hold", "convert"), (why,))
    return _of_signature(diagnosis, signature)


def _of_keras(narrow: Sequence[str]) -> _Choice:
    if narrow:
        return _Choice(("export", "recast", "convert"), (_why_calculated(narrow),), narrow)
    return _Choice(("convert",), ("A Keras file is loaded as the model that it is.",))


def _of_signature(diagnosis: Diagnosis, signature: str) -> _Choice:
    """Decide for a SavedModel whose signature has no error in it."""
    warned = [f for f in diagnosis.findings if f.severity == "warning" and f.id in _BLOCKING]
    if warned and len(diagnosis.graph.signatures) > 1:
        others = join_names(s.name for s in diagnosis.graph.signatures if s.name != signature)
        why = (
            f"The signature {printable(signature)} converts by itself; what stands in the way "
            f"({join_names(f.id for f in warned)}) is in {others}."
        )
        return _Choice(("signature", "convert"), (why,))
    if diagnosis.other:
        raise NoCureError(f"no safe cure: {diagnosis.other[0]}", change=NO_FAMILY)
    return _Choice(("convert",), ("Nothing in the model stands in the way.",))


_BLOCKING = frozenset(family.id for family in FAMILIES if family.spoils_whole_file)


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


def _rewritten(
    diagnosis: Diagnosis, found: dict[str, Finding], calculated: Sequence[str]
) -> _Choice:
    narrow, parts = set(calculated), set[str]()
    why: list[str] = []
    for family, finding in found.items():
        mine = [v for v in diagnosis.variables if v.name in finding.variables]
        wrong = [v for v in mine if not dtype_of(v.dtype).calculated]
        for variable in wrong:
            if not dtype_of(variable.dtype).widened:
                raise NoCureError(_no_carrier(variable, finding), finding)
        if wrong:
            why.append(_why_carried(wrong))
        narrow |= {v.dtype for v in wrong}
        if _REWRITING[family] == "whole":
            gathered = family == "gather-from-frozen-table"
            ops = {v.name: {access.op for access in v.assigns} for v in mine}
            parts |= {name for name in ops if gathered or ops[name] - CONVERTED_UPDATES}
    if calculated and not why:
        why.append(_why_calculated(calculated))
    if parts:
        names = join_names(sorted(parts))
        why.append(f"{names} is updated in part, and only a whole value can be assigned.")
    steps = [*(["recast"] if narrow else []), *(["whole"] if parts else []), "convert"]
    return _Choice(steps, why, sorted(narrow))


def _why_carried(state: Sequence[Variable]) -> str:
    dtypes = [dtype_of(name) for name in sorted({v.dtype for v in state})]
    names = " or ".join(dtype.name for dtype in dtypes)
    none = (
        f"No builtin op calculates in {names}"
        if all(dtype.carried for dtype in dtypes)
        else f"No variable of a .tflite file can be {names}"
    )
    carried = join_names(f"{v.name} ({v.dtype})" for v in state)
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
