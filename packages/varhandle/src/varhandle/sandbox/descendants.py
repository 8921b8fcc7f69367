"""The processes below this one: who they are, and how to end them all."""

from __future__ import annotations

import contextlib
import time

import psutil


def live_descendants() -> list[psutil.Process]:
    """Return all live processes below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_descendants(patience: float = 10.0) -> None:
    """End every process below this one, and what they start meanwhile.

    Args:
        patience: Seconds after which to leave it at that.
    """
    deadline = time.monotonic() + patience
    while (left := live_descendants()) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.2)
