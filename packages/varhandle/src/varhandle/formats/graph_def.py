"""The GraphDef: the graph of TensorFlow 1 in one binary file, frozen or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.formats.base import LoadedModel, ModelFormat, ModelSource, TFLiteConverter
from varhandle.formats.regular_file import read_regular
from varhandle.graph import Graph, Signature
from varhandle.graph.signature_inference import infer_signature

if TYPE_CHECKING:
    from varhandle.formats.constants import Constants


class GraphDef(ModelFormat):
    """A GraphDef. It has no mark: whatever no other format recognizes is tried as one."""

    id = "graph_def"
    suffixes = (".pb",)
    needs_checkpoint = True

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return True

    def read(self, path: Path) -> Graph:
        return self.read_bytes(read_regular(path), str(path))

    def read_bytes(self, data: bytes, source: str) -> Graph:
        from varhandle.formats.graph_def_reader import read_graph_def

        return read_graph_def(data, source)

    def call_signature(self, graph: Graph, name: str | None) -> Signature:
        return infer_signature(graph)

    def constants(self, graph: Graph, content: bytes | None = None) -> Constants:
        from varhandle.formats.constants import constants_of_graph_def
        from varhandle.formats.proto_schema import MESSAGES

        data = read_regular(Path(graph.source))
        return constants_of_graph_def(MESSAGES["GraphDef"].FromString(data))

    def load(self, source: ModelSource) -> LoadedModel:
        import tensorflow as tf

        v1 = tf.compat.v1
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(v1.GraphDef.FromString(Path(source.path).read_bytes()), name="")
        session = v1.Session(graph=graph)
        assert source.signature is not None
        fetches = {spec.name: f"{spec.name}:0" for spec in source.signature.outputs}

        def answer(call: Mapping[str, Any], _: str | None = None) -> Mapping[str, Any]:
            feeds = {f"{name}:0": value for name, value in call.items()}
            answers: Mapping[str, Any] = session.run(fetches, feeds)
            return answers

        return answer

    def open_converter(self, source: ModelSource) -> TFLiteConverter:
        import tensorflow as tf

        called = source.signature
        assert called is not None
        shapes = {s.name: None if s.shape is None else list(s.shape) for s in called.inputs}
        outputs = [spec.name for spec in called.outputs]
        opened = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph
        return opened(source.path, list(shapes), outputs, shapes)

    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> list[str]:
        assert signature is not None
        inputs, outputs = ([s.name for s in one] for one in (signature.inputs, signature.outputs))
        return [
            "converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(",
            f"    source, {inputs!r}, {outputs!r}",
            ")",
        ]
