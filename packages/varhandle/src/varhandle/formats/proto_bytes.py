"""The bytes of a protocol buffer message with a graph, without its big constants.

TensorFlow writes a constant as one field of bytes. Of a large file everything is copied but these:
in the place of each stands where it lies in the file, so that a frozen graph of half a gigabyte
costs no more than its nodes, and a value is read when somebody asks for it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from varhandle.formats.proto_schema import MESSAGES
from varhandle.formats.regular_file import (
    LARGEST_MESSAGE,
    open_regular,
    read_regular,
    read_stretch,
)

_READ_WHOLE = 32 * 2**20
"""Up to this size a file is read as it is."""

_BIG_CONSTANT = 64 * 2**10
_DEEPEST = 20  # messages within each other, down to a constant of a function
_CONTENT = "tensor_content"
_MOST_FIELDS = 1_000_000
"""Fields that are looked at in a file: seconds' worth. What has more is read as it is."""
_LONGEST_HEAD = 20  # bytes of a field's number and its length

_PLACE = struct.Struct("<16sQQ")
_MARK = os.urandom(16)
"""Tells a place from a content. No file holds it: it is another one in each process."""

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # kinds of fields


class _Field(NamedTuple):
    """A field of a message: where it begins, where its value does, and where it ends."""

    number: int
    kind: int
    start: int
    value: int
    end: int


def read_message(path: Path, message: str) -> bytes:
    """Read a message of a file; in one of more than 32 MiB, big constants are left in the file.

    What was left is read by ``content_of``. A message that is damaged is read as it is, so that
    who parses it can say so.
    """
    with open_regular(path) as raw:
        size = os.fstat(raw.fileno()).st_size
        if not _READ_WHOLE < size <= LARGEST_MESSAGE:
            return read_regular(path)
        file = BufferedReader(raw)
        turns = iter(range(_MOST_FIELDS))
        return b"".join(_slim(file, 0, size, MESSAGES[message].DESCRIPTOR, depth=0, turns=turns))


def content_of(tensor: Any, path: Path | None) -> bytes:
    """Return the bytes of a ``TensorProto``, of which ``read_message`` may have left a place."""
    content: bytes = tensor.tensor_content
    if path is not None and len(content) == _PLACE.size and content.startswith(_MARK):
        _, start, size = _PLACE.unpack(content)
        return read_stretch(path, start, size)
    return content


def _slim(
    file: BinaryIO, start: int, end: int, kind: Any, *, depth: int, turns: Iterator[int]
) -> Iterator[bytes]:
    """Yield a message in pieces, and for each big constant the place where it lies.

    One of the ``turns`` is taken for each field.
    """
    copied = start
    fields = _fields(file, start, end) if depth <= _DEEPEST else ()
    for _, field in zip(turns, fields, strict=False):
        known = kind.fields_by_number.get(field.number)
        if field.kind != _BYTES or known is None or field.end - field.value <= _BIG_CONSTANT:
            continue
        if known.message_type is not None:
            parts = _slim(
                file, field.value, field.end, known.message_type, depth=depth + 1, turns=turns
            )
            inner = b"".join(parts)
        elif known.name == _CONTENT:
            inner = _PLACE.pack(_MARK, field.value, field.end - field.value)
        else:
            continue
        yield _read(file, copied, field.start)
        yield _varint(field.number << 3 | _BYTES) + _varint(len(inner)) + inner
        copied = field.end
    yield _read(file, copied, end)


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    """Yield the fields of a message, up to one that is damaged."""
    while start < end:
        file.seek(start)
        head = file.read(min(_LONGEST_HEAD, end - start))
        try:
            tag, length = _number(head, 0)
            at = length
            if tag & 7 == _BYTES:
                size, at = _number(head, length)
            elif tag & 7 == _VARINT:
                _, stop = _number(head, length)
                size = stop - length
            else:
                size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[tag & 7]
        except (IndexError, KeyError):
            return
        field = _Field(tag >> 3, tag & 7, start, start + at, start + at + size)
        if field.end > end:
            return
        yield field
        start = field.end


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a varint, and where it ends."""
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return number, at


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
