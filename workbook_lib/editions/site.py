"""The site: a page for each executed notebook, and a page that lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from varhandle.atomic_write import write_all
from workbook_lib.runs.page import Link, Place, environment, page_html, places

if TYPE_CHECKING:
    from nbformat import NotebookNode

TITLE = "The VarHandleOp workbook"
LEAD = (
    "You asked TensorFlow for a .tflite file, and the converter stopped at VarHandleOp. These "
    "lessons bring the failure about, look at the graph, and lead to a file that answers as the "
    "model does."
)
USE = (
    "These pages show the notebooks after a run. To predict, to change the code and to have your "
    "change checked, open them in JupyterLab: make lab."
)
_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Entry:
    """A line of a list of notebooks.

    Attributes:
        address: Of the page; quoted.
        title: Number and title, as far as the notebook has them.
        question: The question that it answers; may be empty.
        minutes: To read and to do; empty if the notebook does not say.
    """

    address: str
    title: str
    question: str
    minutes: tuple[int, ...]


def entry(name: str, notebook: NotebookNode) -> Entry:
    """Describe the page of a notebook.

    Args:
        name: File name of the notebook.
        notebook: The notebook, whose metadata say what it is about.

    Returns:
        Its line in a list.
    """
    about = notebook.metadata.get("workbook", {})
    stem = name.removesuffix(".ipynb")
    number = f"{stem[:2]} · " if stem[:2].isdigit() else ""
    minutes = tuple(about[key] for key in ("read_minutes", "do_minutes") if key in about)
    title = f"{number}{about['title']}" if "title" in about else stem
    return Entry(quote(f"{stem}.html"), title, about.get("question", ""), minutes)


def home_page(entries: Iterable[Entry], title: str, lead: str, use: str) -> str:
    """Set the page that lists the others.

    Args:
        entries: Its lines.
        title: What it is called.
        lead: What this is, in a few sentences.
        use: What to do with it.

    Returns:
        The page.
    """
    template = environment(_TEMPLATES / "site").get_template("home.html.j2")
    return template.render(title=title, lead=lead, use=use, pages=list(entries))


def placed_pages(entries: Mapping[str, Entry], title: str) -> dict[str, Place]:
    """Place the pages of notebooks one after the other.

    Args:
        entries: File name of each notebook to its line in the list.
        title: Of the page that lists them, ``index.html``.

    Returns:
        File name to place.
    """
    links = {name: Link(one.address, one.title) for name, one in entries.items()}
    return places(links, Link("index.html", title))


def write(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    """Write the pages, and ``index.html``. They work from a disk and below any address.

    Args:
        notebooks: File name to executed notebook, in order.
        folder: Where to.

    Returns:
        The files, ``index.html`` first.
    """
    entries = {name: entry(name, notebook) for name, notebook in notebooks.items()}
    placed = placed_pages(entries, TITLE)
    texts = {"index.html": home_page(entries.values(), TITLE, LEAD, USE)}
    for name, notebook in notebooks.items():
        page = f"{name.removesuffix('.ipynb')}.html"
        texts[page] = page_html(notebook, entries[name].title, placed[name])
    return write_texts(texts, folder)


def write_texts(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write files, all or none.

    Args:
        texts: Name to what it holds.
        folder: Where to.

    Returns:
        The files.
    """
    write_all({folder / name: text.encode() for name, text in texts.items()})
    return [folder / name for name in texts]
