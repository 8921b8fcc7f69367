"""The ``varhandle`` command. Each sub-command is one call into the package."""

from __future__ import annotations

from collections.abc import Sequence

from varhandle import __version__
from varhandle.cli.commands import register
from varhandle.cli.program import run_program

__all__ = ["main", "register"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the command line is ``sys.argv`` where no arguments are given."""
    description = "Says what is wrong with a TensorFlow model's variables, mends it, and proves it."
    return run_program("varhandle", description, __version__, [register], arguments)
