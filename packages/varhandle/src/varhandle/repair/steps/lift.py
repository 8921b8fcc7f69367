"""Lift the state of a .tflite file into inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.repair.refusal import NoCureError
from varhandle.repair.steps.base import RepairStep
from varhandle.tflite.externalize_state import lift_state
from varhandle.tflite.runtime_support import update_runtime_version
from varhandle.tflite.variable_effects import CannotLiftError

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan

_OUTSIDE = "Keep the state outside: make it an input and an output of the model."


def _run(job: RepairJob) -> None:
    try:
        job.lifted = lift_state(job.content)
    except CannotLiftError as error:
        reason = f"no safe cure for {job.target.name}: {error}"
        raise NoCureError(reason, change=_OUTSIDE) from error
    job.content = update_runtime_version(job.lifted.content)


def _code(_: Diagnosis, __: RepairPlan) -> list[str]:
    return [
        "",
        "from varhandle import lift_state",
        "from varhandle.tflite.runtime_support import update_runtime_version",
        "",
        "lifted = lift_state(content)",
        "content, state = update_runtime_version(lifted.content), lifted.start()",
    ]


LIFT = RepairStep("lift", "lift the state into inputs and outputs", "lift-state", _run, _code)
