"""A Keras 3 model that tf.saved_model.save wrote: each variable twice, one value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, named, variable_names
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LAST_RESORT, Meaning
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
        "none-alone": Meaning(
            LAST_RESORT,
            "This line alone names no cause: paste the whole traceback. Where that ends in"
            " tflite_keras_util.py, the converter has met a Keras that it does not know.",
            _OTHER_KERAS,
        ),
    },
    spoils_whole_file=True,
    answers_wrongly=True,
)
