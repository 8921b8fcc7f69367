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
}
