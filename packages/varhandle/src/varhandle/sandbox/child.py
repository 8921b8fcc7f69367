"""The side of an isolated run that happens inside the child process."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import linecache
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from warm_kernels import fork_server

SOURCE_NAME = "<isolated>"
"""File name under which isolated source is compiled; tracebacks are searched for it."""


def run(
    connection: Connection,
    *,
    output: str,
    log: str,
    task: bytes,
    preload: str,
    environment: Mapping[str, str],
) -> None:
    """Run a task and send the fields of its ``Record`` through the connection.

    What the task has registered for the end of its process is called as well: TensorFlow deletes
    the files of AutoGraph then (``autograph/pyct/loader.py``).

    Then wait until the parent hangs up: it ends the whole process group while this process, its
    leader, is still there to name it.

    Args:
        connection: Where the fields go, as one pickled dictionary of plain values.
        output: File that takes the process's standard output.
        log: File that takes its standard error, including what C++ writes.
        task: A pickled callable without arguments.
        preload: Module that the task relies on; it costs nothing where the server has it.
        environment: The caller's environment variables, which the server may not have.
    """
    _leave_with_the_parent()
    _redirect(sys.stdout, 1, output)
    _redirect(sys.stderr, 2, log)
    os.environ.clear()
    os.environ.update(environment)
    atexit._clear()  # that of the server is not for this process to end
    _import_quietly(preload)
    started = time.perf_counter()
    try:
        fields: dict[str, Any] = {"outcome": "ok", "value": pickle.loads(task)()}
        payload = pickle.dumps({**fields, "seconds": time.perf_counter() - started})
    except BaseException as error:  # the record of any failure is the point of this module
        fields = {"outcome": "raised", **_failure(error)}
        payload = pickle.dumps({**fields, "seconds": time.perf_counter() - started})
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):  # the code may have closed it
            stream.flush()
    connection.send_bytes(payload)
    with contextlib.suppress(EOFError, OSError):
        connection.recv_bytes()


def _import_quietly(preload: str) -> None:
    """Import a module, and keep Keras from printing.

    Keras prints a summary at each export, which is full of temporary paths and addresses.
    """
    importlib.import_module(preload)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.disable_interactive_logging()


def _leave_with_the_parent() -> None:
    """Make a group of this process and all that it starts, and end it when the parent is gone.

    A restarted kernel would otherwise leave an endless loop behind. The thread needs Python to
    run; the system's signal reaches a loop in C++ as well.
    """
    if not hasattr(os, "setsid"):
        return
    os.setsid()
    parent = multiprocessing.parent_process()

    def leave() -> None:
        if parent is not None:
            parent.join()
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=leave, daemon=True).start()
    fork_server.forget_the_server()
    fork_server.end_with_the_parent()


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
    module = types.ModuleType("__isolated__")
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for a class's module
    namespace = module.__dict__
    namespace.update(inputs)
    exec(compile(source, SOURCE_NAME, "exec", dont_inherit=True), namespace)
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
    try:
        message = str(error)
    except Exception:  # an exception of the learner's own may not even be able to speak
        message = "the exception has no readable message"
    return {
        "exception_type": type(error).__name__,
        "message": message,
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
