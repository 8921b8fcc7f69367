"""A row of ``workbook sweep --report``: notebook 36, executed on the row's model and kept."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from varhandle.sweep.results import NOTEBOOK_FILE
from varhandle.sweep.row_supervisor import last_error_line
from varhandle.sweep.rows import RowStoppedError, RowTask
from warm_kernels.fork_server import fork_kernels_from_here
from workbook_lib.locations import project_root
from workbook_lib.runs.execute import execute_notebook
from workbook_lib.runs.report import write_page


def report_notebook() -> Path:
    """Return the notebook for your own model."""
    return project_root() / "notebooks" / "36_your_own_model.ipynb"


@dataclass(frozen=True)
class NotebookMaker:
    """Executes a notebook with a row's parameters, and writes its page.

    The notebook writes the verdict file into the folder that its parameter ``output`` names.
    """

    notebook: Path

    def sources(self) -> Iterator[Path]:
        """Yield the notebook, and the library that it uses."""
        yield self.notebook
        yield from (project_root() / "workbook_lib").rglob("*.py")

    def prepare(self) -> None:
        """Have the kernel forked from this process, which has TensorFlow already."""
        fork_kernels_from_here()

    def make(self, task: RowTask) -> None:
        """Execute the notebook in the row's folder."""
        logging.disable(logging.CRITICAL)  # what papermill logs is in the row
        spec = task.spec
        parameters = {
            "model": str(spec.model),
            "signature": spec.signature,
            "inputs": spec.inputs and str(spec.inputs),
            "target": spec.target,
            "quantization": spec.quantization,
            "output": str(task.row_folder),
            "trust": task.trust,
            "imports": list(task.imports),
            "lock": task.lock,
        }
        executed = task.row_folder / NOTEBOOK_FILE
        # A kernel that takes in what C++ libraries write takes its own last words with it.
        run = execute_notebook(self.notebook, executed, parameters, take_in_native=False)
        with contextlib.suppress(ValueError, KeyError, OSError):  # it was ended while writing
            write_page(executed)
        if run.died:
            words = last_error_line(task)
            reason = f"the kernel died in cell {run.cell}" + (f": {words}" if words else "")
            raise RowStoppedError("crashed", reason, run.cell)
        if not run.ok:
            raise RowStoppedError("failed", f"{run.error} in cell {run.cell}", run.cell)
