"""Save a SavedModel again, its variables tracked by a module that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.repair.steps.base import RepairStep

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.job import RepairJob
    from varhandle.repair.plan import RepairPlan


def _run(job: RepairJob) -> None:
    from varhandle.savedmodel import resave_tracked

    job.rewrite(resave_tracked.save_tracked, job.entries)


def _code(_: Diagnosis, plan: RepairPlan) -> list[str]:
    if not plan.signatures:
        return [
            "from varhandle.savedmodel.resave_tracked import CALL, save_tracked",
            "",
            'save_tracked(source, "held", [CALL])',
            'source = "held"',
        ]
    return [
        "def calling(function):",
        "    return tf.function(lambda **inputs: function(**inputs), autograph=False)",
        "",
        "loaded = tf.saved_model.load(source)",
        f"functions = {{name: loaded.signatures[name] for name in {list(plan.signatures)!r}}}",
        "module = tf.Module()",
        "module.held = [v for f in functions.values() for v in f.graph.variables]",
        "module.calls, signatures = [], {}",
        "for name, function in functions.items():",
        "    call, specs = calling(function), function.structured_input_signature[1]",
        "    signatures[name] = call.get_concrete_function(**specs)",
        "    module.calls.append(call)",
        'tf.saved_model.save(module, "held", signatures=signatures)',
        'source = "held"',
    ]


HOLD = RepairStep(
    "hold", "hold the captured variables in a module, and save again", "hold-variables",
    _run, _code,
)  # fmt: skip
