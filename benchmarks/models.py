"""The models that are timed, made in a child process so that they cost the timing nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from varhandle.sandbox import run_isolated

MODELS = ("digits classifier", "MobileNetV2 224")


def keras_model(name: str) -> Any:
    """Make one of the timed models."""
    import keras

    from workbook_lib.samples import load_classifier

    keras.utils.set_random_seed(7)
    if name == "digits classifier":
        return load_classifier()
    if name == "MobileNetV2 96":
        return keras.applications.MobileNetV2((96, 96, 3), alpha=0.75, weights=None)
    return keras.applications.MobileNetV2(weights=None)


def files(name: str, folder: Path) -> tuple[Path, Path]:
    """Convert a model to the formats of the other runtimes."""
    stem = name.replace(" ", "_")
    tflite, onnx = folder / f"{stem}.tflite", folder / f"{stem}.onnx"
    for conversion, target in ((_to_tflite, tflite), (_to_onnx, onnx)):
        record = run_isolated(conversion, name, str(tflite), str(target))
        if not record.ok:
            raise RuntimeError(f"{name} to {target.suffix}: {record.message}")
    return tflite, onnx


def _to_tflite(name: str, _: str, target: str) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model(name))
    Path(target).write_bytes(converter.convert())


def _to_onnx(_: str, source: str, target: str) -> None:
    # tf2onnx reads the .tflite: it does not know the functions that Keras 3 makes.
    from tf2onnx.convert import from_tflite

    from_tflite(source, output_path=target)


def exported(name: str, folder: Path) -> Path:
    """Export a model as Keras does."""
    target = folder / f"{name.replace(' ', '_')}_saved_model"
    record = run_isolated(_export, name, str(target))
    if not record.ok:
        raise RuntimeError(f"{name} to a SavedModel: {record.message}")
    return target


def _export(name: str, target: str) -> None:
    keras_model(name).export(target, verbose=False)


def running_total() -> bytes:
    """Make a .tflite file with a variable."""
    record = run_isolated(_to_running_total)
    if not record.ok:
        raise RuntimeError(f"a running total to .tflite: {record.message}")
    content: bytes = record.value
    return content


def _to_running_total() -> bytes:
    import tensorflow as tf

    module = tf.Module()
    module.total = tf.Variable(tf.zeros([4]), name="total")
    add = tf.function(module.total.assign_add, input_signature=[tf.TensorSpec([4])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [add.get_concrete_function()], module
    )
    content: bytes = converter.convert()
    return content
