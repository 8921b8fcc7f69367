"""The ``varhandle`` command. Each sub-command is one call into the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from varhandle import __version__
from varhandle.cli import matrix_command, model_commands, sweep_command
from varhandle.cli.program import run_program


def register(commands: Any) -> None:
    """Add all sub-commands of the tool, for a program that offers them among its own."""
    for module in (model_commands, sweep_command, matrix_command):
        module.register(commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the command line is ``sys.argv`` where no arguments are given."""
    description = "Says what is wrong with a TensorFlow model's variables, mends it, and proves it."
    return run_program("varhandle", description, __version__, [register], arguments)
