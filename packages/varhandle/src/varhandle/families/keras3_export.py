"""A Keras 3 model that tf.saved_model.save wrote: each variable twice, one value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, named, variable_names
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LAST_RESORT, LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import Context, Pattern
from varhandle.graph import Access, Variable


@case("keras-in-module", "Keras layer in a tf.Module", drawn=True)
def keras_in_module(trace: Trace) -> Answers:
    """Save a module that owns a Keras layer, convert it, and compare the answers."""
    tf: Any = trace.tf

    class Classifier(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(3, kernel_initializer="ones")
            self.dense.build([None, 4])

        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return self.dense(x)

    return trace.convert_saved(Classifier(), shape=(1, 4))


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    copies = unread_copies(reading)

    def message(variables: Sequence[Variable]) -> str:
        return (
            f"{named(variable_names(variables))} read, but the file restores "
            f"another copy ({join_names(sorted({copies[key(v)] for v in variables}))}): "
            "tf.saved_model.save wrote each Keras 3 variable twice, and gave the value to the "
            "copy that nobody reads."
        )

    def fix(variables: Sequence[Variable]) -> str:
        return code.lines(
            "# Save it again. A Keras model, from the program that has it:",
            'model.export("exported")',
            "",
            "# Or, where a tf.Module of your own owns the layers, hold the variables before "
            "saving:",
            "import tensorflow as tf",
            "",
            "module._variables = [v.value for v in model.variables]  "
            f"# {len(variables)} of them are lost in this file",
            'tf.saved_model.save(module, "exported", '
            f"signatures={{{reading.signature or 'serving_default'!r}: signature}})",
            code.cure_comment(reading.graph.source, reading.signature),
        )

    def trouble(variable: Variable) -> Sequence[Access]:
        return lost_reads(variable) if key(variable) in copies else ()

    yield from FAMILY.in_variables(reading, trouble, message, fix)


def lost_reads(variable: Variable) -> Sequence[Access]:
    """Return the reads of a variable that the checkpoint does not restore."""
    return variable.reads if variable.initialized is False else ()


def key(variable: Variable) -> tuple[object, ...]:
    """Return what a variable and its copy have in common."""
    return variable.dtype, variable.shape


def unread_copies(reading: Reading) -> dict[tuple[object, ...], str]:
    """Return, by ``key``, a variable that has a value and that nobody reads.

    That is what Keras 3 leaves: the copy that the object graph holds, restored and not read.
    """
    spare = [
        (key(variable), variable.owner)
        for variable in reading.graph.variables
        if variable.initialized and variable.owner and not variable.reads and not variable.assigns
    ]
    return dict(sorted(spare, key=lambda pair: pair[1], reverse=True))


_OTHER_KERAS = (
    "Convert with TensorFlow 2.21, whose converter takes a Keras 3 model; or let Keras write the"
    " SavedModel. Make the model with tf.keras, or with keras, but not with both.\n\n"
    "model.export(folder)\n"
    "converter = tf.lite.TFLiteConverter.from_saved_model(folder)"
)


_LEGACY_KERAS = (
    "This tool is made for Keras 2: install tf_keras of the same release as TensorFlow, and set"
    " TF_USE_LEGACY_KERAS=1 before anything imports TensorFlow; in a program of your own, make the"
    " model with tf_keras. Or bring the tool up to date, where it has a release for Keras 3.\n\n"
    "pip install tf_keras\n"
    "TF_USE_LEGACY_KERAS=1 python convert.py"
)
_WITHOUT_TRAINING = (
    "Export what the model does in inference: an endpoint that says training=False.\n\n"
    f"{code.EXPORT_FOR_INFERENCE}"
)
_THEN_CONVERT = "\nconverter = tf.lite.TFLiteConverter.from_saved_model(folder)"
_TOOLS = ("onnx2tf", "tf2onnx", "ultralytics", "tensorflow_model_optimization", "tensorflowjs")
_AROUND_THE_CONVERTER = (*_TOOLS, "lite/python/lite.py", "lite\\python\\lite.py")
_RANDOM_LAYER = (
    r"(?:flip|rotation|zoom|contrast|brightness|translation|crop|shear|hue|saturation|height|width"
    r"|sharpness|posterization|perspective|erasing|colorjitter|color_jitter|grayscale)(?:_\d+){0,2}/"
)


_FIRST_TF_KERAS = (2, 15)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    """Tools for Keras 2; and random ops, of a layer that Keras has for training."""
    for line in index.of("legacy-keras"):
        message = (
            "A tool around the converter was given a model of Keras 3, and knows Keras 2 only."
        )
        release = index.release.exact if index.release.first >= _FIRST_TF_KERAS else ""
        package = f'"tf_keras~={release}.0"' if release else "tf_keras"
        fix = _LEGACY_KERAS.replace("install tf_keras\n", f"install {package}\n")
        yield FAMILY.in_log(52, line, message, fix)
    refused = index.draws_in_training
    if refused:
        message = (
            f"{join_names(refused)}: layers that draw random numbers, such as augmentation, went"
            " into the SavedModel as they are in training; inference needs none of them."
        )
        line = next(iter(refused.values()))
        fix = _WITHOUT_TRAINING + _THEN_CONVERT * (line.kind == "refused")
        yield FAMILY.in_log(55, line, message, fix, of_variables=False)


def _no_markup(context: Context) -> bool:
    """Tell that "error: missing attribute 'value'" is not about XML or HTML."""
    return not re.match(r"(?:in|on|for|of|at)(?:the)?(?:element|tag|node|<)", context.after)


def _is_variable_or_tensor(context: Context) -> bool:
    found = re.search(r"'(\w{1,60})'object$", context.before)
    return found is not None and ("variable" in found[1] or "tensor" in found[1])


def _is_whole_log(context: Context) -> bool:
    """Tell that nothing but the exception's name stands in the log."""
    return context.before in ("", "typeerror:") and not context.after.strip(".")


_OBJECT = r"'(?P<class>\w{1,80})'object$"

FAMILY = Family(
    id="keras3-export",
    order=50,
    what="It converts, it runs, and its answers are wrong.",
    cause="tf.saved_model.save writes a Keras 3 variable twice and initializes the wrong copy.",
    fix=(
        "Let Keras write the SavedModel, or let your module hold the raw variables; then compare"
        " the file's answers with the model's, for on 2.20 and 2.21 this failure is silent.\n\n"
        "model.export(folder)\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
        "# a tf.Module that owns Keras layers, in its __init__:\n"
        "self._variables = [variable.value for variable in model.variables]"
    ),
    older=(
        (
            "2.20",
            "the older Keras goes through the older converter: install tf_keras of that release,"
            " and set TF_USE_LEGACY_KERAS=1 before anything imports TensorFlow.",
        ),
    ),
    cases=(keras_in_module,),
    graph_rules={"saved_model": _in_saved_model},
    log_patterns=(
        Pattern("no-value", "error: missing attribute 'value'", word=True, test=_no_markup),
        Pattern("no-value", "Failed to infer result type(s)"),
        Pattern("keras-private", "has no attribute '_get_save_spec'", _OBJECT),
        Pattern("keras-private", "has no attribute '_set_save_spec'", _OBJECT),
        Pattern(
            "keras-private", "has no attribute 'read_value'", _OBJECT, test=_is_variable_or_tensor
        ),
        Pattern(
            "keras-private",
            "'NoneType' object is not callable",
            reach=1500,
            # Of a Windows path to tflite_keras_util.py, "\t" has become a blank.
            company=("flite_keras_util", "get_call_context_function"),
        ),
        *(
            Pattern("legacy-keras", phrase, reach=2500, company=company)
            for phrase, company in (
                ("can only either be a keras Sequential or Functional model", ()),
                ("`to_annotate` can only be a", ()),
                ("can only prune an object of the following types", ()),
                (
                    "A KerasTensor cannot be used as input to a TensorFlow function",
                    _AROUND_THE_CONVERTER,
                ),
                ("object has no attribute 'output_names'", ("tf2onnx",)),
                ("KeyError: 'keras_tensor_", ("tf2onnx",)),
                ("Unable to clone model. This generally happens", _AROUND_THE_CONVERTER),
                ("No module named 'tf_keras'", _AROUND_THE_CONVERTER),
                ("Keras cannot be imported. Check that it is installed", ()),
            )
        ),
        *(
            Pattern("fallback", phrase)
            for phrase in (
                "SavedModel conversion failed. Fallback to freezing Keras model",
                "legacy Keras fallback tracing also failed",
                "The Keras model has no outputs after tracing",
            )
        ),
        Pattern("random-layer", "/random_", after=_RANDOM_LAYER),
        Pattern(
            "random-layer", "dropout", after=r"(?:_\d+){0,2}/(?:\w{1,40}/)?(?:stateless_)?random"
        ),
        Pattern("random-layer", "seed_generator"),
        Pattern(
            "random-op", "] is not supported", r"tensorflowop\[[\w/.:\-]{1,250}:(?P<op>\w{1,60})$"
        ),
        Pattern("none-alone", "'NoneType' object is not callable", test=_is_whole_log),
        Pattern(
            "openvino",
            "conversion is failed for",
            reach=700,
            after=r"(?P<op>varhandleop|readvariableop|assignvariableop)operation"
            r"(?:.{0,120}?variableorresource'(?P<variable>[^']{1,200})')?",
        ),
    ),
    log_meanings={
        "no-value": Meaning(
            40,
            "A read found no value: Keras 3 saved the variable under an object that nobody reads.",
        ),
        "openvino": Meaning(
            40,
            "The importer found no value for {variable:a variable}: Keras 3 saved it under an"
            " object that this importer does not look at.",
        ),
        "keras-private": Meaning(
            50,
            "{class:The model} is of another Keras than the one that the converter of this release"
            " calls; Keras 3 has no such method.",
            _OTHER_KERAS,
        ),
        "fallback": Meaning(
            56,
            "The converter of 2.23 could not save the Keras model, or trace it the older way; what"
            " stopped it stands in the lines beside this one.",
            "Let Keras write the SavedModel, for an input of a given shape, and convert that.\n\n"
            "spec = tf.TensorSpec([1, *model.input_shape[1:]])\n"
            "model.export(folder, input_signature=[spec])\n"
            "converter = tf.lite.TFLiteConverter.from_saved_model(folder)",
        ),
        "none-alone": Meaning(
            LAST_RESORT,
            "This line alone names no cause: paste the whole traceback. Where that ends in"
            " tflite_keras_util.py, the converter has met a Keras that it does not know.",
            _OTHER_KERAS,
        ),
    },
    log_rule=_in_log,
    repair_step="track-variables",
    spoils_whole_file=True,
    answers_wrongly=True,
)
