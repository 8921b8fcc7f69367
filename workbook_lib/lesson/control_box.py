"""A box of controls in JupyterLab: its keys stay in it, its tables have room."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any


def as_control(box: Any, css_class: str) -> Any:
    """Fit a box of ``ipywidgets`` for JupyterLab, and return it.

    JupyterLab takes plain keys for its own commands while an output has the focus: an arrow that
    is to go to the next option goes to another cell, and the letter B inserts one. In this box
    they go to the controls. Escape, Tab, Shift+Enter and everything with Ctrl, Alt or Meta stay the
    notebook's. And HTML in the box is set as in an output.
    """
    box.add_class(css_class)
    box.add_class("workbook-controls")
    if importlib.util.find_spec("anywidget"):
        box.children = (*box.children, _host_class()())
    return box


@functools.cache
def _host_class() -> Any:
    """Make the widget's class; anywidget is imported for those alone who use controls."""
    import anywidget

    class ControlBoxHost(anywidget.AnyWidget):
        """Nothing to see: it listens in the box around it."""

        _esm = Path(__file__).with_suffix(".js")
        _css = Path(__file__).with_suffix(".css")

    return ControlBoxHost
