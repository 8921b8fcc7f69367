"""Run code in a warm child process, within limits, and get a record back.

A conversion can abort its process, loops can hang, and an interpreter can read memory that is
not its own. None of that may cost a learner their kernel, so such code runs in a child of
Python's own fork server, which has imported TensorFlow once: a child starts in well under a
second. Where there is no fork (Windows), the child is spawned and imports for itself.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from workbook_lib.isolated import child
from workbook_lib.isolated.record import OpError, Record

GIB = 2**30
_POLL_SECONDS = 0.05
_main_lock = threading.Lock()


def run_isolated(
    function: Callable[..., Any],
    *args: Any,
    timeout: float = 300.0,
    memory_limit: int = 6 * GIB,
    tensorflow: bool = True,
    **kwargs: Any,
) -> Record:
    """Call a function in a child process.

    Args:
        function: A function that the child can import (defined in a module, not in a notebook).
        *args: Its arguments; they and its result must be picklable.
        timeout: Seconds after which the child is ended.
        memory_limit: Resident bytes above which the child is ended.
        tensorflow: Whether the function needs TensorFlow. ``False`` starts a server without it,
            in a fraction of the time, if none runs yet.
        **kwargs: Its keyword arguments.

    Returns:
        The record. Nothing that the function does is raised here.

    Raises:
        ValueError: The function or an argument cannot be sent to another process.
    """
    task = functools.partial(function, *args, **kwargs)
    try:
        pickle.dumps(task)
        if getattr(function, "__module__", None) == "__main__":
            raise ValueError("it is defined in __main__")
    except Exception as error:
        name = getattr(function, "__name__", repr(function))
        raise ValueError(
            f"{name} cannot run isolated: {error}. Define it in a module, or use %%isolated."
        ) from error
    return _run(task, timeout=timeout, memory_limit=memory_limit, tensorflow=tensorflow)


def run_source(
    source: str,
    *,
    inputs: Mapping[str, Any] | None = None,
    keep: Sequence[str] = (),
    timeout: float = 300.0,
    memory_limit: int = 6 * GIB,
) -> Record:
    """Execute Python source in a child process: what the cell magic does.

    Args:
        source: The code.
        inputs: Names that the code finds defined.
        keep: Names whose values come back, as the dictionary ``Record.value``.
        timeout: Seconds after which the child is ended.
        memory_limit: Resident bytes above which the child is ended.

    Returns:
        The record, whose ``line_number`` counts the lines of ``source`` from 1.

    Raises:
        ValueError: An input cannot be sent to another process.
    """
    return run_isolated(
        child.execute,
        source,
        dict(inputs or {}),
        tuple(keep),
        timeout=timeout,
        memory_limit=memory_limit,
    )


def warm_up() -> None:
    """Start the fork server and import TensorFlow in it, so that the next run starts at once."""
    run_isolated(int)


def _run(task: Callable[[], Any], *, timeout: float, memory_limit: int, tensorflow: bool) -> Record:
    context = _context(tensorflow)
    with tempfile.TemporaryDirectory(prefix="isolated-") as folder:
        output, log = Path(folder, "stdout"), Path(folder, "stderr")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=child.run, args=(sender, str(output), str(log), task), daemon=True
        )
        with _no_main_module():
            process.start()
        sender.close()
        started = time.monotonic()
        try:
            fields = _watch(process, receiver, started + timeout, memory_limit)
        finally:
            _end(process)
            receiver.close()
        fields.setdefault("seconds", time.monotonic() - started)
        return Record(output=_read(output), log=_read(log), **fields)


def _context(tensorflow: bool) -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Only the first call has an effect: it decides what the one server of this process imports.
    # A server without TensorFlow still serves a function that needs it, which imports it itself.
    module = (
        "workbook_lib.isolated.preload" if tensorflow else "workbook_lib.isolated.preload_litert"
    )
    context.set_forkserver_preload([module])
    return context


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep the child from importing the caller's script again, which a bare script cannot bear.

    ``multiprocessing`` re-imports ``__main__`` so that its functions can be found; what runs here
    is never defined there.
    """
    with _main_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _watch(
    process: BaseProcess, receiver: Connection, deadline: float, memory_limit: int
) -> dict[str, Any]:
    """Wait for the child's answer, its death or a limit, and return the record's fields."""
    while True:
        ready = wait([receiver, process.sentinel], timeout=_POLL_SECONDS)
        if receiver in ready:
            try:
                fields = pickle.loads(receiver.recv_bytes())
            except EOFError:  # the child died before it could answer
                return _crash(process)
            fields["errors"] = tuple(OpError(*pair) for pair in fields.get("errors", ()))
            return fields
        if process.sentinel in ready:
            return _crash(process)
        if time.monotonic() > deadline:
            return {"outcome": "timed out", "message": "ended: it ran longer than it may"}
        if _resident(process.pid) > memory_limit:
            limit = memory_limit / GIB
            return {"outcome": "out of memory", "message": f"ended: it took over {limit:.1f} GiB"}


def _crash(process: BaseProcess) -> dict[str, Any]:
    process.join(timeout=5)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return {"outcome": "crashed", "exit_signal": name, "message": f"the process died: {name}"}
    return {"outcome": "crashed", "message": f"the process ended early, with exit code {code}"}


def _resident(pid: int | None) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def _end(process: BaseProcess) -> None:
    """End the child, whatever it started, and wait until it is gone."""
    if process.is_alive() and process.pid is not None:
        if hasattr(os, "killpg"):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it had not yet made its own group
                process.kill()
            except PermissionError:
                process.kill()
        else:
            process.kill()
    process.join(timeout=10)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
