"""Vectors of numbers in a .tflite file, without NumPy.

The schema's generated accessors give such a vector as a NumPy array, or number by number.
"""

from __future__ import annotations

from typing import Any

from flatbuffers.table import Table


class _PlainTable(Table):
    """A table that answers with a view where the generated code asks it for an array."""

    __slots__ = ()

    def GetVectorAsNumpy(self, flags: Any, off: int) -> memoryview:  # noqa: N802 - its own name
        start = self.Vector(off)
        end = start + self.VectorLen(off) * flags.bytewidth
        if end > len(self.Bytes):
            raise ValueError(f"a vector ends at byte {end} of {len(self.Bytes)}")
        return memoryview(self.Bytes)[start:end].cast(flags.packer_type.format[-1])


class _PlaceTable(Table):
    """A table that answers with a place where the generated code asks it for an array."""

    __slots__ = ()

    def GetVectorAsNumpy(self, _: Any, off: int) -> int:  # noqa: N802 - its own name
        return int(self.Vector(off))


def vector(table: Any, field: str) -> memoryview:
    """Return a vector of numbers by the schema's name for it (``"Inputs"``), as a view of the file.

    An empty one where the table has none. ``ValueError`` where it ends outside the file.
    """
    found = _asked(table, field, _PlainTable)
    return found if isinstance(found, memoryview) else memoryview(b"")


def vector_start(table: Any, field: str) -> int:
    """Return at which byte of the file a vector's first number is; 0 where the table has none."""
    return int(_asked(table, field, _PlaceTable))


def _asked(table: Any, field: str, kind: type[Table]) -> Any:
    other = type(table)()  # another accessor of the same kind, over the same table
    other._tab = kind(table._tab.Bytes, table._tab.Pos)
    return getattr(other, f"{field}AsNumpy")()
