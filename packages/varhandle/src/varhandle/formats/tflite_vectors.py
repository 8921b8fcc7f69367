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


def vector(table: Any, field: str) -> memoryview:
    """Return a vector of numbers by the schema's name for it (``"Inputs"``), as a view of the file.

    An empty one where the table has none. ``ValueError`` where it ends outside the file.
    """
    plain = type(table)()  # another accessor of the same kind, over the same table
    plain._tab = _PlainTable(table._tab.Bytes, table._tab.Pos)
    found = getattr(plain, f"{field}AsNumpy")()
    return found if isinstance(found, memoryview) else memoryview(b"")
