"""Hint and Solution, as buttons below what a check says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from varhandle.display import panel_html
from workbook_lib.lesson import progress
from workbook_lib.lesson.control_box import as_control, live_region
from workbook_lib.lesson.panels import paragraphs_html

if TYPE_CHECKING:
    from workbook_lib.lesson.exercises import Exercise

_SURE = "See the solution now? One more try, or a hint, teaches you more."


def help_box(exercise: Exercise, *, solved: bool) -> Any:
    """Make the box below an outcome: a button for the next hint, one for the solution.

    The solution is shown after a second press, unless the exercise is solved.
    """
    from ipywidgets import HTML, Button, HBox, Layout, VBox

    wide = Layout(width="auto")
    hint = Button(tooltip="shows one more hint", layout=wide)
    solution = Button(description="Solution", tooltip="asks once more", layout=wide)
    yes = Button(description="Yes, show it", tooltip="shows the solution", layout=wide)
    no = Button(description="Not yet", tooltip="leaves it folded", layout=wide)
    confirm = HBox([yes, no], layout=Layout(display="none"))
    said = HTML(live_region(""))

    def name_hint() -> None:
        seen, count = progress.read().exercise(exercise.id).hints, len(exercise.hints)
        hint.description = f"Hint {seen + 1} of {count}" if seen < count else "All hints"

    def say(markup: str) -> None:
        said.value = live_region(markup)
        confirm.layout.display = "none"

    def show_hint(_: Any) -> None:
        before = progress.read().exercise(exercise.id).hints
        last = min(before + 1, len(exercise.hints))
        warning = exercise.hint(last).body.removeprefix(exercise.hints[last - 1])
        hints = [f"Hint {n}: {text}" for n, text in enumerate(exercise.hints[:last], start=1)]
        lines = paragraphs_html("\n".join([*hints, warning]))
        say(panel_html("waiting", f"{last} of {len(exercise.hints)} hints", lines))
        name_hint()

    def show_solution(_: Any) -> None:
        say(exercise.solution().html())
        solution.focus()

    def ask(_: Any) -> None:
        if solved:
            show_solution(_)
            return
        say(panel_html("waiting", _SURE))
        confirm.layout.display = None
        no.focus()

    def keep(_: Any) -> None:
        say("")
        solution.focus()

    hint.on_click(show_hint)
    solution.on_click(ask)
    yes.on_click(show_solution)
    no.on_click(keep)
    name_hint()
    buttons = [solution] if solved or not exercise.hints else [hint, solution]
    line = HBox(buttons, layout=Layout(flex_flow="row wrap"))
    return as_control(VBox([line, said, confirm]), "workbook-help")
