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
    log_patterns=(Pattern("wrapt", "descriptor does not support '_DictWrapper' objects"),),
    log_meanings={
        "wrapt": Meaning(
            172, "wrapt, which holds the dictionaries of a SavedModel, is of a newer release."
        ),
    },
    of_variables=False,
)
