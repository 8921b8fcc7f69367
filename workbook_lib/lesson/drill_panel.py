"""The drills in JupyterLab: a list, the file beside it, and what comes of it when it is saved."""

from __future__ import annotations

import html
import importlib.util
import os
import threading
from typing import Any

from varhandle.display import TONES, code_html
from varhandle.progress_bar import is_in_notebook
from workbook_lib.lesson.control_box import as_control
from workbook_lib.lesson.drill_catalog import all_drills, drill_list, first_unsolved, hand_out
from workbook_lib.lesson.panels import paragraphs_html

_WAIT = 0.5  # seconds between two looks at the files
_watching: list[_Panel] = []


def drills() -> Any:
    """Show the drills, and check whichever is saved; where nobody can, the list of them."""
    hand_out()
    if not (is_in_notebook() and importlib.util.find_spec("ipywidgets")):
        return drill_list()
    while _watching:
        _watching.pop().end()
    _watching.append(_Panel())
    return _watching[0].box


class _Panel:
    """The controls, and the thread that looks at the files."""

    def __init__(self) -> None:
        from ipywidgets import HTML, Button, Dropdown, HBox, Layout, VBox

        self.drill = first_unsolved()
        self.count = HTML()
        self.choice = Dropdown(
            options=self._options(),
            value=self.drill.name,
            description="Drill:",
            tooltip="choose a drill",
            style={"description_width": "auto"},
            layout=Layout(width="15em"),
        )
        self.about, self.status = HTML(), HTML()
        wide = Layout(width="auto")
        actions = {
            "Check": ("check the file as it is saved", self._check),
            "Hint": ("show the next hint", self._hint),
            "Solution": ("show a program that is right", self._solution),
            "Start over": ("write the file as it was handed out", self._reset),
        }
        buttons = []
        for name, (tooltip, act) in actions.items():
            button = Button(description=name, tooltip=tooltip, layout=wide)
            button.on_click(act)
            buttons.append(button)
        self.choice.observe(self._choose, names="value")
        wrapped = Layout(flex_flow="row wrap")  # beside the file there is little room
        line = HBox([self.choice, self.count], layout=wrapped)
        row = HBox(buttons, layout=wrapped)
        self.box = as_control(VBox([line, self.about, row, self.status]), "workbook-drills")
        self._show_drill()
        self._seen = {drill.name: drill.stamp() for drill in all_drills()}
        self._asked = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> None:
        """Look at the files no longer."""
        self._ended.set()

    def _options(self) -> list[tuple[str, str]]:
        marks = {drill.name: TONES["right"][0] if drill.solved else "·" for drill in all_drills()}
        return [(f"{marks[d.name]} {d.number} {d.title}", d.name) for d in all_drills()]

    def _watch(self) -> None:
        """Check the file that is saved, or asked for. What is saved meanwhile comes next."""
        while not self._ended.wait(_WAIT):
            for drill in all_drills():
                stamp = drill.stamp()
                saved = stamp not in (None, self._seen[drill.name])
                if saved:
                    self._seen[drill.name] = stamp
                    self.choice.value = drill.name
                if saved or (self._asked.is_set() and drill is self.drill):
                    self._asked.clear()
                    self._say(f"<div>Checking {drill.name} …</div>")
                    outcome = drill.check().html()
                    if drill is self.drill:
                        self._say(outcome)
                    self._show_count()

    def _say(self, markup: str) -> None:
        self.status.value = f'<div role="status">{markup}</div>'

    def _show_count(self) -> None:
        options = self._options()
        if options != list(self.choice.options):  # new ones choose the first of them
            self.choice.unobserve(self._choose, names="value")
            self.choice.options, self.choice.value = options, self.drill.name
            self.choice.observe(self._choose, names="value")
        right = sum(drill.solved for drill in all_drills())
        self.count.value = f"<b>{right} of {len(all_drills())} are right</b>"

    def _show_drill(self) -> None:
        self._show_count()
        drill = self.drill
        about = " ".join(drill.about.splitlines()).replace(" To be true:", "\nTo be true:")
        path = html.escape(os.path.relpath(drill.file))
        # The workbook's JupyterLab extension opens what has this attribute.
        self.about.value = (
            f"{paragraphs_html(about)}"
            f'<p><button class="jupyter-button" data-workbook-beside="{path}">'
            f"Open {html.escape(drill.file.name)} beside</button></p>"
        )
        self._say("Mend the file and save it (Ctrl+S): it is checked then.")

    def _choose(self, change: Any) -> None:
        self.drill = next(d for d in all_drills() if d.name == change["new"])
        self._show_drill()

    def _check(self, _: Any) -> None:
        self._asked.set()

    def _hint(self, _: Any) -> None:
        self._say(self.drill.hint().html())

    def _solution(self, _: Any) -> None:
        self._say(f"<div>A program that is right:</div>{code_html(self.drill.solution())}")

    def _reset(self, _: Any) -> None:
        self.drill.reset()
        self._show_count()
