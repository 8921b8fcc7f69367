"""Save a Keras model as a SavedModel, by its own ``export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.repair.steps.base import RepairStep

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan


def _run(job: RepairJob) -> None:
    from varhandle.savedmodel.resave_tracked import export_keras

    job.rewrite(export_keras, job.trust, name="exported")


def _code(_: Diagnosis, __: RepairPlan) -> list[str]:
    return [
        "model = tf.keras.models.load_model(source, compile=False)",
        "specs = [tf.TensorSpec(one.shape, one.dtype, one.name) for one in model.inputs]",
        'model.export("exported", input_signature=specs if len(specs) == 1 else None)',
        'source = "exported"',
    ]


EXPORT = RepairStep("export", "save the Keras model as a SavedModel", "", _run, _code)
