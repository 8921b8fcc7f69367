"""Whether a model file may be loaded at all: loading one runs the code that it brings along."""

from __future__ import annotations

from varhandle.errors import VarhandleError
from varhandle.graph import Graph


class NotTrustedError(VarhandleError, ValueError):
    """A model brings code along (``fault``), and the caller did not say that it is trusted."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(f"{fault}; if you trust it, say --trust (in Python, trust=True)")

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.fault,)


def check_trust(graph: Graph, trust: bool) -> None:
    """Raise ``NotTrustedError``, which names the first piece, for code that nobody trusts."""
    if not trust and (found := code_along(graph)):
        raise NotTrustedError(found)


def code_along(graph: Graph) -> str:
    """Say which code a model brings along, by its first piece; nothing if there is none."""
    code = graph.embedded_code
    if not code:
        return ""
    more = f"; and {len(code) - 1} more" if len(code) > 1 else ""
    return f"it brings code along ({code[0]}{more})"
