"""Protocol buffers that are written as text (``.pbtxt``), read into ``proto_schema``'s messages."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import text_format

from varhandle.facts.dtypes import dtype_of
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import ModelFileError

_LARGEST_TEXT = 512 * 2**20
_NUMBERS = {"INVALID": 0, "RESOURCE": 20, "VARIANT": 21}
_DTYPE_OR_STRING = re.compile(
    r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\bDT_(?P<name>[A-Z0-9_]{1,30}?)(?:_REF)?\b"""
)


def parse_text(message: str, data: bytes, source: str) -> Any:
    """Parse a message of ``MESSAGES``, or raise ``ModelFileError``; unknown fields are skipped.

    Dtypes stand in text by their names, and in the schema as numbers. A reference of TF1 becomes
    what it refers to, as ``dtype_name`` has it.
    """
    if len(data) > _LARGEST_TEXT:
        raise ModelFileError(source, f"a text of {len(data):,} bytes, more than any {message} has")
    parsed = MESSAGES[message]()
    try:
        text = _DTYPE_OR_STRING.sub(_numbered, data.decode())
        text_format.Parse(
            text,
            parsed,
            allow_unknown_extension=True,
            allow_unknown_field=True,
            descriptor_pool=parsed.DESCRIPTOR.file.pool,
        )
    except (text_format.ParseError, ValueError, RecursionError) as error:
        place = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(
            source, f"no {message} written as text, or damaged: {place}"
        ) from error
    return parsed


def _numbered(match: re.Match[str]) -> str:
    if match["name"] is None:
        return match[0]  # a string
    return str(_NUMBERS.get(match["name"], dtype_of(match["name"]).number))
