"""A .tflite file and its first state beside it: written both, or none, and never over the model."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.atomic_write import check_replaceable, write_all
from varhandle.errors import NAME_PLACE, system_fault
from varhandle.graph import ModelFileError
from varhandle.tflite.plain_array import plain_arrays

if TYPE_CHECKING:
    import numpy.typing as npt


def check_target(target: Path, *kept: Path) -> None:
    """Raise ``ModelFileError`` if a file or its state cannot be written, or would replace others.

    ``kept`` are the files, and folders, that must stay.
    """
    with _writing(target):
        check_replaceable(target)  # "." and "/" have no name that the state's could be made of
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        for path in (target, _state_beside(target)):
            check_replaceable(path)
            if path.exists() and any(_is_same_or_inside(path, one) for one in kept):
                fault = "would be overwritten by what is made of it"
                raise ModelFileError(path, f"{fault}: name another place")


def write_with_state(
    target: Path, content: bytes, state: Mapping[str, npt.NDArray[Any]] | None
) -> Path:
    """Write a file and its first state, if it has one, both or none; return the state's place."""
    beside = _state_beside(target)
    files = {target: content}
    if state is not None:
        files[beside] = as_npz(state)
    with _writing(target):
        write_all(files)
    return beside


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn what the system says against a place into a ``ModelFileError``."""
    try:
        yield
    except OSError as error:
        fault = f"cannot be written: {system_fault(error, NAME_PLACE)}"
        raise ModelFileError(target, fault) from error


def _state_beside(target: Path) -> Path:
    return target.with_name(target.name.removesuffix(".tflite") + ".state.npz")


def _is_same_or_inside(path: Path, kept: Path) -> bool:
    """Tell whether a file that is there is another, or lies in it."""
    if not kept.exists():
        return False
    inside = kept.is_dir() and path.resolve().is_relative_to(kept.resolve())
    return inside or path.samefile(kept)


def as_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Pack arrays as ``numpy.savez`` does, which cannot pack one named ``file``."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, value in plain_arrays(arrays).items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                entry.write(value.npy())
    return packed.getvalue()
