"""Push the rows of a digit into a reader one by one, and watch its state.

Two interpreters read side by side: one whose file keeps the state in variables, and one whose
state the caller carries, and so can be looked at. Nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import Rich, panel_html, table_html, table_text
from workbook_lib.controls.digit_sheet import digit_html, digit_number, held_out_images
from workbook_lib.controls.slow_work import is_interactive, live_text
from workbook_lib.lesson.control_box import as_control

if TYPE_CHECKING:
    from varhandle.tflite.externalize_state import Lifted
    from workbook_lib.controls.digit_sheet import Ink

_TOLERANCE = 1e-4
_HEADERS = (
    *("press", "in the file: digit", "count"),
    *("in your hands: digit", "count", "both answers"),
)
_DOWN, _UP = "#c77700", "#0288d1"


@dataclass(frozen=True)
class Push:
    """One press, and digit and count of rows that both interpreters then give.

    A press that gave no row, such as a way to begin anew, has no answers.
    """

    what: str  # "row 3 of digit 7", or the name of a way to begin anew
    kept: tuple[int, int] | None = None  # of the file that keeps its state
    carried: tuple[int, int] | None = None  # of the file whose state is carried
    agree: bool | None = None  # whether both gave the same numbers, to 1e-4


@dataclass(frozen=True, repr=False, eq=False)
class ReaderState(Rich):
    """Where a reading stands."""

    pushes: tuple[Push, ...]
    image: Ink  # float32 [8, 8] in 0..1: the digit that is being read
    row: int  # number of the row that comes next, 0 to 8
    memory: Ink  # float32 [24]: the carried state, from -1 to 1

    def __repr__(self) -> str:
        return f"ReaderState({self.headline})"

    @property
    def headline(self) -> str:
        """What the last press did, in one line."""
        if not self.pushes:
            return "nothing is read yet"
        last = self.pushes[-1]
        if last.kept is None or last.carried is None:
            return last.what
        kept, carried = last.kept[0], last.carried[0]
        return f"{last.what}: {kept} from the state in the file, {carried} from yours"

    def _rows(self) -> list[tuple[object, ...]]:
        words = {True: "agree", False: "differ", None: "-"}
        return [
            (push.what, *(push.kept or "--"), *(push.carried or "--"), words[push.agree])
            for push in self.pushes
        ]

    def text(self) -> str:
        """Return a line for each press, and the memory that it left."""
        memory = " ".join(f"{value:+.1f}" for value in self.memory)
        return f"{table_text(_HEADERS, self._rows())}\nmemory: {memory}"

    def html(self) -> str:
        """Return the digit as far as it is read, the memory as a strip, and the table."""
        words = f"{self.row} of 8 rows read"
        scanner = f'<rect y="{self.row - 0.06:.2f}" width="8" height="0.12" fill="#c2185b"/>'
        digit = digit_html(
            self.image, f"the digit, {words}", words, rows_read=self.row, line=scanner
        )
        table = table_html(_HEADERS, self._rows(), "After each press")
        body = (
            '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
            f"{digit}{_strip(self.memory)}</div>{table}"
        )
        tone = "wrong" if any(push.agree is False for push in self.pushes) else "neutral"
        return panel_html(tone, self.headline, body)


def _strip(memory: Ink) -> str:
    """Draw each number of a memory as a bar up or down from a line."""
    wide, high = 14, 56
    bars = "".join(
        f'<rect x="{wide * at + 2}" y="{high * (1 - max(value, 0)):.1f}" width="{wide - 4}" '
        f'height="{max(high * abs(value), 0.5):.1f}" fill="{_UP if value >= 0 else _DOWN}">'
        f"<title>{at}: {value:+.2f}</title></rect>"
        for at, value in enumerate(memory.tolist())
    )
    width, words = wide * len(memory), ", ".join(f"{value:+.1f}" for value in memory)
    return (
        f'<figure style="margin: 0"><svg role="img" aria-label="the memory: {words}" '
        f'width="{width}" height="{2 * high}" viewBox="0 0 {width} {2 * high}">'
        f'<line x1="0" x2="{width}" y1="{high}" y2="{high}" stroke="#7a7a7a"/>{bars}</svg>'
        "<figcaption>your state, memory: 24 numbers, from -1 (down) to +1 (up)</figcaption>"
        "</figure>"
    )


class RowReading:
    """A reading that goes on press by press; at row 8 the digit is read.

    ``stateful`` is a ``.tflite`` file of the row reader with the signatures ``step`` and ``reset``,
    ``lifted`` the same file with its state lifted, ``example`` the number of a held-out digit.
    Raises ``ValueError``: there is no such digit.
    """

    def __init__(self, stateful: bytes, lifted: Lifted, example: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.images = held_out_images(example)
        self._open = lambda: Interpreter(model_content=stateful)
        self._lifted = lifted
        self._carried = Interpreter(model_content=lifted.content).get_signature_runner("step")
        self._interpreter, self._memory = self._open(), lifted.start()
        self._pushes: list[Push] = []
        self.take(example)

    @property
    def state(self) -> ReaderState:
        """Where it stands."""
        memory = np.array(self._memory["memory"]).reshape(-1)
        return ReaderState(tuple(self._pushes), self._image, self.row, memory)

    def take(self, example: int) -> None:
        """Lay another digit under the scanner; neither state changes."""
        self._image, self._name = self.images[example].reshape(8, 8), f"digit no. {example}"
        self.row = 0

    def push(self) -> None:
        """Read the next row on both sides; after the last one the digit begins again."""
        self.row = self.row % 8 + 1
        row = self._image[self.row - 1][np.newaxis]
        kept = self._interpreter.get_signature_runner("step")(row=row)
        carried = self._carried(row=row, **self._memory)
        self._memory = {name: carried[name] for name in self._memory}
        agree = all(np.allclose(kept[name], carried[name], atol=_TOLERANCE) for name in kept)
        from_file, by_hand = (
            (int(np.argmax(outputs["digit"])), int(outputs["rows"].item()))
            for outputs in (kept, carried)
        )
        self._pushes.append(Push(f"row {self.row} of {self._name}", from_file, by_hand, agree))

    def push_the_rest(self) -> None:
        """Read the rows that are left."""
        for _ in range(8 - self.row % 8):
            self.push()

    def reset_signature(self) -> None:
        """Begin a new digit as the model means it: by the signature, and the same by hand."""
        self._interpreter.get_signature_runner("reset")()
        self._memory["memory"] = self._lifted.start()["memory"]
        self._begin_anew("the reset signature")

    def reset_all_variables(self) -> None:
        """Call the interpreter's method of that name; a carried state has no such method."""
        self._interpreter.reset_all_variables()
        self._begin_anew("reset_all_variables()")

    def new_interpreter(self) -> None:
        """Open the file anew, and begin with the first state by hand."""
        self._interpreter, self._memory = self._open(), self._lifted.start()
        self._begin_anew("a new interpreter")

    def _begin_anew(self, how: str) -> None:
        self.row = 0
        self._pushes.append(Push(how))


def row_by_row(stateful: bytes, lifted: Lifted, *, example: int = 1) -> Any:
    """Show a scanner: press, and the next row of a digit goes into both readers.

    The files are those of :class:`RowReading`; ``example`` is the number of a held-out digit, 0 to
    359. Where nobody can use controls, the reading of the whole example. Raises ``ValueError``:
    there is no such example.
    """
    reading = RowReading(stateful, lifted, example)
    if not is_interactive():
        reading.push_the_rest()
        return reading.state
    from ipywidgets import HTML, Button, HBox, Layout, VBox

    shown = HTML()
    number = digit_number(example, len(reading.images), "which digit lies under the scanner")

    def show() -> None:
        now = reading.state
        shown.value = live_text(now.headline) + now.html()

    def take(_: Any) -> None:
        reading.take(number.value)
        show()

    def button(words: str, tooltip: str, action: Callable[[], None]) -> Any:
        def press(_: Any) -> None:
            action()
            show()

        made = Button(description=words, tooltip=tooltip, layout=Layout(width="auto"))
        made.on_click(press)
        return made

    number.observe(take, names="value")
    reads = [
        button("Push a row", "give the next row to both readers", reading.push),
        button("Push the rest", "give the rows that are left", reading.push_the_rest),
    ]
    resets = [
        button("Call reset", "the signature that shares the variable", reading.reset_signature),
        button(
            "Call reset_all_variables()", "the interpreter's method", reading.reset_all_variables
        ),
        button("Open a new interpreter", "the file is opened anew", reading.new_interpreter),
    ]
    show()
    lines = [HBox(line, layout=Layout(flex_flow="row wrap")) for line in ([number, *reads], resets)]
    return as_control(VBox([*lines, shown]), "workbook-rows")
