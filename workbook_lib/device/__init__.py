"""The way to a device, one module a step, named as the notebooks are."""

from workbook_lib.device.freeze import FrozenButAssignedError, FrozenGraph, freeze
from workbook_lib.device.parity import Parity, check_parity

__all__ = ["FrozenButAssignedError", "FrozenGraph", "Parity", "check_parity", "freeze"]
