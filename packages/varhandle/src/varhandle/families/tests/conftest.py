"""The fixtures of these tests, which are not installed with the package."""

from family_fixtures import reproduced, specimen_path, tf

__all__ = ["reproduced", "specimen_path", "tf"]
