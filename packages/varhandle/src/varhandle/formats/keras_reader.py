"""Keras model files, ``.keras`` and whole-model ``.h5``, read without Keras.

Layers become nodes. A model inside a model is a node that calls a function of its own. The files
hold neither ops nor signatures, so nothing reads or assigns a variable here; every variable in
them has a value. Optimizer state is left out.

What a file holds is read without libhdf5 (``formats/hdf5.py``). Only values are read with it, in
the sandbox: on some damaged files it loops without end or asks for gigabytes, and no Python code
can interrupt it.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from varhandle.display import printable
from varhandle.errors import VarhandleError
from varhandle.formats.base import CALLED_WITH_TRAINING, OF_NO_MODULE, TAKEN_BY_KEY
from varhandle.formats.embedded_code import code_in_keras_config, custom_objects_of
from varhandle.formats.hdf5 import Dataset, Outline, Text, read_outline
from varhandle.formats.keras_class import flat_specs, specs_of
from varhandle.formats.regular_file import open_regular, read_stretch
from varhandle.graph import (
    Function,
    Graph,
    ModelFileError,
    Node,
    Shape,
    TensorSpec,
    Variable,
    damaged_file,
)

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant
    from varhandle.sandbox import Record

SECONDS = 60
"""Limit of the time in which values are read, in a child process."""

BYTES = 2**30
"""Limit of that child's memory, beside what is as large as the file."""

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
TRAINING_BY_DEFAULT = re.compile(
    r"Random\w+|AugMix|AutoContrast|CenterCrop|ContrastLimitedAdaptiveHistogramEqualization|CutMix"
    r"|Equalization|MaxNumBoundingBoxes|MixUp|Pipeline|RandAugment|Resizing|Solarization"
)
"""Layers of Keras whose ``training`` is True unless the model is told otherwise: the file says so
of every call, and it is no wish of the author's."""

_LOCAL_HEADER = struct.Struct("<26xHH")
"""What comes before a member of an archive; its name and an extra field of these lengths follow."""

_LARGEST_TEXT = 64 * 2**20
_MOST_JSON_VALUES = 4_000_000
_LARGEST_COMPRESSED_WEIGHTS = 256 * 2**20
_MOST_MEMBERS = 10_000
_MOST_COMPRESSED = 1000  # zlib makes zeros a thousandth of what they were
_ATTRIBUTES = (
    *("model_config", "keras_version"),
    *("weight_names", "name", "dtype"),
)


class _UnfitFileError(VarhandleError):
    """A file that is sound, as far as it goes, and yet no Keras model to be read."""


def read_keras(path: Path, *, is_archive: bool) -> Graph:
    """Read a ``.keras`` archive, or a whole model from a ``.h5`` file, or raise ``ModelFileError``.

    In an archive, variables are named after their path in the weights file
    (``layers/dense/vars/0``), the only name that they have there; the owner is the layer's name.
    """
    outline = read_hdf5_outline(path, is_archive)
    if "model_config" not in outline.attributes.get("", {}):
        fault = "an HDF5 file without a model_config: weights alone, or not from Keras"
        whole = f"model.load_weights({str(path)!r}); model.save('model.keras')"
        raise ModelFileError(path, f"{fault}; in the program that builds the model: {whole}")
    if outline.external:
        where = printable(outline.external[0])
        fault = f"what is at {where} lies in another file, and a Keras model is one file"
        raise ModelFileError(path, f"{fault}: save the whole model anew where that file is at hand")
    if is_archive and outline.soft:
        fault = f"what is at {printable(outline.soft[0])} is a link, and Keras follows none"
        raise ModelFileError(path, f"{fault}: save the model anew with Keras")
    try:
        return _graph(path, outline, is_archive)
    except _UnfitFileError as error:
        raise damaged_file(path, str(error)) from error
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # It is JSON, and yet no model's config, whatever reading it raises.
        fault = "the Keras file is damaged: its config describes no model"
        raise damaged_file(path, fault) from error


def _graph(path: Path, outline: Outline, is_archive: bool) -> Graph:
    root = outline.attributes[""]
    config, metadata = _parsed(root["model_config"]), _parsed(root.get("metadata", "{}"))
    # Keras does not look at what stands there.
    told = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    version = told or root.get("keras_version")
    variables = _read_variables(outline) if is_archive else _read_legacy_variables(outline)
    name = str(_settings_of(config).get("name") or config["class_name"])
    # It is always loaded without what it was compiled with: losses, metrics, the optimizer.
    loaded = {key: value for key, value in config.items() if key != "compile_config"}
    code = code_in_keras_config(loaded)
    return Graph(
        str(path),
        "keras",
        tuple(_read_functions(config, name)),
        tuple(sorted(variables, key=lambda variable: variable.name)),
        producer=f"Keras {version}" if version else None,
        embedded_code=code,
        custom_objects=custom_objects_of(loaded),
    )


def _parsed(text: Text) -> Any:
    """Parse JSON, of which each value takes a hundred bytes."""
    if sum(map(str(text).count, ",[{")) > _MOST_JSON_VALUES:
        raise _UnfitFileError("the Keras file is damaged: its config is larger than any model's")
    try:
        return json.loads(str(text))
    except json.JSONDecodeError as error:
        fault = f"the Keras file is damaged (its config is no JSON: {error})"
        raise _UnfitFileError(fault) from error


def _read_variables(outline: Outline) -> Iterator[Variable]:
    for name in outline.datasets:
        group, found, _ = name.rpartition("/vars/")
        if not name.startswith("optimizer/"):
            parent = outline.attributes.get(f"{group}/vars" if found else "vars", {})
            yield _variable(outline, name, name, str(parent.get("name") or group))


def _read_legacy_variables(outline: Outline) -> Iterator[Variable]:
    for group, attributes in outline.attributes.items():
        root, _, layer = group.partition("/")
        if root == "model_weights":
            for name in attributes.get("weight_names", ()):
                yield _variable(outline, f"{group}/{name}", name, layer)


def _variable(outline: Outline, path: str, name: str, owner: str) -> Variable:
    if path not in outline.datasets:
        raise _UnfitFileError(f"the Keras file is damaged: it holds no values of {printable(name)}")
    dataset = outline.datasets[path]
    # A dtype that HDF5 does not know, such as bfloat16, is stored as bits and named beside them.
    dtype = str(outline.attributes.get(path, {}).get("dtype", dataset.dtype))
    return Variable(name, dtype, dataset.shape, initialized=True, owner=owner)


def _read_functions(model: Mapping[str, Any], name: str) -> Iterator[Function]:
    """Yield a model's layers as one function, then those of the models inside it."""
    layers = _layers_of(model)
    if not layers:  # a subclassed model: its layers are in its code, not in the file
        inputs = tuple(flat_specs(specs_of(model.get("build_config"))))
        yield Function(name, (Node(name, str(model["class_name"])),), inputs)
        return
    entries = _settings_of(model).get("input_layers")
    keys = {at[0]: key for key, at in entries.items()} if isinstance(entries, Mapping) else {}
    nodes: list[Node] = []
    inner: list[tuple[Mapping[str, Any], str]] = []
    for number, layer in enumerate(layers):
        settings = _settings_of(layer)
        # A class without a get_config of its own may leave the name out.
        layer_name = str(layer.get("name") or settings.get("name") or f"layer_{number}")
        is_model = bool(_layers_of(layer))
        by_key = {TAKEN_BY_KEY: keys[layer_name]} if layer_name in keys else {}
        if is_model:
            inner.append((layer, f"{name}/{layer_name}"))
        if "inbound_nodes" in layer:
            tensors = list(_tensors(layer["inbound_nodes"]))
        else:  # a Sequential model: each layer takes what the one before it gives
            tensors = [(nodes[-1].name, 0)] if nodes else []
        nodes.append(
            Node(
                name=layer_name,
                op=str(layer["class_name"]),
                inputs=tuple(f"{source}:{i}" if i else source for source, i in tensors),
                sources=tuple(source for source, _ in tensors),
                attributes=_settings(settings) | _call_settings(layer) | by_key,
                calls=(inner[-1][1],) if is_model else (),
            )
        )
    there = {node.name for node in nodes}
    for node, layer in zip(nodes, layers, strict=True):
        lost = next((n for n in _histories(layer.get("inbound_nodes")) if n not in there), None)
        if lost is not None:
            fault = f"layer {printable(node.name)} takes what {printable(lost)!r} gives"
            raise _UnfitFileError(f"the Keras file is damaged: its {fault}, which is not there")
    yield Function(name, tuple(nodes), tuple(_read_inputs(layers, keys)))
    for nested, nested_name in inner:
        yield from _read_functions(nested, nested_name)


def _settings_of(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    config = layer.get("config")
    return config if isinstance(config, Mapping) else {}


def _layers_of(model: Mapping[str, Any]) -> list[Any]:
    """Return a model's layers; a setting of a layer may have the same name, and be anything.

    Before Keras 2.2.3, they were the whole config of a Sequential model.
    """
    config = model.get("config")
    layers = config if isinstance(config, list) else _settings_of(model).get("layers")
    if not isinstance(layers, list):
        return []
    are_layers = all(isinstance(layer, Mapping) and "class_name" in layer for layer in layers)
    return layers if are_layers else []


def _read_inputs(layers: list[Any], keys: Mapping[str, str]) -> Iterator[TensorSpec]:
    """Yield the inputs, by their keys where it takes a dictionary.

    Before Keras 2.3, the first layer of a Sequential model told of its own.
    """
    shown = [layer for layer in layers if layer["class_name"] == "InputLayer"]
    for layer in shown or layers[:1]:
        config = _settings_of(layer)
        dims = config.get("batch_shape", config.get("batch_input_shape"))
        shape: Shape | None = None if dims is None else tuple(dims)
        if shown or shape is not None:
            name = str(config.get("name")) + ("" if shown else "_input")
            dtype = config.get("dtype", "float32")
            yield TensorSpec(
                keys.get(name, name), dtype if isinstance(dtype, str) else "float32", shape
            )


def _tensors(inbound: object) -> Iterator[tuple[str, int]]:
    """Yield layer and output index of each tensor in a layer's ``inbound_nodes``.

    Keras 3 writes a ``keras_history`` of layer, call and output somewhere in the arguments;
    Keras 2 writes a list of layer, call, output and arguments.
    """
    if isinstance(inbound, dict):
        history = inbound.get("keras_history")
        for value in [history] if history else inbound.values():
            yield from _tensors(value)
    elif isinstance(inbound, list):
        match inbound:
            case [str(layer), int(), int(output), *_]:
                yield layer, output
            case _:
                for value in inbound:
                    yield from _tensors(value)


def _histories(inbound: object) -> Iterator[str]:
    """Yield the layers that a layer of Keras 3 takes tensors from."""
    if isinstance(inbound, dict):
        match inbound.get("keras_history"):
            case [str(layer), *_]:
                yield layer
            case _:
                for value in inbound.values():
                    yield from _histories(value)
    elif isinstance(inbound, list):
        for value in inbound:
            yield from _histories(value)


def _call_settings(layer: Mapping[str, Any]) -> dict[str, object]:
    forced = not TRAINING_BY_DEFAULT.fullmatch(str(layer["class_name"]))
    found = forced and _in_training(layer.get("inbound_nodes"))
    told: dict[str, object] = {CALLED_WITH_TRAINING: True} if found else {}
    return told | ({OF_NO_MODULE: True} if is_operation_of_no_module(layer) else {})


def is_operation_of_no_module(layer: Mapping[str, Any]) -> bool:
    """Tell whether a layer is an operation that Keras 3 has written by its class's name alone.

    It does so in a .h5 file (``x + 1``, ``keras.ops.mean(x)``), and looks for a layer of that name.
    """
    calls, settings = layer.get("inbound_nodes"), _settings_of(layer)
    of_keras_3 = isinstance(calls, list) and calls and isinstance(calls[0], dict)
    return bool(of_keras_3) and "module" not in layer and "trainable" not in settings


def _in_training(inbound: object) -> bool:
    """Tell whether one of a layer's calls passes ``training=True``, as Keras 2 or 3 writes it."""
    if isinstance(inbound, dict):
        return inbound.get("training") is True or any(map(_in_training, inbound.values()))
    return isinstance(inbound, list) and any(map(_in_training, inbound))


def _settings(config: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of a layer that are plain values, and the name of its dtype policy."""
    policy = config.get("dtype")
    inner = policy.get("config") if isinstance(policy, dict) else None
    named = {"dtype": inner.get("name")} if isinstance(inner, dict) else {}
    return named | {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config.items()
        if name not in {"name", "layers", "input_layers", "output_layers"}
        and not isinstance(value, dict)
    }


def read_hdf5_outline(path: Path, is_archive: bool) -> Outline:
    """Return the outline of an HDF5 file, or of a ``.keras`` archive with one in it.

    The JSON texts of an archive are the root's attributes ``model_config`` and ``metadata``.
    ``ModelFileError`` for no Keras file, one that must not be unpacked and a damaged one.
    """
    with open_regular(path) as raw, BufferedReader(raw) as file:
        try:
            outline = _archive_outline(file) if is_archive else _outline(file, 0, _size(file))
        except _UnfitFileError as error:
            raise damaged_file(path, str(error)) from error
        except Exception as error:  # whatever zipfile and zlib raise of a damaged archive
            fault = " ".join(str(error).split()) or type(error).__name__
        else:
            return outline
    raise damaged_file(path, f"the Keras file is damaged ({printable(fault)})")


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _archive_outline(file: BinaryIO) -> Outline:
    with zipfile.ZipFile(file) as archive:
        _check_members(archive)
        root: dict[str, Text] = {"model_config": _read_text(archive, _CONFIG)}
        if _METADATA in archive.namelist():
            root["metadata"] = _read_text(archive, _METADATA)
        info = archive.getinfo(_WEIGHTS)
        with archive.open(info) as weights:  # it checks what comes before the member
            if info.compress_type == zipfile.ZIP_STORED:
                outline = _outline(file, _start_of(info, file), info.file_size)
            else:
                content = weights.read(_LARGEST_COMPRESSED_WEIGHTS)
                outline = _outline(BytesIO(content), 0, len(content))
    outline.attributes[""] = root
    return outline


def _outline(file: BinaryIO, start: int, size: int) -> Outline:
    outline = read_outline(file, start, size, _ATTRIBUTES)
    for name, dataset in outline.datasets.items():
        _check_size(name, dataset)
    return outline


def _start_of(info: zipfile.ZipInfo, file: BinaryIO) -> int:
    """Return where a member begins in its archive."""
    file.seek(info.header_offset)
    header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    return info.header_offset + _LOCAL_HEADER.size + sum(header)


def read_keras_values(path: Path, graph: Graph, is_archive: bool) -> dict[str, Constant]:
    """Return the values of the variables of a file that was read; raises ``ModelFileError``."""
    from varhandle.formats.constants import Constant
    from varhandle.sandbox import run_isolated

    def asked(look: Callable[..., Any], places: Any) -> Any:
        record = run_isolated(
            look,
            str(path.absolute()),
            is_archive,
            places,
            timeout=SECONDS,
            memory_limit=BYTES + 4 * path.stat().st_size,
            tensorflow=False,
            reads=[path],
        )
        if not record.ok:
            raise damaged_file(path, f"the Keras file is damaged ({_fault(record)})")
        return record.value

    places = {v.name: v.name if is_archive else _legacy_place(v) for v in graph.variables}
    stored = asked(_stretches, places)

    def reader(name: str, dtype: str) -> Callable[..., Any]:
        def read(most: int = 2**63) -> Any:
            import ml_dtypes  # noqa: F401 - brings NumPy the dtype bfloat16
            import numpy as np

            held, shape, start = stored[name]
            if math.prod(shape) > most:
                return None
            if start is None:
                value = asked(_dataset, places[name])
            else:
                size = math.prod(shape) * np.dtype(held).itemsize
                value = np.frombuffer(read_stretch(path, start, size), held).reshape(shape)
            return value.view(np.dtype(dtype)) if value.dtype.kind == "V" else value

        return read

    return {v.name: Constant(v.shape, reader(v.name, v.dtype)) for v in graph.variables}


def _legacy_place(variable: Variable) -> str:
    return f"model_weights/{variable.owner}/{variable.name}"


def _stretches(path: str, is_archive: bool, places: Mapping[str, str]) -> dict[str, Any]:
    """Return dtype, shape and place in the file of datasets, in the child.

    The place is ``None`` for one that is packed or lies in pieces.
    """
    with _opened(path, is_archive) as (file, before):
        return {name: _stretch(file[place], before) for name, place in places.items()}


def _stretch(dataset: Any, before: int | None) -> tuple[str, tuple[int, ...], int | None]:
    start = None if before is None else dataset.id.get_offset()
    dtype = dataset.dtype
    return dtype.str, dataset.shape, None if start is None or dtype.hasobject else start + before


def _dataset(path: str, is_archive: bool, place: str) -> Any:
    """Read a dataset, in the child."""
    with _opened(path, is_archive) as (file, _):
        return file[place][()]


@contextmanager
def _opened(path: str, is_archive: bool) -> Iterator[tuple[Any, int | None]]:
    """Open the weights; yield them, and where they begin in the file, if they are not packed."""
    import h5py

    if not is_archive:
        with h5py.File(path, "r") as file:
            yield file, 0
        return
    with Path(path).open("rb") as whole, zipfile.ZipFile(whole) as archive:
        info = archive.getinfo(_WEIGHTS)
        before = _start_of(info, whole) if info.compress_type == zipfile.ZIP_STORED else None
        with archive.open(info) as weights, h5py.File(weights, "r") as file:
            yield file, before


def _fault(record: Record) -> str:
    """Say what is wrong with a file, whatever zipfile, zlib and h5py raised on it."""
    if record.outcome == "out of memory" or record.exception_type == "MemoryError":
        return f"it takes more than {BYTES:,} bytes to look at"
    return record.message or record.exception_type or record.outcome


def _check_size(name: str, dataset: Dataset) -> None:
    """Refuse values of which next to nothing is stored: reading them fills the memory."""
    declared, stored = dataset.declared, dataset.stored
    if declared > BYTES and declared > _MOST_COMPRESSED * stored and not dataset.elsewhere:
        fault = f"what is at {printable(name)} declares {declared:,} bytes, and stores {stored:,}"
        raise _UnfitFileError(f"the Keras file is damaged: {fault}")


def _check_members(archive: zipfile.ZipFile) -> None:
    """Refuse what Keras would unpack beside the folder that it unpacks into."""
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(members) > _MOST_MEMBERS or len(names) < len(members):
        raise _UnfitFileError("an archive with too many members, or with two of one name")
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename.partition("/")[0]:
            raise _UnfitFileError(f"its member {member.filename!r} climbs out of the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _UnfitFileError(f"its member {member.filename!r} is a symbolic link")
    missing = {_CONFIG, _WEIGHTS} - names
    if missing:
        raise _UnfitFileError(f"a zip archive, but no Keras file: it holds no {min(missing)}")
    weights = archive.getinfo(_WEIGHTS)
    is_stored = weights.compress_type == zipfile.ZIP_STORED
    if not is_stored and weights.file_size > _LARGEST_COMPRESSED_WEIGHTS:
        # Keras stores weights without compression, so that they can be read in place.
        raise _UnfitFileError(f"{_WEIGHTS} is compressed and too large to unpack")


def _read_text(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        text = file.read(_LARGEST_TEXT + 1)
    if len(text) > _LARGEST_TEXT:
        raise _UnfitFileError(f"{name} is larger than any model's")
    return text.decode()
