"""The way to a device, one module a step, named as the notebooks are."""

from workbook_lib.device.freeze import FrozenButAssignedError, FrozenGraph, freeze
from workbook_lib.device.latency import Latency, LatencyTable, compare_latency, measure_latency
from workbook_lib.device.parity import Parity, check_parity

__all__ = [
    "FrozenButAssignedError",
    "FrozenGraph",
    "Latency",
    "LatencyTable",
    "Parity",
    "check_parity",
    "compare_latency",
    "freeze",
    "measure_latency",
]
