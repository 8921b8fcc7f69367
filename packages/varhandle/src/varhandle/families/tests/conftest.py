"""The fixtures of these tests, which are not installed with the package."""

from family_fixtures import (
    printed_code_is_run,
    reproduced,
    runs_are_remembered,
    specimen_path,
    tf,
)

__all__ = ["printed_code_is_run", "reproduced", "runs_are_remembered", "specimen_path", "tf"]
