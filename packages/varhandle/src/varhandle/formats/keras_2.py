"""What a config of Keras 2 says and Keras 3 no longer takes, or takes otherwise.

Dropping a setting is right only where it says what Keras 3 does in any case. The rows were found by
saving every layer with tf_keras 2.21, loading it with Keras 3.15 and comparing the answers; the
dtype of initializers is of files that TensorFlow 1 wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from varhandle.formats.embedded_code import INITIALIZER_MODULES, OP_LAYERS, objects_of
from varhandle.formats.keras_2_layers import op_layers


class _Setting(NamedTuple):
    """A setting that Keras 3 refuses, and the values with which leaving it out changes nothing."""

    name: str
    classes: frozenset[str]
    values: tuple[Any, ...] = ()  # none stands for any


_RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN"} | {f"ConvLSTM{n}D" for n in (1, 2, 3)})
_SEPARABLE = frozenset({"SeparableConv1D", "SeparableConv2D"})
_GROUPED = frozenset(
    {"DepthwiseConv1D", "DepthwiseConv2D"} | {f"Conv{n}DTranspose" for n in (1, 2, 3)}
)
_INITIALIZERS = frozenset(
    {"Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal"}
    | {"VarianceScaling", "Orthogonal", "Identity", "GlorotNormal", "GlorotUniform"}
    | {"HeNormal", "HeUniform", "LecunNormal", "LecunUniform"}
)
_UNTRAINABLE = frozenset({"Discretization"} | {f"SpatialDropout{n}D" for n in (1, 2, 3)})
_AUGMENTING = frozenset(
    {"RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation"}
    | {"RandomTranslation", "RandomZoom"}
)
_ATTENTION = frozenset({"MultiHeadAttention"})

SETTINGS = (
    _Setting("time_major", _RECURRENT, (False,)),
    _Setting("groups", _GROUPED | _SEPARABLE, (1,)),
    # A separable convolution has two kernels, each with settings of its own.
    *(
        _Setting(f"kernel_{what}", _SEPARABLE)
        for what in ("initializer", "regularizer", "constraint")
    ),
    _Setting("dtype", _INITIALIZERS),
    _Setting("trainable", _UNTRAINABLE),
    _Setting("noise_shape", _UNTRAINABLE),  # of which it makes its own
    _Setting("rng_type", _AUGMENTING),  # which generator draws in training
    *(_Setting(f"{what}_shape", _ATTENTION) for what in ("query", "key", "value")),
    _Setting("softmax_robust_masking", _ATTENTION, (False,)),
    # Keras 3 takes the word for its function of that name.
    _Setting("score_mode", frozenset({"Attention"}), ("dot",)),
)
_CLASSES = {f"BatchNormalizationV{n}": "BatchNormalization" for n in (1, 2)}

_HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": "keras_2_hard_sigmoid",
    "registered_name": "keras_2_hard_sigmoid",
}
"""Keras 3 has a ``hard_sigmoid`` too, with another slope."""


def custom_objects() -> dict[str, Any]:
    """Return what an adapted config names and Keras 3 does not have, in a child process."""
    import keras

    def hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return {_HARD_SIGMOID["config"]: hard_sigmoid, **op_layers()}


def adapt_config(config: dict[str, Any]) -> bool:
    """Change a config of Keras 2 in place to what Keras 3 takes; tell whether it was changed."""
    before = json.dumps(config)
    for change in (_unwrap, _adapt, _adapt_archive):
        for value, _ in list(objects_of(config)):
            if isinstance(value, dict):
                change(value)
    return json.dumps(config) != before


PRUNING_WEIGHTS = frozenset({"mask", "threshold", "pruning_step"})
"""What the wrapper of a pruned layer keeps besides the layer's own weights."""


def is_pruned(value: Mapping[str, Any]) -> bool:
    """Tell whether an object is the wrapper that prunes a layer while it is trained.

    ``tfmot.sparsity.keras.strip_pruning`` takes it off: in inference it does nothing.
    """
    settings = value.get("config")
    is_wrapper = value.get("class_name") == "PruneLowMagnitude"
    return is_wrapper and isinstance(settings, dict) and isinstance(settings.get("layer"), dict)


def _unwrap(value: dict[str, Any]) -> None:
    if is_pruned(value):
        inner, name = value["config"]["layer"], value["config"]["name"]
        value["class_name"], value["config"] = (
            inner["class_name"],
            {**inner["config"], "name": name},
        )


def _adapt_archive(value: dict[str, Any]) -> None:
    """Change what only an archive's objects say, or what Keras 3 minds only there."""
    name, settings = value.get("class_name"), value.get("config")
    if not isinstance(settings, dict):
        return
    if name == "Functional" and str(value.get("module")).endswith("engine.functional"):
        value["module"] = "keras.src.models.functional"
    if name != "InputLayer":  # a layer repeats its shape: the input layer before it has it by now
        settings.pop("batch_input_shape", None)
    # Attention is built of one shape, where Keras 3 takes two, and an operation not at all.
    if name in _ATTENTION | OP_LAYERS:
        value.pop("build_config", None)
    axis = settings.get("axis")
    if name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        settings["axis"] = axis[0]


def _adapt(value: dict[str, Any]) -> None:
    name, settings = value.get("class_name"), value.get("config")
    if isinstance(name, str):
        value["class_name"] = _CLASSES.get(name, name)
    for named in (value, settings):
        if isinstance(named, dict) and isinstance(named.get("name"), str):
            named["name"] = _plain_name(named["name"])
    if value.get("module") in INITIALIZER_MODULES and name in _INITIALIZERS:
        value |= {"module": "keras.initializers", "registered_name": None}
    if name == "Sequential" and isinstance(settings, list):  # as before Keras 2.2.3
        settings = value["config"] = {"name": "sequential", "layers": settings}
    if not isinstance(settings, dict):
        return
    if name == "Sequential":
        _begin_with_input(settings["layers"])
    for setting in SETTINGS:
        found = settings.get(setting.name, setting)
        if name in setting.classes and (not setting.values or found in setting.values):
            settings.pop(setting.name, None)
    _adapt_settings(settings)
    layers = settings.get("layers")
    if isinstance(layers, list) and "output_layers" in settings:
        _renumber(settings, {layer["name"]: layer for layer in layers})


def _adapt_settings(settings: dict[str, Any]) -> None:
    for activation in ("activation", "recurrent_activation"):
        if settings.get(activation) == "hard_sigmoid":
            settings[activation] = dict(_HARD_SIGMOID)
    policy = settings.get("dtype")
    if isinstance(policy, dict) and policy.get("class_name") in {"Policy", "PolicyV1"}:
        settings["dtype"] = policy["config"]["name"]


def _plain_name(name: str) -> str:
    """Take slashes out of the name of a layer; a ``.h5`` file has the weights in the same order."""
    return name.replace("/", "__")


def _begin_with_input(layers: list[dict[str, Any]]) -> None:
    """Give a Sequential model an input layer, where its first layer tells the shape in its place.

    Keras 3 would take the batch for one more dimension.
    """
    first = layers[0]["config"] if layers else {}
    shape = first.pop("batch_input_shape", None) if isinstance(first, dict) else None
    if shape is None:
        return
    if layers[0]["class_name"] == "InputLayer":
        first["batch_shape"] = shape
        return
    settings = {"batch_shape": shape, "dtype": "float32", "name": f"{first.get('name')}_input"}
    layers.insert(0, {"class_name": "InputLayer", "config": settings})


def _renumber(settings: dict[str, Any], layers: dict[str, dict[str, Any]]) -> None:
    """Write the calls of a functional model's layers as Keras 3 does.

    Keras 2 counts the calls of a model inside a model from 1, and hands the first states of a
    recurrent layer over as further inputs.
    """

    def tensor(reference: Any) -> list[Any]:
        name, call, output = reference[:3]
        inner = "layers" in layers[name]["config"] and call == len(layers[name]["inbound_nodes"])
        return [_plain_name(name), call - 1 if inner and call else call, output]

    def argument(value: Any) -> Any:
        match value:
            case [str(name), int(), int()] if name in layers:
                return _keras_tensor(tensor(value))
            case list():
                return [argument(item) for item in value]
            case dict():
                return {key: argument(item) for key, item in value.items()}
        return value

    def inputs_of(node: Any) -> Any:
        match node:
            case ["_CONSTANT_VALUE", -1, value, *_]:
                return value
            case [str(), int(), int(), *_]:
                return _keras_tensor(tensor(node))
            case list():
                return [inputs_of(item) for item in node]
        return node

    for layer in layers.values():
        for number, node in enumerate(layer["inbound_nodes"]):
            if isinstance(node, list) and node:
                first, last = inputs_of(node), _first_reference(node)[-1]
                given = argument(last) if isinstance(last, dict) else {}
                if layer["class_name"] in OP_LAYERS or not isinstance(first, list):
                    pass  # of a function, a list of one tensor stays a list
                elif layer["class_name"] in _RECURRENT and len(first) > 1:
                    first, given = first[0], {**given, "initial_state": first[1:]}
                elif len(first) == 1:
                    first = first[0]
                layer["inbound_nodes"][number] = {"args": [first], "kwargs": given}
    for side in ("input_layers", "output_layers"):
        settings[side] = _each(settings[side], tensor)
        if isinstance(settings[side], list) and len(settings[side]) == 1:
            settings[side] = settings[side][0]  # one tensor, and in Keras 3 a list of one


def _first_reference(node: list[Any]) -> list[Any]:
    while not isinstance(node[0], str):
        node = node[0]
    return node


def _each(references: Any, change: Any) -> Any:
    """Change every reference to a tensor in a structure of them."""
    match references:
        case [str(), int(), int()]:
            return change(references)
        case list():
            return [_each(item, change) for item in references]
        case dict():
            return {key: _each(item, change) for key, item in references.items()}
    return references


def _keras_tensor(reference: list[Any]) -> dict[str, Any]:
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [], "dtype": "float32", "keras_history": reference},
    }
