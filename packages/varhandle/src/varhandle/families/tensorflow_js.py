"""A model that TensorFlow.js does not take, or that its converter does not write."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import Pattern
from varhandle.graph import variable_role

_AS_GRAPH = (
    "TensorFlow.js reads the layers of Keras 2. Export the model as a SavedModel, have"
    " tensorflowjs_converter make a graph model of that folder (its input format is"
    " tf_saved_model), and load it with loadGraphModel in place of loadLayersModel.\n\n"
    'model.export("exported")'
)
_WITHOUT_STATE = (
    "Write a SavedModel whose signature only reads its variables, so that they become constants;"
    " what has to change from call to call becomes an input and an output. Or run the .tflite file"
    " in the page: LiteRT.js takes builtin ops.\n\n"
    'model.export("exported")'
)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("js-unknown-op"):
        op = line.get("op")
        role = variable_role(op)
        if role:
            message = (
                f"TensorFlow.js has no op {op}: a variable came along with the graph in place of"
                " its value."
            )
        else:
            message = f"TensorFlow.js has no op {op}, which the graph has."
        fix = _WITHOUT_STATE if role else None
        yield FAMILY.in_log(119, line, message, fix, of_variables=bool(role))
    for line in () if index.not_imported.by_role else index.of("js-unsupported"):
        message = "The lines after this one name ops of the graph that TensorFlow.js does not have."
        yield FAMILY.in_log(119, line, message)


FAMILY = Family(
    id="tensorflow-js",
    order=240,
    what="TensorFlow.js does not load a model, or its converter stops.",
    cause="TensorFlow.js has ops and layers of its own: fewer ops, and those of Keras 2.",
    fix=(
        "Replace the op by others in the model, or compute it in the page before or after the"
        " model. The .tflite file is another way into a page: LiteRT.js runs builtin ops. No"
        " variable is at fault."
    ),
    log_patterns=(
        Pattern(
            "js-unknown-op",
            "Unknown op '",
            after=r"(?P<op>\w{1,60})'\.fileanissueathttps://github\.com/tensorflow/tfjs",
        ),
        Pattern("js-tflite", "Failed to create TFLiteWebModelRunner"),
        Pattern("js-unsupported", "Unsupported Ops in the model before optimization"),
        Pattern("js-unsupported", "Unsupported Ops in the model after optimization"),
        Pattern(
            "js-of-keras-3",
            "An InputLayer should be passed either a `batchInputShape` or an",
        ),
        Pattern(
            "js-numpy",
            "has no attribute 'object'",
            r"'numpy'$",
            reach=1500,
            company=("tensorflowjs",),
        ),
        Pattern(
            "js-forests",
            "No module named 'tensorflow_decision_forests'",
            reach=1500,
            company=("tensorflowjs",),
        ),
    ),
    log_meanings={
        "js-of-keras-3": Meaning(
            176,
            "Keras 3 wrote the layers, and TensorFlow.js looks for the input as Keras 2 wrote it.",
            _AS_GRAPH,
        ),
        "js-tflite": Meaning(
            176,
            "tfjs-tflite does not take the file: its runtime is of 2022 and lacks what newer"
            " converters write, or what it was given is no .tflite file.",
            "Load the file with LiteRT.js (@litertjs/core), which is kept up; whoever is bound to"
            " tfjs-tflite converts with a TensorFlow of that time and builtin ops only. Look, too,"
            " whether the page got the file and not an error page: characters 5 to 8 are TFL3.",
        ),
        "js-numpy": Meaning(
            176,
            "tensorflowjs is of a time before NumPy 1.24, which has no np.object.",
            "Give the converter an environment of its own, with the newest tensorflowjs; an older"
            " one needs a NumPy below 1.24.",
        ),
        "js-forests": Meaning(
            176,
            "tensorflowjs imports TensorFlow Decision Forests, which is not installed.",
            "Give the converter an environment of its own, on Linux or macOS and on a Python and a"
            " TensorFlow for which tensorflow_decision_forests has a package.",
        ),
    },
    log_rule=_in_log,
    of_variables=False,
)
