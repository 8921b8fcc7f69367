"""Whether a model file may be loaded at all: loading one runs the code that it brings along."""

from __future__ import annotations

from varhandle.errors import VarhandleError
from varhandle.graph import Graph


class NotTrustedError(VarhandleError, ValueError):
    """A model brings code along, and the caller did not say that it is trusted."""


def check_trust(graph: Graph, trust: bool) -> None:
    """Raise ``NotTrustedError``, which names the first piece, for code that nobody trusts."""
    code = graph.embedded_code
    if code and not trust:
        more = f"; and {len(code) - 1} more" if len(code) > 1 else ""
        raise NotTrustedError(f"it brings code along ({code[0]}{more})")
