"""A folder that Keras 3 neither loads nor writes as a model."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.log_index import LAST_RESORT, LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import Pattern, quoted

WITH_KERAS_2 = (
    "the package tf_keras beside TensorFlow 2.16 and later, keras itself up to 2.15. No variable is"
    " at fault."
)
EXPORTED = (
    'model.export("exported")\nconverter = tf.lite.TFLiteConverter.from_saved_model("exported")'
)
_WRITTEN = (
    "Write the file that Keras loads again, and, for the converter, a SavedModel beside it.\n\n"
    f'model.save("model.keras")\n{EXPORTED}'
)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("keras-folder"):
        folder = quoted(line.get("name"), "That path")
        message = (
            f"{folder} is no .keras and no .h5 file, and load_model of Keras 3 knows no other; a"
            " SavedModel, which Keras 2 loaded, it does not load."
        )
        yield FAMILY.in_log(LAST_RESORT, line, message)
    for line in index.of("keras-endpoint"):
        there = ", ".join(name.strip("'\"") for name in line.get("others").split(","))
        message = (
            f"The SavedModel has no endpoint {quoted(line.get('name'), 'of that name')}; its"
            f" signatures are: {there or 'none'}."
        )
        fix = None
        if there:
            first = there.split(", ")[0]
            fix = f"Name one that is there.\n\nlayer = keras.layers.TFSMLayer(folder, {first!r})"
        yield FAMILY.in_log(LAST_RESORT, line, message, fix)


FAMILY = Family(
    id="keras-load-model",
    order=230,
    what="Keras 3 does not load, or does not write, the folder that it is given.",
    cause="Keras 3 has .keras and .h5 files; a SavedModel is for TensorFlow and the converter.",
    fix=(
        "The converter takes the folder itself, without Keras; in a program of Keras 3 it becomes a"
        f" layer. To train it on, load it with Keras 2: {WITH_KERAS_2}\n\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
        'layer = keras.layers.TFSMLayer(folder, call_endpoint="serving_default")'
    ),
    log_patterns=(
        Pattern(
            "keras-folder",
            "Keras 3 only supports V3 `.keras` files",
            r"filepath=(?P<name>[^\n`]{1,200}?)\.$",
        ),
        Pattern(
            "keras-endpoint",
            "is neither an attribute of the reloaded SavedModel",
            r"theendpoint'(?P<name>[^']{1,80})'$",
            after=r".{0,200}?thissavedmodel:\[(?P<others>[^\]]{0,300})\]",
        ),
        Pattern(
            "keras-written", "if you want to export a SavedModel for use with TFLite/TFServing/etc"
        ),
        Pattern(
            "keras-written", "The `save_format` argument is deprecated in Keras 3. Please remove"
        ),
    ),
    log_meanings={
        "keras-written": Meaning(
            LAST_RESORT,
            "Keras 3 writes .keras and .h5 files by save, and a SavedModel by export.",
            _WRITTEN,
        ),
    },
    log_rule=_in_log,
    of_variables=False,
)
