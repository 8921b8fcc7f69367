"""What participants' servers are forked from: root's process that has imported what they need.

A server that imports JupyterLab and TensorFlow for itself takes seconds of a processor, and half a
gigabyte; a room comes in all at once. What is forked shares both with the others, and has left
root behind before it runs a line of the server's.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from warm_kernels import fork_server
from warm_kernels.forked_process import ForkedProcess
from workshop.sandbox_spec import SandboxSpec, enter_sandbox

MODULES = (
    "jupyterhub.singleuser",
    "jupyterlab.labapp",
    "jupyter_lsp",
    "jupyter_server_terminals",
    "jupyterlab_jupytext",
    "notebook_shim",
    "workbook_lib.netron",
    "warm_kernels.provisioner",
    __name__,
)
"""What it imports beside TensorFlow: the server, and its extensions."""


def get_ready(log: logging.Logger) -> None:
    """Start it, unless it runs; servers then start cold where it cannot be.

    Its environment is this process's, and shows in what is forked from it.
    """
    if fork_server.forking_enabled(os.environ):
        try:
            fork_server.SERVER.start(MODULES)
        except OSError as error:
            log.warning("No warm servers: %s", error)


def fork_participant_server(
    spec: SandboxSpec, arguments: Sequence[str], environment: Mapping[str, str], output: int
) -> ForkedProcess:
    """Fork a participant's server; it goes on when this process is gone.

    Raises ``OSError`` if it cannot be forked, or cannot become that participant's.
    """
    nowhere = os.open(os.devnull, os.O_RDONLY)
    try:
        return ForkedProcess(
            _serve,
            list(arguments),
            streams=(nowhere, output, output),
            environment=environment,
            cwd="/",
            nested=True,
            ends_with_owner=False,
            first=functools.partial(enter_sandbox, spec),
        )
    finally:
        os.close(nowhere)


def _serve(arguments: Sequence[str]) -> None:
    """Be the server until it is ended."""
    from jupyterhub.singleuser import main

    sys.argv[:] = ["jupyterhub-singleuser", *arguments]
    main()
