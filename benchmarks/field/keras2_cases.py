"""Models of Keras 2, as ``tf_keras`` saves them: made in a process in which it is ``tf.keras``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.field import by_hand
from benchmarks.field.case import (
    CALLS,
    GOOD,
    Call,
    Case,
    Made,
    Rng,
    Truth,
    add,
    mended,
    refused,
    told,
)

keras = tf.keras
layers, D = keras.layers, keras.layers.Dense


def keras2_case(
    name: str, build: Callable[[], Any], truth: Truth = GOOD, *, suffix: str = ".h5",
    optimizer: str = "", hand: str = "keras",
) -> None:  # fmt: skip
    """Add a model, trained for a step where it has an optimizer."""

    def make(folder: Path, rng: Rng) -> Made:
        model = build()
        shape = [1 if i == 0 else n or 12 for i, n in enumerate(model.input.shape)]
        if optimizer:
            module = keras.optimizers.legacy if "legacy" in optimizer else keras.optimizers
            model.compile(getattr(module, optimizer.rsplit(".", maxsplit=1)[-1])(), "mse")
            model.train_on_batch(np.ones(shape), np.zeros([1, *model.output.shape[1:]]))
        path = folder / f"model{suffix}"
        if "weights" in name:
            model.save_weights(path)
            return Made(path)
        calls: list[Call] = [
            ("", {model.input.name: rng.normal(size=shape).astype("float32")}) for _ in range(CALLS)
        ]
        model.save(path)
        return Made(
            path, calls, by_hand.keras_answers(tf, model, calls), {"way": hand} if hand else {}
        )

    add(Case(f"keras2-{name}", "Keras 2", make, truth))


def seq(shape: Any, *stack: Any, batch: int | None = None) -> Any:
    """Return a stack of layers."""
    return keras.Sequential([keras.Input(shape, batch), *stack])


def convolutions() -> Any:
    """Return what Teachable Machine's exports are made of."""
    return seq([12, 12, 3], layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(),
               layers.DepthwiseConv2D(3), layers.Flatten(), D(3, "softmax"))  # fmt: skip


def dense() -> Any:
    """Return a small net."""
    return seq([8], D(6, "relu"), D(2))


# fmt: off
OPEN_BATCH = mended("batch|TensorList")
keras2_case("dense", dense, optimizer="Adam")
keras2_case("depthwise", convolutions)
# By hand with tf_keras, an LSTM becomes an op that keeps its state from one call to the next.
keras2_case("lstm", lambda: seq([12, 4], layers.LSTM(5), D(2)), OPEN_BATCH, hand="")
keras2_case("lstm-batch-1", lambda: seq([12, 4], layers.LSTM(5), D(2), batch=1), hand="")
keras2_case("gru", lambda: seq([None, 4], layers.GRU(5), D(2)), OPEN_BATCH, hand="closed",
            optimizer="RMSprop")
keras2_case("saved-legacy-adam", dense, suffix="", optimizer="legacy.Adam", hand="v1")
keras2_case("saved-adam", dense, suffix="", optimizer="Adam", hand="v1")
keras2_case("saved-convolutions", convolutions, suffix="", optimizer="legacy.RMSprop", hand="v1")
keras2_case("saved-lstm", lambda: seq([12, 4], layers.LSTM(5), D(2)), told("batch|TensorList"),
            suffix="", hand="")
keras2_case("archive", dense, suffix=".keras", optimizer="Adam")
keras2_case("weights-only", dense, refused("weights"))
# fmt: on
