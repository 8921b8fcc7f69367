"""The page of an executed notebook, as somebody gets it by mail."""

import nbformat
import pytest
from bs4 import BeautifulSoup

from workbook_lib.runs.page import write_page


@pytest.mark.parametrize("folded", [True, False])
def test_a_cell_is_folded_on_the_page_as_in_the_notebook(tmp_path, folded):
    metadata = {"jupyter": {"source_hidden": True}} if folded else {}
    cell = nbformat.v4.new_code_cell("folded_away = 1", id="cell", metadata=metadata)
    cell.outputs = [nbformat.v4.new_output("stream", text="what came of it")]
    path = tmp_path / "a page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    page = BeautifulSoup(write_page(path).read_text(encoding="utf-8"), "html.parser")
    (source,) = page.select("#cell-cell .source")
    assert "folded_away" in source.get_text()  # one click away, and found by a search
    closed = source.find_parent("details")
    assert (closed is not None) == folded
    assert not folded or not closed.has_attr("open")
    (output,) = page.select("#cell-cell .outputs")
    assert output.find_parent("details") is None
