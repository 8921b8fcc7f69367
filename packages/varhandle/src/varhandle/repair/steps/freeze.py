"""Put the values of a checkpoint into a GraphDef."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.graph.signature_inference import infer_signature, sinks
from varhandle.repair.steps.base import RepairStep
from varhandle.savedmodel.checkpoint_freezer import checkpoint_beside, freeze_checkpoint

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan


def _run(job: RepairJob) -> None:
    outputs = [spec.name for spec in infer_signature(job.graph).outputs]
    job.rewrite(freeze_checkpoint, str(checkpoint_beside(job.graph)), outputs, name="frozen.pb")


def _code(diagnosis: Diagnosis, _: RepairPlan) -> list[str]:
    checkpoint = str(checkpoint_beside(diagnosis.graph))
    return [
        "from varhandle.savedmodel.checkpoint_freezer import restored_session",
        "",
        f"with restored_session(source, {checkpoint!r}) as session:",
        "    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(",
        f"        session, session.graph.as_graph_def(), {list(sinks(diagnosis.graph))!r}",
        "    )",
        'source = "frozen.pb"',
        "open(source, 'wb').write(frozen.SerializeToString())",
    ]


FREEZE = RepairStep("freeze", "put the checkpoint's values into the graph", "freeze", _run, _code)
