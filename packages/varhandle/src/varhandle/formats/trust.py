"""Whether a model file may be loaded at all: loading one runs the code that it brings along."""

from __future__ import annotations

from varhandle.errors import VarhandleError
from varhandle.formats import carried_code
from varhandle.graph import Graph


class NotTrustedError(VarhandleError, ValueError):
    """A model brings code along, and the caller did not say that it is trusted."""


def check_trust(graph: Graph, trust: bool) -> None:
    """Refuse a model that brings code along.

    Args:
        graph: The model.
        trust: Whether the caller trusts it.

    Raises:
        NotTrustedError: It brings code along, and is not trusted. The message names the first.
    """
    carried = carried_code(graph)
    if carried and not trust:
        more = f"; and {len(carried) - 1} more" if len(carried) > 1 else ""
        raise NotTrustedError(f"it brings code along ({carried[0]}{more})")
