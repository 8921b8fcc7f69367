"""``workbook drill``: one drill after the other in a terminal, each checked when it is saved."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import sys
import textwrap
from collections.abc import Iterator

from varhandle.display import TONES
from workbook_lib.lesson.drill_catalog import Drill, all_drills, drill_list, next_drill
from workbook_lib.lesson.exercises import Outcome
from workbook_lib.lesson.panels import Panel

_KEYS = "Save the file, or press: h hint, s solution, n next, l list, q quit."
_WAIT = 0.3  # seconds between two looks at the file


def run_drills(drill: Drill) -> int:
    """Work at a drill, and at those after it; return the exit code.

    Without a terminal, or on a system without single keys: check it once, exit code 1 unless it is
    right.
    """
    _open(drill)
    has_keys = importlib.util.find_spec("termios") is not None
    if not (has_keys and sys.stdin.isatty() and sys.stdout.isatty()):
        outcome = drill.check()
        _say(outcome)
        return 0 if outcome.status == "right" else 1
    with _single_keys():
        _watch(drill)
    return 0


def _watch(drill: Drill) -> None:
    seen = None
    while True:
        stamp = drill.stamp()
        if stamp not in (None, seen):
            seen = stamp
            print("Checking …", flush=True)
            _say(drill.check())
            print(_KEYS, flush=True)
        key = _pressed()
        if key in ("q", "\x04"):
            return
        if key == "h":
            _say(drill.hint())
        elif key == "s":
            print(textwrap.indent(drill.solution(), "    "), flush=True)
        elif key == "l":
            print(drill_list().text(), flush=True)
        elif key == "n":
            drill, seen = next_drill(drill), None
            _open(drill)


def _open(drill: Drill) -> None:
    count = len(all_drills())
    print(f"\nDrill {drill.number} of {count}: {drill.title}\n")
    print(textwrap.indent(drill.about, "  "))
    print(f"\n  {os.path.relpath(drill.file)}\n", flush=True)


def _say(said: Panel | Outcome) -> None:
    print(f"{TONES[said.tone][0]} {said.text()}\n", flush=True)


def _pressed() -> str:
    """Return a key that was pressed meanwhile; empty after ``_WAIT`` without one."""
    ready, _, _ = select.select([sys.stdin], [], [], _WAIT)
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace") or "q" if ready else ""


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Let each key arrive without Enter; Ctrl-C goes on to interrupt."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
