"""The report on a model of the reader's own: the failures that no lesson brings about."""

FAMILIES = {
    "tensor-list": "way-text",
    "random-draws": "way-text",
    "other-resource": "way-text",
    "clamped-infinity": "way-text",
    "fft-length": "way-text",
    "package-conflict": "releases-text",
    "converter-call": "diagnosis-text",
    "delegate-refused": "file-text",
    "not-a-tflite-file": "file-text",
    "other-tflite-failure": "diagnosis-text",
    "keras-load-model": "releases-text",
    "keras-2-file": "releases-text",
    "larger-than-2gb": "way-text",
    "onnx-tensorflow": "way-text",
    "tensorflow-js": "file-text",
    "edge-tpu-compiler": "file-text",
    "android-build": "file-text",
    "runtime-library-missing": "file-text",
    "task-metadata": "file-text",
}
