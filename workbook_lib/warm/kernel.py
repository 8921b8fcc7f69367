"""What a forked kernel runs: the same as ``python -m ipykernel_launcher``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from workbook_lib.warm.held_back import hold_back

MODULES = ("ipykernel.kernelapp",)
"""What the server imports beside TensorFlow."""

LAUNCHER = "ipykernel_launcher"


def run(path: Sequence[str], arguments: Sequence[str]) -> None:
    """Be a kernel until it is shut down.

    Args:
        path: What ``sys.path`` is to be.
        arguments: Those of the command line, after ``-m ipykernel_launcher``.
    """
    from ipykernel import kernelapp

    hold_back({"tensorflow": ["keras"], "keras": ["tensorflow"]})
    sys.path[:] = path
    sys.argv[:] = [LAUNCHER, *arguments]
    # ipykernel watches the parent's process id; this one is watched by the process that asked for
    # it (warm.process), and its parent may change. 1 stands for a parent that need not be watched.
    kernelapp.launch_new_instance(argv=[*arguments, "--IPKernelApp.parent_handle=1"])
