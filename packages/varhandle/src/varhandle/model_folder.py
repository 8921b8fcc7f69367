"""One folder whose files an assistant or a page may name, and no other's.

Who names them may have read the name in a stranger's file, so neither a name nor a link leads out.
"""

from __future__ import annotations

import os
from pathlib import Path

from varhandle.errors import VarhandleError
from varhandle.formats.tflite import TFLite

_MOST_ENTRIES = 10_000
"""Files of a model; a folder that has more is none."""


_BELOW = "name what is in the folder of the server, or move it there"


class PathNotAllowedError(VarhandleError, ValueError):
    """A path that the server does not open or write; the message is one line."""


class ModelFolder:
    """The one folder whose files somebody may name."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)

    def readable(self, name: str) -> str:
        """Return the path of a model or of inputs, as seen from the folder.

        Raises ``PathNotAllowedError`` for what lies elsewhere, by its name or by a link in it or on
        the way to it.
        """
        path = self.inside(name)
        if not path.exists():
            raise PathNotAllowedError(f"{name}: there is no such file or folder: {_BELOW}")
        if path.is_dir():
            for count, entry in enumerate(path.rglob("*")):
                if count == _MOST_ENTRIES:
                    raise PathNotAllowedError(f"{name}: it has more files than any model: {_BELOW}")
                self._check_inside(entry, name)
        elif not path.is_file():
            raise PathNotAllowedError(f"{name}: it is no regular file: {_BELOW}")
        return self._relative(path)

    def writable(self, name: str) -> str:
        """Return the path of a new .tflite file, as seen from the folder."""
        path = self.inside(name)
        state = path.with_name(f"{path.stem}.state.npz")
        if path.suffix not in TFLite.suffixes:
            raise PathNotAllowedError(f"{name}: its name must end with .tflite")
        if not path.parent.is_dir():
            raise PathNotAllowedError(f"{name}: there is no such folder: {_BELOW}")
        for one in (path, state):
            if os.path.lexists(one):
                raise PathNotAllowedError(f"{one.name}: it is there already; name a new file")
        return self._relative(path)

    def inputs(self, name: str) -> str:
        """Return the path of inputs that are data: what is code would run."""
        path = self.readable(name)
        if Path(path).suffix not in (".npz", ".npy") and not (self.root / path).is_dir():
            raise PathNotAllowedError(f"{path}: give an .npz or .npy file or a folder of images")
        return path

    def inside(self, name: str) -> Path:
        """Return a path below the folder; raises ``PathNotAllowedError`` for one that is not."""
        if "\0" in name:
            raise PathNotAllowedError(f"a path with a NUL in it names no file: {_BELOW}")
        path = self.root / name
        # The last part may be a link as well: where it leads decides.
        self._check_inside(path, name)
        return path

    def _check_inside(self, path: Path, name: str) -> None:
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:
            raise PathNotAllowedError(f"{name}: it leads nowhere: {_BELOW}") from error
        if not real.is_relative_to(self.root):
            raise PathNotAllowedError(
                f"{name}: it leads out of the folder that the server was given: {_BELOW}"
            )

    def _relative(self, path: Path) -> str:
        told = os.path.relpath(path, self.root)
        return f"./{told}" if told.startswith("-") else told
