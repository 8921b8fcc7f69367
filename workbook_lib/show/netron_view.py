"""Netron in a notebook: in a frame where JupyterLab serves it, behind a link elsewhere."""

from __future__ import annotations

import contextlib
import html
import json
import os
import sys
from functools import cached_property
from pathlib import Path

from varhandle.display import Rich, printable
from varhandle.formats import read_graph
from varhandle.formats.saved_model import SAVED_MODEL_FILE
from varhandle.graph.model import ModelFileError
from varhandle.inspection.histogram import op_histogram
from varhandle.inspection.variables import variable_table
from workbook_lib.lesson import progress
from workbook_lib.netron.own_server import OwnServer
from workbook_lib.netron.page import netron_folder
from workbook_lib.netron.tickets import OpenTicket, TicketFolder

_MOST_LINES = 200
_HEADLESS = (
    "In JupyterLab, Netron draws this model here. Nobody can click in this run, so no server was "
    "started."
)
_OWN = (
    "No Jupyter server with the workbook's extension has started this kernel (`make lab` starts "
    "one), so the kernel's machine serves the page, to itself alone, until .close() or the end of "
    "the kernel.",
    "The link is dead where your browser runs on another machine, and in a copy of this page.",
)
_TICKET = (
    "JupyterLab serves this page, behind its own login, until .close() on this result or the end "
    "of the kernel.",
)
# On a light and on a dark page: it takes the page's own colors.
_BUTTON_STYLE = (
    "margin: 0.4em 0; padding: 0.3em 0.9em; font: inherit; color: inherit; "
    "background: transparent; border: 1px solid #8a8a8a; border-radius: 3px; cursor: pointer"
)
_GONE = (
    "Netron drew this model here. It does no longer: the kernel or the view has ended, the file "
    "has changed, or this is a copy of the notebook, outside of JupyterLab. Run the cell in "
    "JupyterLab to see the drawing."
)

# A frame whose address is dead shows the browser's error page, and a copy of a notebook keeps its
# frames. So the frame holds a note, asks first whether the page is there, and only then goes to it,
# takes its height, and uncovers what stands below it. 204: a host that answers everything with a
# page of its own says 200. The note waits a moment, so that it is not seen where it does not hold.
# Netron knows the browser's theme; the script, which is the notebook's, knows the notebook's.
_FRAME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Netron</title>
<style>body {{ margin: 0.6em; background: #fff; color: #212121; font: 14px/1.4 sans-serif }}
p {{ margin: 0; animation: 1s step-end note }} @keyframes note {{ from {{ opacity: 0 }} }}</style>
</head><body><p>{gone}</p><script>
const [probe, page] = {addresses};
const dark = parent.document.body.dataset.jpThemeLight === "false";
fetch(probe, {{credentials: "same-origin"}}).then(answer => {{
  if (answer.status === 204) {{
    frameElement.style.height = "min(600px, 70vh)";
    frameElement.nextElementSibling.hidden = false;
    location.replace(page + (dark ? "&theme=dark" : ""));
  }}
}}, () => {{}});
</script></body></html>"""


class NetronView(Rich):
    """A model shown by Netron, until ``close()`` or the end of the kernel.

    What serves it is this kernel's ticket at its Jupyter server, a server of its own, or, in a run
    in which nobody can click, nothing.
    """

    def __init__(self, model: Path, served: OpenTicket | OwnServer | None) -> None:
        self.model = model
        self.served = served
        self._title = f"Netron: {printable(model.name)}"

    def __repr__(self) -> str:
        state = "text" if self.served is None else "closed" if self.closed else "open"
        return f"NetronView({printable(self.model.name)}, {state})"

    @property
    def url(self) -> str:
        """The page's address; of JupyterLab's, what follows the host; empty if there is none."""
        return self.served.url if self.served else ""

    @property
    def closed(self) -> bool:
        """Whether the page is not served, or no longer."""
        return self.served is None or self.served.closed

    def close(self) -> None:
        """Stop serving the page. Closing twice does no harm."""
        if self.served:
            self.served.close()

    def _notes(self) -> tuple[str, ...]:
        if self.served is None:
            return (_HEADLESS,)
        if self.closed:
            return ()
        return _TICKET if isinstance(self.served, OpenTicket) else _OWN

    def text(self) -> str:
        """Say where the drawing is, and list the model's variables and ops."""
        title = self._title
        if self.served is not None and self.closed:
            title += ", closed."
        elif isinstance(self.served, OwnServer):
            title += f": {self.url}"
        about, lists, _ = self._listing
        return "\n".join([title, *self._notes(), "", about, *lists])

    def html(self) -> str:
        """Set the frame or the link, what to know about it, and the list."""
        title = html.escape(self._title)
        shown = below = f"<p>{'<br>'.join(map(html.escape, self._notes()))}</p>"
        if self.served is not None and self.closed:
            title += ", closed."
        elif isinstance(self.served, OpenTicket):
            shown = self._frame(self.served, below)
        elif self.served is not None:
            shown = (
                f'<p><a href="{html.escape(self.url)}" target="_blank" rel="noopener">'
                f"Open {title} in a tab of the browser</a></p>{below}"
            )
        about, _, lists = self._listing
        return (
            f"<p>{title}</p>{shown}<details{' open' if self.closed else ''}>"
            f"<summary>{html.escape(about)}</summary>{lists}</details>"
        )

    def _frame(self, ticket: OpenTicket, below: str) -> str:
        addresses = json.dumps([ticket.probe, ticket.url]).replace("<", "\\u003c")
        document = _FRAME.format(gone=html.escape(_GONE), addresses=addresses)
        # JupyterLab takes the address of a link for a file's; it leaves that of a form alone.
        action, _, query = ticket.url.partition("?ticket=")
        return (
            f'<iframe srcdoc="{html.escape(document)}" '
            f'title="Netron: the graph of {html.escape(printable(self.model.name))}" width="100%" '
            'style="height: 4em; border: 1px solid #8a8a8a"></iframe>'
            f'<div hidden><form action="{html.escape(action)}" target="_blank">'
            f'<input type="hidden" name="ticket" value="{html.escape(query)}">'
            f'<button type="submit" style="{_BUTTON_STYLE}">Open in a tab of the browser</button>'
            f"</form>{below}</div>"
        )

    @cached_property
    def _listing(self) -> tuple[str, list[str], str]:
        """The model without a drawing: one line about it, its lists as text, and as HTML."""
        try:
            graph = read_graph(self.model)
        except ModelFileError as error:
            return f"No list of its ops: {printable(error, most=None)}", [], ""
        parts = variable_table(graph), op_histogram(graph)
        lines = "\n\n".join(part.text() for part in parts).splitlines()
        markup = "".join(part.html() for part in parts)
        if len(lines) > _MOST_LINES:  # they are stored with the notebook
            rest = f"… {len(lines) - _MOST_LINES} more lines: varhandle inspect has them all"
            lines = [*lines[:_MOST_LINES], rest]
            markup = f"<pre>{html.escape(chr(10).join(lines))}</pre>"
        return f"The same model as text: {graph}", ["", *lines], markup


def view_in_netron(model: str | os.PathLike[str]) -> NetronView:
    """Look at a SavedModel folder, or at a file that Netron reads, in Netron.

    In JupyterLab (and Notebook) with the workbook's extension, Jupyter serves the page, so that it
    is there wherever Jupyter is. Elsewhere a server on the kernel's machine does, behind a link.
    Where nobody can click, the result is the text. Raises ``ModelFileError``: there is no such
    file, or a folder that is no SavedModel; ``ModuleNotFoundError``: Netron is not installed.
    """
    path = Path(model)
    if not path.exists():
        raise ModelFileError(model, "there is no such file or folder")
    if path.is_dir() and not (path / SAVED_MODEL_FILE).is_file():
        raise ModelFileError(model, f"a folder without {SAVED_MODEL_FILE}, so not a SavedModel")
    if _headless():
        return NetronView(path, None)
    netron_folder()
    folder = TicketFolder.of_this_kernel()
    with contextlib.suppress(OSError):  # the server is gone, or its file system knows no locks
        if folder is not None:
            return NetronView(path, folder.write(path))
    return NetronView(path, OwnServer(path))


def _headless() -> bool:
    """Whether nobody can click: told so, or run by a program that takes no keyboard input."""
    if progress.is_off():
        return True
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    # ipykernel's own note on whether input() can be asked; papermill, nbclient and nbval say no.
    return kernel is not None and not getattr(kernel, "_allow_stdin", True)
