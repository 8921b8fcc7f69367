"""Which nodes of the model an operator was made from, where the converter wrote it down.

With ``converter.serialize_debug_metadata``, a file has a metadata entry ``debug_metadata``: the
locations of MLIR for each operator, in a flatbuffer of their own (``debug_metadata.fbs`` of
TensorFlow, whose names are used here). The names in it are those of the graph's nodes, followed by
``@`` and the function; a fused operator has several.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import flatbuffers.encode
import flatbuffers.packer
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.table import Table

ENTRY = b"debug_metadata"

_LOCATION = 1  # in the union Attribute
_CALL_SITE, _FUSED, _NAME = 1, 3, 4  # in the union LocationType
_DEEPEST = 50


def node_names(
    model: schema.ModelT, subgraph: int, operators: Sequence[schema.OperatorT] | None = None
) -> dict[int, tuple[str, ...]]:
    """Return the nodes of operators of a subgraph, all or some, by their place.

    There are none where they were not written.
    """
    entry = next((one for one in model.metadata or [] if one.name == ENTRY), None)
    if entry is None:
        return {}
    if operators is None:
        operators = model.subgraphs[subgraph].operators or []
    try:
        metadata = _ConversionDebugMetadata(bytes(bytearray(model.buffers[entry.buffer].data)))
        return {
            number: names
            for number, operator in enumerate(operators)
            if (names := metadata.names(subgraph, operator.debugMetadataIndex))
        }
    except (IndexError, TypeError, ValueError, struct.error):  # nothing else checks it
        return {}


class _ConversionDebugMetadata:
    def __init__(self, data: bytes) -> None:
        root = Table(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))
        self._table = next(_tables(root, 1))
        kinds = _numbers(self._table, 1, flatbuffers.number_types.Uint8Flags)
        self._attributes = list(zip(kinds, _tables(self._table, 2), strict=True))

    def names(self, subgraph: int, operator: int) -> tuple[str, ...]:
        """Return the names in the locations of an operator, each once."""
        if operator < 0:
            return ()
        operators = list(_tables(list(_tables(self._table, 0))[subgraph], 0))
        found: dict[str, None] = {}
        seen: set[int] = set()
        for index in _numbers(operators[operator], 0, flatbuffers.number_types.Uint32Flags):
            found.update(dict.fromkeys(self._names(index, 0, seen)))
        return tuple(found)

    def _names(self, index: int, depth: int, seen: set[int]) -> Iterator[str]:
        # Fused locations may share parts: without `seen`, 50 of them have 2**50 paths.
        kind, attribute = self._attributes[index]
        if kind != _LOCATION or depth > _DEEPEST or index in seen:
            return
        seen.add(index)
        kind, location = _number(attribute, 0), _table(attribute, 1)
        if location is None:
            return
        if kind == _NAME:
            name = _text(location, 0).partition("@")[0]
            if name and not name.endswith(":"):  # the op type, with which a fused one begins
                yield name
        elif kind == _FUSED:
            for part in _numbers(location, 0, flatbuffers.number_types.Uint32Flags):
                yield from self._names(part, depth + 1, seen)
        elif kind == _CALL_SITE:
            callee = location.Offset(4)
            if callee:
                flags = flatbuffers.number_types.Uint32Flags
                called = location.Get(flags, location.Pos + callee)
                yield from self._names(called, depth + 1, seen)


def _field(table: Table, slot: int) -> int:
    return int(table.Offset(4 + 2 * slot))


def _tables(table: Table, slot: int) -> Iterator[Table]:
    """Yield the tables of a vector of tables or of unions."""
    field = _field(table, slot)
    if field:
        start = table.Vector(field)
        for number in range(table.VectorLen(field)):
            yield Table(table.Bytes, table.Indirect(start + 4 * number))


def _table(table: Table, slot: int) -> Table | None:
    field = _field(table, slot)
    return Table(table.Bytes, table.Indirect(table.Pos + field)) if field else None


def _numbers(table: Table, slot: int, flags: Any) -> Sequence[int]:
    field = _field(table, slot)
    if not field:
        return ()
    start, size = table.Vector(field), flags.bytewidth
    return [int(table.Get(flags, start + size * n)) for n in range(table.VectorLen(field))]


def _number(table: Table, slot: int) -> int:
    field = _field(table, slot)
    flags = flatbuffers.number_types.Uint8Flags
    return int(table.Get(flags, table.Pos + field)) if field else 0


def _text(table: Table, slot: int) -> str:
    field = _field(table, slot)
    return table.String(table.Pos + field).decode() if field else ""
