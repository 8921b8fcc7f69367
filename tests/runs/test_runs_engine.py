"""The executed copy says at any time how far the notebook has come."""

import json

import nbformat

from workbook_lib.runs.execute import execute_notebook

LOOK = """
import json
from pathlib import Path
(copy,) = Path({folder!r}).glob(".*.growing.ipynb")
cells = json.loads(copy.read_text())["cells"]
print(json.dumps([cell["metadata"]["papermill"]["status"] for cell in cells]))
print([output["text"] for cell in cells for output in cell.get("outputs", [])])
"""


def test_a_cell_that_is_at_work_is_in_the_copy_with_all_that_came_before(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    cells = nbformat.v4
    notebook = cells.new_notebook(
        cells=[
            cells.new_code_cell("print('first')"),
            cells.new_markdown_cell("Text."),
            cells.new_code_cell(LOOK.format(folder=str(folder))),
            cells.new_markdown_cell("More."),
        ]
    )
    path = tmp_path / "reads.ipynb"
    nbformat.write(notebook, path)
    run = execute_notebook(path, folder / path.name, {})
    assert run.ok, run.error
    executed = nbformat.read(run.executed, as_version=4).cells
    statuses, outputs = executed[2].outputs[0].text.splitlines()
    assert json.loads(statuses) == ["completed", "completed", "running", "pending"]
    assert outputs == "[['first\\n']]"
    assert [cell.metadata.papermill.status for cell in executed] == ["completed"] * 4
