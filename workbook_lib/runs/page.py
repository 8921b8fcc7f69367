"""The HTML page of an executed notebook, and the look that every page of the workbook shares.

A page is one file that needs nothing else: style and pictures are in it, it runs no script and
fetches nothing, and it says so to the browser (Content Security Policy).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.atomic_write import write_text

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).with_name("templates")
"""The folder of nbconvert's template ``workbook``, and of what other pages share with it."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
"""Forbids a page to run a script and to fetch anything (Content Security Policy, W3C)."""

NO_SCRIPTS = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
"""The policy, as an element of a page's head."""


@dataclass(frozen=True)
class Link:
    """Where a link leads."""

    address: str  # seen from the page; already quoted as an address is
    title: str  # what it is called


@dataclass(frozen=True)
class Place:
    """Where a page stands among others."""

    home: Link | None = None  # the page that lists them
    before: Link | None = None  # the page before it
    after: Link | None = None  # the page after it
    pages: Mapping[str, str] = field(default_factory=dict)

    @property
    def leads_somewhere(self) -> bool:
        """Whether there is any other page."""
        return any((self.home, self.before, self.after))


def places(links: Mapping[str, Link], home: Link) -> dict[str, Place]:
    """Place pages one after the other."""
    names = list(links)
    pages = {name: link.address for name, link in links.items()}
    return {
        name: Place(
            home,
            links[names[at - 1]] if at else None,
            links[names[at + 1]] if at + 1 < len(names) else None,
            pages,
        )
        for at, name in enumerate(names)
    }


@cache
def style() -> str:
    """Return the style sheet that every page carries."""
    return (TEMPLATES / "workbook" / "page.css").read_text(encoding="utf-8")


def environment(*folders: Path) -> jinja2.Environment:
    """Make the Jinja environment of pages that are not notebooks."""
    import jinja2
    from markupsafe import Markup

    loader = jinja2.FileSystemLoader([*folders, TEMPLATES / "workbook"])
    made = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    made.globals |= {"style": Markup(style()), "policy": Markup(POLICY)}
    return made


def write_page(executed: Path, place: Place | None = None) -> Path:
    """Write the HTML page of an executed notebook beside it."""
    import nbformat

    page = executed.with_suffix(".html")
    notebook = nbformat.read(executed, as_version=4)
    write_text(page, page_html(notebook, executed.stem, place))
    return page


def page_html(notebook: Any, title: str, place: Place | None = None) -> str:
    """Set an executed notebook as a page."""
    from workbook_lib.runs.page_exporter import PageExporter

    resources = {
        "title": notebook.metadata.get("workbook", {}).get("title") or title,
        "place": place or Place(),
        "policy": POLICY,
        "style": style(),
    }
    body, _ = PageExporter().from_notebook_node(notebook, resources=resources)
    return str(body)
