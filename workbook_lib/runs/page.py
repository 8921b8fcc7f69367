"""The HTML page of an executed notebook, and the look that every report shares.

A page is one file that needs nothing else: style and pictures are in it, it runs no script and
fetches nothing, and it says so to the browser (Content Security Policy).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from varhandle.atomic_write import write_text

if TYPE_CHECKING:
    import jinja2

#: The folder of nbconvert's template ``workbook``, and of what other pages share with it.
TEMPLATES = Path(__file__).with_name("templates")
#: Forbids a page to run a script and to fetch anything (Content Security Policy, W3C).
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
#: The same as an element of a page's head.
NO_SCRIPTS = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'


@cache
def style() -> str:
    """Return the style sheet that every page carries."""
    return (TEMPLATES / "workbook" / "page.css").read_text(encoding="utf-8")


def page_templates(*folders: Path) -> jinja2.Environment:
    """Return the templates of pages that are not notebooks, and those of more folders.

    All but the style and the policy is escaped.
    """
    import jinja2
    from markupsafe import Markup

    loader = jinja2.FileSystemLoader([*folders, TEMPLATES / "workbook"])
    made = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    made.globals |= {"style": Markup(style()), "policy": Markup(POLICY)}
    return made


def write_page(executed: Path, pages: Mapping[str, str] | None = None) -> Path:
    """Write the HTML page of an executed notebook beside it.

    ``pages`` maps the file names of the notebooks of a report to the addresses of their pages, so
    that links between them lead to pages; the page then leads to ``index.html`` as well.
    """
    import nbformat

    from workbook_lib.runs.page_exporter import PageExporter

    notebook = nbformat.read(executed, as_version=4)
    title = notebook.metadata.get("workbook", {}).get("title") or executed.stem
    resources = {"title": title, "pages": pages or {}, "policy": POLICY, "style": style()}
    body, _ = PageExporter().from_notebook_node(notebook, resources=resources)
    page = executed.with_suffix(".html")
    write_text(page, str(body))
    return page
