"""Serves one model in Netron on 127.0.0.1, in a process of its own, with the standard library.

This is for where no Jupyter server with the workbook's extension is. Netron's own server is not
used: it keeps the model on a class, so that a process can show only one, and it offers every file
beside the model. ``python -m workbook_lib.netron.own_server MODEL`` prints the page's address,
and ends when its standard input does.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

from workbook_lib.netron.model_files import ModelFiles, find_file
from workbook_lib.netron.page import (
    CONTENT_TYPES,
    POLICY,
    QUIET,
    QUIET_NAME,
    netron_folder,
    quiet_page,
)

# Where the library is found from: before the user's own folder, whose files may have any name.
_LIBRARY = Path(__file__).parents[2]


class OwnServer:
    """A server in a process of its own, until ``close()`` or the end of this process.

    It also ends when nothing refers to it any more.
    """

    def __init__(self, model: Path) -> None:
        # A file takes what the server writes: a pipe that nobody reads would fill and block it.
        with tempfile.TemporaryFile("w+") as log:
            # A session of its own: interrupting the kernel must not stop the server.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(model.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=_LIBRARY,
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

    @property
    def closed(self) -> bool:
        """Whether the page is no longer served."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Stop serving the page. Closing twice does no harm."""
        self._end()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    process.communicate()


class NetronServer(ThreadingHTTPServer):
    """Answers below one secret prefix, so that other users of the machine cannot look in."""

    daemon_threads = True

    def __init__(self, netron: Path, model: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.netron = netron
        self.files = ModelFiles(model)
        main = self.files.main
        index = (netron / "index.html").read_text("utf-8")
        self.page = quiet_page(index, f"data/{quote(main)}", main)
        self.prefix = f"/{secrets.token_urlsafe(16)}/"
        self.url = f"http://127.0.0.1:{self.server_port}{self.prefix}"

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
            self._send(CONTENT_TYPES[".html"], self.server.page.encode())
        elif path == QUIET_NAME:
            self._send(CONTENT_TYPES[".js"], QUIET)
        elif path.startswith("data/"):
            self._send_file(
                self.server.files.find(path.removeprefix("data/")), "application/octet-stream"
            )
        else:
            file = find_file(self.server.netron, path)
            self._send_file(file, CONTENT_TYPES.get(Path(path).suffix, ""))

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
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(model: str) -> None:
    """Serve until standard input ends, that is, until the notebook's process closes or dies."""
    server = NetronServer(netron_folder(), Path(model))
    Thread(target=server.serve_forever, daemon=True).start()
    print(server.url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
