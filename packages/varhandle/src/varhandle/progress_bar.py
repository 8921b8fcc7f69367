"""Show that something takes time: a bar for known steps, a clock for one long call.

Both are drawn in a notebook that somebody looks at, and are gone when the work is done. A headless
run (``WORKBOOK_PROGRESS=off``), a terminal and a test see nothing, so no stored output holds them.
A program with a screen of its own is told the labels instead (``report_progress_to``).
"""

from __future__ import annotations

import contextlib
import contextvars
import html
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_listener: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar(
    "listener", default=None
)
_PATIENCE = 1.0  # seconds before a clock is drawn: what is over sooner needs none
_TICK = 0.5  # seconds between two updates of the clock


@contextlib.contextmanager
def report_progress_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Call a function with what begins to take time within this block, a few words each."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def with_progress_bar(items: Collection[Item], label: str) -> Iterator[Item]:
    """Go through items, with a bar that fills."""
    if not items or not is_in_notebook():
        yield from items
        return
    name, count = html.escape(label, quote=True), len(items)

    def bar(done: int) -> str:
        """Return an element of HTML that screen readers know."""
        value = f'<progress value="{done}" max="{count}" aria-label="{name}"></progress>'
        return f"<label>{name} {value} {done} of {count}</label>"

    with _display() as show:
        show(bar(0))
        for done, item in enumerate(items, start=1):
            yield item
            show(bar(done))


@contextlib.contextmanager
def busy(label: str) -> Iterator[None]:
    """Show for how many seconds one call has been running."""
    if (listener := _listener.get()) is not None:
        listener(label)
    if not is_in_notebook():
        yield
        return
    over = threading.Event()
    clock = threading.Thread(target=_clock, args=(label, over), daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


def is_in_notebook() -> bool:
    """Tell whether a notebook that somebody may be looking at runs this."""
    if os.environ.get("WORKBOOK_PROGRESS") == "off" or "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


@contextlib.contextmanager
def _display() -> Iterator[Callable[[str], None]]:
    """Make a place below the cell that shows one thing at a time, and nothing at the end."""
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)
    try:
        yield lambda text: handle.update(HTML(text))
    finally:
        handle.update(HTML(""))


def _clock(label: str, over: threading.Event) -> None:
    if over.wait(_PATIENCE):
        return
    started = time.monotonic() - _PATIENCE
    with _display() as show:
        while not over.wait(_TICK):
            show(f"{html.escape(label)}: {time.monotonic() - started:.0f} s")
