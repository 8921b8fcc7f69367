"""Serves one model in Netron on 127.0.0.1, from a thread, with the standard library.

This is for where no Jupyter server with the workbook's extension is. Netron's own server is not
used: it keeps the model on a class, so that a process can show only one, and it offers every file
beside the model.
"""

from __future__ import annotations

import secrets
import shutil
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from workbook_lib.netron.page import (
    CONTENT_TYPES,
    POLICY,
    main_file,
    model_file,
    netron_file,
    offline_page,
)


class OwnServer:
    """A server until ``close()``, until nothing refers to it any more, or this process ends."""

    def __init__(self, model: Path) -> None:
        server = _Server(model.absolute())
        Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}{server.prefix}"
        self._end = weakref.finalize(self, _end, server)

    @property
    def closed(self) -> bool:
        """Whether the page is no longer served."""
        return not self._end.alive

    def close(self) -> None:
        """Stop serving the page. Closing twice does no harm."""
        self._end()


def _end(server: _Server) -> None:
    server.shutdown()
    server.server_close()


class _Server(ThreadingHTTPServer):
    """Answers below one secret prefix, so that other users of the machine cannot look in."""

    daemon_threads = True

    def __init__(self, model: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        main = main_file(model)
        self.page = offline_page(f"data/{quote(main)}", main).encode()
        self.prefix = f"/{secrets.token_urlsafe(16)}/"

    def handle_error(self, *_: object) -> None:
        """Say nothing: a browser that hangs up is no news, and this would be in the notebook."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        below = path.startswith(self.server.prefix)
        found = self._find(path.removeprefix(self.server.prefix)) if below else None
        if found is None:
            self.send_error(404)
            return
        content_type, stream = found
        with stream:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(stream.seek(0, 2)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            stream.seek(0)
            shutil.copyfileobj(stream, self.wfile)

    def _find(self, path: str) -> tuple[str, BinaryIO] | None:
        if path in ("", "index.html"):
            return CONTENT_TYPES[".html"], BytesIO(self.server.page)
        if path.startswith("data/"):
            file = model_file(self.server.model, path.removeprefix("data/"))
            return ("application/octet-stream", file.open("rb")) if file else None
        found = netron_file(path)
        return (found[0], BytesIO(found[1])) if found else None

    def log_message(self, *_: object) -> None:
        pass
