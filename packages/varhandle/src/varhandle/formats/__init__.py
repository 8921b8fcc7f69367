"""Model files, read into a ``Graph`` without TensorFlow."""

from varhandle.formats.registry import carried_code, read_graph

__all__ = ["carried_code", "read_graph"]
