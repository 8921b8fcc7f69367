"""The slide edition: a page for each notebook that is shown on a wall, one slide at a time.

nbconvert's own slides take reveal.js, require.js and jQuery from other hosts, and no package that
we have brings them along. What a workshop needs of them is small: a slide at a time, keys, a
number, paper. The page's own script does that, and one thing that reveal.js does not: it measures
what fits, and goes on to another slide where something does not.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from varhandle.display import panel_html
from workbook_lib.runs.page import POLICY, Place, style

if TYPE_CHECKING:
    from nbformat import NotebookNode

TITLE = "Slides of the VarHandleOp workbook"
LEAD = (
    "One page of slides for each notebook, made from the notebook itself: its text, its code and "
    "what the code showed. Let the room vote on each prediction before you go on."
)
USE = (
    "Arrow keys turn the slides, Home and End go to the first and the last, and S shows or hides "
    "the solutions. Printed, each slide is a sheet."
)
_OWN = Path(__file__).with_name("templates")


def slide_notebook(notebook: NotebookNode) -> NotebookNode:
    """Leave of a notebook what is shown to a room.

    A prediction is its question and its options, for the room to vote on; the comparison is what
    was observed. Their code is left out, as are the set-up and the checks of exercises, which a
    learner needs and a room does not. Solutions stay: the page shows them when it is asked to.

    Args:
        notebook: The executed notebook; it is left as it is.

    Returns:
        A copy.
    """
    kept = []
    in_set_up = False
    for cell in copy.deepcopy(notebook).cells:
        if cell.cell_type == "markdown":
            heading = next((li for li in cell.source.splitlines() if li.startswith("#")), "")
            if heading:
                in_set_up = heading == "## Setting up"
            if not in_set_up:
                kept.append(cell)
        elif cell.cell_type == "code" and not in_set_up:
            if "check" in cell.metadata.get("tags", ()):
                continue
            kept.append(_asked(cell))
    made = copy.copy(notebook)
    made.cells = kept
    return made


def _asked(cell: NotebookNode) -> NotebookNode:
    """Turn a prediction and a comparison into what a room wants to see of it."""
    for output in cell.outputs:
        if "text/html" not in output.get("data", {}):
            continue
        lines = output.data.get("text/plain", "").splitlines()
        observed = [line for line in lines if line.startswith("Observed: ")]
        if lines and lines[0].startswith("Predict: "):
            output.data["text/html"] = _question(lines)
        elif observed and ".compare(" in cell.source:
            output.data["text/html"] = panel_html("neutral", observed[0])
        else:
            continue
        cell.metadata["transient"] = {"remove_source": True}
    return cell


def _question(lines: list[str]) -> str:
    options = "".join(f"<div>{html.escape(li.strip())}</div>" for li in lines if li[:2] == "  ")
    return panel_html("waiting", lines[0], options)


@cache
def _script() -> str:
    return (_OWN / "slides" / "slides.js").read_text(encoding="utf-8")


def policy(script: str) -> str:
    """Return the policy of a page that runs one script, and no other.

    Args:
        script: The script, as it stands between its tags.

    Returns:
        The policy, which names the script by its SHA-256.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"{POLICY}; script-src 'sha256-{digest}'"


def slides_html(notebook: NotebookNode, title: str, place: Place | None = None) -> str:
    """Set an executed notebook as slides.

    Args:
        notebook: The notebook.
        title: What the page is called.
        place: Where it stands among others.

    Returns:
        The page. It needs nothing else, and without scripts it is one long page.
    """
    from workbook_lib.runs.page_exporter import PageExporter

    own_style = (_OWN / "slides" / "slides.css").read_text(encoding="utf-8")
    resources = {
        "title": title,
        "place": place or Place(),
        "policy": policy(_script()),
        "style": style() + own_style,
        "script": _script(),
    }
    exporter = PageExporter("slides", _OWN)
    body, _ = exporter.from_notebook_node(slide_notebook(notebook), resources=resources)
    return str(body)


def write(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    """Write a page of slides for each notebook, and ``index.html``.

    Args:
        notebooks: File name to executed notebook.
        folder: Where to.

    Returns:
        The files, ``index.html`` first.
    """
    from workbook_lib.editions import site

    entries = {name: site.entry(name, notebook) for name, notebook in notebooks.items()}
    placed = site.placed_pages(entries, TITLE)
    texts = {"index.html": site.home_page(entries.values(), TITLE, LEAD, USE)}
    for name, notebook in notebooks.items():
        page = f"{name.removesuffix('.ipynb')}.html"
        texts[page] = slides_html(notebook, entries[name].title, placed[name])
    return site.write_texts(texts, folder)
