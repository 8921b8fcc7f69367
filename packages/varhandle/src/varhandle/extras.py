"""What is installed only with an extra of this package, and how to say that it is missing."""

from __future__ import annotations

import importlib.util

from varhandle.errors import VarhandleError

_PACKAGES = {
    "tensorflow": (("tensorflow", "TensorFlow"),),
    "quantize": (("ai_edge_quantizer", "ai-edge-quantizer"),),
    "sweep": (("pyarrow", "pyarrow"), ("distributed", "distributed")),
}


class MissingExtraError(VarhandleError):
    """A package is not installed; the message is one line, with the command that installs it."""


def require(extra: str, what: str) -> None:
    """Raise ``MissingExtraError`` unless all packages of an extra are there, without importing any.

    ``what`` begins the message: ``what`` needs TensorFlow.
    """
    for module, name in _PACKAGES[extra]:
        if importlib.util.find_spec(module) is None:
            command = f'pip install "varhandle[{extra}]"'
            raise MissingExtraError(f"{what} needs {name}: {command}")
