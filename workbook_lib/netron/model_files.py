"""Which files are a model's own: what a page that shows it may ask for, and nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model."""

    model: Path  # A file, or a SavedModel folder

    @property
    def main(self) -> str:
        """The name of the file that a page opens first."""
        return "saved_model.pb" if self.model.is_dir() else self.model.name

    def find(self, relative: str) -> Path | None:
        """Look for a file of the model.

        The main file may be a link that leads out of the folder, as caches lay them out.
        """
        is_folder = self.model.is_dir()
        root = self.model if is_folder else self.model.parent
        if relative == self.main:
            path = root / relative
            return path if path.is_file() else None
        return find_file(root, relative) if is_folder else None


def find_file(root: Path, relative: str) -> Path | None:
    """Look for a file below a folder."""
    try:
        path = (root / relative).resolve()
        return path if path.is_file() and path.is_relative_to(root.resolve()) else None
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return None
