"""Locks that end with their owner: a process that dies, however it dies, holds none."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_POLL_SECONDS = 0.1


class LockedError(Exception):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(path: Path, wait: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a lock.

    The operating system lets go of it when this process ends (``flock(2)``). A program that this
    process starts does not inherit it. On NFS it holds between machines as well.

    Args:
        path: The file to lock; made if there is none, and left behind empty.
        wait: Asked again and again while another process holds the lock: ``True`` goes on waiting.

    Yields:
        Nothing; the lock is held within the block.

    Raises:
        LockedError: Another process holds it, and ``wait`` said no.
        OSError: The file cannot be made, or its file system knows no locks.
    """
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wait():
                    raise LockedError(str(path)) from None
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
