"""The part of Jupyter Server that serves Netron, behind its login and below its base URL.

    workbook/netron/page/?ticket=…          the page, for a model that a kernel has a ticket for
    workbook/netron/page/?path=…            the page, for a model under the server's root
    workbook/netron/page/…                  Netron's own static files, which the page asks for
    workbook/netron/ticket/…/               204 as long as the ticket holds
    workbook/netron/ticket/…/saved_model.pb a file of its model

A model under the root is read from Jupyter's own ``files/``, so that Jupyter's rules for hidden
files, links and paths out of the root are kept by Jupyter. Everything asks for the right to read
``contents``.
"""

from __future__ import annotations

import atexit
import os
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async, url_path_join
from tornado.web import HTTPError, authenticated

from varhandle.formats.saved_model import SAVED_MODEL_FILE
from workbook_lib.netron.page import (
    CONTENT_TYPES,
    POLICY,
    netron_file,
    netron_folder,
    offline_page,
    with_dark_style,
)
from workbook_lib.netron.tickets import VARIABLE, TicketFolder

_TICKETS = "workbook_netron_tickets"  # in the settings of the web application
_CHUNK = 1 << 20  # bytes that are in memory at once: a model may be larger than that
_ENDED = "Netron shows this model no longer: run the cell again that showed it."


def load(server: Any) -> None:
    """Add the handlers to a server, and tell the kernels that it starts about it.

    Raises ``ModuleNotFoundError``: Netron is not installed. The server goes on without it.
    """
    netron_folder()
    tickets = TicketFolder.make(Path(server.runtime_dir), server.base_url)
    atexit.register(shutil.rmtree, tickets.path, ignore_errors=True)
    os.environ[VARIABLE] = str(tickets.path)
    settings = server.web_app.settings
    settings[_TICKETS] = tickets
    # The entry in the file browser's menu looks for this before it offers itself.
    settings.setdefault("page_config_data", {})["workbookNetron"] = "workbook/netron/page/"
    base = re.escape(url_path_join(server.base_url, "workbook/netron"))
    server.web_app.add_handlers(
        ".*$",
        [
            (base + r"/page/", PageHandler),
            (base + r"/page/([^/]+)", AssetHandler),
            (base + r"/ticket/([^/]+)/(.*)", TicketHandler),
        ],
    )


class NetronHandler(JupyterHandler):
    """What the three handlers share: the right that they ask for, and the policy."""

    auth_resource = "contents"

    @property
    def content_security_policy(self) -> str:
        """Netron's policy; who may frame the page stays as this server has it."""
        own = (part.strip() for part in super().content_security_policy.split(";"))
        kept = [part for part in own if part.startswith("frame-ancestors")]
        return "; ".join([POLICY, *kept])

    def set_default_headers(self) -> None:
        """Add that other sites are not told about the model's path."""
        super().set_default_headers()
        # The same site is: Jupyter's files/ answers nobody else.
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def open_model(self, ticket: str, relative: str = "") -> tuple[str, BinaryIO]:
        """Open a file of the model of a ticket, by default its main file; its name comes first.

        Answers 404 without the reason: whether a ticket exists is nobody's business.
        """
        tickets: TicketFolder = self.settings[_TICKETS]
        if opened := tickets.open(ticket, relative):
            return opened
        raise HTTPError(404, _ENDED)


class PageHandler(NetronHandler):
    """The page of one model."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Write the page for ``?ticket=`` or ``?path=``; ``&theme=dark`` for a dark one."""
        name = self.get_argument("ticket", "")
        if name:
            main, opened = self.open_model(name)
            opened.close()
            file, title = f"../ticket/{name}/{quote(main)}", main
        else:
            path = await self._visible_file(self.get_argument("path", ""))
            file, title = f"../../../files/{quote(path)}", posixpath.basename(path)
        page = offline_page(file, title)
        if self.get_argument("theme", "") == "dark":
            page = with_dark_style(page).replace(
                'href="grapher.css"', 'href="grapher.css?theme=dark"'
            )
        self.set_header("Content-Type", CONTENT_TYPES[".html"])
        self.finish(page)

    async def _visible_file(self, path: str) -> str:
        """Return the path of the model's main file, if Jupyter would show that file."""
        contents = self.contents_manager
        path = path.strip("/")
        try:
            if await ensure_async(contents.dir_exists(path)):
                path = posixpath.join(path, SAVED_MODEL_FILE)
            found = await ensure_async(contents.file_exists(path))
            hidden = found and await ensure_async(contents.is_hidden(path))
        except (OSError, ValueError):  # a name that no file can have
            found = hidden = False
        if not found or (hidden and not contents.allow_hidden):
            raise HTTPError(404, "There is no such model in this server's folder.")
        return path


class AssetHandler(NetronHandler):
    """Netron's own files."""

    @authenticated
    @authorized
    def get(self, name: str) -> None:
        """Write one of them, and let the browser keep it: each model's page asks for all."""
        found = netron_file(name)
        if found is None:
            raise HTTPError(404)
        content_type, content = found
        if self.get_argument("theme", "") == "dark":
            content = with_dark_style(content.decode()).encode()
        self.set_header("Content-Type", content_type)
        self.set_header("Cache-Control", "private, no-cache")  # asks again, for a 304
        self.finish(content)


class TicketHandler(NetronHandler):
    """The files of a model that a kernel has a ticket for."""

    @authenticated
    @authorized
    async def get(self, name: str, relative: str) -> None:
        """Write a file of the model; for an empty path say with 204 that the ticket holds."""
        _, file = self.open_model(name, relative)
        with file:
            if not relative:
                self.set_status(204)
                return
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            while chunk := file.read(_CHUNK):
                self.write(chunk)
                await self.flush()
