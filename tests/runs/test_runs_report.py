"""The page of an executed notebook, as somebody gets it by mail."""

import nbformat

from workbook_lib.runs.report import write_page


def page_of(tmp_path, **metadata):
    cell = nbformat.v4.new_code_cell("folded_away = 1", id="cell", metadata=metadata)
    cell.outputs = [nbformat.v4.new_output("stream", text="what came of it")]
    path = tmp_path / "a page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    before = path.read_bytes()
    text = write_page(path).read_text(encoding="utf-8")
    assert path.read_bytes() == before  # the executed notebook stays as it is
    return text


def test_a_cell_that_is_folded_in_the_notebook_is_folded_on_the_page(tmp_path):
    page = page_of(tmp_path, jupyter={"source_hidden": True})
    assert "folded_away" not in page
    assert "what came of it" in page


def test_another_cell_is_there_and_the_page_has_the_title_of_its_file(tmp_path):
    page = page_of(tmp_path)
    assert "folded_away" in page
    assert "<title>a page</title>" in page
