"""A .tflite file without the metadata that MediaPipe, ML Kit or the Task Library asks for."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_TASKS = (
    *("mediapipe", "org.tensorflow.lite.task", "tflite_support", "task_vision_jni", "mlkit"),
    *("ImageClassifier", "ObjectDetector", "StartGraph failed"),
)

FAMILY = Family(
    id="task-metadata",
    order=260,
    what="MediaPipe, ML Kit or the Task Library refuses a .tflite file that runs elsewhere.",
    cause="They read from metadata in the file how to prepare inputs and what outputs mean.",
    fix=(
        "Write the metadata with the writer of the task (mediapipe.tasks.python.metadata; of old,"
        " tflite_support), and the mean and deviation of training: 127.5 and 127.5 for inputs of -1"
        " to 1, 0 and 255 for 0 to 1. Or call the file with the plain interpreter, which asks for"
        " none. No variable is at fault."
    ),
    log_patterns=(
        Pattern("task-normalization", "it requires specifying NormalizationOptions metadata"),
        Pattern(
            "task-metadata",
            "does not contain associated files, and is not a Zip file",
            reach=3000,
            company=_TASKS,
        ),
        Pattern("task-bundle", "Unable to open zip archive", reach=3000, company=_TASKS),
        Pattern(
            "task-outputs",
            "Mobile SSD models are expected to have exactly 4 outputs",
            after=r",found(?P<found>\d{1,3})",
        ),
    ),
    log_meanings={
        "task-normalization": Meaning(
            177, "The file's input is float, and no metadata in it says how to scale an image."
        ),
        "task-metadata": Meaning(177, "The file has no metadata, or not those of this task."),
        "task-bundle": Meaning(
            177,
            "The task wants a bundle (.task), which is a zip archive, and the file is none.",
            "Give it the .task file of the task; a .tflite file by itself runs in the tasks that"
            " take one model, such as ImageClassifier, and in the plain interpreter. No variable is"
            " at fault.",
        ),
        "task-outputs": Meaning(
            177,
            "The task wants the four outputs of an SSD detector (boxes, classes, scores, count),"
            " and the file has {found:others}.",
            "Export the detector with its post-processing (TFLite_Detection_PostProcess), which"
            " gives these four; a YOLO model gives one tensor of boxes, which the program itself"
            " has to filter: call it with the plain interpreter. No variable is at fault.",
        ),
    },
    of_variables=False,
)
