"""What is wrong with a TensorFlow model's variables on the way to .tflite, mended and proved.

Importing it imports nothing else: TensorFlow and the readers come when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from varhandle.diagnosis import diagnose
    from varhandle.evaluate.parity import check_parity
    from varhandle.explanation import explain
    from varhandle.formats import read_graph
    from varhandle.lift import lift_state
    from varhandle.repair.run import cure

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

_HOMES = {
    "check_parity": "varhandle.evaluate.parity",
    "cure": "varhandle.repair.run",
    "diagnose": "varhandle.diagnosis",
    "explain": "varhandle.explanation",
    "lift_state": "varhandle.lift",
    "read_graph": "varhandle.formats",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
