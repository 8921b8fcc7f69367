"""The few protocol buffer messages of a SavedModel, without TensorFlow.

The message classes are built at run time, in a pool of their own, so that TensorFlow's classes
of the same names can live in the same process. Only the fields that the readers use are listed;
protobuf carries the others along unread. Enums are declared as ``int32``, which is the same on
the wire.

Field numbers are facts of the format: they are those of TensorFlow 2.21's ``.proto`` files in
``tensorflow/core/framework`` and ``tensorflow/core/protobuf``, and a test compares each one with
TensorFlow's own descriptors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tensorflow"

SCHEMA = """
message SavedModel { int64 saved_model_schema_version = 1; repeated MetaGraphDef meta_graphs = 2; }
message MetaGraphDef {
  MetaInfoDef meta_info_def = 1;
  GraphDef graph_def = 2;
  SaverDef saver_def = 3;
  map<string,CollectionDef> collection_def = 4;
  map<string,SignatureDef> signature_def = 5;
  repeated AssetFileDef asset_file_def = 6;
  SavedObjectGraph object_graph_def = 7;
}
message AssetFileDef { TensorInfo tensor_info = 1; string filename = 2; }
message MetaInfoDef { repeated string tags = 4; string tensorflow_version = 5; }
message SaverDef {
  string filename_tensor_name = 1;
  string save_tensor_name = 2;
  string restore_op_name = 3;
}
message CollectionDef { oneof kind { NodeList node_list = 1; } }
message NodeList { repeated string value = 1; }
message SignatureDef { map<string,TensorInfo> inputs = 1; map<string,TensorInfo> outputs = 2; }
message TensorInfo {
  oneof encoding { string name = 1; }
  int32 dtype = 2;
  TensorShapeProto tensor_shape = 3;
}
message GraphDef { repeated NodeDef node = 1; FunctionDefLibrary library = 2; }
message FunctionDefLibrary { repeated FunctionDef function = 1; }
message FunctionDef {
  OpDef signature = 1;
  repeated NodeDef node_def = 3;
  map<string,string> ret = 4;
  map<uint32,ArgAttrs> arg_attr = 7;
}
message ArgAttrs { map<string,AttrValue> attr = 1; }
message OpDef { string name = 1; repeated ArgDef input_arg = 2; repeated ArgDef output_arg = 3; }
message ArgDef { string name = 1; int32 type = 3; }
message NodeDef {
  string name = 1;
  string op = 2;
  repeated string input = 3;
  map<string,AttrValue> attr = 5;
}
message AttrValue {
  oneof value {
    ListValue list = 1;
    bytes s = 2;
    int64 i = 3;
    float f = 4;
    bool b = 5;
    int32 type = 6;
    TensorShapeProto shape = 7;
    TensorProto tensor = 8;
    string placeholder = 9;
    NameAttrList func = 10;
  }
}
message ListValue {
  repeated bytes s = 2;
  repeated int64 i = 3;
  repeated float f = 4;
  repeated bool b = 5;
  repeated int32 type = 6;
  repeated TensorShapeProto shape = 7;
  repeated TensorProto tensor = 8;
  repeated NameAttrList func = 9;
}
message NameAttrList { string name = 1; }
message TensorProto {
  int32 dtype = 1;
  TensorShapeProto tensor_shape = 2;
  repeated bytes string_val = 8;
}
message TensorShapeProto { repeated Dim dim = 2; bool unknown_rank = 3; }
message Dim { int64 size = 1; }
message SavedObjectGraph {
  repeated SavedObject nodes = 1;
  map<string,SavedConcreteFunction> concrete_functions = 2;
}
message SavedObject {
  repeated ObjectReference children = 1;
  oneof kind { SavedVariable variable = 7; }
}
message ObjectReference { int32 node_id = 1; string local_name = 2; }
message SavedVariable { int32 dtype = 1; TensorShapeProto shape = 2; string name = 6; }
message SavedConcreteFunction { repeated int32 bound_inputs = 2; }
message BundleHeaderProto { int32 num_shards = 1; }
message BundleEntryProto {
  int32 dtype = 1;
  TensorShapeProto shape = 2;
  int32 shard_id = 3;
  int64 offset = 4;
  int64 size = 5;
}
"""

# fmt: off
_DTYPES = (
    "invalid", "float32", "float64", "int32", "uint8", "int16", "int8", "string", "complex64",
    "int64", "bool", "qint8", "quint8", "qint32", "bfloat16", "qint16", "quint16", "uint16",
    "complex128", "float16", "resource", "variant", "uint32", "uint64", "float8_e5m2",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int4", "uint4",
    "int2", "uint2", "float4_e2m1fn",
)
# fmt: on
"""Names by number, from ``types.proto``, spelt as ``tf.DType.name`` does."""

_REFERENCE = 100
"""Added to a dtype's number when the tensor is a TF1 reference (``DT_FLOAT_REF``)."""


def dtype_name(number: int) -> str:
    """Name a ``DataType`` (``"float32"``), a reference as what it refers to, or ``dtype_<n>``."""
    number = number - _REFERENCE if number > _REFERENCE else number
    return _DTYPES[number] if 0 <= number < len(_DTYPES) else f"dtype_{number}"


_Field = descriptor_pb2.FieldDescriptorProto
_TOKEN = re.compile(
    r"message (?P<message>\w+) \{|oneof (?P<oneof>\w+) \{|(?P<end>\})"
    r"|(?P<repeated>repeated )?(?:map<(?P<key>\w+),(?P<value>\w+)>|(?P<type>\w+))"
    r" (?P<name>\w+) = (?P<number>\d+);"
)


def _set_type(field: descriptor_pb2.FieldDescriptorProto, type_name: str) -> None:
    scalar = getattr(_Field, f"TYPE_{type_name.upper()}", None)
    if scalar is None:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{type_name}"
    else:
        field.type = scalar


def _add_field(message: descriptor_pb2.DescriptorProto, token: re.Match[str]) -> None:
    name, is_map = token["name"], token["key"] is not None
    field = message.field.add(name=name, number=int(token["number"]))
    repeated = is_map or token["repeated"]
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    if not is_map:
        return _set_type(field, token["type"])
    # A map is written as a repeated message of key and value, named after its field.
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    for number, (part, type_name) in enumerate((("key", "key"), ("value", "value")), start=1):
        member = entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL)
        _set_type(member, token[type_name])
    return _set_type(field, f"{message.name}.{entry.name}")


def _messages() -> Iterator[descriptor_pb2.DescriptorProto]:
    message = descriptor_pb2.DescriptorProto()
    in_oneof = False
    for token in _TOKEN.finditer(SCHEMA):
        if token["message"]:
            message = descriptor_pb2.DescriptorProto(name=token["message"])
        elif token["oneof"]:
            message.oneof_decl.add(name=token["oneof"])
            in_oneof = True
        elif token["name"]:
            _add_field(message, token)
            if in_oneof:
                message.field[-1].oneof_index = len(message.oneof_decl) - 1
        elif in_oneof:
            in_oneof = False
        else:
            yield message


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="varhandle/graph.proto", package=PACKAGE, syntax="proto3", message_type=_messages()
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")
        )
        for message in file.message_type
    }


MESSAGES: dict[str, Any] = _message_classes()
"""Message classes by name, to parse with: ``MESSAGES["GraphDef"].FromString(data)``."""
