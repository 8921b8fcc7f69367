"""What a repair step is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan


@dataclass(frozen=True)
class RepairStep:
    """One step of a repair plan.

    Attributes:
        name: In ``RepairPlan.steps``.
        does: What it does, for a person.
        plan_id: What a plan is called whose point it is; empty if it never is.
        run: Does it; raises ``NoCureError``.
        code: Writes what a person would run to do it by hand, from the variable ``source`` (a
            model) or ``content`` (a .tflite file) to the same.
    """

    name: str
    does: str
    plan_id: str
    run: Callable[[RepairJob], None]
    code: Callable[[Diagnosis, RepairPlan], list[str]]
