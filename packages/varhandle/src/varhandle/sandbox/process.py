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
import os
import pickle
import re
import signal
import stat
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from varhandle.sandbox import child, plain_data
from varhandle.sandbox.disk_watch import DiskWatch
from varhandle.sandbox.fork_server import SpawnedChild, start_child
from varhandle.sandbox.lock import is_lock_on, search_path
from varhandle.sandbox.record import KILLED, NO_CHILD, OpError, Record
from varhandle.sandbox.scratch import temporary_folder

GIB = 2**30
_POLL_SECONDS = 0.05
_MOST_THREADS = 2000  # a conversion on 256 processors has fewer
_CANCELLED: dict[str, Any] = {"outcome": "cancelled", "message": "ended: it was cancelled"}
_NEVER = threading.Event()
_cancelled = contextvars.ContextVar("cancelled", default=_NEVER)


def run_isolated(
    function: Callable[..., Any],
    *args: Any,
    timeout: float = 300.0,
    memory_limit: int = 6 * GIB,
    tensorflow: bool = True,
    reads: Iterable[str | os.PathLike[str]] = (),
    writes: Iterable[str | os.PathLike[str]] = (),
    locked: bool = True,
    **kwargs: Any,
) -> Record:
    """Call a function in a child process; nothing that it does is raised here.

    The child must be able to import the function (defined in a module, not in a notebook); its
    arguments must be picklable, or ``ValueError`` says so. It is locked (``sandbox.lock``): beyond
    Python it can read the files and folders of ``reads``, and change the folders of ``writes`` and
    a temporary one of its own; and its result is what ``plain_data`` takes. With ``locked=False``,
    for code of our own or the caller's, it can do what this process can, and return anything.

    ``timeout`` is in seconds, ``memory_limit`` in resident bytes of the child without its own
    children; a locked one may not write more to disk either, in all. ``tensorflow=False``
    starts a fork server without TensorFlow, in a fraction of the time, if none runs yet and this
    process has not imported it either.
    """
    task = functools.partial(function, *args, **kwargs)
    lock: dict[str, Any] | None = None
    if locked and is_lock_on():
        lock = {
            "reads": [*search_path(), *(str(Path(path).absolute()) for path in reads)],
            "writes": [str(Path(folder).absolute()) for folder in writes],
            "largest_file": memory_limit,
        }
    return _run(task, lock, True, timeout=timeout, memory_limit=memory_limit, tensorflow=tensorflow)


def run_with_retry(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Record:
    """Do as :func:`run_isolated`, and once more where the system ended it.

    For a task that leaves nothing behind: a machine short of memory says nothing about a model.
    """
    record = run_isolated(function, *args, **kwargs)
    return run_isolated(function, *args, **kwargs) if record.ended_by_system else record


def _write_task(path: Path, task: functools.partial[Any]) -> None:
    """Pickle a task into a file of its own, where a large argument is copied once."""
    try:
        with path.open("wb") as file:
            _Pickler(file).dump(task)
    except OSError:
        raise
    except Exception as error:
        name = getattr(task.func, "__name__", repr(task.func))
        raise ValueError(
            f"{name} cannot run isolated: {error}. Define it in a module, or use %%isolated."
        ) from error


class _Pickler(pickle.Pickler):
    """Refuses what only the caller's ``__main__`` could give back: the child has another one."""

    def reducer_override(self, value: Any) -> Any:
        """Refuse classes and functions of ``__main__``; leave the rest to pickle."""
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
            raise pickle.PicklingError(f"{value.__qualname__} is defined in __main__")
        return NotImplemented


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
    task = functools.partial(child.execute, source, dict(inputs or {}), tuple(keep))
    return _run(task, None, False, timeout=timeout, memory_limit=memory_limit, tensorflow=True)


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


def _run(
    task: functools.partial[Any],
    lock: dict[str, Any] | None,
    own_folder: bool,
    *,
    timeout: float,
    memory_limit: int,
    tensorflow: bool,
) -> Record:
    if _cancelled.get().is_set():
        return Record(**_CANCELLED)
    with temporary_folder("isolated-") as name:
        folder = Path(name)
        cwd = str(Path.cwd())
        if lock is not None:
            lock["writes"] = [name, *lock["writes"]]
        order = {
            "umask": _umask(),
            "lock": lock,
            "temporary": own_folder,
            "tensorflow": tensorflow,
            "environment": dict(os.environ),
            "cwd": cwd,
            "path": [entry or cwd for entry in sys.path],
            "argv": sys.argv,
        }
        started = time.monotonic()
        fields: dict[str, Any]
        try:
            _write_task(folder / child.TASK, task)
            (folder / child.ORDER).write_bytes(pickle.dumps(order))
            process = start_child(folder, tensorflow=tensorflow)
        except OSError as error:
            fields = {"outcome": "crashed", "message": f"{NO_CHILD}: {error}"}
        else:
            try:
                loads = pickle.loads if lock is None else plain_data.loads
                limits = _Limits(
                    started + timeout, memory_limit, DiskWatch(lock["writes"] if lock else [])
                )
                fields = _watch(process, folder, limits, loads)
            finally:
                process.end()
        fields.setdefault("seconds", time.monotonic() - started)
        return Record(output=_read(folder / child.OUTPUT), log=_read(folder / child.LOG), **fields)


class _Limits(NamedTuple):
    """What a child may take."""

    deadline: float
    memory: int  # resident bytes; of a locked child, also what it adds to the disk
    disk: DiskWatch

    def exceeded(self, pid: int | None) -> dict[str, Any] | None:
        """Return the fields of the record where a limit is met."""
        if time.monotonic() > self.deadline:
            return {"outcome": "timed out", "message": "ended: it ran longer than it may"}
        resident, threads = _held(pid)
        limit = f"over {self.memory / GIB:.1f} GiB"
        if resident > self.memory:
            return {"outcome": "out of memory", "message": f"ended: it took {limit}"}
        if threads > _MOST_THREADS:
            return {"outcome": "crashed", "message": f"ended: it had over {_MOST_THREADS} threads"}
        if pid is not None and self.disk.shows_more_than(self.memory, pid):
            return {"outcome": "crashed", "message": f"ended: it wrote {limit}"}
        return None


def _watch(
    process: SpawnedChild, folder: Path, limits: _Limits, loads: Callable[[bytes], Any]
) -> dict[str, Any]:
    """Wait for the child's answer, its death or a limit, and return the record's fields."""
    while True:
        process.wait(_POLL_SECONDS)
        if (folder / child.RESULT).exists():
            return _received(folder / child.RESULT, loads)
        if process.ended:
            return _crash(process)
        if _cancelled.get().is_set():
            return dict(_CANCELLED)
        if (fields := limits.exceeded(process.pid)) is not None:
            return fields


def _umask() -> int | None:
    """Return this process's umask, which the system call that tells it would change (proc(5))."""
    try:
        status = Path("/proc/self/status").read_text("latin-1")
    except OSError:
        return None
    found = re.search(r"^Umask:\s*(\d+)", status, re.MULTILINE)
    return int(found[1], 8) if found else None


def _received(result: Path, loads: Callable[[bytes], Any]) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = dict(loads(_content(result)))
        texts = {"outcome", "exception_type", "message", "line"} & set(fields)
        if not all(isinstance(fields[name], str) for name in texts):
            raise TypeError("a record of other things than text")
    except Exception as error:  # a class that pickles, and cannot be made again from that
        message = f"the result cannot be read back: {error}"
        return {"outcome": "raised", "exception_type": type(error).__name__, "message": message}
    fields["errors"] = tuple(OpError(*pair) for pair in fields.get("errors", ()))
    return fields


def _crash(process: SpawnedChild) -> dict[str, Any]:
    code = process.exit_code
    if process.pid is None:
        message = f"{NO_CHILD}: what it is forked from has died"
    elif code is None:
        message = f"{KILLED}, with the one that it was forked from"
    elif code == -getattr(signal, "SIGKILL", 9):  # the limits of a run are told before
        message = f"{KILLED} (SIGKILL), as it does when memory runs out"
        return {"outcome": "crashed", "exit_signal": "SIGKILL", "message": message}
    elif code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {-code}"
        return {"outcome": "crashed", "exit_signal": name, "message": f"the process died: {name}"}
    else:
        message = f"the process ended early, with exit code {code}"
    return {"outcome": "crashed", "message": message}


def _held(pid: int | None) -> tuple[int, int]:
    """Return a process's resident bytes, and how many threads it has."""
    try:
        process = psutil.Process(pid) if pid is not None else None
        return (process.memory_info().rss, process.num_threads()) if process else (0, 0)
    except psutil.Error:
        return 0, 0


def _read(path: Path) -> str:
    try:
        return _content(path).decode(errors="replace")
    except OSError:
        return ""


def _content(path: Path) -> bytes:
    """Read a file that a child has written: not what a link or a pipe in its place leads to."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with FileIO(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no file")
        return file.read()
