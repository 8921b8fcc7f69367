"""The processes below this one: who they are, what they hold, and how to end them all."""

from __future__ import annotations

import contextlib
import sys
import time

import psutil

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_PATIENCE_SECONDS = 10.0


def adopt_orphans() -> None:
    """Become the parent of what a child leaves behind: it is then among the descendants."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _live_descendants() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def memory_of_descendants(enough: int) -> int:
    """Return the bytes that the processes below this one hold together.

    Above ``enough``, pages that forked processes share are counted once (proportional set size),
    which takes longer to find out.
    """
    processes = _live_descendants()
    resident = sum(_held(process, "rss") for process in processes)
    return resident if resident <= enough else sum(_held(process, "pss") for process in processes)


def _held(process: psutil.Process, kind: str) -> int:
    try:
        if kind == "pss" and sys.platform == "linux":
            return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def end_descendants() -> None:
    """End every process below this one, and what they start meanwhile, for ten seconds at most."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (left := _live_descendants()) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.2)
