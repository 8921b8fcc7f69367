"""The code of a way: what a person would run to do by hand what ``cure`` does.

Names and paths out of a file enter it as Python literals, so that none of them can become code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbook_lib.graph.bare_graph import placeholders, sinks

if TYPE_CHECKING:
    from workbook_lib.failures.diagnosis import Diagnosis
    from workbook_lib.failures.ways import Way

_BITS = {"16x8": 16}
_CALLS = ["# calls: signature to your own inputs, a dictionary of name to array for each call"]
_NAMELESS = ["# calls: your own inputs, a dictionary of input name to array for each call"]


def write(diagnosis: Diagnosis, way: Way) -> str:
    """Write the code of a way.

    Args:
        diagnosis: The model.
        way: The way; its ``code`` is not looked at.

    Returns:
        Python source, which leaves the file as ``content``, and where the state was lifted the
        state before the first call as ``state``.
    """
    path, recipe = _path(diagnosis), way.quantization
    if diagnosis.format == "tflite":
        lines = ["from pathlib import Path", "", f"content = Path({path!r}).read_bytes()"]
    else:
        lines = ["import tensorflow as tf", "", *_preparing(diagnosis, way, path)]
        lines += _converting(diagnosis, way)
    if "lift" in way.steps:
        lines += _LIFTING
    if recipe is not None and ("lift" in way.steps or diagnosis.format == "tflite"):
        lines += _quantizing(way, recipe)
    return "\n".join([*lines, 'open("model.tflite", "wb").write(content)'])


def _path(diagnosis: Diagnosis) -> str:
    path = Path(diagnosis.graph.source)
    return str(path.parent if path.name == "saved_model.pb" else path)


def _preparing(diagnosis: Diagnosis, way: Way, path: str) -> list[str]:
    """Write what comes before the converter; it leaves the model's place as ``source``."""
    names = list(way.signatures) or ["__call__"]
    if "recast" in way.steps or "whole" in way.steps:
        return [
            "from workbook_lib.device.rebuild import rebuild",
            "",
            f'rebuild({path!r}, "rebuilt", {names!r}, {list(way.narrow)!r})',
            'source = "rebuilt"',
        ]
    if "hold" in way.steps:
        return _holding(names, path)
    if "freeze" in way.steps:
        return _freezing(diagnosis, path)
    return [f"source = {path!r}"]


def _holding(names: Sequence[str], path: str) -> list[str]:
    if names == ["__call__"]:
        return [
            "from workbook_lib.device.rehold import rehold",
            "",
            f'rehold({path!r}, "held", {names!r})',
            'source = "held"',
        ]
    return [
        "def calling(function):",
        "    return tf.function(lambda **inputs: function(**inputs), autograph=False)",
        "",
        f"loaded = tf.saved_model.load({path!r})",
        f"functions = {{name: loaded.signatures[name] for name in {list(names)!r}}}",
        "module = tf.Module()",
        "module.held = [v for f in functions.values() for v in f.graph.variables]",
        "module.calls, signatures = [], {}",
        "for name, function in functions.items():",
        "    call, specs = calling(function), function.structured_input_signature[1]",
        "    signatures[name] = call.get_concrete_function(**specs)",
        "    module.calls.append(call)",
        'tf.saved_model.save(module, "held", signatures=signatures)',
        'source = "held"',
    ]


def _freezing(diagnosis: Diagnosis, path: str) -> list[str]:
    from workbook_lib.failures.ways import checkpoint_beside

    return [
        "from workbook_lib.device.refreeze import restored_session",
        "",
        f"with restored_session({path!r}, {str(checkpoint_beside(diagnosis))!r}) as session:",
        "    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(",
        f"        session, session.graph.as_graph_def(), {list(sinks(diagnosis.graph))!r}",
        "    )",
        'source = "frozen.pb"',
        "open(source, 'wb').write(frozen.SerializeToString())",
    ]


def _converting(diagnosis: Diagnosis, way: Way) -> list[str]:
    if diagnosis.format == "keras":
        lines = [
            "model = tf.keras.models.load_model(source, compile=False)",
            "converter = tf.lite.TFLiteConverter.from_keras_model(model)",
        ]
    elif diagnosis.format == "graph_def":
        inputs, outputs = placeholders(diagnosis.graph), sinks(diagnosis.graph)
        lines = [
            "converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(",
            f"    source, {list(inputs)!r}, {list(outputs)!r}",
            ")",
        ]
    else:
        keys = list(way.signatures) or ["serving_default"]
        lines = [
            "converter = tf.lite.TFLiteConverter.from_saved_model(",
            f"    source, signature_keys={keys!r}",
            ")",
        ]
    if way.quantization is not None and "lift" not in way.steps:
        lines += _settings(way.quantization, way.signatures)
    return [*lines, "content = converter.convert()"]


def _settings(recipe: str, signatures: Sequence[str]) -> list[str]:
    """Write what a recipe sets on the converter."""
    from workbook_lib.device.quantize import RECIPES

    chosen = RECIPES[recipe]
    settings = chosen.settings
    lines = [
        "converter.optimizations = [tf.lite.Optimize.DEFAULT]",
        "converter.target_spec.supported_ops = ["
        + ", ".join(f"tf.lite.OpsSet.{name}" for name in settings.supported_ops)
        + "]",
    ]
    if settings.supported_types:
        types = ", ".join(f"tf.{name}" for name in settings.supported_types)
        lines.append(f"converter.target_spec.supported_types = [{types}]")
    if chosen.calibrated:
        lines += [
            *(_CALLS if signatures else _NAMELESS),
            "converter.representative_dataset = lambda: "
            + ("((n, c) for n in calls for c in calls[n])" if signatures else "iter(calls)"),
            f"converter.inference_input_type = tf.{settings.inference_input_type}",
            f"converter.inference_output_type = tf.{settings.inference_output_type}",
        ]
    return lines


_LIFTING = [
    "",
    "from workbook_lib import lift_state",
    "from workbook_lib.device.targets import with_own_release",
    "",
    "lifted = lift_state(content)",
    "content, state = with_own_release(lifted.content), lifted.start()",
]


def _quantizing(way: Way, recipe: str) -> list[str]:
    """Write the quantization of a .tflite file that is there already."""
    lifted = "lift" in way.steps
    kept = "sorted(state)" if lifted else "[]"
    if recipe == "int8, float inputs":
        kept += " + [name for call in calls.values() for name in call[0]]"
    lines = ["", "from workbook_lib.device import quantize_file", "", *_CALLS]
    if lifted:
        lines += [
            "from workbook_lib.device.carrying import with_state",
            "",
            "calls = {name: with_state(lifted, calls[name], name) for name in calls}",
        ]
    bits = _BITS.get(recipe, 8)
    return [
        *lines,
        f"made = quantize_file(content, calls, activation_bits={bits}, float_tensors={kept})",
        "content = made.content",
    ]
