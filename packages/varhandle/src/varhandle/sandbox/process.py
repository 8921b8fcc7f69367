"""Run code in a warm child process, within limits, and get a record back.

A conversion can abort its process, loops can hang, and an interpreter can read memory that is
not its own. None of that may cost a learner their kernel, so such code runs in a child of a
fork server that has imported TensorFlow once: a child starts in well under a second. Where there
is no fork (Windows), the child imports for itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import io
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from varhandle.sandbox import child
from varhandle.sandbox.fork_server import SpawnedChild, start_child
from varhandle.sandbox.record import OpError, Record

GIB = 2**30
_POLL_SECONDS = 0.05
_CANCELLED: dict[str, Any] = {"outcome": "cancelled", "message": "ended: it was cancelled"}
_NEVER = threading.Event()
_cancelled = contextvars.ContextVar("cancelled", default=_NEVER)


def run_isolated(
    function: Callable[..., Any],
    *args: Any,
    timeout: float = 300.0,
    memory_limit: int = 6 * GIB,
    tensorflow: bool = True,
    **kwargs: Any,
) -> Record:
    """Call a function in a child process; nothing that it does is raised here.

    The child must be able to import the function (defined in a module, not in a notebook); its
    arguments and result must be picklable, or ``ValueError`` says so. ``timeout`` is in seconds,
    ``memory_limit`` in resident bytes of the child without its own children. ``tensorflow=False``
    starts a fork server without TensorFlow, in a fraction of the time, if none runs yet and this
    process has not imported it either.
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

    ``inputs`` are names that the source finds defined (``ValueError`` if one cannot be sent), the
    values of the names in ``keep`` come back as the dictionary ``Record.value``, and
    ``Record.line_number`` counts the lines of the source from 1.
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

    Once the event is set, a run that is under way is ended within a tenth of a second, and one
    that comes later does not start; their records say ``"cancelled"``. Threads that the block
    starts are not concerned, unless they are given its context (``contextvars.copy_context``).
    """
    token = _cancelled.set(cancelled)
    try:
        yield
    finally:
        _cancelled.reset(token)


def _run(task: bytes, *, timeout: float, memory_limit: int, tensorflow: bool) -> Record:
    if _cancelled.get().is_set():
        return Record(**_CANCELLED)
    with tempfile.TemporaryDirectory(prefix="isolated-") as name:
        folder = Path(name)
        cwd = str(Path.cwd())
        order = {
            "task": task,
            "tensorflow": tensorflow,
            "environment": dict(os.environ),
            "cwd": cwd,
            "path": [entry or cwd for entry in sys.path],
            "argv": sys.argv,
        }
        started = time.monotonic()
        fields: dict[str, Any]
        try:
            (folder / child.ORDER).write_bytes(pickle.dumps(order))
            process = start_child(folder, tensorflow=tensorflow)
        except OSError as error:
            fields = {"outcome": "crashed", "message": f"no child could be started: {error}"}
        else:
            try:
                fields = _watch(process, folder, started + timeout, memory_limit)
            finally:
                process.end()
        fields.setdefault("seconds", time.monotonic() - started)
        return Record(output=_read(folder / child.OUTPUT), log=_read(folder / child.LOG), **fields)


def _watch(
    process: SpawnedChild, folder: Path, deadline: float, memory_limit: int
) -> dict[str, Any]:
    """Wait for the child's answer, its death or a limit, and return the record's fields."""
    while True:
        process.wait(_POLL_SECONDS)
        if (folder / child.RESULT).exists():
            return _received(folder / child.RESULT)
        if process.ended:
            return _crash(process)
        if _cancelled.get().is_set():
            return dict(_CANCELLED)
        if time.monotonic() > deadline:
            return {"outcome": "timed out", "message": "ended: it ran longer than it may"}
        if _resident(process.pid) > memory_limit:
            limit = memory_limit / GIB
            return {"outcome": "out of memory", "message": f"ended: it took over {limit:.1f} GiB"}


def _received(result: Path) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = pickle.loads(result.read_bytes())
    except Exception as error:  # a class that pickles, and cannot be made again from that
        message = f"the result cannot be read back: {error}"
        return {"outcome": "raised", "exception_type": type(error).__name__, "message": message}
    fields["errors"] = tuple(OpError(*pair) for pair in fields.get("errors", ()))
    return fields


def _crash(process: SpawnedChild) -> dict[str, Any]:
    code = process.exit_code
    if process.pid is None:
        message = "no child could be started: what it is forked from has died"
    elif code is None:
        message = "the process died with the one that it was forked from"
    elif code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {-code}"
        return {"outcome": "crashed", "exit_signal": name, "message": f"the process died: {name}"}
    else:
        message = f"the process ended early, with exit code {code}"
    return {"outcome": "crashed", "message": message}


def _resident(pid: int | None) -> int:
    if pid is None:
        return 0
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
