"""The few protocol buffer messages of a SavedModel, without TensorFlow.

The message classes are built at run time, in a pool of their own, so that TensorFlow's classes
of the same names can live in the same process. ``tensorflow.proto`` lists only the fields that the
readers use; protobuf carries the others along unread. Enums are declared there as ``int32``, which
is the same on the wire.

Field numbers are facts of the format: they are those of TensorFlow 2.21's ``.proto`` files in
``tensorflow/core/framework`` and ``tensorflow/core/protobuf``, and a test compares each one with
TensorFlow's own descriptors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from varhandle.facts.dtypes import DTYPES

PACKAGE = "tensorflow"
_SCHEMAS = [Path(__file__).with_name(f"{name}.proto") for name in ("tensorflow", "serving")]
_REFERENCE = 100
"""Added to a dtype's number when the tensor is a TF1 reference (``DT_FLOAT_REF``)."""

_DTYPES = {dtype.number: dtype.name for dtype in DTYPES.values()} | {
    0: "invalid",
    20: "resource",
    21: "variant",
}


def dtype_of_number(number: int) -> str:
    """Name a ``DataType`` (``"float32"``), a reference as what it refers to, or ``dtype_<n>``."""
    number = number - _REFERENCE if number > _REFERENCE else number
    return _DTYPES.get(number, f"dtype_{number}")


_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGE = re.compile(r"message (\w+) \{((?:[^{}]|\{[^{}]*\})*)\}")
_ONEOF = re.compile(r"oneof (\w+) \{([^}]*)\}")
_FIELD = re.compile(
    r"(?P<repeated>repeated )?(?:map<(?P<key>\w+),(?P<value>\w+)>|(?P<type>\w+))"
    r" (?P<name>\w+) = (?P<number>\d+);"
)


def _set_type(field: descriptor_pb2.FieldDescriptorProto, type_name: str) -> None:
    scalar = getattr(_Field, f"TYPE_{type_name.upper()}", None)
    field.type = scalar or _Field.TYPE_MESSAGE
    if scalar is None:
        package = "google.protobuf" if type_name == "Any" else PACKAGE
        field.type_name = f".{package}.{type_name}"


def _add_field(
    message: descriptor_pb2.DescriptorProto, found: re.Match[str]
) -> descriptor_pb2.FieldDescriptorProto:
    field = message.field.add(name=found["name"], number=int(found["number"]))
    repeated = found["key"] or found["repeated"]
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    type_name = found["type"]
    if found["key"]:
        # A map is written as a repeated message of key and value, named after its field.
        entry = message.nested_type.add(name=f"{field.name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        for number, part in enumerate(("key", "value"), start=1):
            member = entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL)
            _set_type(member, found[part])
        type_name = f"{message.name}.{entry.name}"
    _set_type(field, type_name)
    return field


def _messages() -> Iterator[descriptor_pb2.DescriptorProto]:
    schema = "".join(path.read_text(encoding="ascii") for path in _SCHEMAS)
    for name, body in _MESSAGE.findall(schema):
        message = descriptor_pb2.DescriptorProto(name=name)
        for index, (choice, fields) in enumerate(_ONEOF.findall(body)):
            message.oneof_decl.add(name=choice)
            for found in _FIELD.finditer(fields):
                _add_field(message, found).oneof_index = index
        for found in _FIELD.finditer(_ONEOF.sub("", body)):
            _add_field(message, found)
        yield message


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="varhandle/graph.proto", package=PACKAGE, syntax="proto3", message_type=_messages()
    )
    pool = descriptor_pool.DescriptorPool()
    file.dependency.append(any_pb2.DESCRIPTOR.name)
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")
        )
        for message in file.message_type
    }


MESSAGES: dict[str, Any] = _message_classes()
"""Message classes by name, to parse with: ``MESSAGES["GraphDef"].FromString(data)``."""
