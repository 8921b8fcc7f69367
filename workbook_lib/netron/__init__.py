"""Netron without its outside world: the page, who may see which model, and who serves it.

``extension`` serves it as a part of Jupyter Server, behind its login and below its base URL:
models under the server's root, and models that a kernel of this server has written a ticket for.
``own_server`` serves one model on 127.0.0.1, where there is no such extension. Importing this
imports neither; the names below are what Jupyter looks for in an extension's package.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "workbook_lib.netron"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from workbook_lib.netron.extension import load

    load(server)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "varhandle-workbook"}]
