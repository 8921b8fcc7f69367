"""Keras model files, ``.keras`` and whole-model ``.h5``, read without Keras.

Layers become nodes. A model inside a model is a node that calls a function of its own. The files
hold neither ops nor signatures, so nothing reads or assigns a variable here; every variable in
them has a value. Optimizer state is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from varhandle.formats.embedded_code import code_in_keras_config, weights_in_other_files
from varhandle.formats.hdf5_outline import read_hdf5_outline
from varhandle.graph import Function, Graph, ModelFileError, Node, Shape, TensorSpec, Variable


def read_keras(path: Path, *, is_archive: bool) -> Graph:
    """Read a ``.keras`` archive, or a whole model from a ``.h5`` file, or raise ``ModelFileError``.

    In an archive, variables are named after their path in the weights file
    (``layers/dense/vars/0``), the only name that they have there; the owner is the layer's name.
    """
    outline = read_hdf5_outline(path, is_archive)
    if "model_config" not in outline["attributes"].get("", {}):
        fault = "an HDF5 file without a model_config: weights alone, or not from Keras"
        raise ModelFileError(path, f"{fault}; save the whole model instead")
    try:
        return _graph(path, outline, is_archive)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # It is JSON, and yet no model's config, whatever reading it raises.
        fault = "the Keras file is damaged: its config describes no model"
        raise ModelFileError(path, fault) from error


def _graph(path: Path, outline: Mapping[str, Any], is_archive: bool) -> Graph:
    root = outline["attributes"][""]
    config = json.loads(root["model_config"])
    compiled = json.loads(root.get("training_config", "null"))
    metadata = json.loads(root.get("metadata", "{}"))
    version = metadata.get("keras_version") or root.get("keras_version")
    variables = _read_variables(outline) if is_archive else _read_legacy_variables(outline)
    name = str(config["config"].get("name") or config["class_name"])
    code = code_in_keras_config(config, compiled), weights_in_other_files(outline["external"])
    return Graph(
        str(path),
        "keras",
        tuple(_read_functions(config, name)),
        tuple(sorted(variables, key=lambda variable: variable.name)),
        producer=f"Keras {version}" if version else None,
        embedded_code=(*code[0], *code[1]),
    )


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
    return Variable(name, str(dtype), tuple(shape), initialized=True, owner=owner)


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
