"""A box of controls in JupyterLab: its keys stay in it, its tables have room."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from varhandle.display import Rich
from varhandle.progress_bar import is_in_notebook


def is_interactive() -> bool:
    """Tell whether somebody can use a control here: in a kernel with ipywidgets, not headless."""
    return is_in_notebook() and importlib.util.find_spec("ipywidgets") is not None


def live_region(markup: str) -> str:
    """Put HTML where a screen reader reads it out (WAI-ARIA 1.2, role ``status``)."""
    return f'<div role="status">{markup}</div>'


def as_control(box: Any, css_class: str) -> Any:
    """Fit a box of ``ipywidgets`` for JupyterLab, and return it.

    JupyterLab takes plain keys for its own commands while an output has the focus: an arrow that
    is to go to the next option goes to another cell, and the letter B inserts one. In this box
    they go to the controls. Escape, Tab, Shift+Enter (but for a box of text) and everything with
    Ctrl, Alt or Meta stay the notebook's. And HTML in the box is set as in an output.
    """
    box.add_class(css_class)
    box.add_class("workbook-controls")
    if importlib.util.find_spec("anywidget"):
        box.children = (*box.children, _host_class()())
    return box


class Control(Rich):
    """A result that is a control where somebody can use it, and plain text and HTML elsewhere."""

    def control(self) -> Any:
        """Return the box of ``ipywidgets``."""
        raise NotImplementedError(f"{type(self).__name__} must define control()")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        plain: dict[str, Any] = super()._repr_mimebundle_()
        return self.control()._repr_mimebundle_() | plain if is_interactive() else plain


class Extended(Rich):
    """A result with a control below it, where somebody can use that.

    They are two outputs: controls do not outlive their kernel, and what the result says does.
    """

    def control(self) -> tuple[Rich, Any, str] | None:
        """Return what is shown above, the box of ``ipywidgets``, and a text in place of the box."""
        raise NotImplementedError(f"{type(self).__name__} must define control()")

    def _ipython_display_(self) -> None:
        shown = self.control() if is_interactive() else None
        if shown is None:
            raise NotImplementedError  # IPython takes the plain forms
        from IPython.display import display

        above, box, text = shown
        display(above._repr_mimebundle_(), raw=True)
        display(box._repr_mimebundle_() | {"text/plain": text}, raw=True)


def choice_box(
    asked_html: str,
    label: str,
    options: Sequence[tuple[str, str]],
    *,
    chosen: str | None,
    said_html: str,
    choose: Callable[[str], str],
) -> Any:
    """Make radio buttons below a question, and a place for what is said to a choice.

    ``options`` are the lines that are shown, each with its value; ``choose`` is given the value
    and returns the HTML that is then read out.
    """
    from ipywidgets import HTML, Layout, RadioButtons, VBox

    values = [value for _, value in options]
    buttons = RadioButtons(
        options=list(options),
        index=values.index(chosen) if chosen in values else None,
        description="Answer:",
        tooltip=label,
        layout=Layout(width="auto"),
    )
    said = HTML(live_region(said_html))

    def note(change: Any) -> None:
        said.value = live_region(choose(change["new"]))

    buttons.observe(note, names="value")
    return VBox([HTML(asked_html), buttons, said])


@functools.cache
def _host_class() -> Any:
    """Make the widget's class; anywidget is imported for those alone who use controls."""
    import anywidget

    class ControlBoxHost(anywidget.AnyWidget):
        """Nothing to see: it listens in the box around it."""

        _esm = Path(__file__).with_suffix(".js")
        _css = Path(__file__).with_suffix(".css")

    return ControlBoxHost
