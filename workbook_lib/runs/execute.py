"""Execute notebooks with papermill, keep what they produced, and say what failed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbook_lib.rendering import Rich, panel_html, table_html, table_text
from workbook_lib.runs.progress import progress_off
from workbook_lib.samples import project_root


class RunInputError(ValueError):
    """What was asked for cannot be run: a notebook, a parameter, or a folder for the results."""


@dataclass(frozen=True)
class NotebookRun:
    """One executed notebook.

    Attributes:
        name: File name.
        executed: Path of the executed copy, kept whether or not it failed.
        seconds: Wall-clock time, the start of the kernel included.
        cell: Id of the failing cell; empty if none failed.
        error: The failing cell's exception in one line; empty if none failed.
    """

    name: str
    executed: Path
    seconds: float
    cell: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return not self.error

    @property
    def verdict(self) -> str:
        """``passed``, or the cell and its error."""
        return "passed" if self.ok else f"failed in cell {self.cell}: {self.error}"


@dataclass(frozen=True, repr=False)
class RunReport(Rich):
    """All notebooks of one run.

    Attributes:
        notebooks: In the order in which they ran.
        folder: Where the executed notebooks and the HTML report are.
    """

    notebooks: tuple[NotebookRun, ...]
    folder: Path

    @property
    def ok(self) -> bool:
        """Whether every notebook passed."""
        return all(run.ok for run in self.notebooks)

    def __repr__(self) -> str:
        passed = sum(run.ok for run in self.notebooks)
        return f"RunReport({passed} of {len(self.notebooks)} notebooks passed)"

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(run.name, f"{run.seconds:.0f} s", run.verdict) for run in self.notebooks]

    def text(self) -> str:
        """Return a line for each notebook."""
        return table_text(("notebook", "time", "result"), self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        table = table_html(("notebook", "time", "result"), self._rows(), "executed notebooks")
        return panel_html("right" if self.ok else "raised", repr(self), table)


def all_notebooks() -> list[Path]:
    """Return the workbook's notebooks, in the order in which they are taught."""
    return sorted((project_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def run_notebooks(
    notebooks: Sequence[Path],
    folder: Path,
    parameters: Mapping[str, Any] | None = None,
    on_start: Callable[[str], None] = lambda _: None,
) -> RunReport:
    """Execute notebooks one after the other.

    Args:
        notebooks: Their paths. Each runs in its own folder, as it does in JupyterLab.
        folder: Takes the executed notebooks, an HTML page of each, and ``index.html``.
        parameters: Values for the cells tagged ``parameters``; each goes to the notebooks that
            declare it.
        on_start: Called with the name of each notebook before it runs.

    Returns:
        The report. A failing notebook does not keep the next ones from running.

    Raises:
        RunInputError: A path is no notebook, no notebook declares a parameter, the executed copy
            would replace a notebook or another copy, or the folder cannot be made. Nothing ran.
    """
    from workbook_lib.runs.report import write_report

    given = dict(parameters or {})
    declared = {path: _declared(path) for path in notebooks}
    for name in given:
        if not any(name in names for names in declared.values()):
            known = sorted(set().union(*declared.values())) if declared else []
            raise RunInputError(
                f"no notebook has the parameter {name}; there are: {', '.join(known) or 'none'}"
            )
    _check_copies(notebooks, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunInputError(f"{folder}: no folder for the results ({error.strerror})") from error
    runs = []
    for path in notebooks:
        on_start(path.name)
        own = {name: value for name, value in given.items() if name in declared[path]}
        runs.append(_run(path, folder, own))
    report = RunReport(tuple(runs), folder)
    write_report(report)
    return report


def _declared(path: Path) -> frozenset[str]:
    """Return the parameters that a notebook declares."""
    import nbformat
    import papermill

    if not path.is_file():
        raise RunInputError(f"{path}: there is no such notebook")
    try:
        nbformat.read(path, as_version=4)
        return frozenset(papermill.inspect_notebook(str(path)))
    except Exception as error:  # nbformat and papermill raise whatever their parsers raise
        raise RunInputError(f"{path}: not a notebook ({type(error).__name__})") from error


def _check_copies(notebooks: Sequence[Path], folder: Path) -> None:
    """Refuse a run whose executed copies would replace a notebook, or one another."""
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


def _run(path: Path, folder: Path, parameters: Mapping[str, Any]) -> NotebookRun:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    executed = folder / path.name
    started = time.monotonic()
    cell, error = "", ""
    try:
        with progress_off():
            papermill.execute_notebook(
                str(path.resolve()),
                str(executed),
                parameters=dict(parameters),
                kernel_name="python3",
                cwd=str(path.resolve().parent),
                progress_bar=sys.stderr.isatty(),
                log_output=False,
                # A kernel that Ctrl-C stops says goodbye with a traceback of its own.
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
    except PapermillExecutionError as failure:
        cell = _failing_cell(executed) or str(failure.cell_index)
        error = _one_line(f"{failure.ename}: {failure.evalue}")
    except Exception as failure:  # the kernel died, or the notebook could not be started
        cell = _failing_cell(executed) or "unknown"
        error = _one_line(f"{type(failure).__name__}: {failure}")
    return NotebookRun(path.name, executed, time.monotonic() - started, cell, error)


def _failing_cell(executed: Path) -> str:
    """Return the id of the cell at which an execution stopped."""
    import nbformat

    if not executed.exists():
        return ""
    for cell in nbformat.read(executed, as_version=4).cells:
        status = cell.metadata.get("papermill", {}).get("status")
        if cell.cell_type == "code" and status in {"failed", "running"}:
            return str(cell.get("id", ""))
    return ""


def _one_line(message: str) -> str:
    without_colour = re.sub(r"\x1b\[[0-9;]*m", "", message)
    return " ".join(without_colour.split())[:300]
