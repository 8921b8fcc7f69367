"""The process that a row of a sweep runs below: it holds the limits, and leaves nobody behind.

It executes the notebook in a kernel, ends the kernel and all that it started where a limit is met,
and writes the row's file. It is forked from a process that has TensorFlow already; where that is
not to be had, ``python -m workbook_lib.runs.keeper`` reads the task from its standard input. The
kernel's own children (the fork server of ``varhandle.sandbox``, and what that
started) make groups of their own, so a signal to the kernel's group does not reach them. On Linux
the keeper therefore adopts whatever loses its parent, and finds all of it below itself.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import platform
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import psutil

from workbook_lib.runs.descendants import descendants, end_descendants
from workbook_lib.runs.execute import NotebookRun, execute_notebook
from workbook_lib.runs.locking import LockedError, locked
from workbook_lib.runs.rows import (
    LOG_FILE,
    NOT_DONE,
    NOTEBOOK_FILE,
    VERDICT_FILE,
    Outcome,
    Row,
    RowTask,
    finished,
    judged,
    last_words,
    library_versions,
    read_task,
    store,
    unjudged,
)

GIB = 2**30
_POLL_SECONDS = 0.2
_FAREWELL_SECONDS = 30.0  # for papermill to notice that its kernel is gone, and to keep the copy
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
# A cell could not write: that says nothing of the model, and the row is to be made again.
_NO_ROOM = re.compile("|".join(re.escape(os.strerror(n)) for n in (errno.ENOSPC, errno.EDQUOT)))


class NotDoneError(Exception):
    """The row was not made; the message says why, in one line."""


def main(order: dict[str, Any]) -> NoReturn:
    """Do a task, and leave.

    The exit code is 0 if the row is written, ``NOT_DONE`` otherwise; then standard output says why.

    Args:
        order: The ``task``, as ``read_task`` reads it, and the process id of the ``parent``.
    """
    code = 1
    try:
        code = _main(read_task(order["task"]), int(order["parent"]))
    except BaseException:  # for the log, as the interpreter would; it is about to leave
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        # No thread of papermill's, and no farewell of its libraries, may hold this process back.
        os._exit(code)


def _main(task: RowTask, parent: int) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _give_up)
    logging.disable(logging.CRITICAL)  # what papermill logs is in the row
    _adopt_orphans()
    try:
        keep(task, _watched(parent))
    except (NotDoneError, LockedError) as error:
        return _not_done(str(error))
    except OSError as error:
        return _not_done(f"{task.row_folder}: {error.strerror or error}")
    finally:
        end_descendants()
    return 0


def _not_done(why: str) -> int:
    with contextlib.suppress(OSError):
        print(why, flush=True)
    return NOT_DONE


def _give_up(*_: Any) -> None:
    raise NotDoneError("given up: the row was stopped")


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _watched(pid: int) -> Callable[[], bool]:
    """Return a function that tells whether a process is still there.

    Its number alone would not do, as another process may get it; nor would this process's parent,
    which is the fork server.
    """
    try:
        parent = psutil.Process(pid)
    except psutil.Error:
        return lambda: False

    def is_there() -> bool:
        try:
            return parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    return is_there


def keep(task: RowTask, is_wanted: Callable[[], bool]) -> None:
    """Make a row, unless another process does so meanwhile.

    Args:
        task: What to do.
        is_wanted: Tells whether the one that asked for it is still there.

    Raises:
        NotDoneError: The parent ended before the notebook came to its verdict, or this worker has
            other versions of the libraries than the sweep.
        LockedError: The parent ended while another process was at this row.
        OSError: The row's folder cannot be written.
    """
    task.lock.parent.mkdir(parents=True, exist_ok=True)
    with locked(task.lock, wait=is_wanted):
        if finished(task) is not None:
            return
        differing = sorted(set(library_versions()) ^ set(task.versions))
        if differing:
            names = ", ".join(sorted({name for name, _ in differing}))
            here = platform.node()
            raise NotDoneError(f"{here} and the sweep have different versions of {names}")
        shutil.rmtree(task.row_folder, ignore_errors=True)  # what a killed attempt has left
        task.row_folder.mkdir(parents=True)
        with _logged(task.row_folder / LOG_FILE):
            row = _execute(task, is_wanted)
        store(task, row)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what this process and its children write on standard error to a file.

    A kernel's crash leaves its last words there. An empty file is not kept.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("wb") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        if path.exists() and not path.stat().st_size:
            path.unlink()


def _execute(task: RowTask, is_wanted: Callable[[], bool]) -> Row:
    """Execute the notebook within the row's limits."""
    runs: list[NotebookRun | OSError] = []
    started = time.monotonic()
    thread = threading.Thread(target=lambda: runs.append(_run_notebook(task)), daemon=True)
    thread.start()
    over: tuple[Outcome, str] | None = None
    while thread.is_alive() and over is None:
        thread.join(_POLL_SECONDS)
        if not (is_wanted() or (task.row_folder / VERDICT_FILE).exists()):
            # With a verdict, the rest takes a moment, and the row need not be made again.
            raise NotDoneError("given up: nobody waits for it")
        over = _overrun(task, time.monotonic() - started)
    if not thread.is_alive():
        over = None
    end_descendants()
    thread.join(_FAREWELL_SECONDS)
    end_descendants()  # papermill may have been starting the kernel
    run = runs[0] if runs else None
    if isinstance(run, OSError):
        raise run
    if run is not None and _NO_ROOM.search(run.error):
        raise NotDoneError(run.error)
    return _row(task, run, over, time.monotonic() - started)


def _run_notebook(task: RowTask) -> NotebookRun | OSError:
    parameters: dict[str, Any] = {
        "model": task.model,
        "signature": task.signature,
        "inputs": task.inputs,
        "target": task.target,
        "quantization": task.quantization,
        "output": str(task.row_folder),
    }
    if task.trust:
        parameters["trust"] = True
    executed = task.row_folder / NOTEBOOK_FILE
    # A kernel that takes in what C++ libraries write takes its own last words with it.
    try:
        return execute_notebook(Path(task.notebook), executed, parameters, take_in_native=False)
    except OSError as error:
        return error


def _overrun(task: RowTask, seconds: float) -> tuple[Outcome, str] | None:
    """Say which limit is met, if one is."""
    if seconds > task.timeout:
        return "timed out", f"after {seconds:.0f} s; it may take {task.timeout:g} s"
    held = _memory(task.memory)
    if held > task.memory:
        limit = task.memory / GIB
        return "out of memory", f"it held {held / GIB:.2f} GiB; it may hold {limit:.2f} GiB"
    return None


def _row(
    task: RowTask, run: NotebookRun | None, over: tuple[Outcome, str] | None, seconds: float
) -> Row:
    cell = run.cell if run else ""
    where = f" in cell {cell}" if cell else ""
    if over is not None:
        verdict, reason = over
        return unjudged(task, verdict, f"ended{where}: {reason}", seconds=seconds, cell=cell)
    if run is None or run.died:
        words = last_words(_read(task.row_folder / LOG_FILE))
        reason = f"the kernel died{where}" + (f": {words}" if words else "")
        return unjudged(task, "crashed", reason, seconds=seconds, cell=cell)
    if not run.ok:
        return unjudged(task, "failed", f"{run.error}{where}", seconds=seconds, cell=cell)
    return judged(task, seconds)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _memory(enough: int) -> int:
    """Return the bytes that all processes below this one hold together.

    Args:
        enough: Where their resident sizes stay below this, the sum of those is returned. Above,
            pages that forked processes share are counted once (proportional set size), where the
            system tells.
    """
    processes = descendants()
    resident = sum(_of(process, "rss") for process in processes)
    return resident if resident <= enough else sum(_of(process, "pss") for process in processes)


def _of(process: psutil.Process, kind: str) -> int:
    try:
        if kind == "pss":
            with contextlib.suppress(psutil.AccessDenied, AttributeError):
                return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main(json.load(sys.stdin))
