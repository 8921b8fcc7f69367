"""What an HDF5 file holds, without its values: run as a script, in a process of its own.

On some damaged files libhdf5 loops without end or asks for gigabytes, and no Python code can
interrupt it. So the outline is made in a child process with limits. The script imports nothing of
this package.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

SECONDS = 30
"""Time limit. The outline of a sound file takes less than one."""

BYTES = 2**30
"""Limit of the child's address space, of which a sound file of a small model takes a tenth."""

_ATTRIBUTES = ("model_config", "keras_version", "weight_names", "name", "dtype")


def read_hdf5_outline(path: Path, member: str | None = None) -> dict[str, Any]:
    """Return the outline of an HDF5 file.

    Args:
        path: The file, or the zip archive that holds it.
        member: Its name in the archive.

    Returns:
        ``attributes``: for each group and dataset that has any, by path, those of its attributes
        that Keras writes. ``datasets``: dtype and shape of each dataset, by path.

    Raises:
        ValueError: The file is damaged.
    """
    command = [sys.executable, __file__, str(path.absolute()), *([member] if member else [])]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each reserves address space
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=SECONDS, check=False, env=one_thread
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"libhdf5 did not finish within {SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(lines[-1] if lines else f"libhdf5 ended with code {done.returncode}")
    outline: dict[str, Any] = json.loads(done.stdout)
    return outline


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _outline(path: str, member: str | None = None) -> dict[str, Any]:
    import h5py

    attributes: dict[str, Any] = {}
    datasets: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        found = {key: _plain(item.attrs[key]) for key in _ATTRIBUTES if key in item.attrs}
        if found:
            attributes[name] = found
        if isinstance(item, h5py.Dataset):
            datasets[name] = [item.dtype.name, item.shape]

    with ExitStack() as stack:
        source: Any = path
        if member:
            archive = stack.enter_context(zipfile.ZipFile(path))
            source = stack.enter_context(archive.open(member))
        file = stack.enter_context(h5py.File(source, "r"))
        visit("", file)
        file.visititems(visit)
    return {"attributes": attributes, "datasets": datasets}


def _limit_memory() -> None:
    if sys.platform.startswith("linux"):  # elsewhere there is no such limit, or it cannot be set
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


if __name__ == "__main__":
    _limit_memory()
    json.dump(_outline(*sys.argv[1:]), sys.stdout)
