"""Model files, read into a ``Graph`` without TensorFlow: one class a format."""

from varhandle.formats.base import ModelFormat
from varhandle.formats.registry import (
    FORMATS,
    SAVED_MODEL,
    TFLITE,
    format_of,
    looks_like_model,
    read_graph,
)

__all__ = [
    "FORMATS",
    "SAVED_MODEL",
    "TFLITE",
    "ModelFormat",
    "format_of",
    "looks_like_model",
    "read_graph",
]
