"""What a Keras file holds, without its values, read in the sandbox.

On some damaged files libhdf5 loops without end or asks for gigabytes, and no Python code can
interrupt it; an archive of a few kilobytes can unpack without end.
"""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from varhandle.errors import VarhandleError
from varhandle.graph import ModelFileError
from varhandle.sandbox import Record, run_isolated

SECONDS = 30
"""Time limit. The outline of a sound file takes less than one."""

BYTES = 2**30
"""Limit of the child's memory, of which a sound file of a small model takes a tenth."""

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
_LARGEST_TEXT = 64 * 2**20
_LARGEST_COMPRESSED_WEIGHTS = 256 * 2**20
_MOST_MEMBERS = 10_000
_ATTRIBUTES = (
    *("model_config", "training_config", "keras_version"),
    *("weight_names", "name", "dtype"),
)


class _UnfitFileError(VarhandleError):
    """A file that is sound, as far as it goes, and yet no Keras model to be read."""


def read_hdf5_outline(path: Path, is_archive: bool = False) -> dict[str, Any]:
    """Return the outline of an HDF5 file, or of a ``.keras`` archive with one in it.

    Its parts: ``attributes``, by path of the group or dataset, those that Keras writes;
    ``datasets``, dtype and shape by path; ``external``, paths of the datasets whose values lie in
    other files. The JSON texts of an archive are the root's attributes ``model_config`` and
    ``metadata``. Raises ``ModelFileError`` for no Keras file, one that must not be unpacked and a
    damaged one.
    """
    record = run_isolated(
        _outline,
        str(path.absolute()),
        is_archive,
        timeout=SECONDS,
        memory_limit=BYTES,
        tensorflow=False,
    )
    if record.exception_type == _UnfitFileError.__name__:
        raise ModelFileError(path, record.message)
    if not record.ok:
        raise ModelFileError(path, f"the Keras file is damaged ({_fault(record)})")
    outline: dict[str, Any] = json.loads(record.value)
    return outline


def _fault(record: Record) -> str:
    """Say what is wrong with a file, whatever zipfile, zlib and h5py raised on it."""
    if record.outcome == "timed out":
        return f"libhdf5 did not finish within {SECONDS} s"
    if record.outcome == "out of memory" or record.exception_type == "MemoryError":
        return f"it takes more than {BYTES:,} bytes to look at"
    if record.exception_type == "RecursionError":
        return "it is nested too deeply"
    if record.exception_type == "JSONDecodeError":
        return f"its config is no JSON: {record.message}"
    return record.message or record.exception_type or record.outcome


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
    external: list[str] = []

    def visit(name: str, item: Any) -> None:
        found = {key: _plain(item.attrs[key]) for key in _ATTRIBUTES if key in item.attrs}
        if found:
            attributes[name] = found
        if isinstance(item, h5py.Dataset):
            datasets[name] = [item.dtype.name, item.shape]
            if item.external or item.is_virtual:
                external.append(name)

    with h5py.File(source, "r") as file:
        visit("", file)
        file.visititems(visit)
    return {"attributes": attributes, "datasets": datasets, "external": external}


def _check_members(archive: zipfile.ZipFile) -> None:
    """Refuse what Keras would unpack beside the folder that it unpacks into."""
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(members) > _MOST_MEMBERS or len(names) < len(members):
        raise _UnfitFileError("an archive with too many members, or with two of one name")
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename.partition("/")[0]:
            raise _UnfitFileError(f"its member {member.filename!r} climbs out of the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _UnfitFileError(f"its member {member.filename!r} is a symbolic link")
    missing = {_CONFIG, _WEIGHTS} - names
    if missing:
        raise _UnfitFileError(f"a zip archive, but no Keras file: it holds no {min(missing)}")
    weights = archive.getinfo(_WEIGHTS)
    is_stored = weights.compress_type == zipfile.ZIP_STORED
    if not is_stored and weights.file_size > _LARGEST_COMPRESSED_WEIGHTS:
        # Keras stores weights without compression, so that they can be read in place.
        raise _UnfitFileError(f"{_WEIGHTS} is compressed and too large to unpack")


def _read_text(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        text = file.read(_LARGEST_TEXT + 1)
    if len(text) > _LARGEST_TEXT:
        raise _UnfitFileError(f"{name} is larger than any model's")
    json.loads(text)  # here, where the memory that it takes is limited
    return text.decode()


def _outline(path: str, is_archive: bool) -> str:
    """Return the outline as JSON, in the child: nothing but plain values comes back."""
    if not is_archive:
        return json.dumps(_hdf5_outline(path))
    with zipfile.ZipFile(path) as archive:
        _check_members(archive)
        root = {"model_config": _read_text(archive, _CONFIG)}
        if _METADATA in archive.namelist():
            root["metadata"] = _read_text(archive, _METADATA)
        with archive.open(_WEIGHTS) as weights:
            outline = _hdf5_outline(weights)
        outline["attributes"][""] = root
        return json.dumps(outline)
