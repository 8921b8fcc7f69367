"""The way to a device, one module a step, named as the notebooks are.

Importing it imports none of the steps: each comes when a name of it is used. So a module that needs
little, such as ``targets``, can be imported by what has to answer at once.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook_lib.device.convert import (
        Conversion,
        Converted,
        ConverterSettings,
        UnknownSettingError,
        convert,
        inspect_conversion,
    )
    from workbook_lib.device.freeze import FrozenButAssignedError, FrozenGraph, freeze
    from workbook_lib.device.infer import Inference, InputError, Session, infer
    from workbook_lib.device.latency import Latency, LatencyTable, compare_latency, measure_latency
    from workbook_lib.device.parity import Parity, check_parity
    from workbook_lib.device.profile import Memory, OpProfile, measure_memory, profile_ops
    from workbook_lib.device.quantize import (
        RECIPES,
        LayerErrors,
        QuantizationError,
        Quantized,
        QuantizedFile,
        Recipe,
        RecipeTable,
        compare_recipes,
        layer_errors,
        quantize,
        quantize_file,
        quantized_ranges,
    )
    from workbook_lib.device.state import (
        CannotLiftError,
        Lifted,
        StateVariable,
        lift_file,
        lift_state,
    )

__all__ = [
    "RECIPES",
    "CannotLiftError",
    "Conversion",
    "Converted",
    "ConverterSettings",
    "FrozenButAssignedError",
    "FrozenGraph",
    "Inference",
    "InputError",
    "Latency",
    "LatencyTable",
    "LayerErrors",
    "Lifted",
    "Memory",
    "OpProfile",
    "Parity",
    "QuantizationError",
    "Quantized",
    "QuantizedFile",
    "Recipe",
    "RecipeTable",
    "Session",
    "StateVariable",
    "UnknownSettingError",
    "check_parity",
    "compare_latency",
    "compare_recipes",
    "convert",
    "freeze",
    "infer",
    "inspect_conversion",
    "layer_errors",
    "lift_file",
    "lift_state",
    "measure_latency",
    "measure_memory",
    "profile_ops",
    "quantize",
    "quantize_file",
    "quantized_ranges",
]

_STEPS = {
    "convert": (
        "Conversion",
        "Converted",
        "ConverterSettings",
        "UnknownSettingError",
        "convert",
        "inspect_conversion",
    ),
    "freeze": ("FrozenButAssignedError", "FrozenGraph", "freeze"),
    "infer": ("Inference", "InputError", "Session", "infer"),
    "latency": ("Latency", "LatencyTable", "compare_latency", "measure_latency"),
    "parity": ("Parity", "check_parity"),
    "profile": ("Memory", "OpProfile", "measure_memory", "profile_ops"),
    "quantize": (
        "RECIPES",
        "LayerErrors",
        "QuantizationError",
        "Quantized",
        "QuantizedFile",
        "Recipe",
        "RecipeTable",
        "compare_recipes",
        "layer_errors",
        "quantize",
        "quantize_file",
        "quantized_ranges",
    ),
    "state": ("CannotLiftError", "Lifted", "StateVariable", "lift_file", "lift_state"),
}


class _Room(ModuleType):
    """The package: ``convert`` is the function here, and not the module that it comes from."""

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system puts each module that it has imported on the package, by its name.
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    for step, names in _STEPS.items():
        if name in names:
            value = getattr(importlib.import_module(f"{__name__}.{step}"), name)
            setattr(sys.modules[__name__], name, value)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _Room
