"""What a locked process may give back: plain values, NumPy arrays and this package's dataclasses.

Such a process ran a stranger's model, so what it wrote may have been written by the model. To
unpickle that would be to run it. Here it is unpickled with four functions at hand and no other.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import math
import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_PACKAGE = "varhandle."
_BUILTINS = {"complex": complex, "bytearray": bytearray}


def dumps(value: Any) -> bytes:
    """Pickle a value so that ``loads`` takes it."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=4).dump(value)
    return buffer.getvalue()


def loads(data: bytes) -> Any:
    """Unpickle a value; raises ``pickle.UnpicklingError`` for what is not plain."""
    return _Unpickler(io.BytesIO(data)).load()


class _Pickler(pickle.Pickler):
    """Writes arrays and dataclasses as calls of the functions below."""

    def reducer_override(self, value: Any) -> Any:
        """Say how to make a value anew; leave what needs nothing to pickle."""
        kind, numpy = type(value), sys.modules.get("numpy")
        if numpy and issubclass(kind, (numpy.ndarray, numpy.generic)):
            return _array if issubclass(kind, numpy.ndarray) else _scalar, _parts_of_array(value)
        if dataclasses.is_dataclass(kind):
            names = [field.name for field in dataclasses.fields(kind)]
            fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
            return _object, (kind.__module__, kind.__qualname__, fields)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return _named_tuple, (kind.__module__, kind.__qualname__, tuple(value))
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return one of the functions below; no name of a file reaches anything else."""
        if module == __name__ and name in _FUNCTIONS:
            return _FUNCTIONS[name]
        if module == "builtins" and name in _BUILTINS:
            return _BUILTINS[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


def _parts_of_array(value: Any) -> tuple[str, tuple[int, ...], Any]:
    dtype = value.dtype
    name = dtype.name if dtype.type.__module__ == "ml_dtypes" else dtype.str
    return name, value.shape, value.ravel().tolist() if dtype.hasobject else value.tobytes()


def _array(name: str, shape: tuple[int, ...], content: Any) -> Any:
    import numpy as np

    if isinstance(content, list):
        array = np.empty(math.prod(shape), object)
        for place, item in enumerate(content):
            array[place] = item
        return array.reshape(shape)
    try:
        dtype = np.dtype(name)
    except TypeError:
        import ml_dtypes

        dtype = np.dtype(getattr(ml_dtypes, name))
    if dtype.hasobject:  # its bytes would be taken for addresses
        raise pickle.UnpicklingError(f"an array of {name} as bytes")
    return np.frombuffer(bytearray(content), dtype).reshape(shape)


def _scalar(*parts: Any) -> Any:
    return _array(*parts)[()]


def _class(module: str, name: str) -> Any:
    if not module.startswith(_PACKAGE):
        raise pickle.UnpicklingError(f"{module}.{name} is no class of this package")
    return getattr(importlib.import_module(module), name)


def _object(module: str, name: str, fields: Mapping[str, Any]) -> Any:
    found = _class(module, name)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise pickle.UnpicklingError(f"{module}.{name} is no dataclass")
    made = object.__new__(found)
    for field in dataclasses.fields(found):
        if field.name in fields:
            object.__setattr__(made, field.name, fields[field.name])
    return made


def _named_tuple(module: str, name: str, values: Sequence[Any]) -> Any:
    found = _class(module, name)
    if not (isinstance(found, type) and issubclass(found, tuple)):
        raise pickle.UnpicklingError(f"{module}.{name} is no tuple")
    return tuple.__new__(found, values)


_FUNCTIONS = {function.__name__: function for function in (_array, _scalar, _object, _named_tuple)}
