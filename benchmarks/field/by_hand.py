"""The bare way: load, convert, run and compare with TensorFlow and an interpreter, and no more.

``python -m benchmarks.field.by_hand FOLDER`` does all of it for one model;
with ``--check FILE TOLERANCE`` it runs a finished file alone. Nothing here uses ``varhandle``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.case import Call, Made


def flat(answer: Any) -> dict[str, Any]:
    """Return arrays by name; those without a name are numbered."""
    if isinstance(answer, Mapping):
        parts = {str(key): flat(value) for key, value in answer.items()}
    elif isinstance(answer, (list, tuple)):
        parts = {f"{number:03d}": flat(value) for number, value in enumerate(answer)}
    else:
        return {"": np.asarray(answer)}
    return {
        f"{key}{'/' + rest if rest else ''}": array
        for key, part in parts.items()
        for rest, array in part.items()
    }


def _in_order(named: Mapping[str, Any]) -> list[Any]:
    def key(name: str) -> list[tuple[int, str]]:
        return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name) if p]

    return [named[name] for name in sorted(named, key=key)]


def difference(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Return the largest difference over all calls, as a share of the range of what is expected."""
    worst = 0.0
    for each in zip(*map(_pairs, found, expected), strict=True):
        ours, theirs = zip(*each, strict=True)
        if any(np.shape(a) != np.shape(b) for a, b in each):
            return float("inf")
        if np.asarray(theirs[0]).dtype.kind in "OSU":
            same = all(np.array_equal(_text(a), _text(b)) for a, b in each)
            worst = max(worst, 0.0 if same else float("inf"))
            continue
        kind = np.complex128 if np.iscomplexobj(theirs[0]) else np.float64
        a, b = (np.concatenate([np.ravel(x).astype(kind) for x in side]) for side in (ours, theirs))
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return float("inf")
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
        if a.size:
            scale = max(float(np.max(np.abs(b))), 1e-3)
            worst = max(worst, float(np.max(np.abs(a - b))) / scale)
    return worst


def _pairs(found: Any, expected: Any) -> list[tuple[Any, Any]]:
    ours, theirs = flat(found), flat(expected)
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} outputs in place of {len(theirs)}")
    if ours.keys() == theirs.keys():
        return [(ours[name], theirs[name]) for name in theirs]
    left = _in_order(ours)
    pairs = []
    for array in _in_order(theirs):  # a file without names: the first that has the shape
        fits = [i for i, one in enumerate(left) if one.shape == array.shape] or [0]
        pairs.append((left.pop(fits[0]), array))
    return pairs


def _text(array: Any) -> Any:
    as_bytes = [x.encode() if isinstance(x, str) else bytes(x) for x in np.ravel(array)]
    return np.array(as_bytes, object)


def run_file(content: bytes, calls: Sequence[Call], state: Mapping[str, Any]) -> list[Any]:
    """Run the calls in a bare interpreter, by signature where it has one.

    A state that the caller carries goes from the outputs of a call to the inputs of the next.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    signatures = interpreter.get_signature_list()
    carried = dict(state)
    answers: list[Any] = []
    runners = {key: interpreter.get_signature_runner(key) for key in signatures}
    for signature, call in calls:
        if not signatures:
            answers.append(run_tensors(interpreter, call))
            continue
        named = signature in signatures or len(signatures) > 1
        runner = runners[signature if named and signature else next(iter(signatures))]
        details = runner.get_input_details()
        own = {name: detail for name, detail in details.items() if name not in carried}
        fed = {name: carried[name] for name in details if name in carried}
        fed.update(coded_inputs(own, call))
        answer = runner(**fed)
        outputs = runner.get_output_details()
        carried.update({name: answer.pop(name) for name in list(answer) if name in carried})
        answers.append({name: _decoded(answer[name], outputs[name]) for name in answer})
    return answers


def run_tensors(interpreter: Any, call: Mapping[str, Any]) -> list[Any]:
    """Run one call in an interpreter of a file without signatures."""
    details = {d["name"].split(":")[0]: d for d in interpreter.get_input_details()}
    fed = _matched(details, call)
    for name, array in fed.items():
        if list(details[name]["shape"]) != list(np.shape(array)):
            interpreter.resize_tensor_input(details[name]["index"], np.shape(array))
    interpreter.allocate_tensors()
    for name, array in fed.items():
        interpreter.set_tensor(details[name]["index"], _coded(array, details[name]))
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return [_decoded(interpreter.get_tensor(d["index"]), d) for d in outputs]


def coded_inputs(details: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arrays as a file takes them: by its names, in its dtypes and scales."""
    return {name: _coded(array, details[name]) for name, array in _matched(details, call).items()}


def _matched(details: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """Name a call's arrays as the file does: by name, or else by order, dtype and rank."""
    if details.keys() <= call.keys():
        return {name: call[name] for name in details}
    left = dict(call)
    found = {}
    for name, detail in details.items():
        rank = len(detail["shape"])
        fits = [
            key for key, array in left.items()
            if np.ndim(array) == rank and _kind(array) == _kind(np.zeros(0, detail["dtype"]))
        ]  # fmt: skip
        near = [key for key in fits if key in name or name in key]
        found[name] = left.pop((near or fits or list(left))[0])
    return found


def _kind(array: Any) -> str:
    kind = np.asarray(array).dtype.kind
    return {"U": "S", "O": "S", "u": "i", "b": "i"}.get(kind, kind)


def _coded(array: Any, detail: Mapping[str, Any]) -> Any:
    array, dtype = np.asarray(array), np.dtype(detail["dtype"])
    if array.dtype.kind in "OSU":
        return array
    scale, zero = _scale_and_zero(detail)
    if scale and dtype.kind in "iu" and array.dtype.kind == "f":
        limits = np.iinfo(dtype)
        array = np.clip(np.round(array / scale) + zero, limits.min, limits.max)
    return array.astype(dtype)


def _decoded(array: Any, detail: Mapping[str, Any]) -> Any:
    scale, zero = _scale_and_zero(detail)
    return (
        (array.astype(np.float64) - zero) * scale if scale and array.dtype.kind in "iu" else array
    )


def _scale_and_zero(detail: Mapping[str, Any]) -> tuple[float, int]:
    held = detail["quantization_parameters"]
    has_one = len(held["scales"]) == 1
    return (float(held["scales"][0]), int(held["zero_points"][0])) if has_one else (0.0, 0)


def convert(made: Made) -> tuple[bytes, list[Any]]:
    """Load and convert a model as its record says; return the file, and TensorFlow's answers."""
    hand = made.hand
    path = Path(hand.get("path", made.path))
    if hand["way"] == "file":
        return path.read_bytes(), list(made.answers)
    import tensorflow as tf

    if hand["way"] == "graph":
        return _graph(tf, path, made)
    if hand["way"] in ("keras", "closed"):
        return _keras(tf, path, made)
    if hand["way"] == "v1":
        converter = tf.compat.v1.lite.TFLiteConverter.from_saved_model(str(path))
        return _quantized(tf, converter, made).convert(), list(made.answers)
    loaded = tf.saved_model.load(str(path))
    if hand["way"] == "function":
        function = loaded.functions[hand["function"]]
        concrete = function.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], loaded)
        return converter.convert(), saved_model_answers(loaded, made.calls, function)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(path), signature_keys=hand.get("signatures")
    )
    content = _quantized(tf, converter, made).convert()
    return content, saved_model_answers(loaded, made.calls)


def _quantized(tf: Any, converter: Any, made: Made) -> Any:
    recipe = made.hand.get("recipe")
    if recipe:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if recipe in ("int8", "16x8"):
        converter.representative_dataset = lambda: (list(call.values()) for _, call in made.calls)
        int16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ops = tf.lite.OpsSet.TFLITE_BUILTINS_INT8 if recipe == "int8" else int16
        converter.target_spec.supported_ops = [ops]
    return converter


def _keras(tf: Any, path: Path, made: Made) -> tuple[bytes, list[Any]]:
    """Convert with Keras 3, or with Keras 2 where the environment says so."""
    hand = made.hand
    keras = tf.keras
    if "module" in hand:
        spec = importlib.util.spec_from_file_location("my_layers", hand["module"])
        assert spec and spec.loader
        sys.modules["my_layers"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        hand = {**hand, "load": {"custom_objects": {**vars(module)}}}
    model = keras.models.load_model(path, compile=False, **hand.get("load", {}))
    if hand.get("float32"):  # the same weights, without mixed precision
        config = json.loads(re.sub(r'"(mixed_\w+)"', '"float32"', json.dumps(model.get_config())))
        plain = type(model).from_config(config)
        plain.set_weights(model.get_weights())
        model = plain
    if hand["way"] == "closed":
        call = made.calls[0][1]
        dtypes = {"O": tf.string, "U": tf.string}
        specs = [
            tf.TensorSpec(np.shape(x), dtypes.get(np.asarray(x).dtype.kind, np.asarray(x).dtype), n)
            for n, x in call.items()
        ]
        specs = specs if len(specs) > 1 else specs[0]
        with tempfile.TemporaryDirectory() as folder:
            if "TF_USE_LEGACY_KERAS" in os.environ:
                function = tf.function(lambda x: model(x, training=False), input_signature=[specs])
                tf.saved_model.save(model, folder, signatures=function)
            else:
                model.export(folder, input_signature=[specs], verbose=False)
            content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    else:
        content = _quantized(tf, tf.lite.TFLiteConverter.from_keras_model(model), made).convert()
    return content, keras_answers(tf, model, made.calls)


def keras_answers(tf: Any, model: Any, calls: Sequence[Call]) -> list[Any]:
    """Return what a Keras model answers in inference mode."""
    fed = [[tf.constant(array) for array in call.values()] for _, call in calls]
    answers = [model(x if len(x) > 1 else x[0], training=False) for x in fed]
    return [tf.nest.map_structure(np.asarray, answer) for answer in answers]


def saved_model_answers(loaded: Any, calls: Sequence[Call], function: Any = None) -> list[Any]:
    """Return what a loaded SavedModel answers, one call after the other."""
    import tensorflow as tf

    answers = []
    for signature, call in calls:
        asked = function or loaded.signatures[signature or next(iter(loaded.signatures))]
        answer = asked(**{name: tf.constant(array) for name, array in call.items()})
        answers.append(tf.nest.map_structure(lambda x: x.numpy(), answer))
    return answers


def _graph(tf: Any, path: Path, made: Made) -> tuple[bytes, list[Any]]:
    hand = made.hand
    converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
        str(path), hand["inputs"], hand["outputs"], hand.get("shapes")
    )
    return converter.convert(), list(made.answers)


def main() -> int:
    """Convert or check one model; print what the difference is."""
    folder = Path(sys.argv[1])
    made = Made.load(folder)
    if "--check" in sys.argv:
        file = Path(sys.argv[3])
        states = sorted(file.parent.glob(f"{file.stem}*.npz"))
        state = dict(np.load(states[0])) if states else {}
        print(difference(run_file(file.read_bytes(), made.calls, state), made.answers))
        return 0
    content, answers = convert(made)
    (folder / "by_hand.tflite").write_bytes(content)
    found = run_file(content, made.calls, {})
    worst = max(difference(found, answers), difference(found, made.answers))
    (folder / "by_hand.pickle").write_bytes(pickle.dumps(worst))
    print(worst)
    return 0


if __name__ == "__main__":
    sys.exit(main())
