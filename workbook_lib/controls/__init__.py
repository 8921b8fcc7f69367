"""Widgets: where a hand on a control teaches more than a paragraph does.

For each there is a plain call that does the same. Where nobody can use a control (a headless run,
a terminal, a page without a kernel), the plain call's answer for the default choice appears in
its place. Importing this imports no TensorFlow, IPython or ipywidgets.
"""

from workbook_lib.controls.digit_pad import DigitAnswers, classify_ink, digit_pad
from workbook_lib.controls.graph_walk import Walk, graph_walk, walk
from workbook_lib.controls.partial_freeze import Freezing, freeze_some, freezing
from workbook_lib.controls.recipes import (
    Trial,
    Trials,
    compare_trials,
    recipe_chooser,
    try_recipe,
)
from workbook_lib.controls.row_by_row import Reading, RowReading, push_rows, row_by_row
from workbook_lib.controls.variables import VariableTrial, try_variable, variable_chooser

__all__ = [
    "DigitAnswers",
    "Freezing",
    "Reading",
    "RowReading",
    "Trial",
    "Trials",
    "VariableTrial",
    "Walk",
    "classify_ink",
    "compare_trials",
    "digit_pad",
    "freeze_some",
    "freezing",
    "graph_walk",
    "push_rows",
    "recipe_chooser",
    "row_by_row",
    "try_recipe",
    "try_variable",
    "variable_chooser",
    "walk",
]
