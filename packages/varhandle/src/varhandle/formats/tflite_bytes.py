"""The bytes of a ``.tflite`` file that its graph is in.

A mapped file kills the process that looks at it (SIGBUS) as soon as somebody cuts the file short.
So a small file is read. Of a large one everything is copied but its big constants, which no reader
here looks at: they become a hole of zeros in memory that is reserved and never touched, so that a
model of a gigabyte costs no more than its graph.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from varhandle.errors import PlaceError
from varhandle.formats.regular_file import open_regular, read_regular, read_stretch
from varhandle.graph.model import SAVE_AGAIN

_READ_WHOLE = 32 * 2**20
"""Up to this size a file is read as it is."""

_BIG_CONSTANT = 64 * 2**10
_PIECE = 2**20
_LARGEST_GRAPH = 256 * 2**20

# Where there are such flags (not on Windows), memory is reserved for this process alone.
_PRIVATE: dict[str, Any] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
)

# Numbers of fields, from the schema: Model.buffers; Buffer.data, offset and size.
_BUFFERS = 4
_DATA, _OFFSET, _SIZE = 0, 1, 2


def read_graph_part(path: Path) -> bytes | memoryview:
    """Read a ``.tflite`` file; in one of more than 32 MiB, constants over 64 KiB become zeros.

    Raises ``OSError`` if it cannot be read or was cut short meanwhile, and ``ValueError`` if its
    constants cannot be found or are not what makes it large.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _READ_WHOLE:
            return read_regular(path, _READ_WHOLE)
        constants = sorted(_constants(file, size))
        memory, taken = mmap.mmap(-1, size, **_PRIVATE), 0
        for start, end in _between(constants, size):
            piece = _read(file, start, end - start)
            if piece.count(0) == len(piece):
                continue  # zeros are there already, and cost nothing as long as nobody writes them
            memory[start:end] = piece
            taken += len(piece)
            if taken > _LARGEST_GRAPH:
                raise ValueError("more of it than any graph takes is no constant")
    return memoryview(memory).toreadonly()


def stored_bytes(path: Path, part: bytes | memoryview, view: Any) -> Any:
    """Return the bytes of a constant, of which ``read_graph_part`` may have left a hole.

    ``view`` is what lies over them in what it gave, ``part``. The answer is an array of NumPy's.
    """
    import numpy as np

    view = np.asarray(view)
    if isinstance(part, bytes):
        return view
    start = view.ctypes.data - np.frombuffer(part, np.uint8).ctypes.data
    return np.frombuffer(read_stretch(path, start, view.size), np.uint8)


def _between(constants: Iterable[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a file that are in no constant, in pieces."""
    start = 0
    for constant, end in (*constants, (size, size)):
        for at in range(start, constant, _PIECE):
            yield at, min(at + _PIECE, constant)
        start = max(start, end)


def _read(file: FileIO, at: int, count: int) -> bytes:
    file.seek(at)
    piece = file.read(count)
    if len(piece) < count:
        fault = "it ends before its constants do, or was cut short while it was read"
        raise PlaceError(errno.EIO, f"{fault}: {SAVE_AGAIN}")
    return piece


def _constants(file: FileIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield where each big constant begins and ends."""

    def number(at: int, layout: str = "<I") -> int:
        if not 0 <= at <= size - struct.calcsize(layout):
            raise ValueError("an offset points outside the file")
        return int(struct.unpack(layout, _read(file, at, struct.calcsize(layout)))[0])

    def field(table: int, which: int) -> int | None:
        """Return where a field of a table is; ``None`` if the table does not have it."""
        vtable = table - number(table, "<i")
        entry = 4 + 2 * which
        offset = number(vtable + entry, "<H") if entry < number(vtable, "<H") else 0
        return table + offset if offset else None

    vector = field(number(0), _BUFFERS)
    if vector is None:
        return
    vector += number(vector)
    length = number(vector)
    if length > size // 4:
        raise ValueError("it claims more items than it has bytes")
    for at in range(vector + 4, vector + 4 + 4 * length, 4):
        buffer = at + number(at)
        data, offset, count = (field(buffer, which) for which in (_DATA, _OFFSET, _SIZE))
        if data is not None:
            data += number(data)
            start, end = data + 4, data + 4 + number(data)
        elif offset is not None and count is not None:
            start = number(offset, "<Q")
            end = start + number(count, "<Q")
        else:
            continue
        if end - start > _BIG_CONSTANT and end <= size:
            yield start, end
