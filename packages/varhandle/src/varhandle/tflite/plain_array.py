"""Arrays without NumPy: for what is only copied, measured and written, as a first state is."""

from __future__ import annotations

import cmath
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

# dtype -> how a .npy file writes it, and the letters of ``struct`` that one value takes.
_FORMS = {
    "bool": ("|b1", "?"),
    "int8": ("|i1", "b"),
    "uint8": ("|u1", "B"),
    "int16": ("<i2", "h"),
    "uint16": ("<u2", "H"),
    "int32": ("<i4", "i"),
    "uint32": ("<u4", "I"),
    "int64": ("<i8", "q"),
    "uint64": ("<u8", "Q"),
    "float16": ("<f2", "e"),
    "float32": ("<f4", "f"),
    "float64": ("<f8", "d"),
    "complex64": ("<c8", "ff"),
    "complex128": ("<c16", "dd"),
}

SIZES: Mapping[str, int] = {
    name: struct.calcsize(f"<{letters}") for name, (_, letters) in _FORMS.items()
}
"""Bytes of a value, by dtype: those that NumPy has, too."""

_SUMMARIZED = 3  # values that a summary shows
_ALIGNMENT = 64  # of the data in a .npy file


@dataclass(frozen=True)
class PlainArray:
    """An array: a dtype of ``SIZES``, a shape, and the values as little-endian bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> PlainArray:
        """Take over an array of NumPy's; ``ValueError`` for a dtype that is not in ``SIZES``."""
        if array.dtype.name not in _FORMS:
            raise ValueError(f"an array of {array.dtype} is not written")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return cls(array.dtype.name, array.shape, little.tobytes())

    def numpy(self) -> npt.NDArray[Any]:
        """Return it as an array of NumPy's, read-only."""
        import numpy as np

        return np.frombuffer(self.data, _FORMS[self.dtype][0]).reshape(self.shape)

    def npy(self) -> bytes:
        """Return the bytes of a .npy file (version 1.0 of the format), as ``numpy.load`` reads."""
        facts = {"descr": _FORMS[self.dtype][0], "fortran_order": False, "shape": self.shape}
        header = f"{facts}".encode()
        gap = -(10 + len(header) + 1) % _ALIGNMENT
        header += b" " * gap + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + self.data

    def summary(self) -> str:
        """Say in a few characters what it holds."""
        count = math.prod(self.shape)
        if not count:
            return "empty"
        size = SIZES[self.dtype]
        same = not cmath.isnan(self._value(0)) and self.data == self.data[:size] * count
        some = [self._value(place) for place in range(1 if same else min(count, _SUMMARIZED))]
        words = ", ".join(f"{one:.4g}" if self.dtype[0] in "fc" else str(one) for one in some)
        return f"{words}, …" if len(some) > 1 and count > len(some) else words

    def _value(self, place: int) -> Any:
        letters = _FORMS[self.dtype][1]
        parts = struct.unpack_from(f"<{letters}", self.data, place * SIZES[self.dtype])
        return complex(*parts) if len(parts) > 1 else parts[0]


@dataclass(frozen=True, repr=False, eq=False)
class ArrayMapping(Mapping[str, "npt.NDArray[Any]"]):
    """Plain arrays by name, each an array of NumPy's as soon as somebody takes it."""

    plain: Mapping[str, PlainArray]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.plain[name].numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.plain)

    def __len__(self) -> int:
        return len(self.plain)

    def __repr__(self) -> str:
        return repr(dict(self))


def plain_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Mapping[str, PlainArray]:
    """Return arrays by name as plain ones; ``ValueError`` for a dtype that these have not."""
    if isinstance(arrays, ArrayMapping):
        return arrays.plain
    return {name: PlainArray.of(value) for name, value in arrays.items()}
