"""Keras 3 models, as people make and save them."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.field import by_hand
from benchmarks.field.case import (
    CALLS,
    GOOD,
    SHUT,
    Call,
    Case,
    Made,
    Rng,
    Truth,
    add,
    blocked,
    drawing,
    mended,
    normal,
    told,
)

Build = Callable[[], Any]
CLOSED: dict[str, Any] = {"way": "closed"}
PLAIN: dict[str, Any] = {"way": "keras", "float32": True}
D, C, L = layers.Dense, layers.Conv2D, layers.LSTM


def sample(rng: Rng, tensor: Any, how: Any, size: int) -> Any:
    """Return an array for an input, of a call that this model would get."""
    shape = [1 if i == 0 and n is None else n or size for i, n in enumerate(tensor.shape)]
    if callable(how):
        return how(rng, shape)
    if isinstance(how, list):  # words
        return rng.choice(np.array(how, object), shape)
    dtype = np.dtype(str(tensor.dtype))
    if how == "pixels":  # pictures are smooth: a gradient with a bright spot, never noise
        y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in shape[1:3]), indexing="ij")
        spot = np.exp(-((y - rng.random()) ** 2 + (x - rng.random()) ** 2) * 20)
        picture = 255 * np.clip(rng.random() * y + spot, 0, 1)[None, ..., None]
        return np.broadcast_to(picture, shape).astype(dtype)
    return (rng.integers(0, how, shape) if isinstance(how, int) else normal(rng, *shape)).astype(
        dtype
    )


def settle(model: Any, rng: Rng) -> None:
    """Give statistics, biases and scales values, as training does."""
    for weight in model.weights:
        name = weight.path.rsplit("/", 1)[-1]
        if name in ("moving_mean", "bias", "beta"):
            weight.assign(rng.normal(size=weight.shape) * 0.3)
        elif name in ("moving_variance", "gamma"):
            weight.assign(rng.uniform(0.5, 2, size=weight.shape))


def keras_case(
    name: str, kind: str, build: Build, truth: Truth = GOOD, *, how: Any = "", size: int = 24,
    suffix: str = ".keras", hand: dict[str, Any] | None = None, quiet: Build | None = None,
    count: int = CALLS, **more: Any,
) -> None:  # fmt: skip
    """Add a Keras model, exported if it has no suffix.

    ``quiet`` makes the one that does not draw. ``how`` is the kind of input, or a dict of them;
    ``size`` is what an open dimension gets.
    """

    def make(folder: Path, rng: Rng) -> Made:
        model = build()
        settle(model, rng)
        path = folder / f"model{suffix}"
        inputs = {x._keras_history.operation.name: x for x in model.inputs}
        kinds = how if isinstance(how, dict) else dict.fromkeys(inputs, how)
        calls: list[Call] = [
            ("", {name: sample(rng, x, kinds.get(name), size) for name, x in inputs.items()})
            for _ in range(count)
        ]
        if not suffix:
            model.export(path, verbose=False)
            loaded = tf.saved_model.load(str(path))
            _, names = loaded.signatures["serving_default"].structured_input_signature
            key = names if len(names) == 1 else calls[0][1]
            calls = [("serving_default", dict(zip(key, c.values(), strict=True))) for _, c in calls]
            answers = by_hand.saved_model_answers(loaded, calls)
            return Made(path, calls, answers, {"way": "saved"} if hand is None else hand)
        model.save(path)
        if quiet:
            weights, model = model.get_weights(), quiet()
            model.set_weights(weights)
        answers = by_hand.keras_answers(tf, model, calls)
        return Made(path, calls, answers, {"way": "keras"} if hand is None else hand)

    add(Case(name, kind, make, truth, **more))


def seq(shape: Any, *stack: Any, dtype: str | None = None, batch: int | None = None) -> Any:
    """Return a stack of layers."""
    return keras.Sequential([keras.Input(shape, batch_size=batch, dtype=dtype), *stack])


def trained(model: Any, loss: Any = "mse") -> Any:
    """Train a model for a step, so that an optimizer is saved with it."""
    model.compile("adam", loss)
    ends = (model.inputs[0].shape[1:], model.outputs[0].shape[1:])
    model.train_on_batch(*(np.ones([2, *shape]) for shape in ends))
    return model


def unet() -> Any:
    """Return a small U-Net of open size."""
    x = keras.Input((None, None, 3))
    down = C(8, 3, padding="same", activation="relu")(x)
    deep = C(12, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
    joined = layers.Concatenate()([layers.Conv2DTranspose(8, 2, strides=2)(deep), down])
    return keras.Model(x, C(1, 1, activation="sigmoid")(joined))


def residual() -> Any:
    """Return a residual net."""
    x = keras.Input((16, 16, 3))
    y = C(8, 3, padding="same")(x)
    for _ in range(2):
        z = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Add()([y, C(8, 3, padding="same")(z)])
    return keras.Model(x, D(5)(layers.GlobalAveragePooling2D()(y)))


def attention(steps: int | None) -> Any:
    """Return attention over steps."""
    x = keras.Input((steps, 8))
    y = layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(x, D(3)(layers.GlobalAveragePooling1D()(layers.Add()([x, y]))))


def transformer(steps: int | None) -> Any:
    """Return an encoder over 40 tokens."""
    x = keras.Input((steps,), dtype="int32")
    y = layers.Embedding(40, 8)(x)
    y = layers.LayerNormalization()(y + layers.MultiHeadAttention(2, 4)(y, y))
    y = layers.LayerNormalization()(y + D(8)(D(16, "gelu")(y)))
    return keras.Model(x, D(3, "softmax")(layers.GlobalMaxPooling1D()(y)))


def lookup(layer: Any, dtype: str, words: list[Any], mode: str = "int") -> Any:
    """Return a model that looks words or numbers up."""
    x = keras.Input((1,), dtype=dtype)
    y = layer(vocabulary=words, output_mode=mode)(x)
    y = layers.Flatten()(layers.Embedding(6, 4)(y)) if mode == "int" else y
    return keras.Model(x, D(2)(y))


def colors(mode: str = "int") -> Any:
    """Return a model that looks colors up."""
    return lookup(layers.StringLookup, "string", ["red", "green", "blue"], mode)


def normalized() -> Any:
    """Return a model that normalizes what it was adapted to."""
    layer = layers.Normalization()
    layer.adapt(np.array([[1.0, 200.0, 3e4], [2.0, 300.0, 5e4], [4.0, 150.0, 4e4]], "float32"))
    return seq([3], layer, D(4, "relu"), D(1))


def vectorized() -> Any:
    """Return a model that takes sentences."""
    layer = layers.TextVectorization(20, output_sequence_length=5)
    layer.adapt(["the cat sat", "a dog ran home"])
    x = keras.Input((1,), dtype="string")
    return keras.Model(x, D(1)(layers.Flatten()(layers.Embedding(20, 4)(layer(x)))))


def dropped(training: bool | None) -> Any:
    """Return a model whose Dropout may be left on."""
    x = keras.Input((8,))
    return keras.Model(x, D(3)(layers.Dropout(0.5)(D(16, "relu")(x), training=training)))


def two_inputs() -> Any:
    """Return a model of an id and of features."""
    item, seen = keras.Input((1,), dtype="int32", name="item"), keras.Input((4,), name="seen")
    y = layers.Concatenate()([layers.Flatten()(layers.Embedding(12, 4)(item)), D(4, "relu")(seen)])
    return keras.Model([item, seen], D(1, "sigmoid")(y))


def outputs(named: bool) -> Any:
    """Return a model of two outputs."""
    x = keras.Input((6,), name="x")
    y = D(8, "relu")(x)
    a, b = D(2, name="box")(y), D(3, "softmax", name="label")(y)
    return keras.Model({"x": x}, {"label": b, "box": a}) if named else keras.Model(x, [a, b])


def states() -> Any:
    """Return a model that gives the states of a recurrent layer as well."""
    x = keras.Input((10, 4))
    y, h, c = L(5, return_sequences=True, return_state=True)(x)
    return keras.Model(x, [layers.TimeDistributed(D(2))(y), h, c])


def mixed(policy: str, build: Build) -> Build:
    """Return what builds a model under a dtype policy."""

    def under() -> Any:
        keras.mixed_precision.set_global_policy(policy)
        try:
            return build()
        finally:
            keras.mixed_precision.set_global_policy("float32")

    return under


def own_classes() -> Any:
    """Import somebody's own layers under the name that the module has at their place."""
    if "my_layers" not in sys.modules:
        path = Path(__file__).with_name("my_layers.py")
        spec = importlib.util.spec_from_file_location("my_layers", path)
        assert spec and spec.loader
        sys.modules["my_layers"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["my_layers"]


def own_case(name: str, build: Callable[[Any], Any], missing: str, way: str, **more: Any) -> None:
    """Add a model with a class of somebody's own: with the module at hand, and without."""

    def make(folder: Path, rng: Rng, at_hand: bool) -> Made:
        model = build(own_classes())
        calls: list[Call] = [("", {"x": normal(rng, 1, 6)}) for _ in range(CALLS)]
        answers = by_hand.keras_answers(tf, model, calls)
        path, module = folder / "model.keras", folder / "my_layers.py"
        model.save(path)
        shutil.copy(Path(__file__).with_name("my_layers.py"), module)
        if not at_hand or not way:
            return Made(path)
        return Made(path, calls, answers, {"way": way, "module": str(module)})

    kind = more.pop("kind", "Keras: classes of one's own")
    alone = Truth("blocked refused unproved", "1 2", (missing, "--import|custom_objects"),
                  ("damaged",))  # fmt: skip
    add(Case(f"{name}-alone", kind, lambda f, r: make(f, r, False), alone))
    add(Case(f"{name}-imported", kind, lambda f, r: make(f, r, True), more.pop("truth", GOOD),
             ("--import", "{folder}/my_layers.py"), **more))  # fmt: skip


def vae(my: Any) -> Any:
    """Return a variational autoencoder."""
    x = keras.Input((6,))
    y = D(8, "relu")(x)
    return keras.Model(x, D(6)(D(8, "relu")(my.Sampling()([D(2)(y), D(2)(y)]))))


def pixels() -> Any:
    """Return a small net over 0..255."""
    return seq([16, 16, 1], layers.Rescaling(1 / 255), C(6, 3, 2, activation="relu"),
               layers.Flatten(), D(4, "softmax"))  # fmt: skip


def scaled() -> Any:
    """Return a model with a Lambda layer."""
    return seq([6], layers.Lambda(lambda x: x * 2.0 + 1.0), D(2))


def measures(rng: Rng, shape: list[int]) -> Any:
    """Return what a model of three measured quantities gets."""
    return (rng.normal(size=shape) * [1, 60, 8e3] + [2, 220, 4e4]).astype("float32")


def padded(rng: Rng, shape: list[int]) -> Any:
    """Return steps of which the last are padding."""
    used = np.arange(shape[1]) < rng.integers(3, shape[1])
    return normal(rng, *shape) * used[None, :, None].astype("float32")


OPEN_BATCH = mended(r"batch|TensorList|element_shape")
ONLY_SAVED = Truth("blocked convertible", "0 1", ("export", "input_signature|batch"))
# fmt: off
KIND = "Keras: dense and convolutions"
keras_case("dense", KIND, lambda: seq([8], D(16, "relu"), D(4, "softmax")))
keras_case("dense-h5", KIND, lambda: trained(seq([8], D(16, "relu"), D(4))), suffix=".h5")
keras_case("cnn-pixels", KIND, lambda: seq(
    [16, 16, 3], layers.Rescaling(1 / 255), C(8, 3, activation="relu"), layers.MaxPooling2D(),
    layers.Flatten(), D(4, "softmax")), how="pixels")
keras_case("depthwise", KIND, lambda: seq(
    [16, 16, 3], layers.DepthwiseConv2D(3), layers.BatchNormalization(), layers.ReLU(6.0),
    layers.SeparableConv2D(6, 3, strides=2), layers.Flatten(), D(3)))
keras_case("residual", KIND, residual)
keras_case("activations", KIND, lambda: seq(
    [6], D(8, "gelu"), D(8, "swish"), layers.PReLU(), D(8, "softplus"), layers.LayerNormalization(),
    layers.UnitNormalization(), D(2)))
keras_case("mobile-net-of-one-answer", KIND, lambda: keras.applications.MobileNetV2(
    (32, 32, 3), 0.35, weights=None, classes=5), Truth("unproved", "3", ("same answer",)))
keras_case("unet-open", KIND, unet, SHUT, size=64, hand=CLOSED)
keras_case("audio-open", KIND, lambda: seq(
    [None, 1], layers.Conv1D(4, 9, strides=4, activation="relu"),
    layers.Conv1D(4, 3, dilation_rate=4, padding="causal"), layers.GlobalAveragePooling1D(), D(2)),
    SHUT, size=400, hand=CLOSED)

KIND = "Keras: attention and text"
keras_case("attention-open", KIND, lambda: attention(None), SHUT, hand=CLOSED)
keras_case("transformer-open", KIND, lambda: transformer(None), SHUT, how=40, hand=CLOSED)
keras_case("bag-of-words", KIND, lambda: seq(
    [None], layers.Embedding(50, 8), layers.GlobalAveragePooling1D(), D(2, "softmax"),
    dtype="int32"), SHUT, how=50, hand=CLOSED)
keras_case("exported-transformer", KIND, lambda: transformer(8), how=40, suffix="")

KIND = "Keras: recurrent"
keras_case("lstm-batch-1", KIND, lambda: seq([12, 4], L(6), D(2), batch=1))
keras_case("lstm-open-batch", KIND, lambda: seq([12, 4], L(6), D(2)), OPEN_BATCH, hand=CLOSED)
keras_case("lstm-open-steps", KIND, lambda: seq([None, 4], L(6), D(2)), OPEN_BATCH, hand=CLOSED)
keras_case("bidirectional-open-steps", KIND, lambda: seq(
    [None, 4], layers.Bidirectional(L(5)), D(2)), OPEN_BATCH, hand=CLOSED)
keras_case("lstm-exported", KIND, lambda: seq([12, 4], L(6), D(2)), ONLY_SAVED, suffix="", hand={})
keras_case("conv-lstm", KIND, lambda: seq(
    [5, 8, 8, 1], layers.ConvLSTM2D(3, 3), layers.Flatten(), D(2)), OPEN_BATCH, hand=CLOSED)
keras_case("masked", KIND, lambda: seq([12, 4], layers.Masking(), L(6), D(2)), OPEN_BATCH,
           hand=CLOSED, how=padded)
keras_case("embedded-masked", KIND, lambda: seq(
    [None], layers.Embedding(30, 6, mask_zero=True), layers.GRU(5), D(1, "sigmoid"),
    dtype="int32"), OPEN_BATCH, how=30, hand=CLOSED)
keras_case("lstm-states", KIND, states, OPEN_BATCH, hand=CLOSED)
keras_case("gru-stateful", KIND, lambda: seq(
    [4, 3], layers.GRU(5, stateful=True), D(2), batch=1), SHUT)

KIND = "Keras: preprocessing, and what only training does"
COLORS = [b"red", b"green", b"blue", b"mauve"]
keras_case("string-lookup", KIND, colors, SHUT, how=COLORS, hand=CLOSED)
keras_case("string-lookup-exported", KIND, colors, Truth(
    "ready convertible blocked", "0 1", ("batch|export|RESHAPE|[Tt]able",)), how=COLORS, suffix="",
    hand={})
keras_case("integer-lookup", KIND, lambda: lookup(layers.IntegerLookup, "int64", [3, 5, 9]),
           told("[Tt]able|Lookup"), how=lambda rng, shape: rng.choice([3, 5, 9, 11], shape),
           hand={})
keras_case("normalization", KIND, normalized, how=measures)
keras_case("sentences", KIND, vectorized,
           blocked("StringSplit|RegexReplace|StringLower|TextVectorization"),
           how=[b"the cat", b"a dog ran"], hand={})
keras_case("buckets", KIND, lambda: seq(
    [1], layers.Discretization([0.0, 1.0, 2.0]), layers.Embedding(4, 3), D(2)))
keras_case("augmented", KIND, lambda: seq(
    [16, 16, 3], layers.RandomFlip(), layers.RandomRotation(0.1), C(4, 3, 2), layers.Flatten(),
    D(3)), how="pixels")
keras_case("noise-and-dropout", KIND, lambda: seq(
    [8], layers.GaussianNoise(0.5), D(8, "relu"), layers.Dropout(0.4), D(2)))
keras_case("dropout-left-on", KIND, lambda: dropped(True), drawing("[Dd]ropout|[Rr]andom"),
           quiet=lambda: dropped(False), hand={})

KIND = "Keras: dtypes, inputs, outputs"
keras_case("mixed-float16", KIND, mixed("mixed_float16", lambda: seq(
    [12, 12, 3], C(6, 3, activation="relu"), layers.Flatten(), D(3, dtype="float32"))),
    mended("float16"), hand=PLAIN, tolerance=1e-2)
keras_case("mixed-bfloat16", KIND, mixed("mixed_bfloat16", lambda: seq(
    [8], D(8, "relu"), D(3, dtype="float32"))), mended("bfloat16"), hand=PLAIN, tolerance=3e-2)
keras_case("two-inputs", KIND, two_inputs, how={"item": 12})
keras_case("two-outputs", KIND, lambda: outputs(False))
keras_case("named-outputs", KIND, lambda: outputs(True))

own_case("own-layer", lambda my: seq([6], my.Gate(5), D(2)), "Gate", "keras")
own_case("own-model", lambda my: my.TwoTowers(3), "TwoTowers", "closed")
own_case("vae", vae, "Sampling", "", truth=drawing())
KIND = "Keras: classes of one's own"
keras_case("own-loss", KIND, lambda: trained(seq([6], D(4), D(1)), own_classes().weighted_error))
keras_case("lambda", KIND, scaled, Truth(
    "blocked refused unproved", "1 2", ("Lambda|code", "--trust"), ("damaged",)), hand={})
keras_case("lambda-trusted", KIND, scaled, options=("--trust",),
           hand={"way": "keras", "load": {"safe_mode": False}})

KIND = "recipes and targets"
for _recipe, _tolerance in (("float16", 1e-2), ("dynamic range", 0.06), ("int8", 0.1),
                            ("16x8", 0.03)):
    _inputs = ("--inputs", "{folder}/inputs.npz") if "8" in _recipe else ()
    keras_case(f"pixels-{_recipe}".replace(" ", "-"), KIND, pixels, how="pixels",
               cure_options=("--quantization", _recipe, *_inputs), tolerance=_tolerance, count=40,
               hand={"way": "keras", "recipe": _recipe})
keras_case("pixels-int8-without-inputs", KIND, pixels, Truth(
    "ready convertible", "3 1", ("--inputs", "unproved|made[- ]up")), how="pixels",
    cure_options=("--quantization", "int8"), hand={}, tolerance=9.0)
keras_case("pixels-micro", KIND, pixels, how="pixels", cure_options=("--target", "micro"))
# fmt: on
