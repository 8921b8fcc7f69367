"""A SavedModel in a zip archive, which is unpacked with care: somebody else made it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from varhandle.display import join_names, printable
from varhandle.formats.regular_file import open_regular
from varhandle.formats.saved_model import SAVED_MODEL_FILES, SavedModel
from varhandle.graph import Graph, ModelFileError, damaged_file

_MOST_MEMBERS = 10_000
_MOST_BYTES = 16 * 2**30
_MOST_TIMES = 200  # what an archive may unpack to, as a multiple of its size
_ALWAYS_BYTES = 256 * 2**20
_CHUNK = 2**20
_FOLDERS = frozenset({"variables", "assets", "assets.extra"})


class SavedModelArchive(SavedModel):
    """A zip archive with one SavedModel in it."""

    id = "saved_model_zip"
    rules_of = "saved_model"
    suffixes: ClassVar[tuple[str, ...]] = (".zip",)
    mark: ClassVar[bytes] = b"PK\x03\x04"

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        if path is None or not head.startswith(self.mark):
            return False
        try:
            with zipfile.ZipFile(path) as archive:
                return any(map(_is_model, archive.namelist()))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return False  # the next format says what is wrong with it

    def read(self, path: Path) -> Graph:
        graph = super().read(_unpacked(path)[1])
        return replace(graph, source=str(path), format=self.id)

    def path_to_load(self, source: str | os.PathLike[str]) -> str:
        return str(_unpacked(Path(source))[1])

    def source_code(self, path: str) -> tuple[list[str], str]:
        root, model = _unpacked(Path(path))
        lines = ["import shutil", "", f'shutil.unpack_archive({path!r}, "unpacked", "zip")', ""]
        return lines, str("unpacked" / model.relative_to(root))


def _is_model(name: str) -> bool:
    return PurePosixPath(name).name in SAVED_MODEL_FILES


_UNPACKED: dict[tuple[str, int, int], tuple[Path, Path]] = {}
"""By path, size and time of an archive: the temporary folder, and that of the model in it."""


def _unpacked(path: Path) -> tuple[Path, Path]:
    """Unpack an archive once in a process, or raise ``ModelFileError`` or ``OSError``."""
    path = path.resolve()
    state = path.stat()
    key = str(path), state.st_size, state.st_mtime_ns
    if key not in _UNPACKED:
        root = Path(tempfile.mkdtemp(prefix="unpacked-"))
        weakref.finalize(SavedModelArchive, shutil.rmtree, root, ignore_errors=True)
        try:
            with open_regular(path) as file, zipfile.ZipFile(file) as archive:
                _UNPACKED[key] = root, _unpack(archive, root, path, state.st_size)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise damaged_file(path, f"the zip archive is damaged ({error})") from error
    return _UNPACKED[key]


def _unpack(archive: zipfile.ZipFile, root: Path, path: Path, size: int) -> Path:
    """Write the files of the one SavedModel in an archive; return its folder."""
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise damaged_file(path, f"an archive of {len(infos):,} files, more than any model has")
    found = sorted(
        {PurePosixPath(info.filename).parent for info in infos if _is_model(info.filename)}
    )
    if len(found) > 1:
        listed = join_names(str(one) for one in found)
        raise ModelFileError(path, f"it holds several models ({listed}): unpack it, and give one")
    left = min(_MOST_BYTES, max(_ALWAYS_BYTES, _MOST_TIMES * size))
    for info, part in _members(infos, found[0], path):
        target = root / found[0] / part
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, target.open("xb") as file:
            while chunk := packed.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise damaged_file(path, "it unpacks to more than any model of its size")
                file.write(chunk)
    return root / found[0]


def _members(
    infos: list[zipfile.ZipInfo], folder: PurePosixPath, path: Path
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Yield the files of a model, each with its place in the model's folder, or raise.

    What climbs out of the archive, is no regular file, or is there twice, is no model's.
    """
    seen: set[PurePosixPath] = set()
    for info in infos:
        member = PurePosixPath(info.filename)
        if info.is_dir() or not member.is_relative_to(folder):
            continue
        part = member.relative_to(folder)
        mode = info.external_attr >> 16
        regular = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
        sound = not member.is_absolute() and ".." not in member.parts and "\\" not in info.filename
        fault = ""
        if not (regular and sound and ":" not in info.filename):
            fault = "climbs out of it, or is none of a model"
        elif part in seen:
            fault = "is in it twice"
        if fault:
            raise damaged_file(path, f"its file {printable(info.filename)} {fault}")
        if info.flag_bits & 1:
            raise ModelFileError(path, "it is encrypted: unpack it, and give the folder")
        seen.add(part)
        if len(part.parts) == 1 or part.parts[0] in _FOLDERS:
            yield info, part
