"""A .tflite file without the metadata that MediaPipe, ML Kit or the Task Library asks for."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("task-metadata")
TASK = "java.lang.IllegalStateException: Error occurred when initializing ImageClassifier: "

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        f"{TASK}Input tensor has type kTfLiteFloat32: it requires specifying NormalizationOptions"
        " metadata to preprocess input images.",
        "NOT_FOUND: Input tensor has type float32: it requires specifying NormalizationOptions"
        " metadata to preprocess input images.; Initialize was not ok; StartGraph failed",
        f"{TASK}Mobile SSD models are expected to have exactly 4 outputs, found 1",
        'File "mediapipe/tasks/python/vision/face_landmarker.py"\nRuntimeError: Unable to open zip'
        " archive.",
        "tflite_support: This model does not contain associated files, and is not a Zip file.",
    ],
)


def test_the_outputs_of_a_detector():
    log = f"{TASK}Mobile SSD models are expected to have exactly 4 outputs, found 1"
    (match,) = explain(log).matches
    assert "the file has 1" in match.message
    assert "TFLite_Detection_PostProcess" in match.fix


@pytest.mark.parametrize("log", ["unzip: Unable to open zip archive", "npm: Metadata not found"])
def test_the_same_words_elsewhere(log):
    assert ids(log) == []
