"""The tables that varhandle makes of a graph, by the names that the lessons call them."""

from varhandle.graph.histogram import OpHistogram as OpHistogram
from varhandle.graph.histogram import op_histogram as op_histogram
from varhandle.graph.variables import VariableTable as VariableTable
from varhandle.graph.variables import variable_table as variable_table
