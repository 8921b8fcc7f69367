"""The control below the board that begins a notebook afresh: choose, press, confirm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from varhandle.display import Rich
from workbook_lib.lesson.control_box import at_home
from workbook_lib.lesson.outline import NotebookOutline


def reset_control(
    notebooks: Sequence[NotebookOutline],
    forget: Callable[[str], Rich],
    changed: Callable[[], None],
) -> Any:
    """Make the control."""
    from ipywidgets import HTML, Button, Dropdown, HBox, Layout, VBox

    choice = Dropdown(
        options=[(f"{n.number} {n.title}", n.file) for n in notebooks],
        description="Begin afresh:",
        tooltip="the notebook whose progress is to be forgotten",
        style={"description_width": "auto"},
        layout=Layout(width="20em"),
    )
    wide = Layout(width="auto")
    ask = Button(description="Forget its progress …", tooltip="asks once more", layout=wide)
    yes = Button(description="Yes, forget it", button_style="danger", layout=wide)
    no = Button(description="No, keep it", layout=wide)
    said = HTML()
    sure = HBox([yes, no])

    def to_ask(_: Any) -> None:
        said.value = f'<div role="status">Forget your answers in {_title(choice)}?</div>'
        sure.layout.display = None
        no.focus()

    def to_forget(_: Any) -> None:
        said.value = f'<div role="status">{forget(choice.value).html()}</div>'
        changed()
        put_away()

    def to_keep(_: Any) -> None:
        said.value = '<div role="status">Nothing is forgotten.</div>'
        put_away()

    def put_away() -> None:
        sure.layout.display = "none"
        ask.focus()

    def other(_: Any) -> None:
        sure.layout.display = "none"
        said.value = ""

    sure.layout.display = "none"
    ask.on_click(to_ask)
    yes.on_click(to_forget)
    no.on_click(to_keep)
    choice.observe(other, names="value")
    box = VBox([HBox([choice, ask], layout=Layout(flex_flow="row wrap")), said, sure])
    box.add_class("workbook-reset")
    return at_home(box)


def _title(choice: Any) -> str:
    return str(choice.label)
