"""What a forked kernel runs: the same as ``python -m ipykernel_launcher``."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

from warm_kernels.preload import defer, hooks

LAUNCHER = "ipykernel_launcher"
READY, PORT_TAKEN = "ready", "port-taken"
"""What it reports."""


def prepare() -> None:
    """Call what others have registered for a fresh kernel."""
    for hook in hooks():
        hook()


def run(report: Callable[[str], None], path: Sequence[str], arguments: Sequence[str]) -> None:
    """Be a kernel until it is shut down.

    Reports ``READY`` when it listens, or ``PORT_TAKEN``; then there is no kernel. ``path`` is what
    ``sys.path`` is to be, ``arguments`` come after ``-m ipykernel_launcher``.
    """
    from ipykernel import kernelapp
    from zmq import ZMQError

    defer()
    sys.path[:] = path
    sys.argv[:] = [LAUNCHER, *arguments]
    # ipykernel watches the parent's process id; this one is watched by the process that asked for
    # it (zygote), and its parent may change. 1 stands for a parent that need not be watched.
    app = kernelapp.IPKernelApp.instance()
    try:
        app.initialize([*arguments, "--IPKernelApp.parent_handle=1"])
        # The heartbeat takes its port on a thread of its own, which ends if it gets none.
        taken = app.heartbeat is None or not app.heartbeat.is_alive()
    except ZMQError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        taken = True
    report(PORT_TAKEN if taken else READY)
    if taken:
        # Not by way of its exit functions: with some of its sockets bound, and not others,
        # ipykernel (7.4) waits in them for ever.
        os._exit(1)
    app.start()
