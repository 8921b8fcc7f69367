"""Execute notebooks with papermill, keep what they produced, and say what failed."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varhandle.display import RichTable, Table, join_all, panel_html
from varhandle.errors import VarhandleError
from varhandle.sandbox.descendants import end_descendants
from warm_kernels.provisioner import get_ready
from workbook_lib.lesson.progress import progress_off
from workbook_lib.locations import project_root

# No room, over a quota, too large for the file system, read-only, broken.
_STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class RunInputError(VarhandleError, ValueError):
    """What was asked for cannot be run: a notebook, a parameter, or a folder for the results."""


@dataclass(frozen=True)
class NotebookRun:
    """One executed notebook."""

    name: str  # file name
    executed: Path  # path of the executed copy, kept whether or not it failed
    seconds: float  # wall-clock time, the start of the kernel included
    cell: str = ""  # id of the failing cell; empty if none failed
    error: str = ""  # the failing cell's exception in one line; empty if none failed
    died: bool = False  # whether the kernel died, which is no exception of a cell's own

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return not self.error

    @property
    def verdict(self) -> str:
        """``passed``, or the cell and its error."""
        return "passed" if self.ok else f"failed in cell {self.cell}: {self.error}"


@dataclass(frozen=True, repr=False)
class RunReport(RichTable):
    """All notebooks of one run."""

    notebooks: tuple[NotebookRun, ...]  # in the order in which they ran
    folder: Path  # where the executed notebooks and the HTML report are

    @property
    def ok(self) -> bool:
        """Whether every notebook passed."""
        return all(run.ok for run in self.notebooks)

    def __repr__(self) -> str:
        passed = sum(run.ok for run in self.notebooks)
        return f"RunReport({passed} of {len(self.notebooks)} notebooks passed)"

    def _table(self) -> Table:
        rows = [(run.name, f"{run.seconds:.0f} s", run.verdict) for run in self.notebooks]
        return ("notebook", "time", "result"), rows, "Executed notebooks"

    def html(self) -> str:
        """Return the table in a frame that says how many passed."""
        return panel_html("right" if self.ok else "raised", repr(self), super().html())


def all_notebooks() -> list[Path]:
    """Return the workbook's notebooks, in the order in which they are taught."""
    return sorted((project_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def run_notebooks(
    notebooks: Sequence[Path],
    folder: Path,
    parameters: Mapping[str, Any] | None = None,
    on_start: Callable[[str], None] = lambda _: None,
    *,
    jobs: int = 1,
) -> RunReport:
    """Execute notebooks.

    Each notebook runs in its own folder, with those of the parameters that it declares; ``jobs`` at
    a time, each in a kernel of its own. A failing notebook does not keep the next ones from
    running. Raises ``RunInputError``: A path is no notebook, no notebook declares a parameter, the
    executed copy would replace a notebook or another copy, or the folder cannot be made. Nothing
    ran. Raises ``OSError``: what a notebook came to cannot be kept. The ones before it are.
    """
    # It imports TensorFlow while this process imports what it needs, the report's pages included.
    get_ready(logging.getLogger(__name__))
    from workbook_lib.runs.report import write_report

    given = parameters or {}
    declared = {path: declared_parameters(path) for path in notebooks}
    known = set().union(*declared.values())
    for name in given:
        if name not in known:
            raise RunInputError(
                f"no notebook has the parameter {name}; there are: {join_all(sorted(known))}"
            )
    check_copies(notebooks, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunInputError(f"{folder}: no folder for the results ({error.strerror})") from error
    bar = jobs == 1 and sys.stderr.isatty()
    # papermill changes the working folder of the process while a notebook runs in another thread.
    places, results = {path: path.absolute() for path in notebooks}, folder.absolute()

    def run(path: Path) -> NotebookRun:
        on_start(path.name)
        own = {name: value for name, value in given.items() if name in declared[path]}
        return execute_notebook(places[path], results / path.name, own, progress_bar=bar)

    with progress_off():
        runs = [run(path) for path in notebooks] if jobs == 1 else _at_once(run, notebooks, jobs)
    report = RunReport(tuple(runs), folder)
    write_report(report)
    return report


def _at_once(
    run: Callable[[Path], NotebookRun], notebooks: Sequence[Path], jobs: int
) -> list[NotebookRun]:
    """Run several at a time. Where that is interrupted, end the kernels, and with them the runs."""
    here = Path.cwd()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run, path) for path in notebooks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_descendants()
            raise
        finally:
            os.chdir(here)  # papermill has left it wherever the last notebook began


def declared_parameters(path: Path) -> frozenset[str]:
    """Return the parameters that a notebook declares.

    Raises ``RunInputError``: there is no notebook at this path.
    """
    import nbformat
    import papermill

    if not path.is_file():
        raise RunInputError(f"{path}: there is no such notebook")
    try:
        nbformat.read(path, as_version=4)
        return frozenset(papermill.inspect_notebook(_literal(path)))
    except Exception as error:  # nbformat and papermill raise whatever their parsers raise
        raise RunInputError(f"{path}: not a notebook ({type(error).__name__})") from error


def check_copies(notebooks: Sequence[Path], folder: Path) -> None:
    """Refuse a run whose executed copies would replace a notebook, or one another.

    Raises ``RunInputError``: it would; the message names the notebook.
    """
    taken: dict[str, Path] = {}
    for path in notebooks:
        executed = folder / path.name
        if executed.exists() and executed.samefile(path):
            raise RunInputError(f"{path}: its executed copy would replace it; name another folder")
        name = path.name.casefold()  # some file systems do not tell A from a
        if name in taken:
            raise RunInputError(
                f"{path}: its executed copy would replace that of {taken[name]}; run them apart"
            )
        taken[name] = path


def execute_notebook(
    path: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    *,
    progress_bar: bool = False,
    take_in_native: bool = True,
) -> NotebookRun:
    """Execute one notebook in a kernel of its own, in the folder that the notebook is in.

    Raises ``OSError``: the copy cannot be kept: the disk is full, say. An earlier one is still
    there.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from workbook_lib.runs import engine

    started = time.monotonic()
    cell, error, died = "", "", False
    # papermill writes it anew at each cell; an earlier copy must not be lost to half of one.
    growing = executed.with_name(f".{executed.stem}.growing.ipynb")
    try:
        with progress_off():
            papermill.execute_notebook(
                _literal(path.resolve()),
                _literal(growing),
                parameters=dict(parameters),
                engine_name=engine.NAME,
                kernel_name="python3",
                cwd=str(path.resolve().parent),
                progress_bar=progress_bar,
                log_output=False,
                # A kernel that Ctrl-C stops says goodbye with a traceback of its own.
                extra_arguments=[
                    "--IPKernelApp.log_level=CRITICAL",
                    f"--IPKernelApp.capture_fd_output={take_in_native}",
                ],
            )
    except PapermillExecutionError as failure:
        cell = _failing_cell(growing)
        error = _one_line(f"{failure.ename}: {failure.evalue}")
    except DeadKernelError:
        cell, died = _failing_cell(growing), True
        error = (
            "the kernel died: a library crashed in this cell, or the system ended the kernel for "
            "its memory"
        )
    except Exception as failure:  # the notebook could not be started
        if isinstance(failure, OSError) and failure.errno in _STORAGE:
            growing.unlink(missing_ok=True)
            raise OSError(failure.errno, failure.strerror, str(executed)) from failure
        cell = _failing_cell(growing)
        error = _one_line(f"{type(failure).__name__}: {failure}")
    if growing.exists():
        growing.replace(executed)
    return NotebookRun(path.name, executed, time.monotonic() - started, cell, error, died)


def _literal(path: Path) -> str:
    """Return a path that papermill takes as it is: it reads braces as fields to fill in."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _failing_cell(executed: Path) -> str:
    """Return the id of the cell at which an execution stopped: the last one that was started."""
    import nbformat

    if not executed.exists():
        return "unknown"
    cells = nbformat.read(executed, as_version=4).cells
    started = [cell.id for cell in cells if cell.metadata.get("papermill", {}).get("start_time")]
    return str(started[-1]) if started else "unknown"


def _one_line(message: str) -> str:
    without_color = re.sub(r"\x1b\[[0-9;]*m", "", message)
    return " ".join(without_color.split())[:300]
