"""Which failure is yours? From a message, a log or a model file to its family, cure and lesson.

:func:`which_failure` draws controls; :func:`recognize_failure` is the plain call that does it.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.display import Rich, RichTable, Table, code_html, panel_html, printable
from varhandle.families.catalog import FAMILIES, family
from workbook_lib.controls.slow_work import SlowWork, dropdown, is_interactive
from workbook_lib.lesson.control_box import as_control
from workbook_lib.lesson.where_taught import place_of

if TYPE_CHECKING:
    from workbook_lib.lesson.where_taught import Place

_LOG_OR_PATH = "a log, or the path of a model file"
_LONGEST_LOG = 10_000_000  # bytes of a log file that are read
_PICK = "Pick what you saw …"
_NOTHING = (
    "Nothing in it is known here. Give the whole log, from the first line that speaks of an error."
)
_SOUND = (
    "No fault can be read from this file. A conversion may still show one: "
    "`varhandle diagnose MODEL` makes it."
)


@dataclass(frozen=True)
class RecognizedFamily:
    """A family of failure that was recognized, in the words for this log or this model."""

    id: str
    what: str  # what happens, in a sentence
    cause: str
    advice: str  # what to do, in a sentence; empty where the code says it all
    code: str  # empty where no code helps

    @property
    def place(self) -> Place:
        """Where the lessons meet it."""
        return place_of(self.id)


@dataclass(frozen=True, repr=False)
class Recognition(Rich):
    """The families that a message, a log or a model shows, the cause first."""

    families: tuple[RecognizedFamily, ...]
    nothing: str = _NOTHING  # what to say where there are none
    model: str = ""  # the path of the model, if it was one

    def __repr__(self) -> str:
        return f"Recognition({', '.join(one.id for one in self.families) or 'nothing'})"

    def spoken(self) -> str:
        """What a screen reader says of it; the rest stands below."""
        if not self.families:
            return "Not recognized, see below."
        return f"{self.families[0].id}: its cause, cure and lesson stand below."

    def _commands(self) -> tuple[str, str]:
        model = self.model or "MODEL"
        return f"varhandle diagnose {model}", f"varhandle cure {model} OUT.tflite"

    def text(self) -> str:
        if not self.families:
            return self.nothing
        parts = []
        for one in self.families:
            parts += [
                f"{one.id}: {one.what}",
                f"  Cause: {one.cause}",
                f"  What to do: {one.advice or 'see the code'}",
                f"  In the lessons: {one.place}",
                *([textwrap.indent(one.code, "    ")] if one.code else []),
            ]
        return "\n".join([*parts, "  For your own model: " + ", then ".join(self._commands())])

    def html(self) -> str:
        if not self.families:
            return panel_html("neutral", self.nothing)
        commands = code_html("\n".join(self._commands()))
        first, *others = (_panel(one) for one in self.families)
        return first + f"<p>For your own model, in a terminal:</p>{commands}" + "".join(others)


def _panel(one: RecognizedFamily) -> str:
    body = (
        f"<p>{html.escape(one.cause)}</p>"
        f"<p><b>What to do:</b> {html.escape(one.advice)}</p>"
        f"{code_html(one.code) if one.code else ''}"
        f"<p><b>In the lessons:</b> {one.place.__html__()}</p>"
    )
    return panel_html("wrong", f"{one.id}: {one.what}", body)


def recognize_failure(given: str) -> Recognition:
    """Say which failure it is: given the path of a model or of a log, or else the text of a log.

    A model is only read: nothing is converted, and nothing that it brings along runs.
    """
    path = _existing(given.strip().strip("'\""))
    return _in_file(path) if path else _in_log(given)


def _existing(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        return path if name and path.exists() else None
    except (OSError, ValueError, RuntimeError):  # a line of a log is longer than a name may be
        return None


def _in_file(path: Path) -> Recognition:
    from varhandle.diagnosis import diagnose
    from varhandle.errors import VarhandleError

    try:
        findings = diagnose(path, static=True).findings
    except VarhandleError as error:
        logged = _in_log_file(path)
        return logged if logged.families else Recognition((), str(error))
    found = (
        RecognizedFamily(f.id, family(f.id).what, printable(f.message, None), "", f.fix)
        for f in findings
    )
    return Recognition(tuple(found), _SOUND, printable(path))


def _in_log_file(path: Path) -> Recognition:
    try:
        with path.open("rb") as file:
            return _in_log(file.read(_LONGEST_LOG))
    except OSError:
        return Recognition(())


def _in_log(log: str | bytes) -> Recognition:
    from varhandle.explanation import explain

    matches = explain(log).matches
    return Recognition(tuple(_recognized(m.id, m.message, m.fix) for m in matches))


def _recognized(identifier: str, cause: str, fix: str) -> RecognizedFamily:
    advice, _, code = fix.partition("\n\n")
    return RecognizedFamily(identifier, family(identifier).what, cause, advice, code)


def recognition_of_family(identifier: str) -> Recognition:
    """Return what is known of a family without a log; ``KeyError`` if there is none."""
    one = family(identifier)
    return Recognition((_recognized(one.id, one.cause, one.fix),))


@dataclass(frozen=True, repr=False)
class FailureTable(RichTable):
    """What people see, and where the lessons meet it: all families about a variable."""

    def __repr__(self) -> str:
        return "FailureTable()"

    def _table(self) -> Table:
        rows = [(one.what, place_of(one.id)) for one in FAMILIES if one.of_variables]
        return ("What you see", "Where it is met"), rows, "Which failure is yours?"


def which_failure() -> Any:
    """Show controls: pick what you saw, or give a log or a model; the family is told below.

    Where nobody can use controls: a table of what people see, and where the lessons meet it.
    """
    return _Chooser() if is_interactive() else FailureTable()


class _Chooser:
    """The controls, and below them the answer."""

    def __init__(self) -> None:
        from ipywidgets import HTML, Layout, Textarea, VBox

        options = [(_PICK, ""), *((one.what, one.id) for one in FAMILIES)]
        self.pick = dropdown("What you saw:", "what happened, in a sentence", options, "")
        self.given = Textarea(
            placeholder=f"or paste here {_LOG_OR_PATH}, and press Recognize",
            tooltip=_LOG_OR_PATH,
            continuous_update=False,  # whole, before the click on the button
            rows=4,
        )
        for control in (self.pick, self.given):
            control.layout = Layout(width="100%", max_width="52em")
        self.work = SlowWork("Recognize", self._recognize, hint="")
        self.pick.observe(self._follow, names="value")
        title = HTML("<b>Which failure is yours?</b>")
        children = [title, self.pick, self.given, self.work.box]
        self.box = as_control(VBox(children), "workbook-which-failure")
        self._answer: Any = None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)
        # An output of its own: JupyterLab leads its links to the lessons, but not a widget's.
        self._answer = display({"text/plain": ""}, raw=True, display_id=True)

    def _recognize(self, report: Callable[[str], None]) -> str:
        report("reading")
        return self._show(recognize_failure(self.given.value))

    def _follow(self, change: Any) -> None:
        if change["new"]:
            self.work.say(self._show(recognition_of_family(change["new"])))

    def _show(self, found: Recognition) -> str:
        """Show the answer in the output below, and return what is read out of it."""
        if self._answer is not None:
            self._answer.update(found._repr_mimebundle_(), raw=True)
        return html.escape(found.spoken())
