"""The steps of a repair, in the order in which they follow each other: one module each.

To add a step, write its module and name it here; a family names it as its ``repair_step``.
"""

from collections.abc import Mapping

from varhandle.repair.steps.base import RepairStep
from varhandle.repair.steps.convert import CONVERT
from varhandle.repair.steps.export import EXPORT
from varhandle.repair.steps.freeze import FREEZE
from varhandle.repair.steps.lift import LIFT
from varhandle.repair.steps.quantize import QUANTIZE
from varhandle.repair.steps.rewrite import RECAST, WHOLE
from varhandle.repair.steps.select import KEEP, SIGNATURE
from varhandle.repair.steps.track import HOLD

STEPS: Mapping[str, RepairStep] = {
    step.name: step
    for step in (
        KEEP, FREEZE, SIGNATURE, EXPORT, HOLD, RECAST, WHOLE, CONVERT, LIFT, QUANTIZE,
    )
}  # fmt: skip
"""Name to step, in their order."""

__all__ = ["STEPS", "RepairStep"]
