"""Keras model files, ``.keras`` and whole-model ``.h5``, read without Keras.

Layers become nodes. A model inside a model is a node that calls a function of its own. The files
hold neither ops nor signatures, so nothing reads or assigns a variable here; every variable in
them has a value. Optimizer state is left out.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbook_lib.graph.hdf5_outline import read_hdf5_outline
from workbook_lib.graph.model import (
    Function,
    Graph,
    ModelFileError,
    Node,
    Shape,
    TensorSpec,
    Variable,
)

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
_LARGEST_CONFIG = 64 * 2**20
_LARGEST_COMPRESSED_WEIGHTS = 256 * 2**20

_FROM_A_DAMAGED_FILE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # encrypted, compressed in an unknown way, JSON nested without end
    LookupError,  # JSON that is no model's, from here on
    ValueError,
    TypeError,
    AttributeError,
)


def read_keras(path: Path) -> Graph:
    """Read a ``.keras`` file.

    Variables are named after their place in the weights file (``layers/dense/vars/0``), the only
    name that they have there; the owner is the name of the layer.

    Args:
        path: The file.

    Returns:
        The model: a node for each layer, and every variable.

    Raises:
        ModelFileError: It is damaged, or another kind of zip archive.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {_CONFIG, _WEIGHTS}.difference(archive.namelist())
            if missing:
                fault = f"a zip archive, but no Keras file: it holds no {min(missing)}"
                raise ModelFileError(path, fault)
            config = _read_json(archive, _CONFIG)
            metadata = _read_json(archive, _METADATA) if _METADATA in archive.namelist() else {}
            _refuse_large_compressed(path, archive.getinfo(_WEIGHTS))
        outline = read_hdf5_outline(path, _WEIGHTS)
        return _graph(path, config, _read_variables(outline), metadata.get("keras_version"))
    except ModelFileError:
        raise
    except _FROM_A_DAMAGED_FILE as error:
        raise ModelFileError(path, f"the Keras file is damaged ({error})") from error


def read_hdf5(path: Path) -> Graph:
    """Read a whole model from a ``.h5`` file.

    Args:
        path: The file.

    Returns:
        The model: a node for each layer, and every variable.

    Raises:
        ModelFileError: It is damaged, or holds weights only.
        OSError: It cannot be read.
    """
    try:
        outline = read_hdf5_outline(path)
        attributes = outline["attributes"].get("", {})
        if "model_config" not in attributes:
            fault = "an HDF5 file without a model_config: weights alone, or not from Keras"
            raise ModelFileError(path, f"{fault}; save the whole model instead")
        config = json.loads(attributes["model_config"])
        variables = _read_legacy_variables(outline)
        return _graph(path, config, variables, attributes.get("keras_version"))
    except ModelFileError:
        raise
    except _FROM_A_DAMAGED_FILE as error:
        raise ModelFileError(path, f"the Keras file is damaged ({error})") from error


def _graph(path: Path, config: Any, variables: Iterable[Variable], version: object) -> Graph:
    name = str(config["config"].get("name") or config["class_name"])
    return Graph(
        str(path),
        "keras",
        tuple(_read_functions(config, name)),
        tuple(sorted(variables, key=lambda variable: variable.name)),
        producer=f"Keras {version}" if version else None,
    )


def _read_json(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        text = file.read(_LARGEST_CONFIG + 1)
    if len(text) > _LARGEST_CONFIG:
        raise ValueError(f"{name} is larger than any model's")
    return json.loads(text)


def _refuse_large_compressed(path: Path, weights: zipfile.ZipInfo) -> None:
    """Refuse what cannot be read in place: Keras stores weights without compression."""
    is_stored = weights.compress_type == zipfile.ZIP_STORED
    if not is_stored and weights.file_size > _LARGEST_COMPRESSED_WEIGHTS:
        raise ModelFileError(path, f"{_WEIGHTS} is compressed and too large to unpack")


def _read_variables(outline: Mapping[str, Any]) -> Iterator[Variable]:
    for name in outline["datasets"]:
        group, found, _ = name.rpartition("/vars/")
        if not name.startswith("optimizer/"):
            parent = outline["attributes"].get(f"{group}/vars" if found else "vars", {})
            yield _variable(outline, name, name, parent.get("name") or group)


def _read_legacy_variables(outline: Mapping[str, Any]) -> Iterator[Variable]:
    for group, attributes in outline["attributes"].items():
        root, _, layer = group.partition("/")
        if root == "model_weights":
            for name in attributes.get("weight_names", ()):
                yield _variable(outline, f"{group}/{name}", name, layer)


def _variable(outline: Mapping[str, Any], path: str, name: str, owner: str) -> Variable:
    dtype, shape = outline["datasets"][path]
    # A dtype that HDF5 does not know, such as bfloat16, is stored as bits and named beside them.
    dtype = outline["attributes"].get(path, {}).get("dtype", dtype)
    return Variable(name, str(dtype), tuple(shape), initialised=True, owner=owner)


def _read_functions(model: Mapping[str, Any], name: str) -> Iterator[Function]:
    """Yield a model's layers as one function, then those of the models inside it."""
    layers = model["config"].get("layers")
    if layers is None:  # a subclassed model: its layers are in its code, not in the file
        yield Function(name, (Node(name, str(model["class_name"])),))
        return
    nodes: list[Node] = []
    inner: list[tuple[Mapping[str, Any], str]] = []
    for layer in layers:
        layer_name = str(layer["config"]["name"])
        is_model = "layers" in layer["config"]
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
                attributes=_settings(layer["config"]),
                calls=(inner[-1][1],) if is_model else (),
            )
        )
    yield Function(name, tuple(nodes), tuple(_read_inputs(layers)))
    for nested, nested_name in inner:
        yield from _read_functions(nested, nested_name)


def _read_inputs(layers: list[Any]) -> Iterator[TensorSpec]:
    for layer in layers:
        if layer["class_name"] == "InputLayer":
            config = layer["config"]
            dims = config.get("batch_shape", config.get("batch_input_shape"))
            shape: Shape | None = None if dims is None else tuple(dims)
            yield TensorSpec(str(config["name"]), str(config.get("dtype", "float32")), shape)


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


def _settings(config: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of a layer that are plain values."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config.items()
        if name not in {"name", "layers", "input_layers", "output_layers"}
        and not isinstance(value, dict)
    }
