"""How varhandle shows a graph, by the names that the lessons call it by."""

from varhandle.inspection.graph_drawing import GraphDrawing, draw_graph
from varhandle.inspection.histogram import OpHistogram, op_histogram
from varhandle.inspection.variables import VariableTable, variable_table

__all__ = [
    "GraphDrawing",
    "OpHistogram",
    "VariableTable",
    "draw_graph",
    "op_histogram",
    "variable_table",
]
