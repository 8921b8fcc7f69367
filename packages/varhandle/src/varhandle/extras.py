"""What is installed only with an extra of this package, and how to say that it is missing."""

from __future__ import annotations

import importlib.util

from varhandle.errors import VarhandleError

# Module to its package's name and the extra that brings it.
_OPTIONAL = {
    "tensorflow": ("TensorFlow", "tensorflow"),
    "ai_edge_quantizer": ("ai-edge-quantizer", "quantize"),
    "pyarrow": ("pyarrow", "sweep"),
    "jinja2": ("Jinja2", "sweep"),
    "distributed": ("distributed", "sweep"),
    "mcp": ("the mcp package", "mcp"),
}


class MissingExtraError(VarhandleError):
    """A package is not installed; the message is one line, with the command that installs it."""


def require(module: str, what: str) -> None:
    """Raise ``MissingExtraError`` unless an optional package is there; nothing is imported.

    ``what`` begins the message: ``what`` needs TensorFlow.
    """
    name, extra = _OPTIONAL[module]
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(f'{what} needs {name}: pip install "varhandle[{extra}]"')
