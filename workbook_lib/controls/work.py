"""Slow work behind a button: it says how it goes, can be cancelled, and leaves the kernel free."""

from __future__ import annotations

import contextvars
import html
import importlib.util
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from varhandle.display import Rich, panel_html
from varhandle.progress_bar import is_watched
from varhandle.sandbox import cancellable

if TYPE_CHECKING:
    from ipywidgets import VBox

_TICK = 0.5  # seconds between two words on how long it has taken


class CancelledError(Exception):
    """The learner has cancelled the work; what it has done so far is thrown away."""


def can_be_used() -> bool:
    """Tell whether somebody can use a control here.

    Headless runs say ``WORKBOOK_PROGRESS=off``.
    """
    return is_watched() and importlib.util.find_spec("ipywidgets") is not None


class Steps:
    """What slow work is given, so that it can say how far it is and learn that it shall end."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        self.words = ""
        self.done = 0
        self.total = 0

    def __call__(self, words: str, done: int = 0, total: int = 0) -> None:
        """Say what comes next.

        Raises ``CancelledError``: the learner wants it to end.
        """
        if self._cancelled.is_set():
            raise CancelledError
        self.words, self.done, self.total = words, done, total


class SlowWork:
    """Two buttons and a place for what comes of the work.

    The work runs in a thread, so that the kernel goes on answering other cells and the second
    button. A press while it runs does nothing. Cancelling ends the isolated child that it waits
    for, and every later one; between these it ends at its next ``steps(...)``.
    """

    def __init__(self, label: str, work: Callable[[Steps], Rich], *, hint: str = "") -> None:
        """Make the buttons."""
        from ipywidgets import HTML, Button, HBox, VBox

        self._label = label
        self._work = work
        self._running: threading.Thread | None = None
        self._cancelled = threading.Event()
        self.start = Button(description=label, tooltip=label)
        self.cancel = Button(description="Cancel", tooltip=f"end it: {label}", disabled=True)
        self.status = HTML(_said(hint or f"Choose, then press {label}."))
        self.box: VBox = VBox([HBox([self.start, self.cancel]), self.status])
        self.start.on_click(lambda _: self.run())
        self.cancel.on_click(lambda _: self.end())

    @property
    def running(self) -> bool:
        """Whether the work is under way."""
        return self._running is not None and self._running.is_alive()

    def run(self) -> None:
        """Start the work; nothing happens if it is under way."""
        if self.running:
            return
        self._cancelled = threading.Event()
        self.cancel.disabled = False
        self.status.value = _said(f"{self._label}: started.")
        context = contextvars.copy_context()
        self._running = threading.Thread(target=context.run, args=(self._do,), daemon=True)
        self._running.start()

    def end(self) -> None:
        """Ask the work to end; nothing happens if none is under way."""
        if self.running:
            self._cancelled.set()
            # A disabled button loses the focus, and a keyboard its place on the page.
            self.start.focus()
            self.cancel.disabled = True

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the work is over, as a test or a plain script does."""
        if self._running is not None:
            self._running.join(timeout)

    def _do(self) -> None:
        over, steps = threading.Event(), Steps(self._cancelled)
        clock = threading.Thread(target=self._tick, args=(over, steps), daemon=True)
        clock.start()
        try:
            with cancellable(self._cancelled):
                shown = _status(self._work(steps).html())
        except CancelledError:
            shown = _said("Cancelled: nothing has changed.")
        except Exception as error:
            shown = _status(panel_html("raised", f"{type(error).__name__}: {error}"))
        finally:
            over.set()
            clock.join()
        if self._cancelled.is_set():  # whatever became of it meanwhile, nobody wants it
            shown = _said("Cancelled: nothing has changed.")
        self.cancel.disabled = True
        self.status.value = shown

    def _tick(self, over: threading.Event, steps: Steps) -> None:
        started = time.monotonic()
        while not over.wait(_TICK):
            self.status.value = _going(self._label, steps, time.monotonic() - started)


def spoken(words: str) -> str:
    """Put words where a screen reader reads them out, and nobody sees them."""
    hidden = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)"
    return f'<div role="status" style="{hidden}">{html.escape(words)}</div>'


def _going(label: str, steps: Steps, seconds: float) -> str:
    """Say how the work goes. It is no live region: a reader would hear every half second."""
    words = html.escape(": ".join(filter(None, (label, steps.words))))
    bar = ""
    if steps.total:
        bar = (
            f' <progress value="{steps.done}" max="{steps.total}" aria-label="{words}"></progress>'
            f" {steps.done} of {steps.total}"
        )
    return f"<div>{words}{bar}, {seconds:.0f} s</div>"


def _said(words: str) -> str:
    return _status(html.escape(words))


def _status(markup: str) -> str:
    """Put what is over into a live region, which a screen reader reads out."""
    return f'<div role="status">{markup}</div>'
