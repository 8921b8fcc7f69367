"""A model that TensorFlow.js does not take, or that its converter does not write."""

import pytest
from family_checks import code_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("tensorflow-js")
ISSUE = "File an issue at https://github.com/tensorflow/tfjs/issues so we can add it"
VARIABLE = f"Uncaught (in promise) TypeError: Unknown op 'VarHandleOp'. {ISSUE}"
KERAS_3 = "Error: An InputLayer should be passed either a `batchInputShape` or an `inputShape`."
TOOL = '  File "/site-packages/tensorflowjs/read_weights.py", line 28, in <module>\n'

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        VARIABLE,
        "Error: Unknown op 'NonMaxSuppressionV6'. File an issue at https://github.com/tensorflow"
        "/tfjs/issues so we can add it, or register a custom execution with tf.registerOp()",
        KERAS_3,
        f"{TOOL}AttributeError: module 'numpy' has no attribute 'object'.",
        f"{TOOL}ModuleNotFoundError: No module named 'tensorflow_decision_forests'",
        "Error: Failed to create TFLiteWebModelRunner: INVALID_ARGUMENT: Can't initialize model",
        "ValueError: Unsupported Ops in the model before optimization\nBroadcastGradientArgs",
        "ValueError: Unsupported Ops in the model after optimization\nSimpleMLInferenceOp",
    ],
)


def test_a_variable_is_told_from_another_op():
    told = [explain(log).matches[0] for log in (VARIABLE, VARIABLE.replace("VarHandleOp", "Erf"))]
    assert ["variable" in match.message for match in told] == [True, False]


@pytest.mark.parametrize("log", [VARIABLE, KERAS_3])
def test_the_folder_for_its_converter_is_written_as_is_printed(tf, tmp_path, monkeypatch, log):
    monkeypatch.chdir(tmp_path)
    model = tf.keras.Sequential([tf.keras.Input((4,), batch_size=1), tf.keras.layers.Dense(3)])
    run(code_of(explain(log).matches[0].fix), model=model)
    assert list(tf.saved_model.load("exported").signatures)


@pytest.mark.parametrize(
    "log",
    [
        "AttributeError: module 'numpy' has no attribute 'object'.",
        "ModuleNotFoundError: No module named 'tensorflow_decision_forests'",
        "vm.js: Unknown op 'VarHandleOp'. See the manual",
    ],
)
def test_the_same_words_elsewhere(log):
    assert ids(log) == []
