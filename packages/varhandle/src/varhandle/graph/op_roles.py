"""What an op does to a variable: the one place that knows the ops by name."""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["handle", "read", "assign", "initialize"]

REFERENCE_VARIABLES = frozenset({"Variable", "VariableV2", "AutoReloadVariable"})
"""TF1 ops that make a variable without a handle: any consumer reads it directly."""

VARIABLES = REFERENCE_VARIABLES | {"VarHandleOp"}
"""Ops of TensorFlow that make a variable."""

TFLITE_VARIABLES = frozenset({"VAR_HANDLE", "FlexVarHandleOp"})
"""Those of a .tflite file; a custom op of TensorFlow's name has no kernel there."""

RESTORE_OPS = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
"""Ops that read a checkpoint, of its first form or its second."""

CHECKPOINT_OPS = RESTORE_OPS | {"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints"}
"""Ops that write or read a checkpoint: of a saver, or of a signature that saves and restores. Only
outside a saver are they news."""

_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "READ_VARIABLE"})
_INITIALIZES = frozenset({"CALL_ONCE"})

_ASSIGNS = re.compile(
    r"Assign(?![a-z])|ASSIGN_VARIABLE$"
    r"|(Resource)?(Apply|SparseApply|CountUpTo|StridedSliceAssign)"
    # Scatter ops change a variable unless they are among those that scatter into a new tensor.
    r"|ResourceScatter|Scatter(Nd)?(Add|Div|Max|Min|Mul|Sub|Update)$"
    # These advance a random generator; other ops that begin so are calls.
    r"|Rng(Read|Skip)"
    r"|Stateful(RandomBinomial|StandardNormal|TruncatedNormal|Uniform)"
)
"""How the ops begin that change a variable."""


def variable_role(op: str) -> Role | None:
    """Return what an op does to a variable, as TensorFlow, Flex or a .tflite file spells it.

    ``None`` for one that is not known to touch a variable; if it takes a handle, it reads it.
    """
    name = op.removeprefix("Flex")
    if name in VARIABLES or op in TFLITE_VARIABLES:
        return "handle"
    if name in _READS:
        return "read"
    if _ASSIGNS.match(name):
        return "assign"
    return "initialize" if name in _INITIALIZES else None
