"""Keep what runs out of the learner's progress."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "WORKBOOK_PROGRESS"


@contextmanager
def progress_off() -> Iterator[None]:
    """Turn progress off for the kernels that start meanwhile.

    A run must show the unsolved workbook, and must not write into a learner's progress.
    """
    kept = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "off"
    try:
        yield
    finally:
        if kept is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = kept
