"""The mark of a .tflite file, which tells it from any other."""

from varhandle.formats import TFLITE
from varhandle.graph import ModelFileError


def check_mark(data: bytes, source: str) -> None:
    """Raise ``ModelFileError`` for bytes that are no .tflite file: no ``TFL3`` in bytes 4 to 7."""
    if not data:
        raise ModelFileError(source, "the file is empty")
    if not TFLITE.recognizes(bytes(data[:8])):
        raise ModelFileError(source, "not a .tflite file: it lacks the mark TFL3")
