"""The error stream of C++ libraries, which a kernel would mix into the notebook."""

from __future__ import annotations

import logging
import os


def silence_native_log() -> None:
    """Send what C++ libraries write to this process's standard error to nowhere.

    TensorFlow and LiteRT greet every start with lines that are no news, and no setting of
    theirs stops all of them (absl writes before its log is initialized). Python's own errors
    are not touched: in a kernel ``sys.stderr`` is not this stream. An isolated cell still
    records all of it.

    In a kernel TensorFlow's own Python log is no better: it sets itself to INFO when it is
    imported, and tells the temporary folder of each save. Its warnings stay.
    """
    logging.getLogger("tensorflow").addFilter(_is_a_warning)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _is_a_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
