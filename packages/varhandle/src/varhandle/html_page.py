"""The frame of a page that is one file: it needs no server, and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path

from varhandle.display import printable

_STYLE = Path(__file__).with_name("html_page.css")


def page_html(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """Return a page. ``body``, ``style`` and ``script`` are the caller's own, names in it escaped.

    The browser runs ``script`` and nothing else, and fetches nothing (Content Security Policy).
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    runs = f"; script-src 'sha256-{digest}'" if script else ""
    every_style = _STYLE.read_text(encoding="utf-8") + style
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'; img-src data:{runs}\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(printable(title))}</title>\n<style>\n{every_style}</style>\n"
        f"</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"{f'<script>{script}</script>' if script else ''}</body>\n</html>\n"
    )
