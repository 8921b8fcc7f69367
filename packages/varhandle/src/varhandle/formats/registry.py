"""Any model file into a ``Graph``: the content decides which format it is."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from varhandle.formats.regular_file import open_regular, read_regular
from varhandle.graph.model import Graph, ModelFileError

BYTES = "<bytes>"
"""The ``source`` of a graph that came from memory."""

_SAVED_MODEL = "saved_model.pb"
_TFLITE_MARK = b"TFL3"
_ZIP_MARK = b"PK\x03\x04"
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)

_MISSING_MARKS = {
    ".tflite": "no TensorFlow Lite model: it does not carry the mark TFL3",
    ".keras": "no Keras file: it is no zip archive",
    ".h5": "no Keras file: it is not in HDF5 format",
    ".hdf5": "no Keras file: it is not in HDF5 format",
}


class Serializable(Protocol):
    """A protocol buffer in memory, such as a GraphDef of TensorFlow's own."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's own name
        """Return the message's bytes."""


def read_graph(source: str | os.PathLike[str] | bytes | Serializable) -> Graph:
    """Read a model. TensorFlow is neither needed nor imported.

    Args:
        source: Path of a SavedModel folder (or the ``saved_model.pb`` in it), of a ``.keras``,
            ``.h5``, ``.pb`` (binary GraphDef) or ``.tflite`` file; or, in memory, the bytes of a
            ``.tflite`` file or a GraphDef, or a GraphDef itself.

    Returns:
        The model as plain data.

    Raises:
        ModelFileError: There is no such file, or no model that can be read is in it.
        TypeError: ``source`` is none of the above.
    """
    with _collector_at_rest():
        return _read(source)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector from walking a graph again and again while it grows.

    With it, each node of a model of 100,000 costs up to twice what a node of a small one does.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _read(source: str | os.PathLike[str] | bytes | Serializable) -> Graph:
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            return _read_path(path)
        except OSError as error:
            raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_bytes(bytes(source))
    if hasattr(source, "SerializeToString"):
        return _read_bytes(source.SerializeToString())
    raise TypeError(f"read_graph takes a path, bytes or a GraphDef, not {type(source).__name__}")


def carried_code(source: Graph | str | os.PathLike[str] | bytes | Serializable) -> tuple[str, ...]:
    """List what a model brings along that would run as code if it were loaded.

    Nothing of it is run, imported or unpickled to find out. Keras: Lambda layers and other Python
    bytecode, layers that unpickle or load other files, anything that is not Keras's own.
    TensorFlow: ops that call Python, that read or write files (a saver's and the look-up tables of
    the model's own assets are ordinary), or that talk to other processes.

    Args:
        source: What :func:`read_graph` takes, or what it gave.

    Returns:
        One line for each such thing, sorted; nothing for a model that only computes.

    Raises:
        ModelFileError: There is no such file, or no model that can be read is in it.
        TypeError: ``source`` is none of these.
    """
    return (source if isinstance(source, Graph) else read_graph(source)).carried_code


# Each format's reader is imported only when it is needed: protobuf and the .tflite schema take
# longer to import than most models take to read.


def _read_bytes(data: bytes) -> Graph:
    if data[4:8] == _TFLITE_MARK:
        from varhandle.formats.tflite import read_tflite

        return read_tflite(data, BYTES)
    from varhandle.formats.graph_def import read_graph_def

    return read_graph_def(data, BYTES)


def _read_path(path: Path) -> Graph:
    if "\0" in str(path):
        raise ModelFileError(repr(str(path)), "a path cannot hold a null character")
    if not path.exists():
        raise ModelFileError(path, _why_missing(path))
    if path.is_dir():
        return _read_saved_model(path, path)
    if not path.is_file():
        raise ModelFileError(path, "neither a file nor a folder")
    if path.name == _SAVED_MODEL:
        return _read_saved_model(path.parent, path)
    return _read_file(path)


def _why_missing(path: Path) -> str:
    if path.is_symlink():
        return "a symbolic link that leads nowhere"
    if _ADDRESS.match(str(path)):
        return "an address and no path on this machine: download the model first"
    return "there is no such file or folder"


def _read_saved_model(folder: Path, source: Path) -> Graph:
    if not (folder / _SAVED_MODEL).is_file():
        text = (folder / "saved_model.pbtxt").exists()
        fault = "only a saved_model.pbtxt, which is not read" if text else f"no {_SAVED_MODEL}"
        raise ModelFileError(source, f"no SavedModel: there is {fault} in this folder")
    from varhandle.formats.saved_model import read_saved_model

    return read_saved_model(folder / _SAVED_MODEL, str(source))


def _refuse_other_suffix(path: Path, is_hdf5: bool) -> None:
    """Refuse a Keras file whose name says another format than its beginning.

    Keras goes by the name, and one file can be both: an archive is found from its end, and an HDF5
    file may have anything before it. What is read here has to be what Keras would load.
    """
    suffix = path.suffix.lower()
    if is_hdf5 and suffix == ".keras":
        fault = "an HDF5 file whose name says .keras: Keras opens it by its name, so call it .h5"
        raise ModelFileError(path, fault)
    if not is_hdf5 and suffix in {".h5", ".hdf5"}:
        fault = f"a zip archive whose name says {suffix}: Keras opens it by its name"
        raise ModelFileError(path, f"{fault}, so call it .keras")


def _read_file(path: Path) -> Graph:
    with open_regular(path) as file:
        # Files of the kernel's, below /proc, have no size, and some of them no end.
        head = file.read(8) if os.fstat(file.fileno()).st_size else b""
    if not head:
        raise ModelFileError(path, "the file is empty")
    if head[4:] == _TFLITE_MARK:
        from varhandle.formats.tflite import read_tflite_file

        return read_tflite_file(path)
    if head.startswith(_ZIP_MARK) or head == _HDF5_MARK:
        from varhandle.formats.keras_file import read_hdf5, read_keras

        _refuse_other_suffix(path, head == _HDF5_MARK)
        return read_hdf5(path) if head == _HDF5_MARK else read_keras(path)
    if path.suffix.lower() in _MISSING_MARKS:
        raise ModelFileError(path, _MISSING_MARKS[path.suffix.lower()])
    from varhandle.formats.graph_def import read_graph_def

    return read_graph_def(read_regular(path), str(path))
