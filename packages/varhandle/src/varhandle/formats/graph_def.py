"""The GraphDef: the graph of TensorFlow 1 in one file, frozen or not, alone or in a MetaGraph."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from varhandle.formats.base import LoadedModel, ModelFormat, ModelSource, TFLiteConverter
from varhandle.formats.regular_file import read_regular
from varhandle.graph import Graph, Signature
from varhandle.graph.signature_inference import infer_signature

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant, Constants

_LENGTH_BYTES = 5  # of a field of a message


class GraphDef(ModelFormat):
    """A GraphDef. It has no mark: whatever no other format recognizes is tried as one."""

    id = "graph_def"
    rules_of = "graph_def"
    suffixes: ClassVar[tuple[str, ...]] = (".pb",)
    needs_checkpoint = True
    message: ClassVar[str] = "GraphDef"
    is_text: ClassVar[bool] = False

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return True

    def read(self, path: Path) -> Graph:
        return self.read_bytes(self._content(path), str(path))

    def _content(self, path: Path) -> bytes:
        """Return the message; big constants stay in the file."""
        from varhandle.formats.proto_bytes import read_message

        return read_regular(path) if self.is_text else read_message(path, self.message)

    def read_bytes(self, data: bytes | memoryview, source: str) -> Graph:
        from varhandle.formats.graph_def_reader import graph_of

        return graph_of(self._parsed(bytes(data), source), source, self.id)

    def _parsed(self, data: bytes, source: str) -> Any:
        from varhandle.formats.graph_def_reader import read_graph_def

        return read_graph_def(self.message, data, source, is_text=self.is_text)

    def graph_def(self, path: str) -> Any:
        """Return TensorFlow's own GraphDef of a file, in a child process."""
        import tensorflow as tf
        from google.protobuf import text_format

        message, data = getattr(tf.compat.v1, self.message)(), Path(path).read_bytes()
        if self.is_text:
            text_format.Parse(data.decode(), message)
        else:
            message.ParseFromString(data)
        return message if self.message == "GraphDef" else message.graph_def

    def graph_def_code(self, path: str) -> list[str]:
        """Write the lines that do so; they leave it as ``graph_def``."""
        inner = "" if self.message == "GraphDef" else ".graph_def"
        if self.is_text:
            return [
                "from google.protobuf import text_format",
                "",
                f"message = tf.compat.v1.{self.message}()",
                f"graph_def = text_format.Parse(open({path!r}).read(), message){inner}",
            ]
        reading = f'tf.compat.v1.{self.message}.FromString(open({path!r}, "rb").read())'
        return [f"graph_def = {reading}{inner}"]

    def call_signature(self, graph: Graph, name: str | None) -> Signature:
        return infer_signature(graph)

    def constants(self, graph: Graph, content: bytes | None = None) -> Constants:
        from varhandle.formats.tensor_proto import constants_of_graph_def

        path = Path(graph.source)
        return constants_of_graph_def(self._parsed(self._content(path), graph.source), path)

    def variable_values(self, graph: Graph) -> dict[str, Constant]:
        from varhandle.formats.checkpoint import checkpoint_values

        prefix = Path(graph.source).with_suffix("")
        if not prefix.with_name(f"{prefix.name}.index").exists():
            return {}
        held = checkpoint_values(prefix)
        return {v.name: held[v.name] for v in graph.variables if v.name in held}

    def load(self, source: ModelSource) -> LoadedModel:
        import tensorflow as tf

        v1 = tf.compat.v1
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(self.graph_def(source.path), name="")
        session = v1.Session(graph=graph)
        assert source.signature is not None
        fetches = {spec.name: f"{spec.name}:0" for spec in source.signature.outputs}

        def answer(call: Mapping[str, Any], _: str | None = None) -> Mapping[str, Any]:
            feeds = {f"{name}:0": value for name, value in call.items()}
            answers: Mapping[str, Any] = session.run(fetches, feeds)
            return answers

        # What looks at every op asks the session itself.
        answer.session, answer.fetches = session, fetches  # type: ignore[attr-defined]
        return answer

    def open_converter(self, source: ModelSource) -> TFLiteConverter:
        import tensorflow as tf

        assert source.signature is not None
        shapes, outputs = _shapes_and_outputs(source.signature)
        opened = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph
        with tempfile.NamedTemporaryFile(suffix=".pb") as file:
            file.write(self.graph_def(source.path).SerializeToString())
            file.flush()
            return opened(file.name, list(shapes), outputs, shapes)

    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> list[str]:
        assert signature is not None
        shapes, outputs = _shapes_and_outputs(signature)
        return [
            "converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(",
            f"    source, {list(shapes)!r}, {outputs!r}, {shapes!r}",
            ")",
        ]


def _shapes_and_outputs(
    signature: Signature,
) -> tuple[dict[str, list[int | None] | None], list[str]]:
    shapes = {s.name: None if s.shape is None else list(s.shape) for s in signature.inputs}
    return shapes, [spec.name for spec in signature.outputs]


class TextGraphDef(GraphDef):
    """A GraphDef written as text (``.pbtxt``)."""

    id = "graph_def_text"
    suffixes = (".pbtxt",)
    is_text = True

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return re.match(rb"\s*(?:#|node\b|library|versions?\b)", head) is not None


class MetaGraph(GraphDef):
    """A MetaGraph (``.meta``), as a TF1 Saver writes it beside a checkpoint."""

    id = "meta_graph"
    suffixes: ClassVar[tuple[str, ...]] = (".meta",)
    message = "MetaGraphDef"

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        # A GraphDef begins with a node, and that with its name: the same field as the version of a
        # MetaGraph, which nobody writes. So the field after the first length tells them apart.
        if head[:1] != b"\x0a":
            return False
        length = next((n for n in range(1, _LENGTH_BYTES) if head[n : n + 1] < b"\x80"), 0)
        return head[length + 1 : length + 2] in (b"\x12", b"\x22", b"\x2a")

    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> list[str]:
        return [
            *(line.replace("'source'", "source") for line in self.graph_def_code("source")),
            'source = "graph.pb"',
            'open(source, "wb").write(graph_def.SerializeToString())',
            *super().converter_code(signature, keys),
        ]


class TextMetaGraph(MetaGraph):
    """A MetaGraph written as text."""

    id = "meta_graph_text"
    suffixes = ()
    is_text = True

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return re.match(rb"\s*meta_i", head) is not None
