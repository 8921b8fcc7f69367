"""What a Keras file holds, without its values: run as a script, in a process of its own.

On some damaged files libhdf5 loops without end or asks for gigabytes, and no Python code can
interrupt it; an archive of a few kilobytes can unpack without end. So the outline is made in a
child process with limits. The script imports nothing of this package.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from varhandle.errors import VarhandleError

SECONDS = 30
"""Time limit. The outline of a sound file takes less than one."""

BYTES = 2**30
"""Limit of the child's address space, of which a sound file of a small model takes a tenth."""

CONFIG = "config.json"
METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
_LARGEST_TEXT = 64 * 2**20
_LARGEST_COMPRESSED_WEIGHTS = 256 * 2**20
_MOST_MEMBERS = 10_000
_ATTRIBUTES = (
    *("model_config", "training_config", "keras_version"),
    *("weight_names", "name", "dtype"),
)


class UnfitFileError(VarhandleError, ValueError):
    """A file that is sound, as far as it goes, and yet no Keras model to be read."""


def read_hdf5_outline(path: Path, is_archive: bool = False) -> dict[str, Any]:
    """Return the outline of an HDF5 file, or of a ``.keras`` archive with one in it.

    Args:
        path: The file.
        is_archive: Whether it is such an archive.

    Returns:
        ``attributes``: for each group and dataset that has any, by path, those of its attributes
        that Keras writes. ``datasets``: dtype and shape of each dataset, by path. ``elsewhere``:
        paths of the datasets whose values lie in other files. ``texts``: the JSON texts of the
        archive, by name.

    Raises:
        UnfitFileError: It is no Keras file, or one that must not be unpacked.
        ValueError: It is damaged.
    """
    command = [sys.executable, __file__, str(path.absolute()), *(["archive"] if is_archive else [])]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each reserves address space
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=one_thread,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"libhdf5 did not finish within {SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(lines[-1] if lines else f"libhdf5 ended with code {done.returncode}")
    outline: dict[str, Any] = json.loads(done.stdout)
    if "unfit" in outline:
        raise UnfitFileError(outline["unfit"])
    if "fault" in outline:
        raise ValueError(outline["fault"])
    return outline


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _hdf5_outline(source: Any) -> dict[str, Any]:
    import h5py

    attributes: dict[str, Any] = {}
    datasets: dict[str, Any] = {}
    elsewhere: list[str] = []

    def visit(name: str, item: Any) -> None:
        found = {key: _plain(item.attrs[key]) for key in _ATTRIBUTES if key in item.attrs}
        if found:
            attributes[name] = found
        if isinstance(item, h5py.Dataset):
            datasets[name] = [item.dtype.name, item.shape]
            if item.external or item.is_virtual:
                elsewhere.append(name)

    with h5py.File(source, "r") as file:
        visit("", file)
        file.visititems(visit)
    return {"attributes": attributes, "datasets": datasets, "elsewhere": elsewhere}


def _check_members(archive: zipfile.ZipFile) -> None:
    """Refuse what Keras would unpack beside the folder that it unpacks into."""
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(members) > _MOST_MEMBERS or len(names) < len(members):
        raise UnfitFileError("an archive with too many members, or with two of one name")
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename.partition("/")[0]:
            raise UnfitFileError(f"its member {member.filename!r} climbs out of the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UnfitFileError(f"its member {member.filename!r} is a symbolic link")
    missing = {CONFIG, _WEIGHTS} - names
    if missing:
        raise UnfitFileError(f"a zip archive, but no Keras file: it holds no {min(missing)}")
    weights = archive.getinfo(_WEIGHTS)
    is_stored = weights.compress_type == zipfile.ZIP_STORED
    if not is_stored and weights.file_size > _LARGEST_COMPRESSED_WEIGHTS:
        # Keras stores weights without compression, so that they can be read in place.
        raise UnfitFileError(f"{_WEIGHTS} is compressed and too large to unpack")


def _read_text(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        text = file.read(_LARGEST_TEXT + 1)
    if len(text) > _LARGEST_TEXT:
        raise UnfitFileError(f"{name} is larger than any model's")
    json.loads(text)  # here, where the memory that it takes is limited
    return text.decode()


def _outline(path: str, is_archive: bool) -> dict[str, Any]:
    if not is_archive:
        return _hdf5_outline(path)
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path))
        _check_members(archive)
        names = [name for name in (CONFIG, METADATA) if name in archive.namelist()]
        texts = {name: _read_text(archive, name) for name in names}
        return {**_hdf5_outline(stack.enter_context(archive.open(_WEIGHTS))), "texts": texts}


def _outline_or_fault(path: str, is_archive: bool) -> dict[str, Any]:
    try:
        return _outline(path, is_archive)
    except UnfitFileError as error:
        return {"unfit": str(error)}
    except RecursionError:
        return {"fault": "it is nested too deeply"}
    except MemoryError:
        return {"fault": f"it takes more than {BYTES:,} bytes to look at"}
    except json.JSONDecodeError as error:
        return {"fault": f"its config is no JSON: {error}"}
    except ImportError:
        raise
    except Exception as error:  # whatever zipfile, zlib and h5py raise on a damaged file
        return {"fault": str(error) or type(error).__name__}


def _limit_memory() -> None:
    if sys.platform.startswith("linux"):  # elsewhere there is no such limit, or it cannot be set
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


if __name__ == "__main__":
    _limit_memory()
    json.dump(_outline_or_fault(sys.argv[1], len(sys.argv) > 2), sys.stdout)
