"""The HTML report of a run: an index page, and a page for each executed notebook.

A notebook's page is made by nbconvert with the workbook's own template: no script, nothing from
elsewhere, one look.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urldefrag

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML

from varhandle.atomic_write import write_text
from workbook_lib.runs.page import POLICY, TEMPLATES, page_templates, style

if TYPE_CHECKING:
    from workbook_lib.runs.execute import RunReport

# The richest form first that a page without scripts can show. Widgets and JavaScript need one: of
# those outputs, the page shows the next form that they have.
_FORMS = [
    *("text/html", "image/svg+xml", "text/markdown"),
    *("image/png", "image/jpeg", "text/plain"),
]
_ACTIVE = ("script", "iframe", "object", "embed", "link", "meta", "base", "form")


class PageExporter(HTMLExporter):
    """Sets a notebook as a page; its resources are those that ``write_page`` gives."""

    def __init__(self, **options: Any) -> None:
        folders = [str(TEMPLATES)]
        super().__init__(template_name="workbook", extra_template_basedirs=folders, **options)

    @property
    def default_config(self) -> Any:
        """The forms of an output that a page can show, the best first."""
        made = super().default_config
        made.NbConvertBase.display_data_priority = _FORMS
        return made

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """Add the template's filters to those of nbconvert."""
        yield from super().default_filters()
        yield "highlight_code", Highlight2HTML("ipython3", parent=self)
        yield "own_html", _clean_html
        yield "rich_html", _rich_html
        yield "words", _words
        yield "first_line", lambda text: text.partition("\n")[0]
        yield "tag_classes", _tag_classes


@pass_context
def _clean_html(context: Any, markup: str) -> str:
    """Take out of HTML what a page may not have, and lead its links to pages."""
    soup = BeautifulSoup(markup, "html.parser")
    for element in (*soup(_ACTIVE), *soup("a", class_="anchor-link")):
        element.decompose()
    pages = context["resources"]["pages"]
    for link in soup("a", href=True):
        address, fragment = urldefrag(str(link["href"]))
        if address in pages:
            # JupyterLab opens a cell at cell-id=…; on a page it has the id cell-….
            at = re.sub(r"^cell-id=", "cell-", fragment)
            link["href"] = pages[address] + (f"#{at}" if at else "")
    for header in soup("th"):  # above the row's own names, a header that says nothing
        if not header.get_text(strip=True):
            header.name, header.attrs = "td", {}
    for table in soup("table"):
        if not table.find_parent("table"):  # in a box that scrolls, and that the Tab key reaches
            caption = table.find("caption")
            name = caption.get_text(" ", strip=True) if caption else ""
            about = {"class": "wide", "role": "group", "tabindex": "0"}
            table.wrap(soup.new_tag("div", attrs={**about, "aria-label": name or "Table"}))
    for image in soup("img"):
        if not str(image.get("src", "")).startswith("data:"):
            image.replace_with(f"[{image.get('alt', 'picture')}]")
    return str(soup)


@pass_context
def _rich_html(context: Any, output: Any) -> str:
    """Return an output's HTML, or its text where the HTML needs a script or another page."""
    made = _clean_html(context, "".join(output.data["text/html"]))
    soup = BeautifulSoup(made, "html.parser")
    if soup.get_text(strip=True) or soup.find(("img", "svg", "input")):
        return made
    return f"<pre>{html.escape(_words(output))}</pre>"


def _words(output: Any) -> str:
    """Return the text form of an output, which says what its picture shows."""
    own = "".join(output.get("data", {}).get("text/plain", "")).removeprefix("picture: ")
    return own.strip() or "Picture without a description"


def _tag_classes(cell: Any) -> str:
    """Return a cell's tags as classes of its element, a blank before each."""
    return "".join(f" {html.escape(tag)}" for tag in cell.metadata.get("tags", ()))


def write_page(executed: Path, pages: Mapping[str, str] | None = None) -> None:
    """Write the HTML page of an executed notebook beside it.

    ``pages`` maps the file names of the notebooks of a report to the addresses of their pages, so
    that links between them lead to pages; the page then leads to ``index.html`` as well.
    """
    notebook = nbformat.read(executed, as_version=4)
    title = notebook.metadata.get("workbook", {}).get("title") or executed.stem
    resources = {"title": title, "pages": pages or {}, "policy": POLICY, "style": style()}
    body, _ = PageExporter().from_notebook_node(notebook, resources=resources)
    write_text(executed.with_suffix(".html"), str(body))


def write_report(report: RunReport) -> None:
    """Write ``index.html``, and one page for each executed notebook."""
    kept = [run for run in report.notebooks if run.executed.exists()]
    pages = {run.name: quote(run.executed.with_suffix(".html").name) for run in kept}
    for run in kept:
        write_page(run.executed, pages)
    template = page_templates().get_template("run.html.j2")
    passed = sum(run.ok for run in report.notebooks)
    index = template.render(runs=report.notebooks, pages=pages, passed=passed)
    write_text(report.folder / "index.html", index)
