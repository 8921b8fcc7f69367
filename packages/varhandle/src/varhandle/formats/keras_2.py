"""What a config of Keras 2 says and Keras 3 no longer takes, or takes otherwise.

Dropping a setting is right only where it says what Keras 3 does in any case. The rows were found by
saving every layer with tf_keras 2.21, loading it with Keras 3.15 and comparing the answers; the
dtype of initializers is of files that TensorFlow 1 wrote.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from varhandle.formats.embedded_code import objects_of


class _Setting(NamedTuple):
    """A setting that Keras 3 refuses, and the values with which leaving it out changes nothing."""

    name: str
    classes: frozenset[str]
    values: tuple[Any, ...] = ()  # none stands for any


_SETTINGS = (
    _Setting("time_major", frozenset({"LSTM", "GRU", "SimpleRNN", "RNN"}), (False,)),
    _Setting(
        "groups",
        frozenset(
            {"DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"}
            | {"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"}
        ),
        (1,),
    ),
    _Setting(
        "dtype",
        frozenset(
            {"Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal"}
            | {"VarianceScaling", "Orthogonal", "Identity", "GlorotNormal", "GlorotUniform"}
            | {"HeNormal", "HeUniform", "LecunNormal", "LecunUniform"}
        ),
    ),
)
_CLASSES = {f"BatchNormalizationV{n}": "BatchNormalization" for n in (1, 2)}

_HARD_SIGMOID = "keras_2_hard_sigmoid"
"""Keras 3 has a ``hard_sigmoid`` too, with another slope."""


def custom_objects() -> dict[str, Any]:
    """Return what an adapted config names and Keras 3 does not have, in a child process."""
    import keras

    def hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return {_HARD_SIGMOID: hard_sigmoid}


def adapt_config(config: dict[str, Any]) -> bool:
    """Change a config of Keras 2 in place to what Keras 3 takes; tell whether it was changed."""
    before = json.dumps(config)
    for value, _ in list(objects_of(config)):
        if isinstance(value, dict):
            _adapt(value)
    return json.dumps(config) != before


def _adapt(value: dict[str, Any]) -> None:
    name, settings = value.get("class_name"), value.get("config")
    if isinstance(name, str):
        value["class_name"] = _CLASSES.get(name, name)
    if name == "Sequential" and isinstance(settings, list):  # as before Keras 2.2.3
        value["config"] = {"name": "sequential", "layers": settings}
    if not isinstance(settings, dict):
        return
    for setting in _SETTINGS:
        found = settings.get(setting.name, setting)
        if name in setting.classes and (not setting.values or found in setting.values):
            settings.pop(setting.name, None)
    for activation in ("activation", "recurrent_activation"):
        if settings.get(activation) == "hard_sigmoid":
            settings[activation] = _HARD_SIGMOID
