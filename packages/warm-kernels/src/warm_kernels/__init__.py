"""Jupyter kernels that are forked from a process that has already imported what is slow.

``fork_server`` and ``zygote`` are the two sides of that process, ``forked_process`` is one forked
from it that is otherwise as ``subprocess`` would start it; ``provisioner`` makes Jupyter's kernels
such processes, and ``kernelspec`` tells Jupyter so. Importing this imports none of them; the names
below are what Jupyter Server looks for in an extension's package.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "warm_kernels"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Have modules imported while somebody reads the first page."""
    from warm_kernels import provisioner

    provisioner.get_ready(server.log)
