"""The page of an executed notebook in a report: nothing on it runs or fetches."""

import base64
import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from workbook_lib.runs.report import write_page


def page_of(tmp_path, *outputs, markdown="# A title", **metadata):
    """Return the text of the page of a notebook with these outputs."""
    cell = nbformat.v4.new_code_cell("x = 1", id="x", outputs=list(outputs), metadata=metadata)
    cells = [nbformat.v4.new_markdown_cell(markdown, id="m"), cell]
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    write_page(path)
    return path.with_suffix(".html").read_text(encoding="utf-8")


def shown(**forms):
    return nbformat.v4.new_output(
        "display_data", {f"text/{name}": it for name, it in forms.items()}
    )


def test_what_runs_or_fetches_is_taken_out_of_an_output(tmp_path):
    markup = (
        '<b>kept</b><script>alert(1)</script><iframe src="http://127.0.0.1:8080"></iframe>'
        '<img alt="far" src="https://example.org/x.png"><link href="https://example.org/x.css">'
    )
    page = page_of(tmp_path, shown(html=markup, plain="words"))
    assert "<b>kept</b>" in page
    assert "[far]" in page
    assert not re.search(r"alert|iframe|example\.org|127\.0\.0\.1", page)


def test_an_output_that_is_only_a_frame_shows_its_words(tmp_path):
    frame = '<iframe src="http://127.0.0.1:8080"></iframe>'
    page = page_of(tmp_path, shown(html=frame, plain="Netron shows <model>"))
    assert "<pre>Netron shows &lt;model&gt;</pre>" in page


def test_an_svg_output_is_a_picture_with_its_words(tmp_path):
    forms = {
        "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "text/plain": "Flow of step\na -> b",
    }
    page = page_of(tmp_path, nbformat.v4.new_output("display_data", forms))
    assert 'alt="Flow of step"' in page
    assert "a -&gt; b" in page
    drawn = re.search(r"svg\+xml;base64,([^\"]+)", page)[1]
    assert base64.b64decode(drawn) == forms["image/svg+xml"].encode()


def test_a_heading_can_be_linked_to_and_has_no_empty_link(tmp_path):
    page = page_of(tmp_path, markdown="# A title\n\n## Why *so*?")
    assert re.search(r'<h2 id="Why-so\?">Why <em>so</em>\?</h2>', page)
    assert "anchor-link" not in page


def test_a_notebook_without_a_title_gets_its_files(tmp_path):
    page = page_of(tmp_path, markdown="Nothing but text.")
    assert "<h1>one</h1>" in page


@pytest.mark.parametrize("folded", [True, False])
def test_a_cell_is_folded_on_the_page_as_in_the_notebook(tmp_path, folded):
    output = nbformat.v4.new_output("stream", text="what came of it")
    markup = page_of(tmp_path, output, jupyter={"source_hidden": folded})
    page = BeautifulSoup(markup, "html.parser")
    (source,) = page.select("#cell-x .source")
    assert "x" in source.get_text()  # one click away, and found by a search
    closed = source.find_parent("details")
    assert (closed is not None) == folded
    assert not folded or not closed.has_attr("open")
    (output,) = page.select("#cell-x .outputs")
    assert output.find_parent("details") is None
