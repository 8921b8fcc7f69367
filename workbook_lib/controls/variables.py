"""The chooser of variables: say what will come, convert, and keep what was tried in a table."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from varhandle.display import code_html
from workbook_lib.controls.slow_work import SlowWork, dropdown, is_interactive
from workbook_lib.controls.variable_trials import (
    DEFAULT,
    DTYPES,
    ENDS,
    SETTINGS,
    UPDATES,
    VariableTrials,
    displayed_code,
    program,
    try_variable,
    try_variables,
)
from workbook_lib.lesson.control_box import as_control

_NOT_SAID = "(say it first)"
_MOST_ROWS = 8
#: What is shown where nobody can choose.
_EXAMPLES = (
    DEFAULT,
    ("float32", "assign a slice", "allow_custom_ops"),
    ("int8", "assign", "defaults"),
    ("int8", "assign_add", "defaults"),
)


def variable_chooser() -> Any:
    """Show controls to choose a dtype, an update and a setting, to say what comes, and to convert.

    Where nobody can use controls: four choices, tried.
    """
    return _VariableChooser().box if is_interactive() else try_variables(_EXAMPLES)


class _VariableChooser:
    """The controls, and the trials made with them."""

    def __init__(self) -> None:
        from ipywidgets import HTML, HBox, Layout, VBox

        self.choices = [
            dropdown("Dtype:", "the dtype of the variable", DTYPES, DEFAULT[0]),
            dropdown("Update:", "what the function does with the variable", UPDATES, DEFAULT[1]),
            dropdown("Converter:", "what is asked of the converter", SETTINGS, DEFAULT[2]),
        ]
        self.expected = dropdown(
            "I expect:", "what you say will come", (_NOT_SAID, *ENDS), _NOT_SAID
        )
        self.trials = VariableTrials()
        self.work = SlowWork("Convert", self._try, hint="Choose, say what will come, then Convert.")
        self.shown, self.code = HTML(), HTML()
        for choice in self.choices:
            choice.observe(self._follow, names="value")
        self._follow()
        # Side by side where there is room, so that the button and what comes of it are in view.
        side_by_side = Layout(flex_flow="row wrap")
        every = [*self.choices, self.expected]
        for each in every:
            each.style.description_width = "5.5em"
            each.layout.width = "20em"
        box = VBox([HBox(every, layout=side_by_side), self.work.box, self.shown, self.code])
        self.box = as_control(box, "workbook-variable-chooser")

    def _chosen(self) -> tuple[str, str, str]:
        dtype, update, setting = (choice.value for choice in self.choices)
        return dtype, update, setting

    def _follow(self, _: Any = None) -> None:
        """Show the program of the choice; what was said of another one does not hold for it."""
        self.expected.value = _NOT_SAID
        dtype, update, setting = self._chosen()
        lines = html.escape(" · ".join(filter(None, (UPDATES[update], *SETTINGS[setting]))))
        about = f": <code>{lines}</code>" if lines else ""
        self.code.value = (
            f"<details><summary>The program that Convert runs{about}</summary>"
            f"{code_html(displayed_code(program(dtype, update, setting)))}</details>"
        )

    def _try(self, report: Callable[[str], None]) -> str:
        choice = self._chosen()  # the learner may choose on meanwhile
        said = self.expected.value
        report(", ".join(choice))
        trial = try_variable(*choice, expected="" if said == _NOT_SAID else said)
        report("the table")  # a cancelled trial does not join it
        self.trials = self.trials.with_trial(trial)
        self.shown.value = VariableTrials(self.trials.trials[-_MOST_ROWS:]).html()
        return trial.panel()
