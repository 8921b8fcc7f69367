"""``tf.Module``s with a state, a table, a loop or a draw, saved as people save them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    blocked,
    drawing,
    mended,
    normal,
    told,
)

F32 = tf.float32
ROW = tf.TensorSpec([1, 4], F32, "x")
Functions = Mapping[str, tuple[Any, list[Any]]]
Draw = Callable[[Any], Functions]
"""Gives a module its variables; returns its signatures."""
Calls = Callable[[Rng], Sequence[Call]]


def fed(**draw: Callable[[Rng], Any]) -> Calls:
    """Return calls of the only signature."""
    return lambda rng: [(ONE, {n: one(rng) for n, one in draw.items()}) for _ in range(CALLS)]


ONE = "serving_default"
_rows = fed(x=lambda rng: normal(rng, 1, 4))


class Module(tf.Module):
    """A module whose variables and functions are given by a function."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.functions = {
            name: tf.function(function, input_signature=specs)
            for name, (function, specs) in draw(self).items()
        }


def module_case(
    name: str, kind: str, draw: Draw, calls: Calls | None = _rows, truth: Truth = GOOD, *,
    rewritten: Draw | None = None, signatures: Sequence[str] | None = None,
    by_hand_too: bool = True, signed: bool = True, **more: Any,
) -> None:  # fmt: skip
    """Add a module; no calls: nobody compares it. ``rewritten`` is what an expert would write."""

    def make(folder: Path, rng: Rng) -> Made:
        path = folder / "model"
        module = Module(draw)
        tf.saved_model.save(module, str(path), signatures=module.functions if signed else None)
        made = Made(path)
        if not calls:
            return made
        made.calls = calls(rng)
        loaded = tf.saved_model.load(str(path))
        function = None if signed else loaded.functions[ONE]
        made.answers = by_hand.saved_model_answers(loaded, made.calls, function)
        if by_hand_too:
            way = "saved" if signed else "function"
            made.hand = {"way": way, "signatures": signatures, "function": ONE}
        if rewritten:
            made.hand["path"] = str(folder / "rewritten")
            again = Module(rewritten)
            tf.saved_model.save(again, made.hand["path"], signatures=again.functions)
        return made

    add(Case(name, kind, make, truth, **more))


def total(dtype: str, held: str = "") -> Draw:
    """Return a running total in a dtype; ``held`` is the dtype in which a variable holds it."""
    real = tf.as_dtype(dtype)
    wide = real if real.is_floating or real.is_complex else tf.int32

    def draw(module: Any) -> Functions:
        module.total = tf.Variable(tf.zeros([1, 4], held or dtype), name="total")

        def step(x: Any) -> Any:
            if held and real.is_floating:
                now = tf.cast(tf.cast(tf.cast(module.total, F32) + x, real), F32)
            elif dtype == "bool":
                now = tf.not_equal(module.total, x > 0.0)
            else:
                now = tf.cast(tf.cast(module.total, wide) + tf.cast(x, wide), held or real)
            module.total.assign(now)
            return {"total": tf.cast(tf.math.real(now) if real.is_complex else now, F32)}

        return {ONE: (step, [ROW])}

    return draw


def last_word(module: Any) -> Functions:
    """Keep the last word."""
    module.word = tf.Variable("none", name="word")

    def step(x: Any) -> Any:
        before = tf.identity(module.word)
        module.word.assign(x)
        return {"before": before}

    return {ONE: (step, [tf.TensorSpec([], tf.string, "x")])}


def average(module: Any) -> Functions:
    """Keep a running average that begins with something else than 0."""
    module.mean = tf.Variable(tf.fill([1, 4], 2.0), name="mean")

    def step(x: Any) -> Any:
        module.mean.assign(0.9 * module.mean + 0.1 * x)
        return {"mean": tf.identity(module.mean), "above": tf.nn.relu(x - module.mean)}

    return {ONE: (step, [ROW])}


def ring(how: str, dtype: str = "float32") -> Draw:
    """Keep the last rows, in one of the ways to write them; rounded to float16 where it says so."""

    def draw(module: Any) -> Functions:
        module.rows = tf.Variable(tf.zeros([6, 4], dtype), name="rows")
        module.at = tf.Variable(0, name="at")

        def step(x: Any) -> Any:
            at, row = tf.identity(module.at), tf.cast(tf.cast(x, tf.float16), dtype)
            here = tf.equal(tf.range(6), at)[:, None]
            if how == "slice":
                module.rows[at : at + 1].assign(row)
            elif how == "scatter":
                module.rows.scatter_nd_update([[at]], row)
            elif how == "sparse":
                module.rows.scatter_add(tf.IndexedSlices(row, tf.reshape(at, [1])))
            elif how == "shift":
                module.rows.assign(tf.concat([module.rows[1:], row], 0))
            elif how == "add":
                module.rows.assign_add(tf.where(here, row, tf.zeros_like(row)))
            else:
                module.rows.assign(tf.where(here, row, module.rows))
            module.at.assign((at + 1) % 6)
            return {"mean": tf.reduce_mean(tf.cast(module.rows, F32), 0, keepdims=True)}

        return {ONE: (step, [ROW])}

    return draw


def cache(scatter: bool) -> Draw:
    """Keep 16 keys of attention; TensorFlow refuses a 17th where it scatters."""

    def draw(module: Any) -> Functions:
        module.keys = tf.Variable(tf.zeros([16, 4]), name="keys")
        module.used = tf.Variable(0, name="used")

        def step(x: Any) -> Any:
            at = tf.identity(module.used)
            if scatter:
                module.keys.assign(tf.tensor_scatter_nd_update(module.keys, [[at]], x))
            else:
                module.keys.assign(tf.where(tf.equal(tf.range(16), at)[:, None], x, module.keys))
            module.used.assign(at + 1)
            scores = tf.linalg.matmul(x, module.keys, transpose_b=True)
            scores = tf.where(tf.range(16) <= at, scores, tf.fill([1, 16], -1e9))
            return {"read": tf.nn.softmax(scores) @ module.keys}

        return {ONE: (step, [ROW])}

    return draw


def swap(module: Any) -> Functions:
    """Exchange two variables, and add to one of them in a branch only."""
    module.a = tf.Variable(tf.ones([1, 4]), name="a")
    module.b = tf.Variable(tf.zeros([1, 4]), name="b")

    def step(x: Any) -> Any:
        a, b = tf.identity(module.a), tf.identity(module.b)
        module.a.assign(b + x)
        module.b.assign(a)
        if tf.reduce_sum(x) > 0:
            module.b.assign_add(x)
        return {"a": tf.identity(module.a), "b": tf.identity(module.b)}

    return {ONE: (step, [ROW])}


def grown(module: Any) -> Functions:
    """Keep rows of which nobody says how many."""
    module.rows = tf.Variable(tf.zeros([1, 4]), shape=[None, 4], name="rows")

    def step(x: Any) -> Any:
        module.rows.assign(tf.concat([module.rows, x], 0)[-5:])
        return {"sum": tf.reduce_sum(module.rows, 0, keepdims=True)}

    return {ONE: (step, [ROW])}


def several(*names: str) -> Draw:
    """Return signatures that share a state: "step" takes an x, "clear" and "value" take nothing."""

    def draw(module: Any) -> Functions:
        module.sum = tf.Variable(tf.zeros([1, 4]), name="sum")

        def step(x: Any) -> Any:
            module.sum.assign(0.5 * module.sum + x)
            return {"sum": tf.identity(module.sum)}

        def clear() -> Any:
            module.sum.assign(tf.zeros([1, 4]))
            return {"done": tf.constant(1.0)}

        every: dict[str, tuple[Any, list[Any]]] = {"step": (step, [ROW]), "clear": (clear, []),
                 "value": (lambda: {"sum": tf.identity(module.sum)}, [])}  # fmt: skip
        return {name: every[name] for name in names}

    return draw


def training(kind: str) -> Draw:
    """Train on the device; with an optimizer's op, or with a checkpoint of one's own."""

    def draw(module: Any) -> Functions:
        module.w = tf.Variable(tf.random.stateless_normal([4, 2], [1, 2]), name="w")
        module.m = tf.Variable(tf.zeros([4, 2]), name="momentum")

        def infer(x: Any) -> Any:
            return {"y": tf.tanh(x @ module.w)}

        def train(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((tf.tanh(x @ module.w) - y) ** 2)
            slope = tape.gradient(loss, module.w)
            if kind == "op":
                tf.raw_ops.ResourceApplyGradientDescent(var=module.w.handle, alpha=0.1, delta=slope)
            else:
                module.m.assign((0.0 if kind == "by hand" else 0.9) * module.m + slope)
                module.w.assign_sub(0.1 * module.m)
            return {"loss": loss}

        def save(path: Any) -> Any:
            tf.raw_ops.SaveV2(prefix=path, tensor_names=["w"], shape_and_slices=[""],
                              tensors=[module.w.read_value()])  # fmt: skip
            return {"path": path}

        def restore(path: Any) -> Any:
            (w,) = tf.raw_ops.RestoreV2(prefix=path, tensor_names=["w"], shape_and_slices=[""],
                                        dtypes=[F32])  # fmt: skip
            module.w.assign(tf.ensure_shape(w, [4, 2]))
            return {"w": module.w.read_value()}

        path = [tf.TensorSpec([], tf.string, "path")]
        found: dict[str, tuple[Any, list[Any]]] = {
            "infer": (infer, [ROW]),
            "train": (train, [ROW, tf.TensorSpec([1, 2], F32, "y")]),
        }
        more = {"save": (save, path), "restore": (restore, path)}
        return {**found, **(more if kind == "checkpoint" else {})}

    return draw


def lessons(rng: Rng) -> list[Call]:
    """Train and ask in turns."""
    calls: list[Call] = []
    for x in normal(rng, 4, 1, 4):
        calls += [("train", {"x": x, "y": np.array([[0.5, -0.5]], "float32")}), ("infer", {"x": x})]
    return calls


def table(keys: Any, values: Any, default: Any) -> Draw:
    """Look up in a table; it changes if it begins with nothing."""

    def draw(module: Any) -> Functions:
        if values is None:
            module.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, default)
        else:
            pairs = tf.lookup.KeyValueTensorInitializer(keys, values)
            module.table = tf.lookup.StaticHashTable(pairs, default)

        def step(x: Any) -> Any:
            found = module.table.lookup(x)
            if values is None:
                module.table.insert(x, found + 1)
            return {"found": found}

        return {ONE: (step, [tf.TensorSpec([3], module.table.key_dtype, "x")])}

    return draw


def of(*choices: Any) -> Calls:
    """Return calls with three of the choices."""
    dtype: Any = object if isinstance(choices[0], bytes) else np.int64
    return fed(x=lambda rng: rng.choice(np.array(choices, dtype), [3]))


def listed(module: Any) -> Functions:
    """Go over steps, and keep each in an array of tensors."""
    module.w = tf.Variable(tf.random.stateless_normal([4, 4], [3, 4]), name="w")

    def step(x: Any) -> Any:
        h, seen = x, tf.TensorArray(F32, 5, element_shape=[1, 4])
        for i in tf.range(5):
            h = tf.tanh(h @ module.w)
            seen = seen.write(i, h)
        return {"y": seen.stack()}

    return {ONE: (step, [ROW])}


def counted(module: Any) -> Functions:
    """Go on until something is reached, and count the rounds."""
    module.count = tf.Variable(0.0, name="count")

    def step(x: Any) -> Any:
        h, n = x, tf.constant(0)
        while n < 4 and tf.reduce_sum(h) < 1.0:
            h = 1.5 * tf.tanh(h) + 0.1
            n += 1
            module.count.assign_add(1.0)
        return {"y": h, "n": tf.identity(module.count)}

    return {ONE: (step, [ROW])}


def gather(module: Any) -> Functions:
    """Look rows up in a variable that is only read."""
    module.rows = tf.Variable(tf.random.stateless_normal([20, 4], [5, 6]), name="rows")
    ids = tf.TensorSpec([3], tf.int32, "ids")
    return {ONE: (lambda ids: {"y": tf.gather(module.rows, ids)}, [ids])}


def one(function: Callable[[Any], Any], spec: Any = ROW) -> Draw:
    """Return a module of one function."""
    return lambda _: {ONE: (lambda x: {"y": function(x)}, [spec])}


def generator(module: Any) -> Functions:
    """Draw from a generator that the module keeps."""
    module.generator = tf.random.Generator.from_seed(3)
    return {ONE: (lambda x: {"y": x + module.generator.normal([1, 4])}, [ROW])}


# fmt: off
KIND = "state: dtypes"
_small = fed(x=lambda rng: rng.integers(0, 9, (1, 4)).astype("float32"))
for _dtype in ("int8", "int64", "bool"):
    module_case(f"total-{_dtype}", KIND, total(_dtype), _small)
for _dtype, _held in {"float16": "float32", "bfloat16": "float32", "int16": "int32"}.items():
    module_case(f"total-{_dtype}", KIND, total(_dtype), _small, mended(_dtype),
                rewritten=total(_dtype, _held))
for _dtype in ("float64", "complex64"):  # whose sum no builtin op makes
    module_case(f"total-{_dtype}", KIND, total(_dtype), _small, told("Add", _dtype),
                by_hand_too=False)
module_case("last-word", KIND, last_word, None, blocked("string"))

KIND = "state: updates"
module_case("running-average", KIND, average)
module_case("ring-shift", KIND, ring("shift"))
module_case("ring-slice", KIND, ring("slice"), _rows, mended("[Ss]lice"), rewritten=ring("where"))
module_case("ring-scatter", KIND, ring("scatter"), _rows, mended("[Ss]catter"),
            rewritten=ring("where"))
module_case("ring-scatter-add", KIND, ring("sparse"), _rows, mended("[Ss]catter"),
            rewritten=ring("add"))
module_case("cache-full", KIND, cache(True), _rows, Truth(
    "ready convertible", "0", ("17|16|refuse",)), rewritten=cache(False))
module_case("swap-in-a-branch", KIND, swap)
module_case("state-of-open-shape", KIND, grown, _rows, Truth(
    "wrong-answers blocked", "0 1", ("shape",)), by_hand_too=False)

KIND = "several signatures, or none"
_steps: Calls = lambda rng: [("step", {"x": normal(rng, 1, 4)}) for _ in range(3)]  # noqa: E731
_both = ["infer", "train"]
module_case("clear-before-step", KIND, several("clear", "step"), _steps)
module_case("step-clear-value", KIND, several("step", "clear", "value"), _steps)
module_case("training", KIND, training("plain"), lessons, signatures=_both)
module_case("training-with-an-op", KIND, training("op"), lessons,
            mended("ResourceApply|[Uu]pdate"), rewritten=training("by hand"), signatures=_both)
module_case("training-with-checkpoints", KIND, training("checkpoint"), lessons, Truth(
    "ready convertible blocked unproved refused", "0 2 3", ("[Ss]ave|[Rr]estore",),
    (r"signature_keys=\[[^]]*'restore'",)),
    signatures=_both)
module_case("no-signature", KIND, average, _rows, told("signature"), signed=False)

KIND = "tables, lists, loops"
module_case("table-of-words", KIND, table(["red", "green"], tf.constant([1, 2], tf.int64), -1),
            of(b"red", b"green", b"blue"))
module_case("table-to-words", KIND, table(tf.constant([0, 1], tf.int64), ["cat", "dog"], "?"),
            of(0, 1, 7))
module_case("table-of-numbers", KIND, table(
    tf.constant([3, 5, 9], tf.int64), tf.constant([1, 2, 3], tf.int64), -1), of(3, 5, 9, 11),
    told("[Tt]able"), by_hand_too=False)
module_case("table-that-changes", KIND, table(None, None, -1), None, blocked("[Tt]able"))
module_case("tensor-array", KIND, listed)
module_case("counting-in-a-loop", KIND, counted)
module_case("gather", KIND, gather, fed(ids=lambda rng: rng.integers(0, 20, 3).astype("int32")))
module_case("spectrum", KIND, one(
    lambda x: tf.abs(tf.signal.stft(x, 32, 16, 32)), tf.TensorSpec([1, 128], F32, "x")),
    fed(x=lambda rng: normal(rng, 1, 128)))

KIND = "draws, and ops without a kernel"
_bytes = tf.TensorSpec([], tf.string, "x")
module_case("generator", KIND, generator, None, drawing())
module_case("random-normal", KIND, one(lambda x: x + tf.random.normal([1, 4])), None, drawing())
module_case("python", KIND, one(lambda x: tf.py_function(lambda a: a * 2, [x], F32)), None,
            Truth("blocked refused unproved", "1 2", ("PyFunc|py_function|Python",)))
module_case("decode-picture", KIND, one(lambda x: tf.io.decode_png(x, 3), _bytes), None,
            blocked("DecodePng|DecodeImage"))
module_case("read-file", KIND, one(tf.io.read_file, _bytes), None,
            Truth("blocked refused unproved", "1 2", ("ReadFile",)))

KIND = "recipes and targets"
module_case("state-without-variables", KIND, average, cure_options=("--target", "builtin-only"))
module_case("state-int8-without-inputs", KIND, average, cure_options=("--quantization", "int8"),
            truth=Truth("ready convertible", "1 3"), by_hand_too=False, tolerance=9.0)
# fmt: on
