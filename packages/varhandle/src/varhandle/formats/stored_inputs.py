"""What is stored with a model of its inputs: requests to warm up, metadata of a .tflite file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from varhandle.formats.regular_file import read_regular

if TYPE_CHECKING:
    from varhandle.formats.constants import Array

WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")
"""Where TensorFlow Serving takes the requests from that it makes before any others."""

_LARGEST = 64 * 2**20
_MOST_REQUESTS = 1_000  # what TensorFlow Serving takes


def warm_up_requests(folder: Path) -> list[tuple[str, dict[str, Array]]]:
    """Return the requests in a SavedModel's warm-up file: signature, and input name to array.

    There are none where there is no such file, or where it is damaged: it is no part of the model.
    """
    from google.protobuf.message import DecodeError

    from varhandle.formats.proto_schema import MESSAGES
    from varhandle.formats.tensor_proto import values_of_tensor_proto

    try:
        data = read_regular(folder / WARM_UP, _LARGEST)
        logs = [MESSAGES["PredictionLog"].FromString(each) for each in _records(data)]
    except (OSError, ValueError, DecodeError, struct.error):
        return []
    found = []
    for log in logs[:_MOST_REQUESTS]:
        request = log.predict_log.request
        values = {name: values_of_tensor_proto(tensor) for name, tensor in request.inputs.items()}
        arrays = {name: value for name, value in values.items() if value is not None}
        if arrays and len(arrays) == len(values):
            found.append((request.model_spec.signature_name or "serving_default", arrays))
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a TFRecord file: a length, its checksum, the bytes, their checksum."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if at + 16 + length > len(data):
            raise ValueError("it is cut short")
        yield data[at + 12 : at + 12 + length]
        at += 16 + length


class TensorMetadata(NamedTuple):
    """What the metadata of a .tflite file says of an input."""

    mean: list[float]  # (value - mean) / std is what is fed; empty where it is not said
    std: list[float]
    low: list[float]  # of what is fed
    high: list[float]


_METADATA = b"TFLITE_METADATA"
_NORMALIZATION = 1  # of the union ProcessUnitOptions


def tensor_metadata(data: bytes) -> list[TensorMetadata]:
    """Return the metadata of each input of the main graph; none where the file has none.

    Numbers of fields are those of ``metadata_schema.fbs`` of TFLite Support 1.5.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    entries = (model.Metadata(i) for i in range(model.MetadataLength()))
    buffers = [one.Buffer() for one in entries if one.Name() == _METADATA]
    try:
        if not buffers or not model.Buffers(buffers[0]).DataLength():
            return []
        return [_described(one) for one in _inputs(model.Buffers(buffers[0]).DataAsNumpy())]
    except (struct.error, ValueError, LookupError, TypeError):  # nothing else checks it
        return []


def _inputs(metadata: Any) -> Iterator[Any]:
    from flatbuffers.table import Table

    data = bytes(metadata)
    root = Table(data, struct.unpack_from("<I", data)[0])
    for subgraph in list(_tables(root, 3))[:1]:
        yield from _tables(subgraph, 2)


def _described(tensor: Any) -> TensorMetadata:
    units = [unit for unit in _tables(tensor, 4) if _byte(unit, 0) == _NORMALIZATION]
    options = _table(units[0], 1) if units else None
    stats = _table(tensor, 5)
    return TensorMetadata(
        *(_floats(options, which) for which in (0, 1)), *(_floats(stats, which) for which in (1, 0))
    )


def _at(table: Any, which: int) -> int:
    """Return where a field of a table is in it; 0 if the table does not have it."""
    return int(table.Offset(4 + 2 * which))


def _byte(table: Any, which: int) -> int:
    return int(table.Bytes[table.Pos + _at(table, which)]) if _at(table, which) else 0


def _table(parent: Any, which: int) -> Any:
    from flatbuffers.table import Table

    at = _at(parent, which)
    return Table(parent.Bytes, parent.Indirect(parent.Pos + at)) if at else None


def _tables(parent: Any, which: int) -> Iterator[Any]:
    from flatbuffers.table import Table

    at = _at(parent, which)
    for i in range(_length(parent, at)):
        yield Table(parent.Bytes, parent.Indirect(parent.Vector(at) + 4 * i))


def _floats(parent: Any, which: int) -> list[float]:
    at = _at(parent, which) if parent is not None else 0
    count = _length(parent, at) if at else 0
    return list(struct.unpack_from(f"<{count}f", parent.Bytes, parent.Vector(at))) if count else []


def _length(table: Any, at: int) -> int:
    """Return how many items a vector has; ``ValueError`` for more than the file has bytes."""
    count = int(table.VectorLen(at)) if at else 0
    if 4 * count > len(table.Bytes):
        raise ValueError("it claims more items than it has bytes")
    return count
