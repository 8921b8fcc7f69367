"""Sizes that a .tflite file leaves open, such as a batch: LiteRT.js runs no file that has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from varhandle.formats.tflite_vectors import vector, vector_start

_WIDTH = 4  # bytes of a size


def closed_sizes(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Yield the byte at which an open size stands, and the size to write there (an int32).

    It is the size that an interpreter begins with. The file keeps both for each tensor: its shape,
    and its shape signature, which has -1 for a size that is open.
    """
    model = schema.Model.GetRootAs(data, 0)
    for subgraph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(subgraph.Tensors, range(subgraph.TensorsLength())):
            yield from _closed(tensor)


def _closed(tensor: Any) -> Iterator[tuple[int, int]]:
    sizes = zip(vector(tensor, "ShapeSignature"), vector(tensor, "Shape"), strict=False)
    start = vector_start(tensor, "ShapeSignature")
    for place, (size, first) in enumerate(sizes):
        if size < 0:
            yield start + place * _WIDTH, first
