"""``locate`` for a comparison that has failed: it adds to the verdict, and never hides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from varhandle.divergence.location import Location, locate
from varhandle.formats import format_of
from varhandle.formats.custom_code import Import
from varhandle.graph import Graph


def locate_failure(
    graph: Graph, content: bytes, *, own_code: Sequence[Import] = (), **options: Any
) -> Location | None:
    """Return where a file that answers otherwise parts from its model, if anything is found.

    ``options`` are those of :func:`locate`.
    """
    if format_of(graph).is_converted:
        return None
    options["imports"] = [each for each in own_code if isinstance(each, str)]
    options["custom_objects"] = dict(each for each in own_code if not isinstance(each, str))
    try:
        found = locate(graph.source, content, **options)
    except Exception:  # whatever it is, the verdict stands without it
        return None
    return found if found.first else None
