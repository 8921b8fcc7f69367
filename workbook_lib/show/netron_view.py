"""Netron in a notebook, where the browser and the kernel share a machine."""

from __future__ import annotations

import html
import importlib.util
import os
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

from workbook_lib.graph.model import ModelFileError
from workbook_lib.rendering import Rich, printable

_SERVER = Path(__file__).with_name("netron_server.py")


class NetronView(Rich):
    """A model shown by Netron, in a frame, until ``close()`` or the end of the kernel.

    Keep it under a name: when nothing refers to it any more, its server ends.

    Attributes:
        model: The model that is shown.
        url: The page's address, on this machine alone.
    """

    def __init__(self, model: Path, netron: Path) -> None:
        self.model = model
        # A file takes what the server writes: a pipe that nobody reads would fill and block it.
        with tempfile.TemporaryFile("w+") as log:
            # A session of its own: interrupting the kernel must not stop the server.
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_SERVER), str(netron), str(model.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            self._end = weakref.finalize(self, _end, self._process)
            assert self._process.stdout is not None
            self.url = self._process.stdout.readline().strip()
            if not self.url:
                self.close()
                log.seek(0)
                error = log.read().strip().splitlines()
                raise RuntimeError(f"Netron did not start: {error[-1] if error else 'no reason'}")

    def __repr__(self) -> str:
        return f"NetronView({self.model.name}, {'closed' if self.closed else 'open'})"

    @property
    def closed(self) -> bool:
        """Whether the page is no longer served."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Stop serving the page. Closing twice does no harm."""
        self._end()

    def text(self) -> str:
        """Say what is shown, from where, and how to stop it; without the port, which changes."""
        if self.closed:
            return f"Netron: {printable(self.model.name)}, closed."
        return (
            f"Netron: {printable(self.model.name)}\n"
            "Your own machine serves this page, to itself alone; nothing is sent anywhere else.\n"
            "It stays empty where the kernel runs on another machine than the browser "
            "(JupyterHub, Binder).\n"
            "To stop it, call .close() on this result; it also stops with the kernel."
        )

    def html(self) -> str:
        """Set the frame, a link to the same page, and the text."""
        if self.closed:
            return f"<p>{html.escape(self.text())}</p>"
        url, name = (
            html.escape(self.url, quote=True),
            html.escape(printable(self.model.name), quote=True),
        )
        title, *notes = self.text().splitlines()
        return (
            f'<p>{html.escape(title)} (<a href="{url}" target="_blank" rel="noopener">'
            f"open in a tab of its own</a>)</p>"
            f'<iframe src="{url}" title="Netron: the graph of {name}" width="100%" height="600" '
            'style="border: 1px solid var(--jp-border-color1, #9e9e9e)"></iframe>'
            f"<p>{'<br>'.join(map(html.escape, notes))}</p>"
        )


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    process.communicate()


def netron(model: str | os.PathLike[str]) -> NetronView:
    """Look at a model in Netron.

    Args:
        model: A SavedModel folder, or a ``.tflite``, ``.keras`` or other file Netron reads.

    Returns:
        The view: shown in a frame by a notebook; ``.url`` for a browser, ``.close()`` to stop.
        It also stops when nothing refers to the view any more.

    Raises:
        ModelFileError: There is no such file, or a folder that is no SavedModel.
        ModuleNotFoundError: Netron is not installed.
    """
    path = Path(model)
    if not path.exists():
        raise ModelFileError(model, "there is no such file or folder")
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise ModelFileError(model, "a folder without saved_model.pb, so not a SavedModel")
    spec = importlib.util.find_spec("netron")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("Netron is not installed: pip install netron", name="netron")
    return NetronView(path, Path(spec.origin).parent)
