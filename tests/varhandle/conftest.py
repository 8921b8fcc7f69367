"""What the tests of the families share: each case runs once, each model is made once."""

from family_fixtures import reproduced, specimen_path

__all__ = ["reproduced", "specimen_path"]
