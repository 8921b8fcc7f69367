"""Serves one model in Netron on 127.0.0.1; run as a process of its own, standard library only.

Netron's own server is not used, for three reasons: it keeps the model on a class, so that a
process can show only one; it offers every file beside the model; and its page asks an outside
service where the reader is, asks to accept cookies, reports usage, and refuses to work 180
days after its release. The page served here has the version ``0.0.0`` (no reports) and the
date of today, keeps no cookies, and may by its policy talk to this server alone.

Usage: ``python -I netron_server.py NETRON_FOLDER MODEL``. Prints the page's address, and ends
when its standard input does.
"""

from __future__ import annotations

import html
import re
import secrets
import shutil
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
# The page takes any "consent" cookie as an answer; it never gets to store one.
_NO_COOKIES = b"Object.defineProperty(document, 'cookie', {get: () => 'consent=0', set: () => {}});"


def quiet_page(index: str, file: str, name: str) -> str:
    """Rewrite Netron's page so that it opens a model and talks to nobody else.

    Args:
        index: Netron's ``index.html``.
        file: The model's address, relative to the page.
        name: The model's name, as the page shows it.

    Returns:
        The page.

    Raises:
        ValueError: The page is not as expected, so nothing is promised about it.
    """
    today = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    metas = "\n".join(
        f'<meta name="{key}" content="{html.escape(value, quote=True)}">'
        for key, value in (
            ("type", "Python"),
            ("version", "0.0.0"),
            ("file", file),
            ("name", name),
            ("identifier", name),
        )
    )
    for pattern, replacement in (
        (r'<meta name="version" content="[^"]*">', metas),
        (r'<meta name="date" content="[^"]*">', f'<meta name="date" content="{today}">'),
        (r"(?=<script )", '<script type="text/javascript" src="no-cookies.js"></script>\n'),
    ):
        found = re.search(pattern, index)
        if found is None:
            raise ValueError(f"this Netron's index.html has no {pattern}")
        index = index[: found.start()] + replacement + index[found.end() :]
    return index


def find_file(root: Path, relative: str) -> Path | None:
    """Look for a file below a folder.

    Args:
        root: The folder.
        relative: The file's path below it, as a browser asks for it.

    Returns:
        The file, its links followed; ``None`` if it is not there, not below the folder, or no
        file can have such a name.
    """
    try:
        path = (root / relative).resolve()
        return path if path.is_file() and path.is_relative_to(root.resolve()) else None
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return None


class NetronServer(ThreadingHTTPServer):
    """Answers below one secret prefix, so that other users of the machine cannot look in."""

    daemon_threads = True

    def __init__(self, netron: Path, model: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.netron = netron
        self.root = model if model.is_dir() else model.parent
        self.is_folder = model.is_dir()
        self.main = "saved_model.pb" if model.is_dir() else model.name
        self.page = quiet_page(
            (netron / "index.html").read_text("utf-8"), f"data/{quote(self.main)}", self.main
        )
        self.prefix = f"/{secrets.token_urlsafe(16)}/"
        self.url = f"http://127.0.0.1:{self.server_port}{self.prefix}"

    def model_file(self, relative: str) -> Path | None:
        """Look for a file of the model.

        Args:
            relative: Its path below the model's folder.

        Returns:
            A file of the folder, or the one file that was asked for; ``None`` for any other.
            The main file may be a link that leads out of the folder, as caches lay them out.
        """
        if relative == self.main:
            path = self.root / relative
            return path if path.is_file() else None
        return find_file(self.root, relative) if self.is_folder else None

    def handle_error(self, *_: object) -> None:
        """Say nothing: a browser that hangs up is no news, and nobody reads what is written."""


class _Handler(BaseHTTPRequestHandler):
    server: NetronServer

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if not path.startswith(self.server.prefix):
            self.send_error(404)
            return
        path = path.removeprefix(self.server.prefix)
        if path in ("", "index.html"):
            self._send(_TYPES[".html"], self.server.page.encode())
        elif path == "no-cookies.js":
            self._send(_TYPES[".js"], _NO_COOKIES)
        elif path.startswith("data/"):
            self._send_file(
                self.server.model_file(path.removeprefix("data/")), "application/octet-stream"
            )
        else:
            file = find_file(self.server.netron, path)
            self._send_file(file, _TYPES.get(Path(path).suffix, ""))

    def _send_file(self, file: Path | None, content_type: str) -> None:
        if file is None or not content_type:
            self.send_error(404)
            return
        with file.open("rb") as stream:
            self._send_headers(content_type, file.stat().st_size)
            shutil.copyfileobj(stream, self.wfile)

    def _send(self, content_type: str, content: bytes) -> None:
        self._send_headers(content_type, len(content))
        self.wfile.write(content)

    def _send_headers(self, content_type: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(netron: str, model: str) -> None:
    """Serve until standard input ends, that is, until the notebook's process closes or dies.

    Args:
        netron: The folder of the Netron package.
        model: The model.
    """
    server = NetronServer(Path(netron), Path(model))
    Thread(target=server.serve_forever, daemon=True).start()
    print(server.url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
