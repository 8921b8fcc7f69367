"""A package beside TensorFlow whose release does not fit."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

FAMILY = Family(
    id="package-conflict",
    order=210,
    what="Saving or loading a SavedModel stops in a package beside TensorFlow.",
    cause="An older TensorFlow does not work with a newer wrapt and typing_extensions.",
    fix=(
        "Install the wrapt that this TensorFlow was made with, or bring TensorFlow up to date. No"
        " variable is at fault.\n\n"
        "pip install wrapt==1.14.1"
    ),
    log_patterns=(
        Pattern("wrapt", "descriptor does not support '_DictWrapper' objects"),
        Pattern("twice", "generic_type: type 'InterpreterWrapper' is already registered"),
        Pattern(
            "twice",
            "generic_type: cannot initialize type 'StatusCode'",
            reach=3000,
            company=("flite", "lite_support/", "ultralytics", "export failure"),
        ),
    ),
    log_meanings={
        "twice": Meaning(
            172,
            "Two packages in one program bring the same part of TFLite, and the second does not"
            " load.",
            "Import one of them alone: tf.lite.Interpreter where TensorFlow is imported, else"
            " ai_edge_litert, of which 2.3 loads beside TensorFlow 2.21; tflite_support (writing"
            " metadata) in a program of its own. No variable is at fault.",
        ),
        "wrapt": Meaning(
            172, "wrapt, which holds the dictionaries of a SavedModel, is of a newer release."
        ),
    },
    of_variables=False,
)
