"""The canonical form of a stored notebook, and the refresh that brings a notebook into it.

``python -m workbook_lib.runs.canonical notebooks/*.ipynb`` executes notebooks in place and stores
what nbval then compares: outputs without execution times, widget states, temporary paths or
names of a machine.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_text
from workbook_lib.lesson.progress import progress_off

Notebook = dict[str, Any]

_WIDGET = "application/vnd.jupyter.widget-view+json"
_KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_DROPPED_CELL_METADATA = ("execution", "papermill", "ExecuteTime", "collapsed", "trusted")


def canonical_form(notebook: Notebook) -> Notebook:
    """Return the canonical form of a notebook.

    Its kernel is named ``python3``; execution counts are numbered from 1; cell metadata is without
    what tools leave behind; output is without widget views, which mean nothing without their
    kernel; consecutive streams are joined.
    """
    result = copy.deepcopy(notebook)
    kept = {key: result["metadata"][key] for key in ("workbook",) if key in result["metadata"]}
    result["metadata"] = {
        "kernelspec": _KERNELSPEC,
        "language_info": {"name": "python"},
        **kept,
    }
    count = 0
    for cell in result["cells"]:
        for key in _DROPPED_CELL_METADATA:
            cell["metadata"].pop(key, None)
        if cell["cell_type"] != "code":
            continue
        if cell.get("execution_count") is not None:
            count += 1
            cell["execution_count"] = count
        cell["outputs"] = _joined([_output(output, count) for output in cell["outputs"]])
    return result


def _output(output: dict[str, Any], count: int) -> dict[str, Any]:
    if output["output_type"] == "execute_result":
        output["execution_count"] = count
    if "data" in output:
        output["data"].pop(_WIDGET, None)
        output["metadata"] = {}
    return output


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join streams of one name: how they were cut is a matter of timing."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" and last.get("name") == output.get("name"):
            text = "".join(last["text"]) + "".join(output["text"])
            last["text"] = text.splitlines(keepends=True)
        else:
            joined.append(output)
    return joined


def write(notebook: Notebook, path: Path) -> None:
    """Write a notebook as Jupyter does: one space of indent, a newline at the end."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    write_text(path, text + "\n")


def refresh(path: Path) -> None:
    """Execute a notebook in place, and store it in canonical form.

    Raises ``nbclient.exceptions.CellExecutionError``: A cell failed that is not tagged
    ``raises-exception``; the file is left as it was.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    with progress_off():
        client.execute()
    write(canonical_form(json.loads(nbformat.writes(notebook))), path)


def main(arguments: Sequence[str]) -> None:
    """Refresh the named notebooks."""
    for name in arguments:
        refresh(Path(name))
        print(f"{name}: executed and stored")


if __name__ == "__main__":
    main(sys.argv[1:])
