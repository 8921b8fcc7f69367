"""Notebook 08 over many models and settings: resumable, limited, compared with an earlier sweep."""

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
from workbook_lib.locations import project_root
from workbook_lib.runs.baseline import Change, compare
from workbook_lib.runs.execute import RunInputError, declared_parameters
from workbook_lib.runs.executors import Executor, Serial
from workbook_lib.runs.locking import LockedError, locked
from workbook_lib.runs.page import write_page
from workbook_lib.runs.results_table import (
    CSV_FILE,
    PARQUET_FILE,
    read_rows,
    records,
    write_tables,
)
from workbook_lib.runs.row_specs import (
    RowSpec,
    SweepInputError,
    absolute,
    fingerprint,
    model_names,
    row_id,
)
from workbook_lib.runs.rows import (
    LOCKS_FOLDER,
    NOTEBOOK_FILE,
    PAGE_FILE,
    ROWS_FOLDER,
    TOKEN_FILE,
    Row,
    RowTask,
    finished,
    library_versions,
)
from workbook_lib.runs.sweep_page import MARKS, write_sweep_page

GIB = 2**30
PARAMETERS = ("model", "signature", "inputs", "target", "quantization", "output")
"""What a notebook must declare to be swept with."""

_SWEEP_LOCK = ".sweep.lock"


@dataclass(frozen=True, repr=False)
class Sweep(Rich):
    """The results of a sweep.

    Attributes:
        rows: In the order in which they were asked for.
        changes: What became of each since the baseline, and then the rows that are missing;
            empty without a baseline.
        folder: Where the tables, the page, and the folder of each row are.
        kept: How many rows were finished before this sweep began.
    """

    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    folder: Path
    kept: int = 0

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What got worse, drifted, or is missing, since the baseline."""
        return tuple(change for change in self.changes if change.regression)

    @property
    def ok(self) -> bool:
        """Whether nothing got worse; without a baseline, whether every row is good."""
        if self.changes:
            return not self.regressions
        return all(row.good for row in self.rows)

    def __repr__(self) -> str:
        good = sum(row.good for row in self.rows)
        worse = f", {len(self.regressions)} regressions" if self.changes else ""
        return f"Sweep({good} of {len(self.rows)} rows ready or convertible{worse})"

    def _table(self) -> tuple[tuple[str, ...], list[tuple[str, str, str, str]]]:
        rows = [
            (row.model, row.setting, f"{MARKS[row.verdict]} {row.verdict}", row.reason)
            for row in self.rows
        ]
        return ("model", "setting", "verdict", "reason"), rows

    def text(self) -> str:
        """Return a line for each row."""
        return table_text(*self._table())

    def html(self) -> str:
        """Return the same as a table."""
        table = table_html(*self._table(), "One row for each model and setting")
        return panel_html("right" if self.ok else "raised", repr(self), table)


@dataclass(frozen=True)
class Progress:
    """How far a sweep is, as it is told after each row.

    Attributes:
        done: Rows finished, those kept from an earlier sweep among them.
        total: Rows altogether.
        row: The row that has been finished.
        elapsed: Seconds since this sweep began.
        left: Seconds that the other rows will take, if they take as long as those so far.
    """

    done: int
    total: int
    row: Row
    elapsed: float
    left: float

    def __str__(self) -> str:
        """Return one line for a terminal or a log."""
        row = self.row
        count = f"{self.done:>{len(str(self.total))}}/{self.total}"
        left = f", about {_clock(self.left)} left" if self.done < self.total else ""
        time_ = f"[{_clock(self.elapsed)}{left}]"
        why = "" if row.good else f": {row.reason}"
        return f"{count} {time_} {MARKS[row.verdict]} {row.verdict}: {row.title}{why}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def sweep_notebook() -> Path:
    """Return the notebook that a sweep runs by default: the one for your own model."""
    return project_root() / "notebooks" / "08_your_own_model.ipynb"


def run_sweep(
    specs: Sequence[RowSpec],
    folder: Path,
    *,
    notebook: Path | None = None,
    executor: Executor | None = None,
    baseline: Path | None = None,
    timeout: float = 900.0,
    memory: int = 8 * GIB,
    trust: bool = False,
    on_begin: Callable[[str], None] = lambda _: None,
    on_row: Callable[[Progress], None] = lambda _: None,
) -> Sweep:
    """Run a notebook on many models and settings.

    A row that is in the folder already, made of the same model, settings, notebook and library
    versions, is kept. A row that was not finished is made again.

    Args:
        specs: The rows.
        folder: Takes ``sweep.csv``, ``sweep.parquet``, ``index.html`` and a folder for each row.
            With an executor on other machines, all of them must see it under this path.
        notebook: The notebook; by default ``sweep_notebook()``. It declares ``PARAMETERS``, and
            writes ``verdict.json`` into ``output``.
        executor: Where the rows are made; one after the other by default.
        baseline: Folder of an earlier sweep to compare with.
        timeout: Seconds that a row may take.
        memory: Bytes that a row's kernel and its children may hold together.
        trust: Whether code that a model brings along may run.
        on_begin: Called with one line about what is kept and what is to be done.
        on_row: Called after each row that is made.

    Returns:
        The results. What happens to one row is in that row, and is not raised.

    Raises:
        SweepInputError: What was asked for is no sweep. Nothing ran.
    """
    if not specs:
        raise SweepInputError("no row to make: name a model")
    notebook = notebook or sweep_notebook()
    before = read_rows(baseline) if baseline else ()
    if baseline and folder.exists() and baseline.samefile(folder):
        raise SweepInputError(f"{baseline}: the baseline is the output folder; name another one")
    folder = folder.resolve()
    content = _notebook_content(notebook, trust)
    planned = _tasks(
        specs, folder, notebook, content=content, timeout=timeout, memory=memory, trust=trust
    )
    with _claimed(folder) as token:
        tasks = [replace(task, token=token) for task in planned]
        rows = {task: row for task in tasks if (row := finished(task)) is not None}
        kept = len(rows)
        place = executor or Serial()
        todo = f", {len(tasks) - kept} to make {place}" if kept < len(tasks) else ""
        on_begin(f"kept {kept} of {len(tasks)} rows{todo}")
        if kept < len(tasks):
            for name in (CSV_FILE, PARQUET_FILE, "index.html"):  # they told of other rows
                (folder / name).unlink(missing_ok=True)
        _make(tasks, rows, place, on_row)
        for task in tasks:
            _write_row_page(task)
        ordered = tuple(rows[task] for task in tasks)
        result = Sweep(ordered, compare(ordered, before) if baseline else (), folder, kept)
        write_tables(folder, records(result.rows, result.changes))
        write_sweep_page(result)
    return result


def _notebook_content(notebook: Path, trust: bool) -> str:
    """Return a digest of what a notebook does, after a look at whether it can be swept with."""
    wanted = (*PARAMETERS, "trust") if trust else PARAMETERS
    try:
        missing = sorted(set(wanted) - declared_parameters(notebook))
    except RunInputError as error:
        raise SweepInputError(str(error)) from error
    if missing:
        raise SweepInputError(f"{notebook}: declares no parameter {', '.join(missing)}")
    cells = [
        (cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags"))
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[str]:
    """Claim an output folder for one sweep; yields what tells it from any other folder."""
    with contextlib.ExitStack() as stack:
        try:
            for path in (folder / ROWS_FOLDER, folder / LOCKS_FOLDER):
                path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / _SWEEP_LOCK))
            token = uuid.uuid4().hex
            (folder / TOKEN_FILE).write_text(token, encoding="utf-8")
        except LockedError as error:
            raise SweepInputError(f"{folder}: another sweep is writing into it") from error
        except OSError as error:
            fault = f"no folder for the results ({error.strerror})"
            raise SweepInputError(f"{folder}: {fault}") from error
        yield token


def _tasks(
    specs: Sequence[RowSpec],
    folder: Path,
    notebook: Path,
    *,
    content: str,
    timeout: float,
    memory: int,
    trust: bool,
) -> list[RowTask]:
    """Make a task of every row; a model is read once, however many rows it has."""
    specs = [absolute(spec) for spec in dict.fromkeys(specs)]
    names = model_names(spec.model for spec in specs)
    paths = {spec.model for spec in specs} | {spec.inputs for spec in specs if spec.inputs}
    prints = {path: fingerprint(_present(path)) for path in paths}
    versions = library_versions()
    tasks = []
    for spec in specs:
        own = (spec.signature, spec.target, spec.quantization, trust)
        inputs = prints[spec.inputs] if spec.inputs else None
        exact = json.dumps([prints[spec.model], inputs, own, content, versions])
        tasks.append(
            RowTask(
                id=row_id(spec, names[spec.model]),
                name=names[spec.model],
                model=str(spec.model),
                signature=spec.signature,
                inputs=str(spec.inputs) if spec.inputs else None,
                target=spec.target,
                quantization=spec.quantization,
                trust=trust,
                notebook=str(notebook.resolve()),
                folder=str(folder),
                token="",
                key=hashlib.sha256(exact.encode()).hexdigest(),
                timeout=timeout,
                memory=memory,
                versions=versions,
            )
        )
    return tasks


def _present(path: Path) -> Path:
    if not path.exists():
        raise SweepInputError(f"{path}: there is no such file or folder")
    return path


def _make(
    tasks: Sequence[RowTask],
    rows: dict[RowTask, Row],
    executor: Executor,
    on_row: Callable[[Progress], None],
) -> None:
    """Make the rows that are not there, and put them in."""
    waiting = [task for task in tasks if task not in rows]
    started = time.monotonic()
    # Closed at once, not when it is collected: Ctrl-C must end what is under way.
    with contextlib.closing(executor.run(waiting)) as made:  # type: ignore[type-var]
        for task, row in made:
            rows[task] = row
            elapsed = time.monotonic() - started
            own = len(rows) - (len(tasks) - len(waiting))
            left = elapsed / own * (len(waiting) - own)
            on_row(Progress(len(rows), len(tasks), row, elapsed, left))
            _write_row_page(task)


def _write_row_page(task: RowTask) -> None:
    """Write the HTML page of a row's notebook, unless it is there.

    The page may not run scripts: names and text of the model are in it.
    """
    executed = task.row_folder / NOTEBOOK_FILE
    if executed.exists() and not (task.row_folder / PAGE_FILE).exists():
        with contextlib.suppress(ValueError, KeyError, OSError):  # the row was ended while writing
            write_page(executed)
