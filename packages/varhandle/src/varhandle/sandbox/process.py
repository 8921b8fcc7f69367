"""Run code in a warm child process, within limits, and get a record back.

A conversion can abort its process, loops can hang, and an interpreter can read memory that is
not its own. None of that may cost a learner their kernel, so such code runs in a child of the
fork server (``warm_kernels``), which has imported TensorFlow once: a child starts in well
under a second. Where there is no fork (Windows), the child is spawned and imports for itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import io
import os
import pickle
import signal
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

from varhandle.sandbox import child
from varhandle.sandbox.record import OpError, Record
from warm_kernels import fork_server

GIB = 2**30
_POLL_SECONDS = 0.05
_CANCELLED: dict[str, Any] = {"outcome": "cancelled", "message": "ended: it was cancelled"}
_cancelled: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "cancelled", default=None
)


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
        memory_limit: Resident bytes of the child, without its own children, above which it is
            ended.
        tensorflow: Whether the function needs TensorFlow. ``False`` starts a server without it,
            in a fraction of the time, if none runs yet and this process has none either.
        **kwargs: Its keyword arguments, of other names than those above.

    Returns:
        The record. Nothing that the function does is raised here.

    Raises:
        ValueError: The function or an argument cannot be sent to another process.
    """
    try:
        task = _pickled(functools.partial(function, *args, **kwargs))
    except Exception as error:
        name = getattr(function, "__name__", repr(function))
        raise ValueError(
            f"{name} cannot run isolated: {error}. Define it in a module, or use %%isolated."
        ) from error
    return _run(task, timeout=timeout, memory_limit=memory_limit, tensorflow=tensorflow)


class _Pickler(pickle.Pickler):
    """Refuses what only the caller's ``__main__`` could give back: the child has another one."""

    def reducer_override(self, value: Any) -> Any:
        """Refuse classes and functions of ``__main__``; leave the rest to pickle."""
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
            raise pickle.PicklingError(f"{value.__qualname__} is defined in __main__")
        return NotImplemented


def _pickled(task: Callable[[], Any]) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(task)
    return buffer.getvalue()


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


@contextlib.contextmanager
def cancellable(cancelled: threading.Event) -> Iterator[None]:
    """Let another thread end the isolated runs of this block, however deep they are called.

    Args:
        cancelled: Once it is set, a run that is under way is ended within a tenth of a second,
            and one that comes later does not start. Their records say ``"cancelled"``.

    Yields:
        Nothing. Threads that the block starts are not concerned, unless they are given its
        context (``contextvars.copy_context``).
    """
    token = _cancelled.set(cancelled)
    try:
        yield
    finally:
        _cancelled.reset(token)


def warm_up() -> None:
    """Wait until the fork server has TensorFlow, so that the next run starts at once."""
    run_isolated(int)


def _run(task: bytes, *, timeout: float, memory_limit: int, tensorflow: bool) -> Record:
    if _is_cancelled():
        return Record(**_CANCELLED)
    context = fork_server.context(tensorflow)
    preload = fork_server.WITH_TENSORFLOW if tensorflow else fork_server.WITHOUT_TENSORFLOW
    with tempfile.TemporaryDirectory(prefix="isolated-") as folder:
        output, log = Path(folder, "stdout"), Path(folder, "stderr")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=child.run,
            args=(theirs,),
            kwargs={
                "output": str(output),
                "log": str(log),
                "task": task,
                "preload": preload,
                "environment": dict(os.environ),
            },
        )
        started = time.monotonic()
        try:
            fork_server.start(process)
            theirs.close()
            fields = _watch(process, ours, started + timeout, memory_limit)
        except (EOFError, OSError) as error:  # the server died before it could make a child
            fields = {"outcome": "crashed", "message": f"no child could be started: {error}"}
        finally:
            _end(process)
            ours.close()
        fields.setdefault("seconds", time.monotonic() - started)
        return Record(output=_read(output), log=_read(log), **fields)


def _watch(
    process: BaseProcess, connection: Connection, deadline: float, memory_limit: int
) -> dict[str, Any]:
    """Wait for the child's answer, its death or a limit, and return the record's fields."""
    while True:
        ready = wait([connection, process.sentinel], timeout=_POLL_SECONDS)
        if connection in ready:
            return _received(process, connection)
        if process.sentinel in ready:
            return _crash(process)
        if _is_cancelled():
            return dict(_CANCELLED)
        if time.monotonic() > deadline:
            return {"outcome": "timed out", "message": "ended: it ran longer than it may"}
        if _resident(process.pid) > memory_limit:
            limit = memory_limit / GIB
            return {"outcome": "out of memory", "message": f"ended: it took over {limit:.1f} GiB"}


def _is_cancelled() -> bool:
    event = _cancelled.get()
    return event is not None and event.is_set()


def _received(process: BaseProcess, connection: Connection) -> dict[str, Any]:
    try:
        payload = connection.recv_bytes()
    except (EOFError, OSError):  # the child died before its answer, or in the middle of it
        return _crash(process)
    try:
        fields: dict[str, Any] = pickle.loads(payload)
    except Exception as error:  # a class that pickles, and cannot be made again from that
        message = f"the result cannot be read back: {error}"
        return {"outcome": "raised", "exception_type": type(error).__name__, "message": message}
    fields["errors"] = tuple(OpError(*pair) for pair in fields.get("errors", ()))
    return fields


def _crash(process: BaseProcess) -> dict[str, Any]:
    process.join(timeout=5)
    code = process.exitcode
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {-code}"
        return {"outcome": "crashed", "exit_signal": name, "message": f"the process died: {name}"}
    return {"outcome": "crashed", "message": f"the process ended early, with exit code {code}"}


def _resident(pid: int | None) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def _end(process: BaseProcess) -> None:
    """End the child, whatever it started, and wait until it is gone."""
    if process.pid is None:  # it never started
        return
    if hasattr(os, "killpg") and process.pid != os.getpgrp():
        # The group outlives its leader while it has members, and keeps its number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        process.kill()
    process.join(timeout=10)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
