"""Protocol buffers that are written as text (``.pbtxt``), read into ``proto_schema``'s messages."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor

from varhandle.facts.dtypes import dtype_of
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import damaged_file

_LARGEST_TEXT = 512 * 2**20
_NUMBERS = {"INVALID": 0, "RESOURCE": 20, "VARIANT": 21}
_TOKEN = re.compile(
    r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\#[^\n]*"""
    r"""|\bDT_(?P<dtype>[A-Z0-9_]{1,30}?)(?:_REF)?\b|\b(?P<field>[a-z]\w*)\s*[:{]"""
)
"""Strings and comments, in which nothing is looked for; dtypes; names of fields."""

_PLACE = re.compile(r"(\d+):(\d+) : ")

UNREAD_FIELDS = frozenset(
    (
        *("allowed_values", "allows_uninitialized_input", "args", "bad_consumers", "code"),
        *("col", "container", "control_output", "control_ret", "dcomplex_val", "debug_info"),
        *("default_value", "deprecation", "description", "device", "dtypes_and_shapes"),
        *("experimental_debug_info", "experimental_full_type", "experimental_type", "explanation"),
        *("file_index", "file_line_cols", "files", "float8_val", "frame_id", "frames_by_id"),
        *("function_name", "gradient", "gradient_func", "half_val", "handle_data", "has_minimum"),
        *("hash_code", "is_aggregate", "is_commutative", "is_distributed_communication", "is_ref"),
        *("is_stateful", "line", "maybe_type_name", "metadata", "min_consumer", "minimum"),
        *("name_to_trace_id", "number_attr", "original_func_names", "original_node_names"),
        *("producer", "registered_gradients", "registered_op_type", "resource_arg_unique_id"),
        *("resource_handle_val", "scomplex_val", "summary", "tensors", "traces", "traces_by_id"),
        *("type_attr", "type_id", "type_list_attr", "type_name", "uint32_val", "uint64_val"),
        *("variant_val", "version", "version_number", "versions"),
    )
)
"""Fields of a GraphDef that ``MESSAGES`` does without."""


def parse_text(message: str, data: bytes, source: str) -> Any:
    """Parse a message of ``MESSAGES``, or raise ``ModelFileError``.

    Dtypes stand in text by their names, and in the schema as numbers. A reference of TF1 becomes
    what it refers to, as ``dtype_name`` has it. Fields that the schema does without are skipped; a
    GraphDef has no others, as TensorFlow has it too.
    """
    if len(data) > _LARGEST_TEXT:
        raise damaged_file(source, f"a text of {len(data):,} bytes, more than any {message} has")
    parsed = MESSAGES[message]()
    fields = None
    if message == "GraphDef":
        fields = UNREAD_FIELDS.union(_fields(parsed.DESCRIPTOR, set()))
    try:
        text_format.Parse(
            _numbered(data.decode(), fields),
            parsed,
            allow_unknown_extension=True,
            allow_unknown_field=True,
            descriptor_pool=parsed.DESCRIPTOR.file.pool,
        )
    except UnicodeDecodeError as error:
        fault = f"line {_line(data[: error.start])}: a byte that no text in UTF-8 has"
        raise damaged_file(source, f"no {message} written as text, or damaged: {fault}") from error
    except (text_format.ParseError, ValueError, RecursionError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        fault = _PLACE.sub(r"line \1, column \2: ", told, count=1)
        raise damaged_file(source, f"no {message} written as text, or damaged: {fault}") from error
    return parsed


def _line(before: str | bytes) -> int:
    return 1 + (before.count("\n") if isinstance(before, str) else before.count(b"\n"))


def _fields(message: Descriptor, seen: set[str]) -> Iterator[str]:
    """Yield the names of the fields of a message, and of those in it."""
    if message.full_name not in seen:
        seen.add(message.full_name)
        for field in message.fields:
            yield field.name
            if field.message_type is not None:
                yield from _fields(field.message_type, seen)


def _numbered(text: str, fields: Container[str] | None) -> str:
    """Write dtypes as numbers; raises ``ValueError`` for one that there is not, or a field."""

    def number(match: re.Match[str]) -> str:
        dtype, field = match["dtype"], match["field"]
        fault = ""
        if field and fields is not None and field not in fields:
            fault = f"there is no field {field}"
        elif dtype is None:
            return match[0]
        elif dtype in _NUMBERS:
            return str(_NUMBERS[dtype])
        elif dtype_of(dtype).number < 0:
            fault = f"there is no dtype {match[0]}"
        if fault:
            raise ValueError(f"line {_line(text[: match.start()])}: {fault}")
        return str(dtype_of(dtype).number)

    return _TOKEN.sub(number, text)
