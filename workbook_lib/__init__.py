"""Look, check, contain and draw: the helper library of the VarHandleOp workbook.

Importing it imports nothing else: TensorFlow, IPython and the readers come when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook_lib.device.parity import check_parity
    from workbook_lib.device.state import lift_state
    from workbook_lib.failures.cure import cure
    from workbook_lib.failures.diagnosis import diagnose
    from workbook_lib.failures.explanation import explain
    from workbook_lib.graph import read_graph

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "check_parity",
    "cure",
    "diagnose",
    "explain",
    "lift_state",
    "read_graph",
]

_ROOMS = {
    "check_parity": "workbook_lib.device.parity",
    "cure": "workbook_lib.failures.cure",
    "diagnose": "workbook_lib.failures.diagnosis",
    "explain": "workbook_lib.failures.explanation",
    "lift_state": "workbook_lib.device.state",
    "read_graph": "workbook_lib.graph",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(_ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
