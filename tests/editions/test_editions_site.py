"""The site: its pages lead to one another, describe their pictures, and need nothing else."""

import base64
import json
import re
import shutil

import nbformat
import pytest
from site_rules import Page, faults, read

from workbook_lib.editions import make_edition
from workbook_lib.lesson.outline import outline
from workbook_lib.runs import all_notebooks
from workbook_lib.runs.page import write_page

BROKEN = {
    "a dead link": (r'href="02_inspect_the_graph\.html"', 'href="02_gone.html"', "leads nowhere"),
    "a dead anchor": (r'href="#key-points"', 'href="#key-pointz"', "names a place"),
    "a link to the disk": (r'href="index\.html"', 'href="/index.html"', "out of the folder"),
    "a picture without words": (r'(<img [^>]*?)alt="[^"]+"', r'\1alt=""', "a picture says ''"),
    "a picture without alt": (r'(<img [^>]*?)alt="[^"]+"', r"\1", "a picture says None"),
    "a level left out": (r"<h2( [^>]*)>", r"<h4\1>", "goes from level 1 to 4"),
    "two titles": (r"<h2( [^>]*)>", r"<h1\1>", "headings of the first level"),
    "a script": (r"</body>", '<script src="https://example.org/x.js"></script></body>', "fetches"),
    "a script of its own": (r"</body>", "<script>1</script></body>", "runs 1 scripts"),
    "a style": (r"<style>", "<style>@import 'https://example.org/x.css';", "a style fetches"),
    "a font": (r"<style>", "<style>p { src: url(https://example.org/x.woff) }", "a style fetches"),
    "a picture elsewhere": (
        r'<img ([^>]*?)src="[^"]+"',
        r'<img \1src="https://example.org/x.png"',
        "fetches",
    ),
    "a frame": (r"</body>", '<iframe src="data:,x"></iframe></body>', "holds <iframe>"),
    "no policy": (r"default-src 'none'", "default-src *", "does not forbid"),
    "no language": (r'<html lang="en">', "<html>", "language"),
    "an id twice": (r"</body>", '<p id="lesson"></p></body>', "twice"),
}


def test_the_site_keeps_every_rule(site):
    assert len(read(site.folder)) == len(all_notebooks()) + 1
    assert faults(site.folder) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_page_breaks_a_rule(site, tmp_path, name):
    pattern, replacement, said = BROKEN[name]
    folder = shutil.copytree(site.folder, tmp_path / "site")
    page = folder / "01_reproduce_the_failure.html"
    if "img" in pattern:
        page = folder / "02_inspect_the_graph.html"
    text, count = re.subn(pattern, replacement, page.read_text(encoding="utf-8"), count=1)
    assert count == 1
    page.write_text(text, encoding="utf-8")
    found = faults(folder)
    assert any(page.name in line and said in line for line in found), found


def test_the_first_page_lists_what_the_notebooks_say_of_themselves(site):
    text = (site.folder / "index.html").read_text(encoding="utf-8")
    rows = re.findall(r'<tr><th scope="row".*?</tr>', text, re.DOTALL)
    assert len(rows) == len(outline())
    for row, about in zip(rows, outline(), strict=True):
        assert f'href="{about.file.removesuffix(".ipynb")}.html"' in row
        assert f"{about.number} · {about.title}" in row
        assert about.question in row
        assert f"{about.read_minutes} + {about.do_minutes}" in row


def test_every_page_leads_home_and_to_its_neighbors(site):
    pages = [path for path in site.files if path.name != "index.html"]
    for at, path in enumerate(pages):
        tags = Page(path.read_text(encoding="utf-8")).tags
        leads = {own.get("rel"): own["href"] for tag, own in tags if tag == "a" and "rel" in own}
        expected = {"prev": pages[at - 1].name if at else None}
        expected["next"] = pages[at + 1].name if at + 1 < len(pages) else None
        assert leads == {rel: name for rel, name in expected.items() if name}
        assert "index.html" in Page(path.read_text(encoding="utf-8")).links


def test_no_link_leads_to_a_notebook(site):
    for name, page in read(site.folder).items():
        assert not [link for link in page.links if ".ipynb" in link], name


def test_the_contents_list_every_section_and_exercise(site):
    for path in all_notebooks():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        prose = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        wanted = sum(len(re.findall(r"^###? ", text, re.MULTILINE)) for text in prose)
        page = read(site.folder)[f"{path.stem}.html"]
        listed = [link for link in page.links if link.startswith("#") and link != "#lesson"]
        assert len(listed) == wanted, path.name


def test_all_that_the_notebooks_printed_is_on_the_pages(site):
    for path in all_notebooks():
        page = (site.folder / f"{path.stem}.html").read_text(encoding="utf-8")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                if output["output_type"] == "stream":
                    first = "".join(output["text"]).split("\n")[0]
                    escaped = first.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
                    assert escaped in page, (path.name, cell["id"])


def test_solutions_are_folded(site):
    for path in all_notebooks():
        solutions = path.read_text(encoding="utf-8").count("<details><summary>Solution")
        page = (site.folder / f"{path.stem}.html").read_text(encoding="utf-8")
        assert page.count("<details><summary>Solution") == solutions


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


def test_a_diagram_is_its_drawing_with_words_and_not_its_source(tmp_path):
    forms = {
        "text/vnd.mermaid": "flowchart TD",
        "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "text/plain": "Flow of step\na -> b",
    }
    page = page_of(tmp_path, nbformat.v4.new_output("display_data", forms))
    assert "flowchart TD" not in page
    assert 'alt="Flow of step"' in page
    assert "a -&gt; b" in page
    drawn = re.search(r"svg\+xml;base64,([^\"]+)", page)[1]
    assert base64.b64decode(drawn) == forms["image/svg+xml"].encode()


def test_a_diagram_without_a_drawing_is_its_words(tmp_path):
    page = page_of(tmp_path, shown(text__vnd_mermaid="flowchart TD", text__plain="a -> b"))
    assert "<pre>a -&gt; b</pre>" in page


def test_two_headings_of_one_name_have_ids_of_their_own(tmp_path):
    page = Page(page_of(tmp_path, markdown="# A\n\n## Why *so*?\n\n## Why so\n\n## 2 · <&>"))
    assert {"why-so", "why-so-2", "2"} <= set(page.ids)


def test_a_notebook_without_a_title_gets_its_files(tmp_path):
    page = page_of(tmp_path, markdown="Nothing but text.")
    assert "<h1>one</h1>" in page


def test_names_are_escaped(tmp_path):
    source = tmp_path / "<b>&.ipynb"
    nbformat.write(nbformat.v4.new_notebook(metadata={"workbook": {"question": "<i>?"}}), source)
    made = make_edition("html", [source], tmp_path / "out", run=False)
    text = made.files[0].read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "<i>" not in text
    assert faults(tmp_path / "out") == []
