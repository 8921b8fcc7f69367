"""Write the signatures anew: values carried in a wider dtype, updates of a part made whole.

Both are one pass over the graph (``savedmodel.rewrite_signature``), which ``recast`` does where a
plan has the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.repair.steps.base import RepairStep
from varhandle.savedmodel.resave_tracked import CALL, DEFAULT

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan


def _run(job: RepairJob) -> None:
    from varhandle.savedmodel import rewrite_signature

    job.rewrite(rewrite_signature.rewrite_signatures, job.entries, list(job.plan.narrow))


def _code(_: Diagnosis, plan: RepairPlan) -> list[str]:
    entries = [DEFAULT] if "export" in plan.steps else list(plan.signatures) or [CALL]
    return [
        "# Each op of the signature is written anew; TensorFlow has no call that does it.",
        "from varhandle.savedmodel.rewrite_signature import rewrite_signatures",
        "",
        f'rewrite_signatures(source, "rewritten", {entries!r}, {list(plan.narrow)!r})',
        'source = "rewritten"',
    ]


def _run_alone(job: RepairJob) -> None:
    if RECAST.name not in job.plan.steps:
        _run(job)


def _code_alone(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    return [] if RECAST.name in plan.steps else _code(diagnosis, plan)


RECAST = RepairStep("recast", "carry values in a wider dtype", "recast-state", _run, _code)
WHOLE = RepairStep(
    "whole", "compute whole new values instead of updates of a part", "whole-updates",
    _run_alone, _code_alone,
)  # fmt: skip
