"""Run a sweep: keep the rows that still hold, make the others, write the tables and the page.

A row always runs in a process of its own (``row_supervisor``), on this machine or on a worker of a
Dask cluster.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varhandle.atomic_write import (
    check_replaceable,
    check_takes_folder,
    make_inner_folder,
    write_text,
)
from varhandle.display import printable
from varhandle.errors import NAME_PLACE, system_fault
from varhandle.extras import require
from varhandle.formats.custom_code import check_imports
from varhandle.sweep.baseline import Change, compare_rows
from varhandle.sweep.results import PAGE_FILE, RESULT_FILES, read_rows, write_results
from varhandle.sweep.row_specs import RowSpec, SweepInputError, fingerprint, model_names
from varhandle.sweep.row_supervisor import CureMaker, run_row
from varhandle.sweep.rows import (
    LOCKS_FOLDER,
    ROWS_FOLDER,
    TOKEN_FILE,
    Row,
    RowMaker,
    RowTask,
    digest_of,
    library_versions,
    make_row,
    read_row,
)

_SWEEP_LOCK = ".sweep.lock"


@dataclass(frozen=True)
class SweepResult:
    """The results of a sweep."""

    rows: tuple[Row, ...]  # in the order in which they were asked for
    changes: tuple[Change, ...]  # of each since the baseline, then of those that are missing
    folder: Path  # where the tables, the page, and the folder of each row are
    kept: int  # how many rows were finished before this sweep began

    @property
    def ok(self) -> bool:
        """Whether nothing got worse; without a baseline, whether every row is good."""
        if self.changes:
            return not any(change.regression for change in self.changes)
        return all(row.good for row in self.rows)

    def fails(self, fail_on: str | None = None) -> bool:
        """Whether it is to fail: on rows that are ``worse`` or ``bad``, or ``never``.

        ``None`` is as ``ok`` says.
        """
        worse = any(change.regression for change in self.changes)
        bad = not all(row.good for row in self.rows)
        told = {"worse": worse, "bad": bad or worse, "never": False}
        return not self.ok if fail_on is None else told[fail_on]

    def as_dict(self) -> dict[str, Any]:
        """Return all rows and changes as plain data, fit for JSON."""
        return {
            "folder": str(self.folder),
            "ok": self.ok,
            "kept": self.kept,
            "rows": [row.as_dict() for row in self.rows],
            "changes": [change.as_dict() for change in self.changes],
        }

    def text(self) -> str:
        """Return what changed, the sum, and where the page is."""
        changed = [str(change) for change in self.changes if change.kind != "same"]
        return "\n".join([*changed, f"{self}: {printable(self.folder / PAGE_FILE)}"])

    def __str__(self) -> str:
        good = sum(row.good for row in self.rows)
        worse = sum(change.regression for change in self.changes)
        compared = f", {worse} regressions" if self.changes else ""
        return f"SweepResult({good} of {len(self.rows)} rows ready or convertible{compared})"


@dataclass(frozen=True)
class RowPool:
    """Where rows are made; what is not begun when it is closed is not begun any more."""

    where: str
    submit: Callable[[RowTask], Future[Row]]


@contextlib.contextmanager
def open_pool(workers: int = 1, scheduler: str | None = None) -> Iterator[RowPool]:
    """Make rows here, so many at a time, or on the cluster whose scheduler is named.

    Those under way here are ended when the pool is closed; on a cluster they come to their end. A
    task whose worker dies is given to another one, up to the scheduler's ``allowed-failures``.
    """
    if scheduler is not None:
        with connect(scheduler) as client:
            number = len(client.scheduler_info(n_workers=-1)["workers"])
            # Keys of one group: the scheduler learns how long a row takes, and holds back what no
            # worker is free for.
            group = f"sweep_row-{uuid.uuid4().hex}"
            pool = client.get_executor(pure=False)
            where = f"on a cluster that has {number} workers now"
            try:
                yield RowPool(where, lambda task: pool.submit(run_row, task, key=(group, task.id)))
            finally:
                pool.shutdown(wait=False)
        return
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as threads:
        where = f"{'one' if workers == 1 else workers} at a time"
        try:
            yield RowPool(where, lambda task: threads.submit(run_row, task, stop))
        finally:
            stop.set()
            threads.shutdown(cancel_futures=True)


def connect(address: str, timeout: float = 5.0) -> Any:
    """Return a client of the Dask cluster at an address such as ``tcp://10.0.0.5:8786``.

    Raises ``SweepInputError`` if no scheduler answers within so many seconds.
    """
    require("distributed", "--scheduler")
    import distributed

    # It logs every failed attempt with a traceback; what matters is in the rows.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return distributed.Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        fault = str(error).splitlines()[0] if str(error) else type(error).__name__
        fault = f"no scheduler answers ({fault}): start it, or leave out --scheduler"
        raise SweepInputError(f"{address}: {fault}") from error


def run_sweep(
    specs: Sequence[RowSpec],
    folder: Path,
    *,
    maker: RowMaker | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    baseline: Path | None = None,
    timeout: float = 900.0,
    memory: int = 8 * 2**30,
    trust: bool = False,
    imports: Sequence[str] = (),
    lock: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> SweepResult:
    """Cure every model with every setting; what happens to one row is in that row.

    ``folder`` takes ``sweep.csv``, ``sweep.parquet``, ``index.html`` and a folder for each row; the
    workers of a cluster (``open_pool``) must see it under this path. A row that is in it already,
    made of the same model, settings and libraries, is kept. ``timeout`` (seconds) and ``memory``
    (bytes, children included) are limits of each row. ``imports`` are as ``diagnose`` takes them.
    ``say`` is given a line at the beginning, and
    one for each row. Raises ``SweepInputError``, before anything runs, if what was asked for is no
    sweep.
    """
    own_code = tuple(str(each) for each in check_imports(imports))
    require("pyarrow", "sweep")
    require("jinja2", "sweep")
    if not specs:
        raise SweepInputError("no row to make: name a model")
    before = read_rows(baseline) if baseline else ()
    if baseline and folder.exists() and baseline.samefile(folder):
        raise SweepInputError(f"{baseline}: the baseline is the output folder; name another one")
    try:
        check_takes_folder(folder)
    except OSError as error:
        fault = f"no folder for the results: {system_fault(error, NAME_PLACE)}"
        raise SweepInputError(f"{folder}: {fault}") from error
    folder = folder.resolve()
    token = uuid.uuid4().hex
    limits: dict[str, Any] = {"lock": lock, "timeout": timeout, "memory": memory}
    tasks = _tasks(
        specs, maker or CureMaker(), trust, own_code, folder=folder, token=token, **limits
    )
    with open_pool(workers, scheduler) as pool, _claimed(folder, token):
        rows = {task.id: row for task in tasks if (row := read_row(task)) is not None}
        kept = len(rows)
        waiting = [task for task in tasks if task.id not in rows]
        todo = f", {len(waiting)} to make {pool.where}" if waiting else ""
        say(f"kept {kept} of {len(tasks)} rows{todo}")
        if waiting:
            for name in RESULT_FILES:  # they told of other rows
                (folder / name).unlink(missing_ok=True)
        rows |= _make(waiting, pool, len(tasks), say)
        ordered = tuple(rows[task.id] for task in tasks)
        changes = compare_rows(ordered, before) if baseline else ()
        write_results(folder, ordered, changes)
    return SweepResult(ordered, changes, folder, kept)


def _tasks(
    specs: Sequence[RowSpec], maker: RowMaker, trust: bool, imports: tuple[str, ...], **common: Any
) -> list[RowTask]:
    """Make a task of every row; a model is read once, however many rows it has."""
    from varhandle.evaluate.given_inputs import inputs_path

    specs = list(dict.fromkeys(specs))
    names = model_names(spec.model for spec in specs)
    prints = {path: fingerprint(path) for path in {spec.model for spec in specs}}
    for given in {spec.inputs for spec in specs if spec.inputs}:
        on_disk = inputs_path(given)
        prints[given] = fingerprint(on_disk) if on_disk else str(given)
    made_by = [type(maker).__qualname__, digest_of(maker.sources())]
    versions = library_versions()
    own_code = [imports, digest_of(Path(one) for one in imports if one.endswith(".py"))]
    tasks = []
    for spec in specs:
        own = (spec.signature, spec.target, spec.quantization, trust, own_code)
        inputs = prints[spec.inputs] if spec.inputs else None
        exact = json.dumps([prints[spec.model], inputs, own, made_by, versions])
        name, key = names[spec.model], hashlib.sha256(exact.encode()).hexdigest()
        task = RowTask(
            spec.row_id(name), name, spec, key, trust, imports, maker, versions=versions, **common
        )
        tasks.append(task)
    return tasks


@contextlib.contextmanager
def _claimed(folder: Path, token: str) -> Iterator[None]:
    """Claim an output folder for one sweep, and leave there what tells it from any other."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _SWEEP_LOCK, timeout=0)
    try:
        make_inner_folder(folder / ROWS_FOLDER)
        make_inner_folder(folder / LOCKS_FOLDER)
        for name in RESULT_FILES:
            check_replaceable(folder / name)
        lock.acquire()
        write_text(folder / TOKEN_FILE, token)
    except Timeout as error:
        fault = "another sweep is writing into it: wait, or name another --output"
        raise SweepInputError(f"{folder}: {fault}") from error
    except OSError as error:
        where = error.filename or folder
        raise SweepInputError(f"{where}: {system_fault(error, NAME_PLACE)}") from error
    try:
        yield
    finally:
        lock.release()


def _make(
    waiting: Sequence[RowTask], pool: RowPool, total: int, say: Callable[[str], None]
) -> dict[str, Row]:
    """Make rows, and say of each how far the sweep is."""
    started = time.monotonic()
    made: dict[str, Row] = {}
    futures = {pool.submit(task): task for task in waiting}
    for future in as_completed(futures):
        task = futures[future]
        try:
            row = future.result()
        except Exception as error:  # whatever kept the cluster from making it is its outcome
            row = make_row(task, "failed", f"the cluster: {type(error).__name__}: {error}")
        made[task.id] = row
        elapsed, left = time.monotonic() - started, len(waiting) - len(made)
        clock = _clock(elapsed)
        if left:  # as long as those so far took
            clock += f", about {_clock(elapsed / len(made) * left)} left"
        count = f"{total - left:>{len(str(total))}}/{total}"
        why = "" if row.good else f": {row.reason}"
        say(f"{count} [{clock}] {row.mark} {row.verdict}: {row.title}{why}")
    return made


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
