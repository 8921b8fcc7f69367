"""Push the rows of a digit into a reader one by one, and watch its state.

:func:`row_by_row` draws the controls; :func:`push_rows` is the plain call that does the same. Both
read with two interpreters side by side: one whose file keeps the state in variables, and one whose
state the caller carries, and so can be looked at. Nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import Rich, panel_html, table_html, table_text
from workbook_lib.controls.held_out import digit_number, held_out_images
from workbook_lib.controls.work import can_be_used, spoken
from workbook_lib.lesson.control_box import at_home

if TYPE_CHECKING:
    import numpy.typing as npt

    from varhandle.tflite.externalize_state import Lifted

    Array = npt.NDArray[np.float32]

_TOLERANCE = 1e-4
_NO_ROW = "-"
_HEADERS = (
    "press",
    "in the file: digit",
    "count",
    "in your hands: digit",
    "count",
    "both answers",
)
_DOWN, _UP = "#c77700", "#0288d1"


@dataclass(frozen=True)
class Push:
    """One press: what was done, and what both interpreters then say."""

    what: str  # ``"row 3 of digit 7"``, or the name of a way to begin anew
    # digit and count of rows of the file that keeps its state; ``None`` after a press that gave no
    # row
    kept: tuple[int, int] | None
    carried: tuple[int, int] | None  # the same of the file whose state is carried
    agree: bool | None  # whether both gave the same numbers, to 1e-4


@dataclass(frozen=True, repr=False, eq=False)
class Reading(Rich):
    """Where a reading stands."""

    pushes: tuple[Push, ...]  # what has been done so far
    image: Array  # float32 [8, 8] in 0..1: the digit that is being read
    row: int  # number of the row that comes next, 0 to 8
    memory: Array  # float32 [24]: the carried state, from -1 to 1

    def __repr__(self) -> str:
        return f"Reading({self.headline})"

    @property
    def headline(self) -> str:
        """What the last press did, in one line."""
        last = self.pushes[-1] if self.pushes else None
        if last is None:
            return "nothing is read yet"
        if last.kept is None or last.carried is None:
            return last.what
        sides = f"{last.kept[0]} from the state in the file, {last.carried[0]} from yours"
        return f"{last.what}: {sides}"

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                push.what,
                *(push.kept or (_NO_ROW, _NO_ROW)),
                *(push.carried or (_NO_ROW, _NO_ROW)),
                {True: "agree", False: "differ", None: _NO_ROW}[push.agree],
            )
            for push in self.pushes
        ]

    def text(self) -> str:
        """Return a line for each press, and the memory that it left."""
        numbers = " ".join(f"{value:+.1f}" for value in self.memory)
        return "\n".join([table_text(_HEADERS, self._rows()), f"memory: {numbers}"])

    def html(self) -> str:
        """Return the digit as far as it is read, the memory as a strip, and the table."""
        table = table_html(_HEADERS, self._rows(), "after each press")
        body = (
            '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
            f"{_digit(self.image, self.row)}{_strip(self.memory)}</div>{table}"
        )
        tone = "wrong" if any(push.agree is False for push in self.pushes) else "neutral"
        return panel_html(tone, self.headline, body)


class RowReading:
    """A reading that goes on press by press."""

    def __init__(self, stateful: bytes, lifted: Lifted, image: Array, name: str = "") -> None:
        """Open both files."""
        from ai_edge_litert.interpreter import Interpreter

        self._stateful = stateful
        self._lifted = lifted
        self._carried = Interpreter(model_content=lifted.content).get_signature_runner("step")
        self._open()
        self._state = lifted.start()
        self._pushes: list[Push] = []
        self.take(image, name)

    def _open(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=self._stateful)
        self._kept = self._interpreter.get_signature_runner("step")

    @property
    def reading(self) -> Reading:
        """Where it stands."""
        memory = np.array(self._state["memory"]).reshape(-1)
        return Reading(tuple(self._pushes), self.image, self.row, memory)

    def take(self, image: Array, name: str = "") -> None:
        """Lay another digit under the scanner; neither state changes."""
        self.image = np.asarray(image, np.float32).reshape(8, 8)
        self.row = 0
        self._name = f" of {name}" if name else ""

    def push(self) -> None:
        """Read the next row on both sides; after the last one the digit begins again."""
        self.row = self.row % 8 + 1
        row = self.image[self.row - 1][np.newaxis]
        kept = self._kept(row=row)
        carried = self._carried(row=row, **self._state)
        self._state = {name: carried[name] for name in self._state}
        agree = all(np.allclose(kept[name], carried[name], atol=_TOLERANCE) for name in kept)
        self._pushes.append(Push(f"row {self.row}{self._name}", _said(kept), _said(carried), agree))

    def reset_signature(self) -> None:
        """Begin a new digit as the model means it: by the signature, and the same by hand."""
        self._interpreter.get_signature_runner("reset")()
        self._state["memory"] = self._lifted.start()["memory"]
        self._note("the reset signature")

    def reset_all_variables(self) -> None:
        """Call the interpreter's method of that name; a carried state has no such method."""
        self._interpreter.reset_all_variables()
        self._note("reset_all_variables()")

    def new_interpreter(self) -> None:
        """Open the file anew, and begin with the first state by hand."""
        self._open()
        self._state = self._lifted.start()
        self._note("a new interpreter")

    def _note(self, what: str) -> None:
        self.row = 0
        self._pushes.append(Push(what, None, None, None))


def _said(outputs: Mapping[str, Any]) -> tuple[int, int]:
    return int(np.argmax(outputs["digit"])), int(np.asarray(outputs["rows"]).item())


def push_rows(
    stateful: bytes, lifted: Lifted, image: Array, count: int = 8, name: str = ""
) -> Reading:
    """Push rows of one digit into both readers.

    ``stateful`` has the signatures ``step`` and ``reset``, ``lifted`` is the same file with its
    state lifted, ``image`` float32 [8, 8] or [8, 8, 1] in 0..1. Raises ``ValueError``: ``count`` is
    not a whole number from 0 to 8.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 8:
        raise ValueError(f"count is a whole number from 0 to 8, and not {count!r}")
    reading = RowReading(stateful, lifted, image, name)
    for _ in range(count):
        reading.push()
    return reading.reading


def row_by_row(stateful: bytes, lifted: Lifted, *, example: int = 1) -> Any:
    """Show a scanner: press, and the next row of a digit goes into both readers.

    The files are those of :func:`push_rows`; ``example`` is the number of a held-out digit, 0 to
    359. Where nobody can use controls, the reading of the whole example. Raises ``ValueError``:
    there is no such example.
    """
    images = held_out_images(example)
    if not can_be_used():
        return push_rows(stateful, lifted, images[example], name=_name(example))
    return _controls(RowReading(stateful, lifted, images[example], _name(example)), images, example)


def _name(example: int) -> str:
    return f"digit no. {example}"


def _controls(reading: RowReading, images: Array, example: int) -> Any:
    from ipywidgets import HTML, Button, HBox, Layout, VBox

    shown = HTML()
    number = digit_number(example, len(images), "which digit lies under the scanner")

    def show() -> None:
        now = reading.reading
        shown.value = spoken(now.headline) + now.html()

    def button(words: str, hint: str, action: Any) -> Any:
        made = Button(description=words, tooltip=hint, layout=Layout(width="auto"))

        def press(_: Any) -> None:
            action()
            show()

        made.on_click(press)
        return made

    def push_the_rest() -> None:
        for _ in range(8 - reading.row % 8):
            reading.push()

    def take(_: Any) -> None:
        reading.take(images[number.value], _name(number.value))
        show()

    number.observe(take, names="value")
    rows = [
        button("Push a row", "give the next row to both readers", reading.push),
        button("Push the rest", "give the rows that are left", push_the_rest),
    ]
    anew = [
        button("Call reset", "the signature that shares the variable", reading.reset_signature),
        button(
            "Call reset_all_variables()", "the interpreter's method", reading.reset_all_variables
        ),
        button("Open a new interpreter", "the file is opened anew", reading.new_interpreter),
    ]
    show()
    box = VBox([HBox([number, *rows]), HBox(anew), shown])
    for line in box.children[:2]:
        line.layout.flex_flow = "row wrap"
    box.add_class("workbook-rows")
    return at_home(box)


def _digit(image: Array, row: int) -> str:
    """Draw the digit; rows still to come are pale, and a line stands where the scanner is."""
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="rgb({g},{g},{g})" '
        f'opacity="{1 if y < row else 0.3}"/>'
        for y, line in enumerate(image)
        for x, value in enumerate(line)
        for g in [round(255 * (1 - float(value)))]
    )
    return (
        f'<figure style="margin: 0"><svg role="img" aria-label="the digit, {row} of 8 rows read" '
        'width="112" height="112" viewBox="-0.1 -0.1 8.2 8.2" shape-rendering="crispEdges">'
        f'<rect x="-0.1" y="-0.1" width="8.2" height="8.2" fill="#fff"/>{squares}'
        f'<rect x="-0.1" y="{row - 0.06:.2f}" width="8.2" height="0.12" fill="#c2185b"/></svg>'
        f"<figcaption>{row} of 8 rows read</figcaption></figure>"
    )


def _strip(memory: Array) -> str:
    """Draw each number of the memory as a bar up or down from a line, with the number in words."""
    wide, high = 14, 56
    bars = "".join(
        f'<rect x="{wide * at + 2}" y="{high * (1 - max(value, 0)):.1f}" width="{wide - 4}" '
        f'height="{max(high * abs(value), 0.5):.1f}" fill="{_UP if value >= 0 else _DOWN}">'
        f"<title>{at}: {value:+.2f}</title></rect>"
        for at, value in enumerate(memory.tolist())
    )
    words = ", ".join(f"{value:+.1f}" for value in memory.tolist())
    return (
        f'<figure style="margin: 0"><svg role="img" aria-label="the memory: {words}" '
        f'width="{wide * len(memory)}" height="{2 * high}" '
        f'viewBox="0 0 {wide * len(memory)} {2 * high}">'
        f'<line x1="0" x2="{wide * len(memory)}" y1="{high}" y2="{high}" stroke="#7a7a7a"/>{bars}'
        "</svg><figcaption>your state, memory: 24 numbers, from -1 (down) to +1 (up)</figcaption>"
        "</figure>"
    )
