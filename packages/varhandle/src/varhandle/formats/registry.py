"""The formats, and any model file into a ``Graph``: the content decides which format it is."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from varhandle.errors import CHECK_PATH, system_fault
from varhandle.formats.base import ModelFormat
from varhandle.formats.foreign import (
    checkpoint_graph,
    refuse_foreign_archive,
    refuse_foreign_file,
)
from varhandle.formats.graph_def import GraphDef, MetaGraph, TextGraphDef, TextMetaGraph
from varhandle.formats.keras_model import KerasArchive, KerasHDF5
from varhandle.formats.regular_file import NO_FILE, open_regular
from varhandle.formats.saved_model import SAVED_MODEL_FILES, SavedModel
from varhandle.formats.saved_model_archive import SavedModelArchive
from varhandle.formats.tflite import TFLite
from varhandle.graph import Graph, ModelFileError, damaged_file

SAVED_MODEL, TFLITE, GRAPH_DEF = SavedModel(), TFLite(), GraphDef()

# Please add more here, and tests: see "Add a file format" in CONTRIBUTING.md. They are asked in
# this order; the last one takes whatever no other recognizes.
FORMATS: tuple[ModelFormat, ...] = (
    SAVED_MODEL,
    TFLITE,
    SavedModelArchive(),
    KerasArchive(),
    KerasHDF5(),
    TextGraphDef(),
    MetaGraph(),
    TextMetaGraph(),
    GRAPH_DEF,
)

_BY_ID = {each.id: each for each in FORMATS}
BYTES = "<bytes>"
"""The ``source`` of a graph that came from memory."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


class Serializable(Protocol):
    """A protocol buffer in memory, such as a GraphDef of TensorFlow's own."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's own name
        """Return the message's bytes."""


def format_of(graph: Graph) -> ModelFormat:
    """Return the format that a graph was read from."""
    return _BY_ID[graph.format]


def looks_like_model(path: Path) -> bool:
    """Tell by its name, or as a folder by what is in it, whether a path should hold a model."""
    if path.is_dir():
        return any((path / name).is_file() for name in SAVED_MODEL_FILES)
    return any(each.is_named(path) for each in FORMATS)


def read_graph(source: str | os.PathLike[str] | bytes | memoryview | Serializable) -> Graph:
    """Read a model. TensorFlow is neither needed nor imported.

    It is the path of a SavedModel folder (or the ``saved_model.pb`` in it, or a zip archive of
    one), of a ``.keras``, ``.h5`` or ``.tflite`` file, of a GraphDef (``.pb``, or ``.pbtxt`` as
    text), of a MetaGraph (``.meta``) or the checkpoint beside it; or, in memory, the bytes of a
    ``.tflite`` file or a GraphDef, or a GraphDef itself.

    Raises:
        ModelFileError: There is no such file, or no model that can be read is in it.
        TypeError: ``source`` is none of the above.
    """
    with _garbage_collector_paused():
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            try:
                path = _graph_of_checkpoint(path) or path
                return recognized_format(path).read(path)
            except OSError as error:
                fault = f"cannot be read: {system_fault(error, CHECK_PATH)}"
                raise ModelFileError(path, fault) from error
        if hasattr(source, "SerializeToString"):
            source = source.SerializeToString()
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = source if isinstance(source, memoryview) else bytes(source)
            found = next(each for each in FORMATS if each.recognizes(bytes(data[:8])))
            return found.read_bytes(data, BYTES)
    raise TypeError(f"read_graph takes a path, bytes or a GraphDef, not {type(source).__name__}")


def _graph_of_checkpoint(path: Path) -> Path | None:
    """Return the MetaGraph beside a checkpoint that was given by its folder or its prefix."""
    if "\0" in str(path) or path.is_file() or any((path / it).exists() for it in SAVED_MODEL_FILES):
        return None
    return checkpoint_graph(path)


@contextmanager
def _garbage_collector_paused() -> Iterator[None]:
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


def recognized_format(path: Path) -> ModelFormat:
    """Return the format of what is at a path; raises ``ModelFileError`` or ``OSError``."""
    if "\0" in str(path):
        raise ModelFileError(repr(str(path)), f"a path cannot hold a null character: {CHECK_PATH}")
    if not path.exists():
        fault = f"there is no such file or folder: {CHECK_PATH}"
        if path.is_symlink():
            fault = "a symbolic link that leads nowhere: give the place of the model itself"
        elif _ADDRESS.match(str(path)):
            fault = "an address and no path on this machine: download the model first"
        raise ModelFileError(path, fault)
    if not path.is_dir() and not path.is_file():
        raise ModelFileError(path, NO_FILE)
    if SAVED_MODEL.recognizes(b"", path):
        return SAVED_MODEL
    with open_regular(path) as file:
        # Files of the kernel's, below /proc, have no size, and some of them no end.
        head = file.read(8) if os.fstat(file.fileno()).st_size else b""
    if not head:
        raise damaged_file(path, "the file is empty")
    found = next(each for each in FORMATS if each.recognizes(head, path))
    if isinstance(found, KerasArchive):
        refuse_foreign_archive(path, [end for each in FORMATS for end in each.suffixes])
    if found is GRAPH_DEF or isinstance(found, TextGraphDef):
        refuse_foreign_file(path)
    if found is GRAPH_DEF:
        for each in FORMATS:
            if each.without_mark and each.is_named(path):
                raise damaged_file(path, each.without_mark)
    return found
