"""A .tflite file and its first state beside it: written both, or none, and never over the model."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.graph import ModelFileError


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the system says against a place into a ``ModelFileError``.

    Raises:
        ModelFileError: The system raised an ``OSError`` meanwhile.
    """
    try:
        yield
    except OSError as error:
        raise ModelFileError(target, f"cannot be written: {error.strerror or error}") from error


def state_beside(target: Path, *kept: Path) -> Path:
    """Return where the first state goes, if both it and the target may be written.

    Raises:
        OSError: ``target`` is a folder, or is in none.
        ModelFileError: One of the two would be written over what must stay.
    """
    if target.is_dir():  # "." and "/" have no name that the state's could be made of
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    state = target.with_name(target.name.removesuffix(".tflite") + ".state.npz")
    for path in (target, state):
        if path.exists() and any(_is_of(path, one) for one in kept):
            raise ModelFileError(path, "would be overwritten by what is made of it")
    return state


def _is_of(path: Path, kept: Path) -> bool:
    """Tell whether a file that is there is another, or lies in it."""
    if not kept.exists():
        return False
    inside = kept.is_dir() and path.resolve().is_relative_to(kept.resolve())
    return inside or path.samefile(kept)


def as_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Pack arrays as ``numpy.savez`` does, which cannot pack one named ``file``."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, value in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)
    return packed.getvalue()
