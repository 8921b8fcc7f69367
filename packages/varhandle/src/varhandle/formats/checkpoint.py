"""The index of a TensorFlow checkpoint: which values a ``variables`` folder holds.

``variables.index`` is a sorted string table, the format of LevelDB: blocks of entries whose keys
share their beginnings, an index block that finds them, and a footer that finds the index block.
Layout and magic number are those of ``tensorflow/core/lib/io/table_format.txt`` and
``tensorflow/core/util/tensor_bundle``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError

from varhandle.formats.graph_def_reader import read_shape
from varhandle.formats.proto_schema import MESSAGES, dtype_of_number
from varhandle.formats.regular_file import read_regular, read_stretch
from varhandle.graph import TensorSpec, damaged_file

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant

CHECKPOINT_MARK = 0xDB4775248B80FB57
"""The last eight bytes of an index, as a number."""
_FOOTER_BYTES = 48
_UNCOMPRESSED = 0

_MOST_PER_BYTE = 64
"""Bytes of entries that a byte of a block may stand for. A key that shares its beginning with the
one before leaves it out, and at least every sixteenth is written whole."""


class _Held(NamedTuple):
    """A tensor of a checkpoint, and the bytes of a data file that hold it."""

    spec: TensorSpec
    path: Path
    offset: int
    size: int


def read_checkpoint(prefix: Path) -> dict[str, TensorSpec]:
    """Return the tensors that a checkpoint holds, by key; ``prefix`` is its path, no ``.index``.

    One whose data file is missing or too short is not held. Raises ``OSError`` if the index cannot
    be read, and ``ValueError`` if it is damaged.
    """
    return {held.spec.name: held.spec for held in _held(prefix)}


def checkpoint_values(prefix: Path) -> dict[str, Constant]:
    """Return the same tensors with a way to read each one's values; else ``ModelFileError``."""
    from varhandle.formats.constants import Constant

    try:
        held = _held(prefix)
    except (ValueError, OSError) as error:
        fault = getattr(error, "strerror", None) or error
        raise damaged_file(f"{prefix}.index", str(fault)) from error
    return {h.spec.name: Constant(h.spec.shape, partial(_values, h)) for h in held}


def _values(held: _Held, most: int = 2**63) -> Any:
    """Read a tensor; ``None`` for text, one that is kept in slices, and a file cut short since."""
    import ml_dtypes  # noqa: F401 - brings NumPy the dtype bfloat16
    import numpy as np

    if held.size > most:
        return None
    try:
        data = read_stretch(held.path, held.offset, held.size)
        return np.frombuffer(data, np.dtype(held.spec.dtype)).reshape(held.spec.shape)
    except (OSError, TypeError, ValueError):
        return None


def _held(prefix: Path) -> list[_Held]:
    table = read_regular(prefix.with_name(prefix.name + ".index"))
    try:
        entries = dict(_table_entries(table))
        header = MESSAGES["BundleHeaderProto"].FromString(entries.pop(b"", b""))
        held = []
        sizes: dict[int, int] = {}
        for key, value in entries.items():
            entry = MESSAGES["BundleEntryProto"].FromString(value)
            shard = f"{prefix.name}.data-{entry.shard_id:05d}-of-{header.num_shards:05d}"
            path = prefix.with_name(shard)
            if entry.shard_id not in sizes:
                sizes[entry.shard_id] = path.stat().st_size if path.is_file() else -1
            last = sizes[entry.shard_id] - entry.size
            if entry.size >= 0 and 0 <= entry.offset <= last:
                spec = TensorSpec(
                    key.decode(), dtype_of_number(entry.dtype), read_shape(entry.shape)
                )
                held.append(_Held(spec, path, entry.offset, entry.size))
    except (DecodeError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("the checkpoint index is damaged or cut short") from error
    return held


def _table_entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    footer = table[-_FOOTER_BYTES:]
    if struct.unpack_from("<Q", footer, 40) != (CHECKPOINT_MARK,):
        raise ValueError("the checkpoint index is damaged or cut short")
    _, position = _varint(footer, 0)  # the handle of the metaindex block, which nothing here needs
    _, position = _varint(footer, position)
    unread = len(table)
    for _, handle in _block_entries(table, *_block(footer[position:])):
        offset, size = _block(handle)
        unread -= size
        if unread < 0:
            raise ValueError("the checkpoint index is damaged: its blocks overlap")
        yield from _block_entries(table, offset, size)


def _block(handle: bytes) -> tuple[int, int]:
    """Return offset and size of the block that a handle points at."""
    offset, position = _varint(handle, 0)
    return offset, _varint(handle, position)[0]


def _block_entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if table[offset + size] != _UNCOMPRESSED:
        raise ValueError("the checkpoint index is compressed, which TensorFlow does not write")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    end = size - 4 - 4 * restarts
    key, position, unread = b"", 0, _MOST_PER_BYTE * size
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared + length
        unread -= len(key) + length
        if unread < 0:
            raise ValueError("the checkpoint index is damaged: it claims more than it can hold")
        yield key, block[position - length : position]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a base-128 number of at most 64 bits; return it and the position after it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("the checkpoint index is damaged (a number without an end)")
