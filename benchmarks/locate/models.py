"""The models: those of the field that convert as they are, and a few with more of a graph."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.field import by_hand, graph_cases, make, module_cases
from benchmarks.field.case import CASES, Made
from benchmarks.field.keras_cases import C, D, L, keras_case, seq
from benchmarks.field.module_cases import F32, ONE, Functions, module_case

__all__ = ["graph_cases", "made_model"]
KIND = "locate"


def mobile_net() -> Any:
    """Return MobileNetV2, which ``settle`` gives uneven statistics."""
    return keras.applications.MobileNetV2((96, 96, 3), 0.35, weights=None, classes=10)


def detector() -> Any:
    """Return two scales of boxes and of scores, each from a branch of its own."""
    x = keras.Input((32, 32, 3), batch_size=1)
    near = C(8, 3, strides=2, padding="same", activation="relu")(x)
    far = C(12, 3, strides=2, padding="same", activation="relu6")(near)
    boxes, scores = [], []
    for y in (near, far):
        boxes.append(layers.Reshape((-1, 4))(C(8, 3, padding="same")(y)))
        scores.append(layers.Reshape((-1, 3))(C(6, 3, padding="same")(y)))
    centers, sizes = layers.Lambda(lambda b: tf.split(b, 2, -1), name="parts")(
        layers.Concatenate(1)(boxes)
    )
    half = layers.Rescaling(0.5)(layers.Activation("exponential")(sizes))
    corners = layers.Concatenate()([centers - half, centers + half])
    return keras.Model(x, [corners, layers.Activation("sigmoid")(layers.Concatenate(1)(scores))])


def decoder() -> Any:
    """Return two layers of attention that sees only what came before."""
    x = keras.Input((10,), dtype="int32", batch_size=1)
    y = layers.Embedding(30, 16)(x)
    for _ in range(2):
        z = layers.LayerNormalization()(y)
        y = y + layers.MultiHeadAttention(2, 8)(z, z, use_causal_mask=True)
        y = y + D(16)(D(32, "gelu")(layers.LayerNormalization()(y)))
    return keras.Model(x, D(30)(y))


def inception() -> Any:
    """Return branches of several sizes side by side, and an upsampling."""
    y = x = keras.Input((16, 16, 3), batch_size=1)
    for _ in range(2):
        parts = [C(4, 1, activation="relu")(y), C(4, 3, padding="same", activation="swish")(y)]
        parts.append(layers.AveragePooling2D(3, 1, "same")(y))
        parts.append(C(4, 1)(layers.MaxPooling2D(3, 1, "same")(y)))
        y = layers.BatchNormalization()(layers.Concatenate()(parts))
    y = layers.UpSampling2D(2, interpolation="bilinear")(y)
    return keras.Model(x, D(3, "softmax")(layers.GlobalMaxPooling2D()(y)))


def gated(module: Any) -> Functions:
    """Take steps apart, put them through gates, and stack them again."""
    rng = np.random.default_rng(3)
    module.w = tf.Variable(rng.normal(size=(4, 12)).astype("float32"), name="w")
    module.u = tf.Variable(rng.normal(size=(3, 4, 4)).astype("float32"), name="u")

    def step(x: Any) -> Any:
        seen = []
        for row in tf.unstack(x, axis=1):
            a, b, c = tf.split(row @ module.w, 3, -1)
            seen.append(tf.sigmoid(a) * tf.tanh(b) - c / (1.0 + tf.abs(row)))
        y = tf.einsum("bsi,sij->bsj", tf.stack(seen, 1), module.u)
        values, at = tf.math.top_k(y, 2)
        return {"y": tf.cumsum(y, 1), "best": values, "at": at}

    return {ONE: (step, [tf.TensorSpec([1, 3, 4], F32, "x")])}


def filtered(module: Any) -> Functions:
    """Filter with two states, of which one counts."""
    module.level = tf.Variable(tf.fill([1, 4], 0.5), name="level")
    module.count = tf.Variable(1.0, name="count")

    def step(x: Any) -> Any:
        before = tf.identity(module.level)
        module.level.assign(before + (x - before) / module.count)
        module.count.assign_add(1.0)
        return {"level": tf.identity(module.level), "move": module.level - before}

    return {ONE: (step, [tf.TensorSpec([1, 4], F32, "x")])}


def nested(module: Any) -> Functions:
    """Hand two values round a loop, with a loop and a branch in it."""
    rng = np.random.default_rng(7)
    module.w = tf.Variable(rng.normal(size=(4, 4)).astype("float32"), name="w")

    def within(j: Any, a: Any) -> Any:
        return j + 1, tf.sin(a @ module.w)

    def step(x: Any) -> Any:
        def turn(i: Any, a: Any, b: Any) -> Any:
            c = tf.while_loop(lambda j, _: j < 3, within, [0, a + x])[1]
            d = tf.cond(tf.reduce_sum(c) > 0.0, lambda: 1.5 * c - b, lambda: tf.exp(c) * 0.5)
            return i + 1, b + x, tf.tanh(d)

        return {"y": tf.while_loop(lambda i, *_: i < 5, turn, [0, x, 0.5 * x])[2]}

    return {ONE: (step, [tf.TensorSpec([1, 4], F32, "x")])}


# fmt: off
keras_case("mobile-net-v2", KIND, mobile_net, how="pixels")
keras_case("detector", KIND, detector, suffix="")
keras_case("decoder", KIND, decoder, how=30)
keras_case("inception", KIND, inception, how="pixels")
keras_case("bidirectional", KIND, lambda: seq(
    [6, 4], layers.Bidirectional(L(5)), layers.LayerNormalization(), D(2), batch=1))
keras_case("unrolled", KIND, lambda: seq([5, 3], layers.GRU(4, unroll=True), D(2), batch=1))
module_case("gated", KIND, gated, module_cases.fed(
    x=lambda rng: rng.normal(size=(1, 3, 4)).astype("float32")))
module_case("filtered", KIND, filtered)
module_case("nested-loops", KIND, nested)
# fmt: on


def made_model(name: str, recipe: str, cache: Path) -> tuple[Made, bytes]:
    """Make a model, unless it is in the cache; return it, and the file that a person gets of it."""
    wrong = make.prepare(CASES[name], cache)
    if wrong:
        raise RuntimeError(f"{name} was not made: {wrong}")
    made = Made.load(cache / name)
    hand = {"way": "saved", **made.hand, "recipe": recipe}
    with contextlib.redirect_stdout(io.StringIO()):  # Keras lists what it exports
        content, _ = by_hand.convert(dataclasses.replace(made, hand=hand))
    return made, content
