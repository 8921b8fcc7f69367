"""Which ops touch a variable, and how: the marks that every picture in this room shares."""

from __future__ import annotations

_HANDLES = frozenset({"VarHandleOp", "Variable", "VariableV2", "VAR_HANDLE"})
_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "READ_VARIABLE"})
_INITIALISES = frozenset({"CALL_ONCE"})
_ASSIGN_PREFIXES = ("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter")
_ASSIGNS = frozenset({"ResourceStridedSliceAssign", "ASSIGN_VARIABLE"})

ROLE_ORDER = ("handle", "read", "assign", "initialise")
"""The roles, in the order in which a lesson meets them."""


def variable_role(op: str) -> str | None:
    """Tell what an op does to a variable.

    Args:
        op: An op type as TensorFlow (``ReadVariableOp``), a Flex op (``FlexReadVariableOp``)
            or a .tflite file (``READ_VARIABLE``) spells it.

    Returns:
        ``"handle"``, ``"read"``, ``"assign"``, ``"initialise"``, or ``None`` for an op that
        touches no variable.
    """
    name = op.removeprefix("Flex")
    if name in _HANDLES:
        return "handle"
    if name in _READS:
        return "read"
    if name in _ASSIGNS or name.startswith(_ASSIGN_PREFIXES):
        return "assign"
    return "initialise" if name in _INITIALISES else None
