"""The form of what the commands print as JSON: a JSON Schema for each, with a version.

``data/schemas`` holds a file for each verb, and one for the verdict file of a sweep's row. The last
part of ``$id`` is the version: a field that goes, or means something else, is a new version; a new
field is not. A part that several have stands in one of them, and the others refer to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from varhandle.facts.data_files import data_file

_ENDING = ".schema.json"
_FAMILY = "urn:varhandle:schema:"


def schema_names() -> tuple[str, ...]:
    """Return the names that ``schema_of`` takes, sorted."""
    files = data_file("schemas").glob(f"*{_ENDING}")
    return tuple(sorted(path.name.removesuffix(_ENDING) for path in files))


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of a verb's JSON, or of ``verdict``; ``KeyError`` if there is none.

    It is whole: the schemas that it refers to are embedded in its ``$defs``, each with its own
    ``$id``, where every validator of 2020-12 finds them.
    """
    whole = _stored(name)
    waiting, embedded = list(_referred(whole)), {name}
    while waiting:
        other = waiting.pop()
        if other not in embedded:
            embedded.add(other)
            part = _stored(other)
            waiting += _referred(part)
            whole.setdefault("$defs", {})[_FAMILY + other] = part
    return whole


def _stored(name: str) -> dict[str, Any]:
    if name not in schema_names():
        raise KeyError(f"there is no schema of {name!r}, only of {', '.join(schema_names())}")
    text = data_file("schemas").joinpath(name + _ENDING).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _referred(part: Any) -> Iterator[str]:
    """Yield the names of the other schemas that one refers to."""
    if isinstance(part, dict):
        target = part.get("$ref")
        if isinstance(target, str) and target.startswith(_FAMILY):
            yield target.removeprefix(_FAMILY).partition(":")[0]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _referred(each)
