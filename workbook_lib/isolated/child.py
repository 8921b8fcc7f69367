"""The side of an isolated run that happens inside the child process."""

from __future__ import annotations

import linecache
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

SOURCE_NAME = "<isolated>"
"""File name under which isolated source is compiled; tracebacks are searched for it."""


def run(connection: Connection, output: str, log: str, task: Callable[[], Any]) -> None:
    """Run a task and send the fields of its ``Record`` through the connection.

    Args:
        connection: Where the fields go, as one dictionary of plain values.
        output: File that takes the process's standard output.
        log: File that takes its standard error, including what C++ writes.
        task: A picklable callable without arguments.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # the parent ends this process and all that it started as one group
    _redirect(sys.stdout, 1, output)
    _redirect(sys.stderr, 2, log)
    started = time.perf_counter()
    try:
        fields = {"outcome": "ok", "value": task()}
        payload = pickle.dumps({**fields, "seconds": time.perf_counter() - started})
    except BaseException as error:  # the record of any failure is the point of this module
        fields = {"outcome": "raised", **_failure(error)}
        payload = pickle.dumps({**fields, "seconds": time.perf_counter() - started})
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send_bytes(payload)
    connection.close()


def execute(source: str, inputs: Mapping[str, Any], keep: Sequence[str]) -> dict[str, Any]:
    """Execute source text and return the names to keep.

    Args:
        source: Python source.
        inputs: Names that the source finds defined.
        keep: Names to return; each must be defined when the source ends.

    Returns:
        The kept names with their values.

    Raises:
        NameError: A name to keep was never defined.
    """
    linecache.cache[SOURCE_NAME] = (len(source), None, source.splitlines(True), SOURCE_NAME)
    namespace: dict[str, Any] = {"__name__": "__isolated__", **inputs}
    exec(compile(source, SOURCE_NAME, "exec"), namespace)
    missing = [name for name in keep if name not in namespace]
    if missing:
        raise NameError(f"the cell ended without defining {', '.join(missing)}")
    return {name: namespace[name] for name in keep}


def _redirect(stream: Any, descriptor: int, path: str) -> None:
    stream.flush()
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, descriptor)
    os.close(target)


def _failure(error: BaseException) -> dict[str, Any]:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == SOURCE_NAME
    ]
    number = frames[-1].lineno if frames else getattr(error, "lineno", None)
    line = (frames[-1].line if frames else getattr(error, "text", None)) or ""
    return {
        "exception_type": type(error).__name__,
        "message": str(error),
        "line_number": number,
        "line": line.strip(),
        "errors": _op_errors(error),
    }


def _op_errors(error: BaseException) -> list[tuple[str, str]]:
    """Read ``ConverterError.errors`` (a list of ConverterErrorData messages) as plain pairs."""
    pairs = set()
    for entry in getattr(error, "errors", None) or ():
        try:
            code = type(entry).ErrorCode.Name(entry.error_code)
            pairs.add((entry.operator.name, code))
        except (AttributeError, ValueError):
            continue
    return sorted(pairs)
