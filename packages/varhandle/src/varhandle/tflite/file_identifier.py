"""Whether bytes are a .tflite file at all, before anything looks into them."""

from varhandle.formats import TFLITE
from varhandle.graph import ModelFileError, damaged_file

CURE_MAKES_ONE = "cure makes one of a model"


def check_identifier(data: bytes | bytearray | memoryview, source: str = "<bytes>") -> None:
    """Raise ``ModelFileError`` for bytes that are no .tflite file."""
    if not data:
        raise damaged_file(source, "the file is empty")
    if not TFLITE.recognizes(bytes(data[:8])):
        raise ModelFileError(
            source, f"not a .tflite file: it lacks the mark TFL3; {CURE_MAKES_ONE}"
        )
