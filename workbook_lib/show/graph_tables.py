"""The tables that varhandle makes of a graph, by the names that the lessons call them."""

from varhandle.inspection.histogram import OpHistogram, op_histogram
from varhandle.inspection.variables import VariableTable, variable_table

__all__ = ["OpHistogram", "VariableTable", "op_histogram", "variable_table"]
