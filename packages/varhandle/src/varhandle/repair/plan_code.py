"""The code of a way: what a person would run to do by hand what ``cure`` does.

Names and paths out of a file enter it as Python literals, so that none of them can become code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from varhandle.facts.recipes import RECIPES, needs_calibration
from varhandle.formats import SAVED_MODEL, format_of
from varhandle.graph.signature_inference import sinks

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis
    from varhandle.repair.plan import Way

_CALLS = [
    "# calls: signature ('' where the model has none) to inputs of your own, for each call a",
    "# dictionary of input name to array",
]


def write(diagnosis: Diagnosis, way: Way) -> str:
    """Write the code of a way.

    Args:
        diagnosis: The model.
        way: The way; its ``code`` is not looked at.

    Returns:
        Python source, which leaves the file as ``content``, and where the state was lifted the
        state before the first call as ``state``.
    """
    if format_of(diagnosis.graph).is_converted:
        lines = [
            "from pathlib import Path",
            "",
            f"content = Path({_path(diagnosis)!r}).read_bytes()",
        ]
    else:
        lines = ["import tensorflow as tf", "", *_preparing(diagnosis, way, _path(diagnosis))]
        lines += _converting(diagnosis, way)
    if "lift" in way.steps:
        lines += _LIFTING
    if way.quantization is not None and _is_late(diagnosis, way):
        lines += _quantizing(diagnosis, way, way.quantization)
    return "\n".join([*lines, 'open("model.tflite", "wb").write(content)'])


def _is_late(diagnosis: Diagnosis, way: Way) -> bool:
    """Tell whether a file is quantized that is there already, and not by the converter.

    Calibration must see the state, so a state is lifted before it.
    """
    converted = format_of(diagnosis.graph).is_converted
    return converted or ("lift" in way.steps and needs_calibration(way.quantization))


def _path(diagnosis: Diagnosis) -> str:
    return format_of(diagnosis.graph).path_to_load(diagnosis.graph.source)


def _preparing(diagnosis: Diagnosis, way: Way, path: str) -> list[str]:
    """Write what comes before the converter; it leaves the model's place as ``source``."""
    names = list(way.signatures) or ["__call__"]
    if "export" in way.steps:
        return [
            *_exporting(path),
            *(_rebuilding("exported", ["serving_default"], way) if way.narrow else []),
        ]
    if "recast" in way.steps or "whole" in way.steps:
        return _rebuilding(path, names, way)
    if "hold" in way.steps:
        return _holding(names, path)
    if "freeze" in way.steps:
        return _freezing(diagnosis, path)
    return [f"source = {path!r}"]


def _exporting(path: str) -> list[str]:
    return [
        f"model = tf.keras.models.load_model({path!r}, compile=False)",
        "specs = [tf.TensorSpec(one.shape, one.dtype, one.name) for one in model.inputs]",
        'model.export("exported", input_signature=specs if len(specs) == 1 else None)',
        'source = "exported"',
    ]


def _rebuilding(path: str, names: Sequence[str], way: Way) -> list[str]:
    return [
        "# Each op of the signature is written anew; TensorFlow has no call that does it.",
        "from varhandle.savedmodel.rewrite_signature import rebuild",
        "",
        f'rebuild({path!r}, "rebuilt", {list(names)!r}, {list(way.narrow)!r})',
        'source = "rebuilt"',
    ]


def _holding(names: Sequence[str], path: str) -> list[str]:
    if names == ["__call__"]:
        return [
            "from varhandle.savedmodel.resave_tracked import rehold",
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
    from varhandle.repair.plan import checkpoint_beside

    return [
        "from varhandle.savedmodel.checkpoint_freezer import restored_session",
        "",
        f"with restored_session({path!r}, {str(checkpoint_beside(diagnosis))!r}) as session:",
        "    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(",
        f"        session, session.graph.as_graph_def(), {list(sinks(diagnosis.graph))!r}",
        "    )",
        'source = "frozen.pb"',
        "open(source, 'wb').write(frozen.SerializeToString())",
    ]


def _converting(diagnosis: Diagnosis, way: Way) -> list[str]:
    # After these steps it is a SavedModel that is converted.
    saved = {"export", "recast", "whole", "hold"} & set(way.steps)
    model_format = SAVED_MODEL if saved else format_of(diagnosis.graph)
    called = model_format.call_signature(diagnosis.graph, None)
    lines = model_format.converter_code(called, way.signatures)
    if way.quantization is not None and RECIPES[way.quantization].selective:
        return [*_CALLS, *_SELECTING]
    if way.quantization is not None and not _is_late(diagnosis, way):
        lines += _settings(way.quantization, way.signatures)
    return [*lines, "content = converter.convert()"]


_SELECTING = [
    "from varhandle import quantize",
    "",
    "samples = [list(call.values()) for each in calls.values() for call in each]",
    'content = quantize(source, "selective", samples).content',
]
"""Layers are left out by what quantizing each of them costs: that is no setting of a converter."""


def _settings(recipe: str, signatures: Sequence[str]) -> list[str]:
    """Write what a recipe sets on the converter."""
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
            *_CALLS,
            "converter.representative_dataset = lambda: (",
            "    (name, call) for name in calls for call in calls[name]"
            if signatures
            else "    list(call.values()) for call in calls['']",
            ")",
            f"converter.inference_input_type = tf.{settings.inference_input_type}",
            f"converter.inference_output_type = tf.{settings.inference_output_type}",
        ]
    return lines


_LIFTING = [
    "",
    "from varhandle import lift_state",
    "from varhandle.facts.targets import with_own_release",
    "",
    "lifted = lift_state(content)",
    "content, state = with_own_release(lifted.content), lifted.start()",
]


def _quantizing(diagnosis: Diagnosis, way: Way, recipe: str) -> list[str]:
    """Write the quantization of a .tflite file that is there already."""
    lifted = "lift" in way.steps
    lines = ["", "from varhandle.conversion.quantization import quantize_file"]
    lines += ["from varhandle.evaluate.stateful_parity import with_state"] if lifted else []
    lines += ["", *_CALLS]
    if lifted:
        lines.append(
            "calls = {name: with_state(lifted, calls[name], name or None) for name in calls}"
        )
    kept = "sorted(state)" if lifted else "[]"
    if RECIPES[recipe].float_inputs:
        kept += f" + {_ends(diagnosis, way)!r}"
    bits = RECIPES[recipe].activation_bits
    return [
        *lines,
        f"made = quantize_file(content, calls, activation_bits={bits}, float_tensors={kept})",
        "content = made.content",
    ]


def _ends(diagnosis: Diagnosis, way: Way) -> list[str]:
    """Return the names of the inputs and outputs that the file has besides the state."""
    graph = diagnosis.graph
    entries = [graph.signature(name) for name in way.signatures]
    main = graph.functions[0]
    sides = [(one.inputs, one.outputs) for one in entries] or [(main.inputs, main.outputs)]
    return sorted({spec.name for side in sides for specs in side for spec in specs})
