"""Netron's page, made quiet: it opens one model and talks to the server it came from alone.

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
from collections.abc import Callable
from pathlib import Path

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
QUIET_NAME = "quiet.js"
#: Runs before anything of Netron. The page takes any "consent" cookie as an answer; it never gets
#: to store one. And it takes the keyboard when its graph is drawn, while somebody types in the
#: notebook: it gets it only where it has it.
QUIET = b"""Object.defineProperty(document, 'cookie', {get: () => 'consent=0', set: () => {}});
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


def quiet_page(index: str, file: str, name: str) -> str:
    """Rewrite Netron's page so that it opens a model and talks to nobody else.

    Raises ``ValueError``: the page is not as expected, so nothing is promised about it.
    """
    metas = "\n".join(
        f'<meta name="{key}" content="{html.escape(value, quote=True)}">'
        for key, value in (
            ("type", "Python"),
            ("version", "0.0.0"),
            ("date", ""),
            ("file", file),
            ("name", name),
            ("identifier", name),
        )
    )
    index = _replace(index, r'<meta name="version" content="[^"]*">', lambda _: metas)
    index = _replace(index, r'<meta name="date" content="\d[^"]*">', lambda _: "")
    first = f'<script type="text/javascript" src="{QUIET_NAME}"></script>\n'
    return _replace(index, r"(?=<script )", lambda _: first)


def dark(style: str) -> str:
    """Turn what Netron keeps for dark screens on, whatever the browser's own preference.

    Raises ``ValueError``: it has no dark form.
    """
    return _replace(style, r"\(prefers-color-scheme: dark\)", lambda _: "all", count=0)


def _replace(text: str, pattern: str, new: Callable[[re.Match[str]], str], count: int = 1) -> str:
    text, found = re.subn(pattern, new, text, count=count)
    if not found:
        raise ValueError(f"this Netron's page has no {pattern}")
    return text
