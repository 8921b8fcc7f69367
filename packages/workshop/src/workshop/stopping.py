"""Ends every process of a user number: whatever it is, and whoever its parent may be."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psutil

_POLL_SECONDS = 0.05


def processes_of(numbers: range) -> Iterator[psutil.Process]:
    """Yield the processes that run under some user numbers."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.uids().real in numbers:
                yield process


def end_processes(numbers: range, seconds: float = 10) -> None:
    """End them, and those that they start meanwhile."""
    deadline = time.monotonic() + seconds
    while found := list(processes_of(numbers)):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)
