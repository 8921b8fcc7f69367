"""The look that every page of a report shares.

A page is one file that needs nothing else: style and pictures are in it, it runs no script and
fetches nothing, and it says so to the browser (Content Security Policy).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

#: The folder of nbconvert's template ``workbook``, and of what other pages share with it.
TEMPLATES = Path(__file__).with_name("templates")
#: Forbids a page to run a script and to fetch anything (Content Security Policy, W3C).
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


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
