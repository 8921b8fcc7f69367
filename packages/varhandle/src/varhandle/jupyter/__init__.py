"""The tool in JupyterLab: *Diagnose* and *Cure…* in the menu of a model file.

``extension`` is the part of Jupyter Server, behind its login; ``runs`` are the processes that it
starts, and ``tool_process`` is what they do. In the browser it is ``labextension``. The names below
are what Jupyter looks for in an extension's package; importing this imports nothing of it.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "varhandle.jupyter"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from varhandle.jupyter.extension import load

    load(server)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "varhandle"}]
