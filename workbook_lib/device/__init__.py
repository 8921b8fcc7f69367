"""The way to a device, one module a step, named as the notebooks are."""

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
from workbook_lib.device.state import CannotLiftError, Lifted, StateVariable, lift_file, lift_state

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
