"""Netron's page, made quiet, and the files that it may ask for: Netron's own and the model's.

Netron's own page asks an outside service where the reader is, asks to accept cookies, reports
usage, and refuses to work 180 days after its release (Netron 9.3, ``browser.js``). The page
made here has the version ``0.0.0``, with which Netron reports nothing; no date, for which
Netron takes the browser's own clock, so that it has no age; cookies that are never stored; a
policy by which the browser itself refuses any other address; and it leaves the keyboard alone.
"""

from __future__ import annotations

import html
import importlib.util
import re
from pathlib import Path

from varhandle.formats.saved_model import SAVED_MODEL_FILE

#: What of Netron's folder is served, and as what. Its Python files are not.
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
_QUIET_NAME = "quiet.js"
#: Runs before anything of Netron. The page takes any "consent" cookie as an answer; it never gets
#: to store one. And it takes the keyboard when its graph is drawn, while somebody types in the
#: notebook: it gets it only where it has it.
_QUIET = b"""Object.defineProperty(document, 'cookie', {get: () => 'consent=0', set: () => {}});
{
  const { focus } = HTMLElement.prototype;
  HTMLElement.prototype.focus = function (...options) {
    if (document.hasFocus()) {
      focus.apply(this, options);
    }
  };
}
"""


def netron_folder() -> Path:
    """Find the installed Netron, without importing it.

    Raises ``ModuleNotFoundError``: it is not installed.
    """
    spec = importlib.util.find_spec("netron")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("Netron is not installed: pip install netron", name="netron")
    return Path(spec.origin).parent


def offline_page(file: str, name: str) -> str:
    """Rewrite Netron's page so that it opens the model at an address and talks to nobody else.

    Raises ``ValueError``: the page is not as expected, so nothing is promised about it.
    """
    about = {"type": "Python", "version": "0.0.0", "date": ""}
    about |= {"file": file, "name": name, "identifier": name}
    metas = "\n".join(
        f'<meta name="{key}" content="{html.escape(value, quote=True)}">'
        for key, value in about.items()
    )
    index = (netron_folder() / "index.html").read_text("utf-8")
    index = _replace(index, r'<meta name="version" content="[^"]*">', metas)
    index = _replace(index, r'<meta name="date" content="\d[^"]*">', "")
    first = f'<script type="text/javascript" src="{_QUIET_NAME}"></script>\n'
    return _replace(index, r"(?=<script )", first)


def with_dark_style(style: str) -> str:
    """Turn what Netron keeps for dark screens on, whatever the browser's own preference.

    Raises ``ValueError``: it has no dark form.
    """
    return _replace(style, r"\(prefers-color-scheme: dark\)", "all", count=0)


def _replace(text: str, pattern: str, new: str, count: int = 1) -> str:
    text, found = re.subn(pattern, lambda _: new, text, count=count)
    if not found:
        raise ValueError(f"this Netron's page has no {pattern}")
    return text


def netron_file(name: str) -> tuple[str, bytes] | None:
    """Read one of Netron's own files that are served: its content type and its content."""
    if name == _QUIET_NAME:
        return CONTENT_TYPES[".js"], _QUIET
    content_type, file = CONTENT_TYPES.get(Path(name).suffix), _find(netron_folder(), name)
    return (content_type, file.read_bytes()) if content_type and file else None


def main_file(model: Path) -> str:
    """Return the name of the file of a model that a page opens first."""
    return SAVED_MODEL_FILE if model.is_dir() else model.name


def model_file(model: Path, relative: str) -> Path | None:
    """Look for a file of a model: a file alone, or one below a SavedModel folder.

    The main file may be a link that leads out of the folder, as caches lay them out.
    """
    if relative == main_file(model):
        path = model / relative if model.is_dir() else model
        return path if path.is_file() else None
    return _find(model, relative) if model.is_dir() else None


def _find(root: Path, relative: str) -> Path | None:
    """Look for a file below a folder."""
    try:
        path = (root / relative).resolve()
        return path if path.is_file() and path.is_relative_to(root.resolve()) else None
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return None
