"""The page of an executed notebook in a report: nothing on it runs or fetches."""

import base64
import re

import nbformat

from workbook_lib.runs.page import write_page


def page_of(tmp_path, *outputs, markdown="# A title"):
    """Return the text of the page of a notebook with these outputs."""
    cell = nbformat.v4.new_code_cell("x", id="x", outputs=list(outputs))
    cells = [nbformat.v4.new_markdown_cell(markdown, id="m"), cell]
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return write_page(path).read_text(encoding="utf-8")


def shown(**data):
    forms = {name.replace("__", "/").replace("_svg", "svg+xml"): v for name, v in data.items()}
    return nbformat.v4.new_output("display_data", forms)


def test_what_runs_or_fetches_is_taken_out_of_an_output(tmp_path):
    markup = (
        '<b>kept</b><script>alert(1)</script><iframe src="http://127.0.0.1:8080"></iframe>'
        '<img alt="far" src="https://example.org/x.png"><link href="https://example.org/x.css">'
    )
    page = page_of(tmp_path, shown(text__html=markup, text__plain="words"))
    assert "<b>kept</b>" in page
    assert "[far]" in page
    assert not re.search(r"alert|iframe|example\.org|127\.0\.0\.1", page)


def test_an_output_that_is_only_a_frame_shows_its_words(tmp_path):
    frame = '<iframe src="http://127.0.0.1:8080"></iframe>'
    page = page_of(tmp_path, shown(text__html=frame, text__plain="Netron shows <model>"))
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
