"""Example calls: what a model is called with when nobody says otherwise."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import ml_dtypes  # noqa: F401  # brings NumPy the dtype bfloat16
import numpy as np
import numpy.typing as npt

from varhandle.display import counted, join_all, printable
from varhandle.errors import VarhandleError
from varhandle.graph import Graph, Signature, TensorSpec, shape_fits

Array = npt.NDArray[Any]

MOST_VALUES = 2**26
"""Elements of one made-up input, above which a caller must bring inputs: 256 MB of float32."""

_WORDS = np.array([b"a", b"b", b"hello world"], object)


class CallsError(VarhandleError, ValueError):
    """Inputs that cannot be made up, or that do not fit the signature; the message says why."""


Origin = Literal["given", "stored", "graph", "made up"]
"""Where the values of calls come from, the best first: the user, a file stored with the model, what
the graph shows of its inputs, or nowhere."""


@dataclass(frozen=True)
class ExampleCalls:
    """What a signature is called with, call after call, and what these values rest on."""

    calls: list[dict[str, Array]] = field(repr=False)  # each: input name to array
    origin: Origin
    basis: str  # the same for people, such as "20 calls of yours"


def example_calls(
    graph: Graph,  # noqa: ARG001 - read from the next change on
    signature: Signature,
    count: int,
    inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    content: bytes | None = None,  # noqa: ARG001
) -> ExampleCalls:
    """Return the calls of a signature: the user's, else the best that the model tells.

    Args:
        graph: The model that is called.
        signature: What is called: its inputs are the names, dtypes and shapes of each call.
        count: How many calls to make up; the user's are taken as many as there are.
        inputs: The user's, as ``load_calls`` takes them.
        content: The .tflite file that was made from the model, where there is one.

    Raises:
        CallsError: The user's do not fit, or none can be made up.
    """
    if inputs is not None:
        given = load_calls(inputs, signature)
        return ExampleCalls(given, "given", f"{counted(len(given), 'call')} of yours")
    made = make_calls(signature, count)
    return ExampleCalls(made, "made up", "made-up calls")


def make_calls(signature: Signature, count: int) -> list[dict[str, Array]]:
    """Make up the inputs of successive calls: the same for the same signature.

    Floats and complex numbers are standard normal; integers are 0 or 1, since they may be indices
    into a table of unknown length. A dimension that the signature leaves open gets the size 1; an
    unknown rank becomes one such dimension.

    Raises:
        CallsError: An input is too large to be made up, or of a dtype that holds no numbers,
            truth values or strings.
    """
    random = np.random.default_rng(0)
    return [{spec.name: _values(random, spec) for spec in signature.inputs} for _ in range(count)]


def _values(random: np.random.Generator, spec: TensorSpec) -> Array:
    name, dtype = printable(spec.name), spec.dtype
    open_shape = (None,) if spec.shape is None else spec.shape
    shape = tuple(1 if size is None else size for size in open_shape)
    if math.prod(shape) > MOST_VALUES:
        raise CallsError(
            f"input {name} has {math.prod(shape)} values: too many to make up, "
            "give inputs of your own"
        )
    if dtype == "string":
        return np.array(random.choice(_WORDS, size=shape), dtype=object)
    if dtype == "bool":
        return np.asarray(random.random(shape) < 0.5)
    if dtype in {"complex64", "complex128"}:
        both = random.standard_normal(shape) + 1j * random.standard_normal(shape)
        return np.asarray(both).astype(dtype)
    if dtype in {"float16", "bfloat16", "float32", "float64"}:
        return np.asarray(random.standard_normal(shape)).astype(dtype)
    if dtype.removeprefix("u") in {"int8", "int16", "int32", "int64"}:
        return np.asarray(random.integers(0, 2, shape)).astype(dtype)
    raise CallsError(f"input {name} is {printable(dtype)}: no example can be made up")


def load_calls(
    inputs: str | os.PathLike[str] | Mapping[str, Any], signature: Signature
) -> list[dict[str, Array]]:
    """Take the inputs of successive calls from an ``.npz`` file, or from arrays by input name.

    The first axis of each array counts the calls. Nothing in the file is unpickled. Each call's
    arrays are in the dtypes of the signature.

    Raises:
        CallsError: It is no such file; a name, a shape or a dtype does not fit, or the arrays do
            not agree on the number of calls.
    """
    source = "the inputs" if isinstance(inputs, Mapping) else str(Path(inputs))
    arrays = inputs if isinstance(inputs, Mapping) else _read(Path(inputs))
    wanted = {spec.name: spec for spec in signature.inputs}
    if set(arrays) != set(wanted):
        takes, has = (
            join_all(map(printable, sorted(map(str, names))), "nothing")
            for names in (wanted, arrays)
        )
        raise CallsError(f"{source}: the signature takes {takes}, and not {has}")
    cast = {name: _fitting(np.asarray(arrays[name]), wanted[name], source) for name in wanted}
    counts = {len(array) for array in cast.values()}
    if len(counts) != 1 or counts == {0}:
        raise CallsError(f"{source}: the first axes must count the same calls, and at least one")
    return [{name: array[i] for name, array in cast.items()} for i in range(counts.pop())]


def _read(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise CallsError(f"{path}: one array and no .npz archive; use np.savez")
            return {name: archive[name] for name in archive.files}
    except CallsError:
        raise
    except (OSError, ValueError, EOFError, KeyError, MemoryError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CallsError(f"{path}: not an .npz file that can be read ({line})") from error
    except Exception as error:  # zipfile and zlib raise errors of their own on a damaged archive
        raise CallsError(f"{path}: the .npz file is damaged ({error})") from error


def _fitting(array: Array, spec: TensorSpec, source: str) -> Array:
    """Return an array in the dtype of its input, its shape checked."""
    name = f"{source}: {printable(spec.name)}"
    if array.ndim == 0:
        raise CallsError(f"{name} has no first axis to count the calls")
    shape = array.shape[1:]
    if spec.shape is not None and not shape_fits(shape, spec.shape):
        open_shape = [-1 if size is None else size for size in spec.shape]
        raise CallsError(
            f"{source}: a call's {printable(spec.name)} has shape {open_shape}, and not "
            f"{list(shape)} (-1 is open; the first axis counts the calls)"
        )
    if spec.dtype == "string":
        if array.dtype.kind not in "SUO":
            raise CallsError(f"{name} takes strings, and not {array.dtype}")
        return np.char.encode(array, "utf-8").astype(object) if array.dtype.kind == "U" else array
    wanted = np.dtype(spec.dtype)
    integers = array.dtype.kind in "iu" and wanted.kind in "iu"
    if not integers and not np.can_cast(array.dtype, wanted, "same_kind"):
        raise CallsError(f"{name} takes {spec.dtype}, and not {array.dtype}")
    return array.astype(wanted)
