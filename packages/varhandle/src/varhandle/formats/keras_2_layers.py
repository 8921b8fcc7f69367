"""Layers that old files call by their names, and Keras 3 does not look up, in a child process.

A function of TensorFlow that was called on the tensors of a functional model became a layer of
Keras 2 (``TFOpLambda``); here it is an operation of Keras 3, which has no weights either. The
layers of ``keras.applications`` are in no list of Keras's layers, in a ``.h5`` file of Keras 3 too.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from varhandle.formats.embedded_code import (
    OP_LAYERS,
    calculates,
    layer_of_applications,
    objects_of,
)


def applications_layers(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layers of a config that ``keras.applications`` has, as they are named there."""
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    layers = {one.__name__: one for one in (CustomScaleLayer, LayerScale, StochasticDepth)}
    found = ((one, layer_of_applications(one)) for one, _ in objects_of(config))
    return {one["class_name"]: layers[name] for one, name in found if name}


def op_layers() -> dict[str, Any]:
    """Return operations of Keras 3 that do what a layer of Keras 2 does with its function."""
    import keras

    class FunctionOfTensorFlow(keras.Operation):
        def __init__(self, function: str, name: str | None = None) -> None:
            super().__init__(name=name)
            self.function = function
            self.called = _function(function)

        def call(self, *args: Any, **kwargs: Any) -> Any:
            kwargs.pop("name", None)  # it is called more than once
            return self.called(*_sliced(args), **_sliced(kwargs))

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name, "function": self.function}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> FunctionOfTensorFlow:
            return cls(config["function"], config["name"])

    return dict.fromkeys(OP_LAYERS, FunctionOfTensorFlow)


def lost_arguments(config: Mapping[str, Any]) -> list[str]:
    """Return the functions of a config that take any number of arguments, as ``tf.einsum`` does.

    A file of Keras 2 has the first argument of a call, and the others by their names.
    """
    called = (
        value["config"].get("function")
        for value, _ in objects_of(config)
        if value.get("class_name") in OP_LAYERS and isinstance(value.get("config"), Mapping)
    )
    symbols = sorted({name for name in called if isinstance(name, str) and calculates(name)})
    return [f"tf.{name}" for name in symbols if _takes_any_number(_function(name))]


def _takes_any_number(function: Any) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(one.kind is one.VAR_POSITIONAL for one in parameters)


def _function(symbol: str) -> Any:
    import tensorflow as tf

    if not calculates(symbol):
        raise ValueError(f"tf.{symbol} may do more than calculate")
    found = tf
    for part in symbol.split("."):
        found = getattr(found, part)
    return found


def _sliced(value: Any) -> Any:
    """Make slices of what stands for them in JSON, and an ellipsis."""
    match value:
        case {"start": start, "stop": stop, "step": step}:
            return slice(start, stop, step)
        case {"class_name": "__ellipsis__"}:
            return ...
        case dict():
            return {key: _sliced(inner) for key, inner in value.items()}
        case list() | tuple():
            return type(value)(_sliced(inner) for inner in value)
    return value
