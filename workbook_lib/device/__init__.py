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
from workbook_lib.device.state import CannotLiftError, Lifted, StateVariable, lift_state

__all__ = [
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
    "Lifted",
    "Memory",
    "OpProfile",
    "Parity",
    "Session",
    "StateVariable",
    "UnknownSettingError",
    "check_parity",
    "compare_latency",
    "convert",
    "freeze",
    "infer",
    "inspect_conversion",
    "lift_state",
    "measure_latency",
    "measure_memory",
    "profile_ops",
]
