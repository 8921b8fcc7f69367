"""Pictures of a lesson's text come along where the notebook is copied to."""

import base64

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbook_lib.locations import project_root
from workbook_lib.runs.execute import execute_notebook
from workbook_lib.runs.pictures import embed_pictures

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><title>a handle</title></svg>'


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "lessons"
    (made / "pictures").mkdir(parents=True)
    (made / "pictures" / "a.svg").write_text(SVG, encoding="utf-8")
    return made


def test_a_picture_is_in_the_copy_and_a_missing_one_stays_a_link(folder):
    text = "![one](pictures/a.svg) ![two](pictures/b.svg)"
    notebook = new_notebook(cells=[new_markdown_cell(text), new_code_cell(text)])
    embed_pictures(notebook, folder)
    cell = notebook.cells[0]
    assert cell.source == "![one](attachment:a.svg) ![two](pictures/b.svg)"
    content = base64.b64decode(cell.attachments["a.svg"]["image/svg+xml"])
    assert content.decode("utf-8") == SVG
    assert notebook.cells[1].source == text


def test_an_executed_notebook_shows_it_elsewhere(folder, tmp_path):
    path = folder / "00_one.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("![one](pictures/a.svg)")]), path)
    result = execute_notebook(path, tmp_path / "executed.ipynb", {})
    assert result.ok
    page, _ = HTMLExporter().from_notebook_node(nbformat.read(result.executed, as_version=4))
    assert "data:image/svg+xml;base64," in page


def test_every_picture_of_the_lessons_is_there_and_described():
    for path in (project_root() / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        embed_pictures(notebook, path.parent)
        for cell in notebook.cells:
            assert "](pictures/" not in cell.source, f"{path.name}: {cell.id} has no such picture"
            assert "![](" not in cell.source, f"{path.name}: {cell.id} has a picture without words"
