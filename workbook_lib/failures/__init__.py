"""What goes wrong between a variable and a .tflite file, and programs that show it."""

from workbook_lib.failures.catalogue import FAMILIES, Family, Reproduction, family, reproduce

__all__ = ["FAMILIES", "Family", "Reproduction", "family", "reproduce"]
