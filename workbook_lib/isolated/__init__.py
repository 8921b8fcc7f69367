"""Run code where its crash, its leak or its endless loop costs nobody anything.

``%load_ext workbook_lib.isolated`` adds the ``%%isolated`` cell magic to a notebook.
"""

from typing import Any

from workbook_lib.isolated.native_log import silence_native_log
from workbook_lib.isolated.process import cancellable, run_isolated, run_source, warm_up
from workbook_lib.isolated.record import OpError, Record

__all__ = [
    "OpError",
    "Record",
    "cancellable",
    "run_isolated",
    "run_source",
    "silence_native_log",
    "warm_up",
]


def load_ipython_extension(ipython: Any) -> None:
    """Register the cell magic; IPython calls this on ``%load_ext``."""
    from workbook_lib.isolated import magic

    magic.load_ipython_extension(ipython)
