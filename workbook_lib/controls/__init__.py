"""Widgets: where a hand on a control teaches more than a paragraph does.

For each there is a plain call that does the same. Where nobody can use a control (a headless run,
a terminal, a page without a kernel), the plain call's answer for the default choice appears in
its place. Importing this imports no TensorFlow, IPython or ipywidgets.
"""

from workbook_lib.controls.digit_pad import DigitAnswers, classify_ink, digit_pad

__all__ = ["DigitAnswers", "classify_ink", "digit_pad"]
