"""A .h5 or .keras file of another Keras than the one that is to load it."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.keras_load_model import EXPORTED, WITH_KERAS_2
from varhandle.families.log_index import LAST_RESORT, LogDiagnosis, MatchIndex
from varhandle.families.log_patterns import Pattern
from varhandle.formats.keras_2 import SETTINGS

_TO_OLD = (
    "Convert it where it loads, in the Keras that wrote it; or let that Keras write a SavedModel,"
    " which every TensorFlow 2 of the same age or younger converts. Keras 2 does not learn the new"
    f" form.\n\n{EXPORTED}"
)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("keras-to-new"):
        what = line.get("class") or f"the setting {line.get('setting')} of {line.get('layer')}"
        message = f"Keras 2 wrote the file, and Keras 3, which loads it, no longer has {what}."
        yield FAMILY.in_log(LAST_RESORT, line, message)
    for line in index.of("keras-to-old"):
        message = "Keras 3 wrote the file, and Keras 2, which loads it, does not know its form."
        yield FAMILY.in_log(LAST_RESORT, line, message, _TO_OLD)


FAMILY = Family(
    id="keras-2-file",
    order=232,
    what="Keras does not load a .h5 or .keras file that another release of Keras wrote.",
    cause="Keras 2 and Keras 3 write other settings, layers and dtypes into a model's config.",
    fix=(
        "The file is sound: leave out what Keras 3 no longer takes, as this command does where that"
        f" changes no answer. Or load it with Keras 2, and convert it there: {WITH_KERAS_2}\n\n"
        "varhandle cure MODEL.h5 model.tflite"
    ),
    log_patterns=(
        *(
            Pattern(
                "keras-to-new",
                "Unrecognized keyword arguments passed to",
                after=rf"(?P<layer>{'|'.join(sorted(setting.classes)).lower()}):"
                rf"\{{'(?P<setting>{setting.name})':",
            )
            for setting in SETTINGS
        ),
        Pattern(
            "keras-to-new",
            "Unknown layer: '",
            after=r"(?P<class>tfoplambda|slicingoplambda|tensorflowoplayer)'",
        ),
        Pattern(
            "keras-to-new",
            "Could not locate class '",
            after=r"(?P<class>functional|sequential|model)'",
            reach=1500,
            company=("keras.src.engine", "keras.engine"),
        ),
        Pattern("keras-to-old", "Unrecognized keyword arguments: ['batch_shape'"),
        Pattern(
            "keras-to-old", "Unknown dtype policy", company=("'module': 'keras'", "dtypepolicy")
        ),
        Pattern("keras-to-old", "Unknown layer: 'DTypePolicy'"),
        Pattern(
            "keras-to-old",
            "Could not locate class '",
            after=r"(?:functional|sequential|model)'",
            reach=1500,
            company=("keras.src.models",),
        ),
    ),
    log_rule=_in_log,
    of_variables=False,
)
