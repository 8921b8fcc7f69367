"""The canonical form of a stored notebook, and the refresh that brings a notebook into it.

``python -m workbook_lib.runs.canonical notebooks/*.ipynb`` executes notebooks in place and stores
what nbval then compares: outputs without execution times, widget states, temporary paths or
names of a machine.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from varhandle.atomic_write import write_text
from workbook_lib.lesson.progress import progress_off

if TYPE_CHECKING:
    from nbformat import NotebookNode

_WIDGET = "application/vnd.jupyter.widget-view+json"
_KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_DROPPED_CELL_METADATA = ("execution", "papermill", "ExecuteTime", "collapsed", "trusted")


def canonical_form(notebook: NotebookNode) -> NotebookNode:
    """Return the canonical form of a notebook.

    Its kernel is named ``python3``; execution counts are numbered from 1; cell metadata is without
    what tools leave behind; output is without widget views, which mean nothing without their
    kernel; consecutive streams are joined: how they were cut is a matter of timing.
    """
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor
    from nbformat import from_dict

    result, _ = CoalesceStreamsPreprocessor().preprocess(copy.deepcopy(notebook), {})
    metadata = {"kernelspec": _KERNELSPEC, "language_info": {"name": "python"}}
    metadata |= {key: it for key, it in result.metadata.items() if key == "workbook"}
    result.metadata = from_dict(metadata)
    count = 0
    for cell in result.cells:
        for key in _DROPPED_CELL_METADATA:
            cell.metadata.pop(key, None)
        if cell.get("execution_count") is not None:
            count += 1
            cell.execution_count = count
        for output in cell.get("outputs", ()):
            if output.output_type == "execute_result":
                output.execution_count = count
            if "data" in output:
                output.data.pop(_WIDGET, None)
                output.metadata = from_dict({})
    return result


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook as Jupyter does: one space of indent, a newline at the end."""
    import nbformat

    write_text(path, nbformat.writes(notebook) + "\n")


def refresh(path: Path) -> None:
    """Execute a notebook in place, and store it in canonical form.

    Raises ``nbclient.exceptions.CellExecutionError``: A cell failed that is not tagged
    ``raises-exception``; the file is left as it was.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    with progress_off():
        NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    write(canonical_form(notebook), path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        refresh(Path(name))
        print(f"{name}: executed and stored")
