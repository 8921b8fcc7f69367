"""More models of the same kinds, which nobody had seen who worked on the tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from benchmarks.field import keras_cases as k
from benchmarks.field.case import (
    READY,
    SHUT,
    Case,
    Made,
    Rng,
    Truth,
    add,
    blocked,
    drawing,
    mended,
    normal,
    refused,
)
from benchmarks.field.file_cases import converted, file_case
from benchmarks.field.graph_cases import graph_case, v1
from benchmarks.field.keras_cases import CLOSED, OPEN_BATCH, C, D, L, keras_case, seq
from benchmarks.field.module_cases import (
    F32,
    ONE,
    ROW,
    Draw,
    Functions,
    fed,
    module_case,
    one,
    ring,
)


def excited() -> Any:
    """Return a squeeze and excitation of any size."""
    x = keras.Input((None, None, 3))
    y = C(8, 3, padding="same", activation="relu")(x)
    gate = C(8, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    return keras.Model(x, C(2, 1)(layers.Multiply()([y, gate])))


def patches() -> Any:
    """Return a vision transformer of one block."""
    x = keras.Input((16, 16, 3))
    y = layers.Reshape((16, 8))(C(8, 4, 4)(x)) + layers.Embedding(16, 8)(ops.arange(16))
    z = layers.LayerNormalization()(y)
    y = y + layers.MultiHeadAttention(2, 4)(z, z)
    return keras.Model(x, D(4, "softmax")(layers.GlobalAveragePooling1D()(y)))


def asked() -> Any:
    """Return attention between two inputs of open length."""
    q, v = keras.Input((None, 6), name="query"), keras.Input((None, 6), name="value")
    return keras.Model(
        [q, v], D(2)(layers.GlobalMaxPooling1D()(layers.AdditiveAttention()([q, v])))
    )


def noisy(training: bool) -> Any:
    """Return a model whose noise may be left on."""
    x = keras.Input((6,))
    return keras.Model(x, D(2)(layers.GaussianDropout(0.3)(D(8, "relu")(x), training=training)))


def spread(module: Any) -> Functions:
    """Keep a mean and a variance; a signature without inputs is first."""
    module.mean = tf.Variable(tf.zeros([4]), name="mean")
    module.square = tf.Variable(tf.ones([4]), name="square")

    def observe(x: Any) -> Any:
        module.mean.assign_add(0.1 * (x[0] - module.mean))
        module.square.assign(0.9 * module.square + 0.1 * (x[0] - module.mean) ** 2)
        return {"z": (x - module.mean) / tf.sqrt(module.square + 1e-3)}

    def a_reset() -> Any:
        module.mean.assign(tf.zeros([4]))
        return {"ok": tf.constant(True)}

    return {"a_reset": (a_reset, []), "observe": (observe, [ROW])}


def histogram(by_hand: bool) -> Draw:
    """Count what was seen."""

    def draw(module: Any) -> Functions:
        module.seen = tf.Variable(tf.zeros([6], tf.int32), name="seen")

        def step(ids: Any) -> Any:
            if by_hand:
                module.seen.assign_add(tf.reduce_sum(tf.one_hot(ids, 6, dtype=tf.int32), 0))
            else:
                module.seen.scatter_nd_add(ids[:, None], tf.ones([3], tf.int32))
            return {"seen": tf.identity(module.seen)}

        return {ONE: (step, [tf.TensorSpec([3], tf.int32, "ids")])}

    return draw


def hysteresis(module: Any) -> Functions:
    """Switch on above a limit, and off below another."""
    module.on = tf.Variable(False, name="on")
    module.since = tf.Variable(0, dtype=tf.int64, name="since")

    def step(x: Any) -> Any:
        level = tf.reduce_mean(x)
        if level > 0.3:
            module.on.assign(True)
        elif level < -0.3:
            module.on.assign(False)
            module.since.assign(0)
        module.since.assign_add(1)
        return {"on": tf.identity(module.on), "since": tf.identity(module.since)}

    return {ONE: (step, [ROW])}


def filtered(by_hand: bool) -> Draw:
    """Filter samples; the loop hands a value on unchanged, which LiteRT's WHILE gets wrong."""

    def draw(module: Any) -> Functions:
        module.delays = tf.Variable(tf.zeros([2]), name="delays")

        def step(x: Any) -> Any:
            seen = tf.TensorArray(F32, 6, element_shape=[])
            a, b = module.delays[0], module.delays[1]
            for i in range(6) if by_hand else tf.range(6):
                y = 0.2 * x[i] + 1.1 * a - 0.4 * b
                a, b = y, a
                seen = seen.write(i, y)
            module.delays.assign(tf.stack([a, b]))
            return {"y": seen.stack()}

        return {ONE: (step, [tf.TensorSpec([6], F32, "x")])}

    return draw


def embedded() -> Any:
    """Draw an embedding over reference variables."""
    x = v1.placeholder(tf.int32, [1, 5], "words")
    y = tf.reduce_mean(tf.nn.embedding_lookup(v1.get_variable("table", [12, 4]), x), 1)
    return {"words": x}, {"scores": tf.nn.softmax(y)}


def cut(suffix: str) -> Any:
    """Make a Keras file, and lose its end."""

    def make(folder: Path, _: Rng) -> Made:
        path = folder / f"model{suffix}"
        seq([8], D(40), D(2)).save(path)
        path.write_bytes(path.read_bytes()[:-5000])
        return Made(path)

    return make


# fmt: off
KIND = "held out"
_ids = fed(ids=lambda rng: rng.integers(0, 6, 3).astype("int32"))
keras_case("held-lstm-stack", KIND, lambda: seq(
    [8, 3], L(6, return_sequences=True), layers.LayerNormalization(), layers.Dropout(0.3), L(4),
    D(2)), OPEN_BATCH, hand=CLOSED)
keras_case("held-gru-backwards", KIND, lambda: seq(
    [None, 3], layers.GRU(5, go_backwards=True, reset_after=False), D(2)), OPEN_BATCH, hand=CLOSED)
keras_case("held-translator", KIND, lambda: seq(
    [9, 3], L(6), layers.RepeatVector(4), layers.GRU(5, return_sequences=True),
    layers.TimeDistributed(D(2))), OPEN_BATCH, hand=CLOSED)
keras_case("held-sound-events", KIND, lambda: seq(
    [None, 8], layers.Conv1D(6, 5, activation="relu"), layers.MaxPooling1D(2),
    layers.Bidirectional(L(4, return_sequences=True)), D(3, "sigmoid")), OPEN_BATCH, size=40,
    hand=CLOSED)
keras_case("held-attention-of-two", KIND, asked, SHUT, hand=CLOSED)
keras_case("held-excited", KIND, excited, SHUT, size=32, hand=CLOSED)
keras_case("held-autoencoder-open", KIND, lambda: seq(
    [None, None, 1], C(4, 3, 2, "same"), layers.ReLU(), layers.Conv2DTranspose(1, 3, 2, "same")),
    SHUT, size=32, hand=CLOSED)
keras_case("held-patches", KIND, patches)
keras_case("held-multi-hot", KIND, lambda: k.colors("multi_hot"), blocked("Bincount"),
           how=k.COLORS, hand={})
keras_case("held-brightness", KIND, lambda: seq(
    [12, 12, 3], layers.RandomBrightness(0.2, (0, 255)), layers.RandomCrop(10, 10),
    layers.Rescaling(1 / 127.5, -1), C(4, 3), layers.GlobalMaxPooling2D()), how="pixels")
keras_case("held-mixed", KIND, k.mixed("mixed_float16", lambda: seq(
    [16, 16, 3], C(6, 3, 2), layers.BatchNormalization(), layers.ReLU(),
    layers.GlobalAveragePooling2D(), D(2, dtype="float32"))), mended("float16"), hand=k.PLAIN,
    tolerance=1e-2)
keras_case("held-noise-left-on", KIND, lambda: noisy(True), drawing(), quiet=lambda: noisy(False),
           hand={})
k.own_case("held-own-inside", lambda my: seq([6], my.Gate(4), D(3, my.soft_step)),
           "Gate|soft_step", "keras", kind=KIND)
keras_case("held-dynamic-range-lstm", KIND, lambda: seq([10, 4], L(16), D(3), batch=1),
           cure_options=("--quantization", "dynamic range"), tolerance=0.06,
           hand={"way": "keras", "recipe": "dynamic range"})
keras_case("held-exported-gru", KIND, lambda: seq([None, 4], layers.GRU(5), D(2)), k.ONLY_SAVED,
           suffix="", hand={})

module_case("held-spread", KIND, spread,
            lambda rng: [("observe", {"x": normal(rng, 1, 4)}) for _ in range(6)])
module_case("held-half-ring", KIND, ring("slice", "float16"),
            truth=mended("float16", "[Ss]lice"), rewritten=ring("where"))
module_case("held-histogram", KIND, histogram(False), _ids, mended("[Ss]catter"),
            rewritten=histogram(True))
module_case("held-hysteresis", KIND, hysteresis)
module_case("held-hysteresis-carried", KIND, hysteresis,
            cure_options=("--target", "builtin-only"))
module_case("held-filter", KIND, filtered(False), fed(x=lambda rng: normal(rng, 6)), Truth(
    "wrong-answers", "0 1", ("WHILE|[Ll]oop|[Dd]iffer",)), rewritten=filtered(True))
module_case("held-inverse", KIND, one(lambda x: tf.linalg.inv(tf.reshape(x, [2, 2]))), None,
            blocked("MatrixInverse"))
module_case("held-shuffle", KIND, one(lambda x: tf.random.shuffle(tf.reshape(x, [4]))), None,
            drawing("RandomShuffle|[Rr]andom"))
for _how, _hand in (("saved", "v1"), ("frozen", "graph")):
    graph_case(f"held-embedding-{_how}", embedded, _how, references=True, hand=_hand, kind=KIND,
               calls=lambda rng: [{"words": rng.integers(0, 12, (1, 5)).astype("int32")}
                                  for _ in range(6)])
file_case("held-joined-open", lambda _: converted(
    lambda a, b: tf.concat([a, b], 1) * 2.0,
    [tf.TensorSpec([None, n], F32, name) for n, name in ((3, "a"), (5, "b"))]), READY,
    lambda rng: {"a": normal(rng, 2, 3), "b": normal(rng, 2, 5)}, kind=KIND)
file_case("held-flex-words", lambda _: converted(
    lambda x: tf.strings.regex_replace(x, "a", "b"), [tf.TensorSpec([2], tf.string, "x")],
    "TFLITE_BUILTINS", "SELECT_TF_OPS"), blocked("RegexReplace", "[Ff]lex|Select"), kind=KIND)
for _suffix in (".keras", ".h5"):
    add(Case(f"held-cut{_suffix.replace('.', '-')}", KIND, cut(_suffix),
             refused("damaged|cut short|truncated|cannot|not")))
# fmt: on
