"""The outline of an HDF5 file: its groups, attributes that are text, and what datasets declare.

Read without libhdf5, which loops without end on some damaged files, asks for gigabytes on others,
and is in no browser. Only what says where things are is read, never the values of a dataset. Each
address and each size is held against the file's size, no object is looked into twice, and all that
is read together is limited (``_BUDGET``), so that a damaged file costs no more than a sound one.

The numbers are those of the HDF5 File Format Specification 3.0. Groups and attributes may be stored
in either way: old files have B-trees and local heaps, new ones fractal heaps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

_BUDGET = 64 * 2**20
"""Bytes that are read of a file at most, some of them again, and characters of its paths."""

_PART = 128
"""Bytes of the budget that each part costs beside its own: the smallest are made by the million."""

_MOST_AXES = 32  # of a dataset or an attribute, in HDF5 itself
_DEEPEST_TREE = 64  # a deeper one has more leaves than there are addresses

# Types of messages in an object's header.
_DATASPACE, _LINKS, _DATATYPE, _LINK, _EXTERNAL, _LAYOUT = 1, 2, 3, 6, 7, 8
_ATTRIBUTE, _CONTINUATION, _SYMBOLS, _ATTRIBUTES = 12, 16, 17, 21
_SHARED = 2  # flag of a message: it stands in another place
# Classes of datatypes.
_INTEGER, _FLOAT, _STRING, _BITS, _COMPOUND, _REFERENCE, _ENUM, _VARIABLE = 0, 1, 3, 4, 6, 7, 8, 9
_FLOATS = (("float16", 5, 10), ("float32", 8, 23), ("float64", 11, 52))  # exponent, mantissa
_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = 0, 1, 2, 3  # layouts of a dataset

Text = str | list[str]


class Dataset(NamedTuple):
    """What a dataset declares: NumPy's name of its dtype, its shape and how much of it there is."""

    dtype: str
    shape: tuple[int, ...]
    declared: int  # bytes
    stored: int  # bytes; at most so many, where it lies in pieces
    elsewhere: bool  # whether its values lie in another file


@dataclass
class Outline:
    """What is in a file, by path; the root's is empty, and no other begins with a slash.

    ``external`` and ``soft`` are the links: out of the file, and to a path in it.
    """

    attributes: dict[str, dict[str, Text]] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    external: list[str] = field(default_factory=list)
    soft: list[str] = field(default_factory=list)


def read_outline(file: BinaryIO, start: int, size: int, attributes: Collection[str]) -> Outline:
    """Read what begins at ``start`` of a file and is ``size`` bytes long.

    Of the attributes, those of these names whose values are text. ``ValueError`` says what is wrong
    with a damaged file, ``OSError`` what the system says.
    """
    return _Reader(file, start, size).outline(attributes)


class _Bytes:
    """Bytes that are read from their beginning to their end, numbers in little-endian order."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        end = self.place + count
        if count < 0 or end > len(self.data):
            raise ValueError("a part of it ends before it should")
        self.place = end
        return self.data[end - count : end]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def text(self) -> bytes:
        """Take what ends with a zero byte."""
        end = self.data.find(b"\0", self.place)
        if end < 0:
            raise ValueError("a name in it has no end")
        found = self.data[self.place : end]
        self.place = end + 1
        return found

    @property
    def left(self) -> int:
        return len(self.data) - self.place


class _Datatype(NamedTuple):
    kind: int
    size: int  # bytes of a value
    name: str  # NumPy's
    is_text: bool  # of any length, stored in a heap
    padding: int  # what fills up a text of fixed length


class _Message(NamedTuple):
    kind: int
    flags: int
    data: bytes


class _Link(NamedTuple):
    name: str
    kind: int  # 0 a hard one, 1 a soft one, 64 out of the file
    address: int


_HARD, _SOFT, _OUT = 0, 1, 64


class _Reader:
    """Reads one file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._unread = _BUDGET
        self._heaps: dict[int, dict[int, bytes]] = {}  # global heaps, by address
        self._root = self._superblock()

    def outline(self, attributes: Collection[str]) -> Outline:
        outline, seen = Outline(), set()
        waiting = [("", self._root)]
        while waiting:
            path, address = waiting.pop()
            if address in seen:
                continue
            seen.add(address)
            messages = list(self._messages(address))
            if found := dict(self._texts(messages, attributes)):
                outline.attributes[path] = found
            if any(message.kind == _LAYOUT for message in messages):
                outline.datasets[path] = self._dataset(messages)
                continue
            inner = []
            for link in sorted(self._links(messages)):
                if link.kind == _HARD:
                    inner.append((self._path(path, link).removeprefix("/"), link.address))
                else:
                    places = outline.soft if link.kind == _SOFT else outline.external
                    places.append(self._path(path, link))
            waiting += reversed(inner)
        outline.external += [path for path, one in outline.datasets.items() if one.elsewhere]
        return outline

    def _path(self, group: str, link: _Link) -> str:
        self._spend(len(group) + len(link.name))  # in groups within groups they add up
        return f"{group}/{link.name}"

    # Bytes, addresses and numbers.

    def _at(self, address: int, count: int) -> bytes:
        if count < 0 or not 0 <= address <= self._size - count:
            raise ValueError("an address in it points outside the file")
        self._spend(_PART + count)
        self._file.seek(self._start + address)
        found = self._file.read(count)
        if len(found) < count:
            raise ValueError("it was cut short while it was read")
        return found

    def _spend(self, count: int) -> None:
        self._unread -= count
        if self._unread < 0:
            raise ValueError("it has more parts than any model's, or they refer to each other")

    def _bytes(self, address: int, count: int, mark: bytes = b"") -> _Bytes:
        """Read a part that begins with a mark."""
        found = _Bytes(self._at(address, count))
        if found.take(len(mark)) != mark:
            raise ValueError(f"there is no {mark.decode()} where one should be")
        return found

    def _address(self, data: _Bytes) -> int:
        """Take an address; -1 stands for none."""
        found = data.number(self._offsets)
        return -1 if found == (1 << 8 * self._offsets) - 1 else found + self._base

    def _superblock(self) -> int:
        self._base = 0
        head = _Bytes(self._at(0, 16))
        if head.take(8) != b"\x89HDF\r\n\x1a\n":
            raise ValueError("it is not in HDF5 format")
        version = head.number(1)
        if version > 3:
            raise ValueError(f"it is of version {version} of HDF5, which is not known here")
        if version < 2:
            head.take(4)
        self._offsets, self._lengths = head.number(1), head.number(1)
        if not {self._offsets, self._lengths} <= {2, 4, 8}:
            raise ValueError("its addresses have no size")
        at = {0: 24, 1: 28}.get(version, 12)
        data = self._bytes(at, (6 if version < 2 else 4) * self._offsets)
        self._base = data.number(self._offsets)
        data.take(self._offsets)
        end = self._address(data)
        if end > self._size:
            raise ValueError(f"truncated: it should have {end:,} bytes, and has {self._size:,}")
        if version < 2:
            data.take(2 * self._offsets)  # the driver's block; the root has no name
        return self._address(data)

    # Objects: a header of messages.

    def _messages(self, address: int) -> Iterator[_Message]:
        is_new = self._at(address, 4) == b"OHDR"
        blocks = [self._new_header(address) if is_new else self._old_header(address)]
        seen = set()
        while blocks:
            block, size, extra = blocks.pop(0)
            if block in seen:
                raise ValueError("a header in it goes on at its own beginning")
            seen.add(block)
            data = _Bytes(self._at(block, size))
            while data.left >= (4 + extra if is_new else 8):
                kind = data.number(1 if is_new else 2)
                count, flags = data.number(2), data.number(1)
                data.take(extra if is_new else 3)
                body = data.take(count)
                self._spend(_PART)
                if kind == _CONTINUATION:
                    parts = _Bytes(body)
                    place, length = self._address(parts), parts.number(self._lengths)
                    # A new one has a mark before its messages, and a checksum behind them.
                    blocks.append((place + 4, length - 8, extra) if is_new else (place, length, 0))
                else:
                    yield _Message(kind, flags, body)

    def _old_header(self, address: int) -> tuple[int, int, int]:
        data = self._bytes(address, 16)
        if data.number(1) != 1:
            raise ValueError("there is no header of an object where one should be")
        data.take(7)
        return address + 16, data.number(4), 0

    def _new_header(self, address: int) -> tuple[int, int, int]:
        _, flags = self._at(address + 4, 2)
        place = address + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(self._at(place, width), "little")
        return place + width, size, 2 * bool(flags & 4)

    def _whole(self, message: _Message) -> bytes:
        """Return a message's data, from where it stands if that is another object's header."""
        if not message.flags & _SHARED:
            return message.data
        return self._shared(_Bytes(message.data), message.kind)

    def _shared(self, data: _Bytes, kind: int) -> bytes:
        version, where = data.number(1), data.number(1)
        if version == 1:
            data.take(6)
        if version == 3 and where == 1:
            raise ValueError("it keeps messages in a heap of their own, which are not read here")
        for message in self._messages(self._address(data)):
            if message.kind == kind and not message.flags & _SHARED:
                return message.data
        raise ValueError("a datatype in it is not where it should be")

    # Datasets.

    def _dataset(self, messages: list[_Message]) -> Dataset:
        by_kind = {message.kind: message for message in messages}
        if not {_DATASPACE, _DATATYPE} <= set(by_kind):
            raise ValueError("a dataset in it has no datatype or no shape")
        datatype = _datatype(_Bytes(self._whole(by_kind[_DATATYPE])))
        shape = self._shape(self._whole(by_kind[_DATASPACE]))
        if shape is None:
            raise ValueError("a dataset in it has no values at all")
        declared = datatype.size
        for length in shape:
            declared *= length
        layout, stored = self._layout(by_kind[_LAYOUT].data)
        elsewhere = layout == _VIRTUAL or _EXTERNAL in by_kind
        return Dataset(datatype.name, shape, declared, stored, elsewhere)

    def _shape(self, message: bytes) -> tuple[int, ...] | None:
        data = _Bytes(message)
        version, rank, _ = data.number(1), data.number(1), data.number(1)
        if data.number(1) == 2 and version == 2:  # no value, not even an empty one
            return None
        if rank > _MOST_AXES:
            raise ValueError("a shape in it has more axes than HDF5 knows")
        if version == 1:
            data.take(4)
        return tuple(data.number(self._lengths) for _ in range(rank))

    def _layout(self, message: bytes) -> tuple[int, int]:
        """Return a layout, and how many bytes are stored at most."""
        data = _Bytes(message)
        version, first = data.number(1), data.number(1)
        layout = first if version > 2 else data.number(1)
        if version < 3:
            data.take(5)
        if layout == _COMPACT:
            return layout, len(message)
        if layout == _CHUNKED and version == 3:
            data.take(1)
        elif layout == _CHUNKED and version > 3:  # the address is the last that it says
            data.take(data.left - self._offsets)
        if layout in {_CONTIGUOUS, _CHUNKED}:
            return layout, 0 if self._address(data) < 0 else self._size
        return layout, 0

    # Attributes.

    def _texts(
        self, messages: list[_Message], names: Collection[str]
    ) -> Iterator[tuple[str, Text]]:
        for message in self._attributes(messages):
            data = _Bytes(message)
            version, flags = data.number(1), data.number(1)
            sizes = [data.number(2) for _ in range(3)]
            data.take(version == 3)  # the letters of the name
            parts = []
            for size in sizes:
                parts.append(data.take(size))
                data.take(-size % 8 if version == 1 else 0)
            name = _name(parts[0].rstrip(b"\0"))
            if name in names:
                shared = flags if version > 1 else 0
                whole = self._shared(_Bytes(parts[1]), _DATATYPE) if shared & 1 else parts[1]
                found = self._text(_datatype(_Bytes(whole)), self._shape(parts[2]), data)
                if found is not None:
                    yield name, found

    def _attributes(self, messages: list[_Message]) -> Iterator[bytes]:
        for message in messages:
            if message.kind == _ATTRIBUTE:
                yield self._whole(message)
            elif message.kind == _ATTRIBUTES:
                data = _Bytes(message.data)
                flags = data.take(2)[1]
                data.take(2 * (flags & 1))
                heap, tree = self._address(data), self._address(data)
                if heap >= 0 and tree >= 0:
                    fractal = _FractalHeap(self, heap)
                    yield from (fractal.object(r[: fractal.id_size]) for r in self._records(tree))

    def _text(
        self, datatype: _Datatype, shape: tuple[int, ...] | None, data: _Bytes
    ) -> Text | None:
        """Return an attribute's value; ``None`` where it is no text."""
        if shape is None or not (datatype.is_text or datatype.kind == _STRING):
            return None
        count = 1
        for length in shape:
            count *= length
        if not datatype.size or count * datatype.size > data.left:
            raise ValueError("an attribute in it ends before it should")
        found = [self._word(datatype, data) for _ in range(count)]
        return found if shape else found[0]

    def _word(self, datatype: _Datatype, data: _Bytes) -> str:
        if not datatype.is_text:
            word = data.take(datatype.size)  # ended by a zero byte, or filled up with them
            return (word.rstrip(b"\0") if datatype.padding else word.partition(b"\0")[0]).decode()
        length, heap, index = data.number(4), self._address(data), data.number(4)
        if heap <= self._base or not index:
            return ""
        self._spend(length)
        return self._global(heap).get(index, b"")[:length].partition(b"\0")[0].decode()

    def _global(self, address: int) -> dict[int, bytes]:
        """Return the objects of a global heap, by their numbers."""
        if address not in self._heaps:
            head = self._bytes(address, 8 + self._lengths, b"GCOL")
            head.take(4)
            size = head.number(self._lengths)
            data, found = _Bytes(self._at(address, size)), dict[int, bytes]()
            data.take(8 + self._lengths)
            while data.left >= 8 + self._lengths:
                index = data.number(2)
                data.take(6)
                length = data.number(self._lengths)
                if not index:  # what is left of it is free
                    break
                found[index] = data.take(length)
                self._spend(_PART)
                data.take(min(-length % 8, data.left))
            self._heaps[address] = found
        return self._heaps[address]

    # Links, of which a group consists.

    def _links(self, messages: list[_Message]) -> Iterator[_Link]:
        for message in messages:
            data = _Bytes(message.data)
            if message.kind == _SYMBOLS:
                tree, heap = self._address(data), self._address(data)
                yield from self._symbols(tree, self._names(heap))
            elif message.kind == _LINK:
                yield self._link(message.data)
            elif message.kind == _LINKS:
                flags = data.take(2)[1]
                data.take(8 * (flags & 1))
                heap, tree = self._address(data), self._address(data)
                if heap >= 0 and tree >= 0:
                    fractal = _FractalHeap(self, heap)
                    for record in self._records(tree):
                        yield self._link(fractal.object(record[4:]))

    def _link(self, message: bytes) -> _Link:
        data = _Bytes(message)
        flags = data.take(2)[1]
        kind = data.number(1) if flags & 8 else _HARD
        data.take(8 * bool(flags & 4) + bool(flags & 16))
        name = _name(data.take(data.number(1 << (flags & 3))))
        return _Link(name, kind, self._address(data) if kind == _HARD else -1)

    def _names(self, address: int) -> bytes:
        """Return what is in a local heap."""
        head = self._bytes(address, 8 + 2 * self._lengths + self._offsets, b"HEAP")
        head.take(4)
        size = head.number(self._lengths)
        head.take(self._lengths)
        return self._at(self._address(head), size)

    def _symbols(self, address: int, names: bytes) -> Iterator[_Link]:
        """Walk the B-tree of an old group."""
        waiting = [(address, -1)]
        while waiting:
            node, above = waiting.pop()
            head = self._bytes(node, 8 + 2 * self._offsets, b"TREE")
            kind, level, count = head.number(1), head.number(1), head.number(2)
            if kind or (above >= 0 and level != above - 1):
                raise ValueError("a B-tree in it is none of a group, or goes round in a circle")
            data = self._bytes(
                node + 8 + 2 * self._offsets, count * (self._lengths + self._offsets)
            )
            for _ in range(count):
                data.take(self._lengths)
                child = self._address(data)
                if level:
                    waiting.append((child, level))
                else:
                    yield from self._entries(child, names)

    def _entries(self, address: int, names: bytes) -> Iterator[_Link]:
        head = self._bytes(address, 8, b"SNOD")
        head.take(2)
        size = 2 * self._offsets + 24
        data = self._bytes(address + 8, head.number(2) * size)
        while data.left:
            heap = _Bytes(names)
            heap.take(data.number(self._offsets))
            place, cached = self._address(data), data.number(4)
            data.take(20)
            name = heap.text()
            self._spend(_PART + len(name))  # many links may have one long name
            yield _Link(_name(name), _SOFT if cached == 2 else _HARD, place)

    def _records(self, address: int) -> Iterator[bytes]:
        """Yield the records of a B-tree of version 2."""
        data = self._bytes(address, 16 + self._offsets + 2, b"BTHD")
        data.take(2)
        node_size, size, depth = data.number(4), data.number(2), data.number(2)
        data.take(2)
        root, count = self._address(data), data.number(2)
        if not size or node_size < 10 + size or depth > _DEEPEST_TREE:
            raise ValueError("a B-tree in it has no room for what it holds")
        # How many records a node of each depth holds, and all below it: so wide are the counts.
        most = [(node_size - 10) // size]
        total, widths = most[:], [_width(most[0])]
        for level in range(1, depth + 1):
            pointer = self._offsets + widths[0] + (_width(total[-1]) if level > 1 else 0)
            most.append((node_size - 10 - pointer) // (size + pointer))
            widths.append(_width(total[-1]))
            total.append((most[-1] + 1) * total[-1] + most[-1])
        waiting = [(root, count, depth)] if count else []
        while waiting:
            node, count, level = waiting.pop()
            part = self._bytes(node, node_size, b"BTIN" if level else b"BTLF")
            part.take(2)
            yield from [part.take(size) for _ in range(count)]
            for _ in range(count + 1 if level else 0):
                child, held = self._address(part), part.number(widths[0])
                part.take(widths[level] if level > 1 else 0)
                waiting.append((child, held, level - 1))


class _FractalHeap:
    """A heap of links or attributes: blocks in rows, each row of blocks twice as large."""

    def __init__(self, reader: _Reader, address: int) -> None:
        self._reader = reader
        offsets, lengths = reader._offsets, reader._lengths
        head = reader._bytes(address, 22 + 12 * lengths + 3 * offsets, b"FRHP")
        head.take(1)
        self.id_size = head.number(2)
        if head.number(2):
            raise ValueError("a heap in it is packed, which is not read here")
        head.take(1)
        largest = head.number(4)
        head.take(2 * (lengths + offsets) + 8 * lengths)
        self._columns = head.number(2)
        self._first, self._last_direct = head.number(lengths), head.number(lengths)
        self._bits = head.number(2)
        head.take(2)
        self._root, self._rows = reader._address(head), head.number(2)
        if not self._columns or not self._first or self._bits > 64:
            raise ValueError("a heap in it has no blocks")
        self._place = (self._bits + 7) // 8
        self._length = min((self._last_direct.bit_length() + 6) // 8, _width(largest))

    def object(self, identifier: bytes) -> bytes:
        """Return what is stored under an identifier."""
        data = _Bytes(identifier)
        kind = data.number(1)
        if kind & 0x30 == 0x20:  # so short that the identifier holds it
            return data.take((kind & 15) + 1)
        if kind & 0x30:
            raise ValueError("what is in a heap in it is larger than is read here")
        place, length = data.number(self._place), data.number(self._length)
        if not self._rows:
            return self._reader._at(self._root + place, length)
        return self._reader._at(self._find(self._root, self._rows, place), length)

    def _find(self, block: int, rows: int, place: int) -> int:
        """Return the address of what is at a place of the heap, from an indirect block on."""
        offsets = self._reader._offsets
        before, start = 0, 5 + offsets + self._place
        for row in range(rows):
            size = self._first << max(row - 1, 0)
            column, within = divmod(place, size)
            if column >= self._columns:
                place -= size * self._columns
                before += self._columns
                continue
            at = block + start + (before + column) * offsets
            child = self._reader._address(self._reader._bytes(at, offsets))
            if size <= self._last_direct:
                return child + within
            inner = (size // (self._first * self._columns)).bit_length()
            return self._find(child, inner, within)
        raise ValueError("what is in a heap in it is in no block of it")


def _width(most: int) -> int:
    """Return how many bytes a number takes that is no larger."""
    return (max(most, 1).bit_length() - 1) // 8 + 1


def _name(found: bytes) -> str:
    return found.decode("utf-8", "surrogateescape")


def _datatype(data: _Bytes) -> _Datatype:
    """Read a datatype, and name it as NumPy does."""
    kind, bits = data.number(1), data.number(3)
    kind, version, size = kind & 15, kind >> 4, data.number(4)
    name, is_text = f"void{8 * size}", False
    if kind in {_INTEGER, _BITS}:
        data.take(4)  # which of the bits count
        name = f"{'int' if bits & 8 and kind == _INTEGER else 'uint'}{8 * size}"
    elif kind == _FLOAT:
        data.take(5)
        exponent, _, mantissa = data.number(1), data.number(1), data.number(1)
        fits = (n for n, e, m in _FLOATS if exponent <= e and mantissa <= m)
        name = next(fits, f"float{8 * size}")
    elif kind == _STRING:
        name = f"bytes{8 * size}"
    elif kind == _COMPOUND and data.data[data.place :].startswith(b"r\0") and bits & 0xFFFF == 2:
        name = f"complex{8 * size}"
    elif kind == _ENUM:
        base = _datatype(data)
        words = []
        for _ in range(bits & 0xFFFF):
            before = data.place
            words.append(data.text())
            data.take(-(data.place - before) % 8 if version < 3 else 0)
        name = "bool" if words == [b"FALSE", b"TRUE"] else base.name
    elif kind in {_VARIABLE, _REFERENCE}:
        name, is_text = "object", kind == _VARIABLE and bits & 15 == 1
    return _Datatype(kind, size, name, is_text, bits & 15)
