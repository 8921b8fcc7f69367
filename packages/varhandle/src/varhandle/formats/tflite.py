"""The TensorFlow Lite file: what the converter makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from varhandle.formats.base import ModelFormat, ModelSource
from varhandle.graph import Graph, ModelFileError, Signature, damaged_file
from varhandle.graph.model import GIVE_ORIGINAL, NO_MODEL

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant, Constants

FILE_IDENTIFIER = b"TFL3"


class TFLite(ModelFormat):
    """A ``.tflite`` file."""

    id = "tflite"
    suffixes = (".tflite",)
    without_mark = "no TensorFlow Lite model: it does not carry the mark TFL3"
    is_converted = True

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return head[4:8] == FILE_IDENTIFIER

    def read(self, path: Path) -> Graph:
        from varhandle.formats.tflite_reader import read_tflite

        return read_tflite(self.graph_part(path), str(path))

    def graph_part(self, path: Path) -> bytes | memoryview:
        """Return what ``read_graph_part`` does; raises ``ModelFileError`` or ``OSError``."""
        from varhandle.formats.tflite_bytes import read_graph_part

        try:
            return read_graph_part(path)
        except ValueError as error:
            raise damaged_file(path, f"the .tflite file is damaged: {error}") from error

    def read_bytes(self, data: bytes | memoryview, source: str) -> Graph:
        from varhandle.formats.tflite_reader import read_tflite

        return read_tflite(data, source)

    def call_signature(self, graph: Graph, name: str | None) -> Signature:
        return graph.signature(name) if name else graph.main_signature

    def constants(self, graph: Graph, content: bytes | None = None) -> Constants:
        from varhandle.formats.tflite_reader import read_constants

        if content is not None:
            return read_constants(content, graph.source)
        from varhandle.formats.tflite_bytes import stored_bytes

        path = Path(graph.source)
        part = self.graph_part(path)

        def stored(view: Any) -> Any:
            return stored_bytes(path, part, view)

        return read_constants(part, graph.source, stored)

    def variable_values(self, graph: Graph) -> dict[str, Constant]:
        """Return the constants that a subgraph which ``CALL_ONCE`` runs assigns."""
        constants = self.constants(graph)
        once = {call for node in graph.nodes if node.op == "CALL_ONCE" for call in node.calls}
        found = {}
        for function in (f for f in graph.functions if f.name in once):
            handles = {n.name: n.attributes.get("shared_name") or n.name for n in function.nodes}
            for node in function.nodes:
                if node.op == "ASSIGN_VARIABLE" and len(node.inputs) > 1:
                    value = constants.get((function.name, node.inputs[1]))
                    if value is not None:
                        found[str(handles.get(node.sources[0], ""))] = value
        return found

    def load(self, source: ModelSource) -> NoReturn:
        raise ModelFileError(source.path, NO_MODEL)

    def open_converter(self, source: ModelSource) -> NoReturn:
        raise ModelFileError(source.path, NO_MODEL)

    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> NoReturn:
        raise ModelFileError("source", f"a .tflite file is converted already: {GIVE_ORIGINAL}")
