"""Slow work behind a button, and what every control needs: can anybody use it, what is read out."""

from __future__ import annotations

import contextvars
import html
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from varhandle.display import panel_html
from varhandle.errors import VarhandleError
from varhandle.sandbox import cancellable
from workbook_lib.lesson.control_box import is_interactive, live_region

__all__ = ["CancelledError", "SlowWork", "dropdown", "is_interactive", "live_region", "live_text"]

_TICK = 0.5  # seconds between two words on how long it has taken
_CANCELLED = "Cancelled: nothing has changed."


class CancelledError(VarhandleError):
    """The learner has cancelled the work; what it has done so far is thrown away."""


def live_text(words: str) -> str:
    """Put words where a screen reader reads them out, and nobody sees them."""
    hidden = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)"
    return f'<div role="status" style="{hidden}">{html.escape(words)}</div>'


def dropdown(label: str, tooltip: str, options: Iterable[Any], value: Any) -> Any:
    """Make a list to choose from, whose label lines up with those of its neighbors."""
    from ipywidgets import Dropdown, Layout

    return Dropdown(
        options=list(options),
        value=value,
        description=label,
        tooltip=tooltip,
        style={"description_width": "10em"},
        layout=Layout(width="26em"),
    )


class SlowWork:
    """A button that starts work, one that cancels it, and a status with what comes of it.

    The work runs in a thread, so that the kernel goes on answering other cells and the second
    button. A press while it runs does nothing. Cancelling ends the isolated child that it waits
    for, and every later one; between these it ends at its next report. ``box`` holds all three.

    ``label`` is a verb, such as "Convert"; ``work`` is given ``report`` and returns HTML.
    """

    def __init__(
        self, label: str, work: Callable[[Callable[[str], None]], str], *, hint: str
    ) -> None:
        from ipywidgets import HTML, Button, HBox, VBox

        self._label = label
        self._work = work
        self._words = ""
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self.start = Button(description=label, tooltip=label)
        self.cancel = Button(description="Cancel", tooltip=f"end it: {label}", disabled=True)
        self.status = HTML(live_region(html.escape(hint)))
        self.box: Any = VBox([HBox([self.start, self.cancel]), self.status])
        self.start.on_click(lambda _: self.run())
        self.cancel.on_click(lambda _: self.end())

    @property
    def running(self) -> bool:
        """Whether the work is under way."""
        return self._thread is not None and self._thread.is_alive()

    def report(self, words: str) -> None:
        """Say what the work does next.

        Raises ``CancelledError``: the learner wants it to end.
        """
        if self._cancelled.is_set():
            raise CancelledError
        self._words = words

    def say(self, markup: str) -> None:
        """Show HTML as the status, unless work is under way."""
        if not self.running:
            self.status.value = live_region(markup)

    def run(self) -> None:
        """Start the work; nothing happens if it is under way."""
        if self.running:
            return
        self._cancelled.clear()
        self._words = ""
        self.cancel.disabled = False
        self.status.value = live_region(f"{html.escape(self._label)}: started.")
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._do,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ask the work to end; nothing happens if none is under way."""
        if self.running:
            self._cancelled.set()
            # A disabled button loses the focus, and a keyboard its place on the page.
            self.start.focus()
            self.cancel.disabled = True

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the work is over, as a test or a plain script does."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _do(self) -> None:
        over = threading.Event()
        clock = threading.Thread(target=self._tick, args=(over,), daemon=True)
        clock.start()
        try:
            with cancellable(self._cancelled):
                shown = self._work(self.report)
        except Exception as error:
            shown = panel_html("raised", f"{type(error).__name__}: {error}")
        finally:
            over.set()
            clock.join()
        if self._cancelled.is_set():  # whatever became of it meanwhile, nobody wants it
            shown = _CANCELLED
        self.cancel.disabled = True
        self.status.value = live_region(shown)

    def _tick(self, over: threading.Event) -> None:
        """Say how it goes, in no live region: a reader would hear every half second."""
        started = time.monotonic()
        while not over.wait(_TICK):
            words = html.escape(": ".join(filter(None, (self._label, self._words))))
            self.status.value = f"<div>{words}, {time.monotonic() - started:.0f} s</div>"
