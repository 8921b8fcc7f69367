"""What goes wrong between a variable and a .tflite file, and programs that show it.

Importing it imports nothing else: the static diagnosis of a model has to answer at once, and the
catalogue brings along what runs its programs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook_lib.failures.catalogue import FAMILIES, Family, Reproduction, family, reproduce

__all__ = ["FAMILIES", "Family", "Reproduction", "family", "reproduce"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.catalogue"), name)
