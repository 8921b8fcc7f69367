"""The models that are timed, made in a child process so that they cost the timing nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbook_lib.isolated import run_isolated

MODELS = ("digits classifier", "MobileNetV2 224")


def keras_model(name: str) -> Any:
    """Make one of the timed models.

    Args:
        name: One of ``MODELS``, or ``"MobileNetV2 96"``, which takes about a millisecond.

    Returns:
        A ``keras.Model``. MobileNetV2 has random weights: its speed does not depend on them.
    """
    import keras

    from workbook_lib.samples import load_classifier

    keras.utils.set_random_seed(7)
    if name == "digits classifier":
        return load_classifier()
    if name == "MobileNetV2 96":
        return keras.applications.MobileNetV2((96, 96, 3), alpha=0.75, weights=None)
    return keras.applications.MobileNetV2(weights=None)


def files(name: str, folder: Path) -> tuple[Path, Path]:
    """Convert a model to the formats of the other runtimes.

    Args:
        name: As for :func:`keras_model`.
        folder: Where the files are written.

    Returns:
        The ``.tflite`` file, and the ``.onnx`` file made out of it.

    Raises:
        RuntimeError: A conversion failed.
    """
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
