"""What the converter, and ``cure``, make of an op that updates a variable.

Measured on TensorFlow 2.21; ``tests/varhandle/facts/test_facts_dtypes.py`` measures it again.
"""

from __future__ import annotations

from varhandle.facts.dtypes import Dtype

CONVERTED_UPDATES = frozenset(
    {
        "AssignVariableOp",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "ResourceApplyAdagrad",
        "ResourceApplyAdagradV2",
        "ResourceApplyAdam",
        "ResourceApplyCenteredRMSProp",
        "ResourceApplyGradientDescent",
        "ResourceApplyKerasMomentum",
        "ResourceApplyMomentum",
        "ResourceApplyRMSProp",
        "ResourceScatterAdd",
        "ResourceScatterUpdate",
    }
)
"""Updates that the converter takes apart into reads, arithmetic and one plain assign."""


def is_converted(op: str, dtype: Dtype) -> bool:
    """Tell whether the converter of TensorFlow 2.21 takes an update of a variable as it is."""
    whole = op == "AssignVariableOp"
    return dtype.carried and op in CONVERTED_UPDATES and (whole or dtype.calculated)


REWRITTEN_UPDATES = frozenset(
    {
        "AssignVariableOp",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "ResourceApplyGradientDescent",
        "ResourceStridedSliceAssign",
        *(
            f"ResourceScatter{nested}{how}"
            for nested in ("", "Nd")
            for how in ("Update", "Add", "Sub", "Min", "Max")
        ),
    }
)
"""Updates that ``cure`` can write as a whole new value (``savedmodel.rewrite_signature``)."""

REFERENCE_UPDATES = {
    "Assign": "AssignVariableOp",
    "AssignAdd": "AssignAddVariableOp",
    "AssignSub": "AssignSubVariableOp",
    "ApplyGradientDescent": "ResourceApplyGradientDescent",
    **{op.removeprefix("Resource"): op for op in REWRITTEN_UPDATES if "Scatter" in op},
}
"""The updates of a reference variable of TensorFlow 1 that are the same as those on a handle."""
