"""Run a sweep: keep the rows that still hold, make the others, write the tables and the page."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from varhandle.display import Rich, panel_html, table_html, table_text
from varhandle.extras import require
from varhandle.sweep.baseline import Change, compare_rows
from varhandle.sweep.executors import LocalExecutor, RowExecutor
from varhandle.sweep.page import PAGE_FILE, write_page
from varhandle.sweep.results_table import (
    CSV_FILE,
    PARQUET_FILE,
    read_rows,
    table_records,
    write_tables,
)
from varhandle.sweep.row_specs import RowSpec, SweepInputError, fingerprint, model_names
from varhandle.sweep.row_supervisor import CureMaker
from varhandle.sweep.rows import (
    LOCKS_FOLDER,
    ROWS_FOLDER,
    TOKEN_FILE,
    Row,
    RowMaker,
    RowTask,
    digest_of,
    library_versions,
    read_row,
)

_SWEEP_LOCK = ".sweep.lock"
_HEADERS = ("model", "setting", "verdict", "reason")


@dataclass(frozen=True, repr=False)
class SweepResult(Rich):
    """The results of a sweep."""

    rows: tuple[Row, ...]  # in the order in which they were asked for
    changes: tuple[Change, ...]  # of each since the baseline, then of those that are missing
    folder: Path  # where the tables, the page, and the folder of each row are
    kept: int = 0  # how many rows were finished before this sweep began

    @property
    def ok(self) -> bool:
        """Whether nothing got worse; without a baseline, whether every row is good."""
        if self.changes:
            return not any(change.regression for change in self.changes)
        return all(row.good for row in self.rows)

    def __repr__(self) -> str:
        good = sum(row.good for row in self.rows)
        worse = sum(change.regression for change in self.changes)
        compared = f", {worse} regressions" if self.changes else ""
        return f"SweepResult({good} of {len(self.rows)} rows ready or convertible{compared})"

    def _cells(self) -> list[tuple[str, str, str, str]]:
        return [
            (row.model, row.setting, f"{row.mark} {row.verdict}", row.reason) for row in self.rows
        ]

    def text(self) -> str:
        """Return a line for each row."""
        return table_text(_HEADERS, self._cells())

    def html(self) -> str:
        """Return the same as a table."""
        table = table_html(_HEADERS, self._cells(), "One row for each model and setting")
        return panel_html("right" if self.ok else "raised", repr(self), table)


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is, as it is told after each row that is made."""

    done: int  # rows finished, those kept from an earlier sweep among them
    total: int
    row: Row  # the one that has been finished
    elapsed: float  # seconds since this sweep began
    left: float  # seconds that the others will take, if they take as long as those so far

    def __str__(self) -> str:
        """Return one line for a terminal or a log."""
        count = f"{self.done:>{len(str(self.total))}}/{self.total}"
        left = f", about {_clock(self.left)} left" if self.done < self.total else ""
        row = self.row
        why = "" if row.good else f": {row.reason}"
        time_ = f"[{_clock(self.elapsed)}{left}]"
        return f"{count} {time_} {row.mark} {row.verdict}: {row.title}{why}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def run_sweep(
    specs: Sequence[RowSpec],
    folder: Path,
    *,
    maker: RowMaker | None = None,
    executor: RowExecutor | None = None,
    baseline: Path | None = None,
    timeout: float = 900.0,
    memory: int = 8 * 2**30,
    trust: bool = False,
    on_begin: Callable[[str], None] = lambda _: None,
    on_row: Callable[[SweepProgress], None] = lambda _: None,
) -> SweepResult:
    """Cure every model with every setting; what happens to one row is in that row.

    ``folder`` takes ``sweep.csv``, ``sweep.parquet``, ``index.html`` and a folder for each row; an
    executor on other machines must see it under this path. A row that is in it already, made of
    the same model, settings and libraries, is kept. ``timeout`` (seconds) and ``memory`` (bytes,
    children included) are limits of each row. Raises ``SweepInputError``, before anything runs, if
    what was asked for is no sweep.
    """
    require("pyarrow", "sweep")
    require("jinja2", "sweep")
    if not specs:
        raise SweepInputError("no row to make: name a model")
    before = read_rows(baseline) if baseline else ()
    if baseline and folder.exists() and baseline.samefile(folder):
        raise SweepInputError(f"{baseline}: the baseline is the output folder; name another one")
    folder = folder.resolve()
    task = RowTask(
        *("", "", specs[0], trust, maker or CureMaker(), folder, "", ""),
        *(timeout, memory, library_versions()),
    )
    planned = _tasks(specs, task)
    with _claimed(folder) as token:
        tasks = [replace(task, token=token) for task in planned]
        rows = {task: row for task in tasks if (row := read_row(task)) is not None}
        kept, place = len(rows), executor or LocalExecutor()
        todo = f", {len(tasks) - kept} to make {place}" if kept < len(tasks) else ""
        on_begin(f"kept {kept} of {len(tasks)} rows{todo}")
        if kept < len(tasks):
            for name in (CSV_FILE, PARQUET_FILE, PAGE_FILE):  # they told of other rows
                (folder / name).unlink(missing_ok=True)
        _make(tasks, rows, place, on_row)
        ordered = tuple(rows[task] for task in tasks)
        changes = compare_rows(ordered, before) if baseline else ()
        write_tables(folder, table_records(ordered, changes))
        write_page(folder, ordered, changes)
    return SweepResult(ordered, changes, folder, kept)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[str]:
    """Claim an output folder for one sweep; yields what tells it from any other folder."""
    from filelock import FileLock, Timeout

    with contextlib.ExitStack() as stack:
        try:
            for path in (folder / ROWS_FOLDER, folder / LOCKS_FOLDER):
                path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / _SWEEP_LOCK, timeout=0))
            token = uuid.uuid4().hex
            (folder / TOKEN_FILE).write_text(token, encoding="utf-8")
        except Timeout as error:
            raise SweepInputError(f"{folder}: another sweep is writing into it") from error
        except OSError as error:
            fault = f"no folder for the results ({error.strerror})"
            raise SweepInputError(f"{folder}: {fault}") from error
        yield token


def _tasks(specs: Sequence[RowSpec], common: RowTask) -> list[RowTask]:
    """Make a task of every row; a model is read once, however many rows it has."""
    specs = [spec.absolute() for spec in dict.fromkeys(specs)]
    names = model_names(spec.model for spec in specs)
    paths = {spec.model for spec in specs} | {spec.inputs for spec in specs if spec.inputs}
    prints = {path: fingerprint(path) for path in paths}
    maker = common.maker
    made_by = [type(maker).__qualname__, digest_of(sorted(maker.sources()), Path("/"))]
    tasks = []
    for spec in specs:
        own = (spec.signature, spec.target, spec.quantization, common.trust)
        inputs = prints[spec.inputs] if spec.inputs else None
        exact = json.dumps([prints[spec.model], inputs, own, made_by, common.versions])
        name = names[spec.model]
        key = hashlib.sha256(exact.encode()).hexdigest()
        tasks.append(replace(common, id=spec.row_id(name), name=name, spec=spec, key=key))
    return tasks


def _make(
    tasks: Sequence[RowTask],
    rows: dict[RowTask, Row],
    executor: RowExecutor,
    on_row: Callable[[SweepProgress], None],
) -> None:
    """Make the rows that are not there, and put them in."""
    waiting = [task for task in tasks if task not in rows]
    started = time.monotonic()
    # Closed at once, not when it is collected: Ctrl-C must end what is under way.
    with contextlib.closing(executor.run(waiting)) as made:  # type: ignore[type-var]
        for done, (task, row) in enumerate(made, start=1):
            rows[task] = row
            elapsed = time.monotonic() - started
            left = elapsed / done * (len(waiting) - done)
            on_row(SweepProgress(len(rows), len(tasks), row, elapsed, left))
