"""What a forked kernel runs: the same as ``python -m ipykernel_launcher``."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from multiprocessing.connection import Connection

from warm_kernels.deferred_modules import hold_back

MODULES = ("ipykernel.kernelapp",)
"""What the server imports beside TensorFlow."""

LAUNCHER = "ipykernel_launcher"


READY, PORT_TAKEN = b"ready", b"a port is taken"
"""What it reports."""


def prepare() -> None:
    """Call what others have registered for a fresh kernel, before its first thread."""
    for hook in entry_points(group="warm_kernels.before_kernel"):
        hook.load()()


def run(report: Connection, path: Sequence[str], arguments: Sequence[str]) -> None:
    """Be a kernel until it is shut down.

    Args:
        report: Takes ``READY`` when the kernel listens, or ``PORT_TAKEN``; then there is no kernel.
        path: What ``sys.path`` is to be.
        arguments: Those of the command line, after ``-m ipykernel_launcher``.
    """
    from ipykernel import kernelapp
    from zmq import ZMQError

    hold_back({"tensorflow": ["keras"], "keras": ["tensorflow"]})
    sys.path[:] = path
    sys.argv[:] = [LAUNCHER, *arguments]
    # ipykernel watches the parent's process id; this one is watched by the process that asked for
    # it (warm.process), and its parent may change. 1 stands for a parent that need not be watched.
    app = kernelapp.IPKernelApp.instance()
    try:
        app.initialize([*arguments, "--IPKernelApp.parent_handle=1"])
        # The heartbeat takes its port on a thread of its own, which ends if it gets none.
        taken = app.heartbeat is None or not app.heartbeat.is_alive()
    except ZMQError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        taken = True
    report.send_bytes(PORT_TAKEN if taken else READY)
    report.close()
    if taken:
        # Not by way of its exit functions: with some of its sockets bound, and not others,
        # ipykernel (7.4) waits in them for ever.
        os._exit(1)
    app.start()
