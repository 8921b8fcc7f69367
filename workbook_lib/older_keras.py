"""What lesson 23 uses and Keras 3.12 lacks, the last Keras for Python 3.10."""

from __future__ import annotations

import functools
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from varhandle.formats import TFLITE

_own_export = keras.Model.export


def add_litert_format() -> None:
    """Give ``keras.Model.export`` the format ``litert`` where this Keras does not have it."""
    if find_spec("keras.src.export.litert") is None:
        keras.Model.export = _export


def _export(
    model: Any,
    filepath: str | Path,
    format: str = "tf_saved_model",
    verbose: bool | None = None,
    input_signature: Any = None,
    **options: Any,
) -> None:
    if format != "litert":
        _own_export(model, filepath, format, verbose, input_signature, **options)
        return
    if not TFLITE.is_named(filepath):
        raise ValueError(
            f"The LiteRT export requires the filepath to end with '.tflite'. Got: {filepath}"
        )
    content = _convert(model, input_signature, options)
    Path(filepath).write_bytes(content)
    if (verbose or verbose is None) and keras.config.is_interactive_logging_enabled():
        print(f"Saved artifact at '{filepath}'.")


def _convert(model: Any, input_signature: Any, options: dict[str, Any]) -> bytes:
    """Convert a model as Keras 3.15 does: traced for inference, and with Flex ops allowed."""
    from keras.src.export.export_utils import get_input_signature

    archive = keras.export.ExportArchive()
    archive.track(model)
    call = functools.partial(model.__call__, training=False)
    if input_signature is None:
        input_signature = get_input_signature(model)
    if not isinstance(input_signature, list | tuple):
        input_signature = [input_signature]
    archive.add_endpoint("serve", call, input_signature)
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS,
            tf.lite.OpsSet.SELECT_TF_OPS,
        ]
        converter.experimental_enable_resource_variables = True
        _set_options(converter, options)
        content: bytes = converter.convert()
    return content


def _set_options(converter: Any, options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name == "target_spec" and isinstance(value, dict):
            for part, setting in value.items():
                _set(converter.target_spec, "target_spec", part, setting)
        else:
            _set(converter, "converter", name, value)


def _set(holder: Any, what: str, name: str, value: Any) -> None:
    if not hasattr(holder, name):
        raise ValueError(f"Unknown {what} attribute '{name}'")
    setattr(holder, name, value)
