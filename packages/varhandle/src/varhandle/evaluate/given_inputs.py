"""The user's inputs: arrays, .npz and .npy files, folders of images, functions that yield calls."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from varhandle.display import counted, join_all, printable
from varhandle.errors import CHECK_PATH, VarhandleError
from varhandle.evaluate.input_facts import InputFact, ValueDistribution, ValueRange
from varhandle.formats.regular_file import open_regular
from varhandle.graph import Signature, TensorSpec, shape_fits
from varhandle.sandbox import run_isolated
from varhandle.sandbox.record import short_message

Array = npt.NDArray[Any]

Inputs = str | os.PathLike[str] | Mapping[str, Any] | Iterable[Any] | Callable[[], Any]
"""What a user gives: see :func:`load_calls`."""

MOST_CALLS = 100
"""Calls that are taken of a data set, a folder or a generator, which may have no end."""

MOST_BYTES = 4 * 2**30
"""What the arrays of an ``.npz`` file may take: a small file can be packed from many gigabytes."""

_FUNCTION = re.compile(r"(?P<module>.+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")
_SECONDS = 300
_PIXELS = frozenset(
    {"uint8", "int8", "int16", "int32", "float16", "bfloat16", "float32", "float64"}
)
_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
_CALL_IT = "call it in a Python of your own, and mend it there"
_LEAVE_OUT = "leave it out, or save it again"
_SAVE_ARRAYS = "save the arrays again, with np.savez"
_KINDS = (
    "give an .npz or .npy file, a folder of images, or a function that yields them "
    "(FILE.py:function or module:function)"
)


class CallsError(VarhandleError, ValueError):
    """Inputs that cannot be made up, or that do not fit the signature; the message says why."""


class GivenCalls(NamedTuple):
    """The user's calls, and what was done to make them fit."""

    calls: list[dict[str, Array]]
    basis: str  # such as ``"12 images of yours, resized to 96x96, pixels 0..255"``


def load_calls(inputs: Inputs, signature: Signature) -> list[dict[str, Array]]:
    """Take the inputs of successive calls, as :func:`given_calls` does, of any model."""
    return given_calls(inputs, signature).calls


def given_calls(
    inputs: Inputs,
    signature: Signature,
    facts: Mapping[str, InputFact] | None = None,
    *,
    quantized: Iterable[str] = (),
    in_order: bool = False,
) -> GivenCalls:
    """Take the inputs of successive calls from what a user has.

    - An ``.npz`` file, or arrays by input name: the first axis counts the calls.
    - An ``.npy`` file, or one array, for a model of one input.
    - A folder of images, for a model of one image.
    - ``FILE.py:function`` or ``module:function``, run in a child; or in Python the function itself.
      It returns or yields one of the above, or calls: each a mapping by input name, or an array.
    - In Python a list of such calls.

    Where the batch may be 1, the samples of a data set need no axis for it: each is a call. Of
    these, and of what has no end, at most ``MOST_CALLS`` are taken: spread over all, or the first
    ones if ``in_order``, as for a model that keeps a state. Nothing in a file is unpickled.

    ``facts`` is what the model shows of its inputs, by which the values of pixels are fitted;
    ``quantized`` names inputs that take real values for the integers that they declare.

    Raises:
        CallsError: It is none of these; or a name, a shape or a dtype does not fit.
    """
    fit = _Fit(signature, frozenset(quantized), in_order)
    if not isinstance(inputs, (str, os.PathLike)):
        found = _first(inputs()) if callable(inputs) else inputs
        return _counted(fit.calls(found, "the inputs"))
    path, name = Path(inputs), os.fspath(inputs)
    if path.is_dir():
        return _image_calls(path, fit, facts or {})
    function = _FUNCTION.fullmatch(name)
    if function and not path.exists():
        return _counted(fit.calls(_run(function["module"], function["name"]), name))
    if not path.exists():
        raise CallsError(f"{printable(name)}: there is no such file or folder; {_KINDS}")
    return _counted(fit.calls(_read(path), str(path)))


def _counted(calls: list[dict[str, Array]]) -> GivenCalls:
    arrays = (array for call in calls for array in call.values() if array.dtype.kind in "fc")
    odd = "" if all(np.isfinite(array).all() for array in arrays) else ", with NaN or infinity"
    return GivenCalls(calls, f"{counted(len(calls), 'call')} of yours{odd}")


def rereadable_inputs(inputs: Inputs | None) -> Inputs | None:
    """Return inputs that can be read again: a generator's calls are listed."""
    return list(islice(inputs, MOST_CALLS)) if isinstance(inputs, Iterator) else inputs


def inputs_path(inputs: str | os.PathLike[str]) -> Path | None:
    """Return the file or folder that inputs come from; ``None`` for a ``module:function``."""
    path = Path(inputs)
    function = None if path.exists() else _FUNCTION.fullmatch(os.fspath(inputs))
    if function is None:
        return path
    return Path(function["module"]) if function["module"].endswith(".py") else None


class _Fit:
    """Makes calls of a signature of what was given."""

    def __init__(self, signature: Signature, quantized: frozenset[str], in_order: bool) -> None:
        self.specs = {spec.name: spec for spec in signature.inputs}
        self._quantized = quantized
        self._in_order = in_order

    def picked(self, count: int) -> list[int]:
        """Return which of many samples are called."""
        if count <= MOST_CALLS or self._in_order:
            return list(range(min(count, MOST_CALLS)))
        return np.linspace(0, count - 1, MOST_CALLS).round().astype(int).tolist()

    def calls(self, found: Any, source: str) -> list[dict[str, Array]]:
        if isinstance(found, Mapping):
            return self._of_arrays(found, source)
        if hasattr(found, "shape"):
            return self._of_arrays({self._only(source): found}, source)
        if not isinstance(found, Sequence) or isinstance(found, (str, bytes)):
            try:
                found = _first(found)
            except CallsError as error:
                raise CallsError(f"{source}: {error}") from None
        if not found:
            raise CallsError(f"{source}: there is no call in it: give one at least")
        return [self._of_call(call, source) for call in found]

    def _only(self, source: str) -> str:
        if len(self.specs) != 1:
            takes = join_all(map(printable, self.specs), "nothing")
            raise CallsError(f"{source}: one array, and the signature takes {takes}: use np.savez")
        return next(iter(self.specs))

    def _check_names(self, names: Iterable[Any], source: str) -> None:
        if set(names) != set(self.specs):
            takes, has = (
                join_all(map(printable, sorted(map(str, each))), "nothing")
                for each in (self.specs, names)
            )
            raise CallsError(f"{source}: the signature takes {takes}, and not {has}")

    def _of_call(self, call: Any, source: str) -> dict[str, Array]:
        if isinstance(call, (list, tuple)) and len(call) == len(self.specs) == 1:
            call = call[0]  # as a representative dataset of the converter yields it
        if not isinstance(call, Mapping):
            call = {self._only(source): call}
        self._check_names(call, source)
        return {name: self._one(call[name], spec, source) for name, spec in self.specs.items()}

    def _one(self, value: Any, spec: TensorSpec, source: str) -> Array:
        try:
            array = np.asarray(value)
        except ValueError:
            fault = (
                f"a call is one array for {printable(spec.name)}, or a dictionary by input name, "
                f"and not {len(value)} values of different shapes: leave out what is no input, as "
                "a label"
            )
            raise CallsError(f"{source}: {fault}") from None
        if not _fits(array.shape, spec) and _fits((1, *array.shape), spec):
            array = array[np.newaxis]
        if not _fits(array.shape, spec):
            raise _misfit(array.shape, spec, source)
        return self._cast(array, spec, source)

    def _of_arrays(self, arrays: Mapping[str, Any], source: str) -> list[dict[str, Array]]:
        """Make calls of arrays whose first axes count them."""
        self._check_names(arrays, source)
        cast, samples = {}, False
        for name, spec in self.specs.items():
            array = np.asarray(arrays[name])
            if array.ndim == 0:
                fault = f"{printable(name)} has no first axis to count the calls: give it one"
                raise CallsError(f"{source}: {fault}")
            if not _fits(array.shape[1:], spec) and _fits((1, *array.shape[1:]), spec):
                array, samples = array[:, np.newaxis], True
            if not _fits(array.shape[1:], spec):
                raise _misfit(array.shape[1:], spec, source)
            cast[name] = self._cast(array, spec, source)
        counts = {len(array) for array in cast.values()}
        if len(counts) != 1 or counts == {0}:
            fault = "the first axes must count the same calls: give at least one in each"
            raise CallsError(f"{source}: {fault}")
        count = counts.pop()
        picked = self.picked(count) if samples else range(count)
        return [{name: array[i] for name, array in cast.items()} for i in picked]

    def _cast(self, array: Array, spec: TensorSpec, source: str) -> Array:
        """Return an array in the dtype of its input."""
        name = f"{source}: {printable(spec.name)}"
        if spec.dtype == "string":
            if array.dtype.kind not in "SUO":
                raise CallsError(f"{name} takes strings, and not {array.dtype}")
            text = array.dtype.kind == "U"
            return np.char.encode(array, "utf-8").astype(object) if text else array
        wanted = np.dtype(spec.dtype)
        if spec.name in self._quantized and array.dtype != wanted:  # real values
            wanted = np.dtype("float32")
        integers = array.dtype.kind in "iu" and wanted.kind in "iu"
        if not integers and not np.can_cast(array.dtype, wanted, "same_kind"):
            raise CallsError(f"{name} takes {spec.dtype}, and not {array.dtype}")
        return array.astype(wanted)


def _fits(shape: Sequence[int], spec: TensorSpec) -> bool:
    return spec.shape is None or shape_fits(shape, spec.shape)


def _misfit(shape: Sequence[int], spec: TensorSpec, source: str) -> CallsError:
    declared = [-1 if size is None else size for size in spec.shape or ()]
    return CallsError(
        f"{source}: a call's {printable(spec.name)} takes shape {declared}, and not "
        f"{list(shape)} (-1 is open; the first axis counts the calls)"
    )


def _first(found: Any) -> Any:
    """Return what a function gave, and of a generator the first calls."""
    if hasattr(found, "shape") or isinstance(found, (Mapping, list, tuple)):
        return found
    try:
        calls = None if isinstance(found, (str, bytes)) else iter(found)
    except TypeError:
        calls = None
    if calls is None:
        raise CallsError(f"calls are wanted, and not {type(found).__name__}; {_KINDS}")
    return list(islice(calls, MOST_CALLS))


def _read(path: Path) -> Any:
    try:
        with BufferedReader(open_regular(path)) as file:
            if not file.peek(1).startswith((b"\x93NUMPY", b"PK")):
                raise CallsError(f"{path}: no .npz or .npy file; {_KINDS}")
            found = np.load(file, allow_pickle=False)
            if not hasattr(found, "files"):
                return found
            unpacked = sum(part.file_size for part in found.zip.infolist())
            if unpacked > MOST_BYTES:
                fault = f"its arrays take {unpacked:,} bytes, and may take {MOST_BYTES:,}"
                raise CallsError(f"{path}: {fault}: save fewer calls, {MOST_CALLS} are enough")
            return {name: found[name] for name in found.files}
    except CallsError:
        raise
    except (OSError, ValueError, EOFError, KeyError, MemoryError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        fault = f"not an .npz or .npy file that can be read ({line})"
        raise CallsError(f"{path}: {fault}: {_SAVE_ARRAYS}") from error
    except Exception as error:  # zipfile and zlib raise errors of their own on a damaged archive
        raise CallsError(f"{path}: the .npz file is damaged ({error}): {_SAVE_ARRAYS}") from error


# A function of the user's.


def _run(module: str, name: str) -> Any:
    """Call a function in a child process: its module may do anything, and take its time."""
    record = run_isolated(_called, module, name, timeout=_SECONDS, tensorflow=False, locked=False)
    if record.ok:
        return record.value
    where = f"{printable(module)}:{printable(name)}"
    if record.outcome != "raised":
        raise CallsError(f"{where}: {record.message}: {_CALL_IT}")
    if told := record.said_by(CallsError):
        raise CallsError(f"{where}: {told}")
    said = f"{record.exception_type}: {printable(short_message(record.message))}"
    raise CallsError(f"{where} raised {said}: {_CALL_IT}")


def _called(module: str, name: str) -> Any:
    """Import a module or a file, call its function, and return plain arrays."""
    if module.endswith(".py"):
        path = Path(module)
        if not path.is_file():
            raise CallsError(f"there is no such file: {CHECK_PATH}")
        sys.path.insert(0, str(path.parent.absolute()))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = loaded
        spec.loader.exec_module(loaded)
    else:
        sys.path.insert(0, str(Path.cwd()))
        loaded = importlib.import_module(module)
    function = getattr(loaded, name, None)
    if not callable(function):
        raise CallsError(f"there is no function {name} in it: name one that yields the calls")
    return _plain(_first(function()))


def _plain(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {str(name): np.asarray(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_plain(each) for each in found]
    return np.asarray(found)


# Images.


class _Layout(NamedTuple):
    """How an input holds an image."""

    height: int | None
    width: int | None
    channels: int  # 0 for gray without an axis
    channels_first: bool = False
    batch: bool = True


def _image_calls(folder: Path, fit: _Fit, facts: Mapping[str, InputFact]) -> GivenCalls:
    if importlib.util.find_spec("PIL") is None:
        raise CallsError(f"{folder}: reading images needs Pillow: pip install pillow")
    if len(fit.specs) != 1:
        takes = join_all(map(printable, fit.specs), "nothing")
        fault = f"a folder of images is for one input, and the signature takes {takes}"
        raise CallsError(f"{folder}: {fault}: give them in an .npz file")
    spec = next(iter(fit.specs.values()))
    layout = image_layout(spec)
    if layout is None:
        shape = None if spec.shape is None else [-1 if n is None else n for n in spec.shape]
        fault = f"{printable(spec.name)} is {spec.dtype} of shape {shape}, which is no image"
        raise CallsError(f"{folder}: {fault}: give it in an .npz or .npy file")
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in _SUFFIXES and f.is_file())
    if not files:
        raise CallsError(
            f"{folder}: there is no image in this folder: put some there "
            f"({', '.join(sorted(_SUFFIXES))})"
        )
    chosen = [str(files[i]) for i in fit.picked(len(files))]
    record = run_isolated(
        _decoded, chosen, layout, timeout=_SECONDS, tensorflow=False, reads=[folder, *chosen]
    )
    if not record.ok:
        said = printable(record.message.strip().splitlines()[0])
        raise CallsError(f"{folder}: {said}: {_LEAVE_OUT}")
    values, how = _pixels(spec, facts.get(spec.name), record.value)
    calls = [{spec.name: _arranged(image, layout)} for image in values]
    sizes = {image.shape[:2] for image in record.value}
    height, width = min(sizes)
    resized = f"{width}x{height}" if len(sizes) == 1 else "sizes of their own"
    few = "" if len(files) == len(chosen) else f" (of {len(files)})"
    return GivenCalls(calls, f"{counted(len(calls), 'image')} of yours{few}, as {resized}, {how}")


def image_layout(spec: TensorSpec) -> _Layout | None:
    """Return how an input holds an image; ``None`` where it does not look like one."""
    if spec.dtype not in _PIXELS:
        return None
    found: _Layout | None = None
    match spec.shape:
        case (None | 1, height, width, (1 | 3 | 4) as channels):
            found = _Layout(height, width, channels)
        case (None | 1, (1 | 3 | 4) as channels, height, width):
            found = _Layout(height, width, channels, channels_first=True)
        case (None | 1, height, width, None):
            found = _Layout(height, width, 3)
        case (height, width, (1 | 3 | 4) as channels) if height is None or height > 4:
            found = _Layout(height, width, channels, batch=False)
        case (None | 1, int(height), int(width)) if min(height, width) > 4:
            found = _Layout(height, width, 0)
    return found


def _decoded(files: list[str], layout: _Layout) -> list[Array]:
    """Read images in the child process: uint8, height by width by channels."""
    from PIL import Image, ImageOps

    images = []
    for name in files:
        try:
            with Image.open(name) as opened:
                turned = ImageOps.exif_transpose(opened)
                if turned.mode.startswith("I;16"):  # which Pillow cuts off at 255
                    turned = Image.fromarray((np.asarray(turned) >> 8).astype("uint8"))
                image = turned.convert({0: "L", 1: "L", 3: "RGB", 4: "RGBA"}[layout.channels])
        except Exception as error:  # whatever a decoder raises on a damaged file
            fault = f"{Path(name).name} cannot be read ({error})"
            raise CallsError(f"{fault}: {_LEAVE_OUT}") from error
        # An open size stays as it is, but that a network halves it some times: so it is cut.
        width, height = (
            wanted or max(32, min(own, 512) // 32 * 32)
            for wanted, own in zip((layout.width, layout.height), image.size, strict=True)
        )
        pixels: Any = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        images.append(pixels.reshape(height, width, max(layout.channels, 1)))
    return images


def _pixels(
    spec: TensorSpec, fact: InputFact | None, images: Sequence[Array]
) -> tuple[list[Array], str]:
    """Return images in the values that an input takes, and what was done."""
    if isinstance(fact, ValueRange) and not (fact.low == 0 and fact.high == 255):
        low, span = fact.low, (fact.high - fact.low) / 255
        return [
            (low + image * span).astype("float32") for image in images
        ], f"pixels brought to {fact}"
    if isinstance(fact, ValueRange):
        return [_as(image, spec) for image in images], f"pixels {fact}"
    if spec.dtype == "uint8":
        return list(images), "pixels 0..255"
    if isinstance(fact, ValueDistribution) and float(np.mean(fact.mean)) > 2:
        return [_as(image, spec) for image in images], "pixels 0..255"
    shows = "the model shows no rescaling" if fact is None else f"it takes values {fact}"
    return [_as(image / 255, spec) for image in images], f"pixels divided by 255, as {shows}"


def _as(image: Array, spec: TensorSpec) -> Array:
    return image.astype(spec.dtype)


def _arranged(image: Array, layout: _Layout) -> Array:
    if not layout.channels:
        image = image[:, :, 0]
    elif layout.channels_first:
        image = image.transpose(2, 0, 1)
    return image[np.newaxis] if layout.batch else image
