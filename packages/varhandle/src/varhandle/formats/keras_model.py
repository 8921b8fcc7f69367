"""Whole Keras models: the ``.keras`` archive of Keras 3, and the HDF5 file of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from varhandle.formats.base import LoadedModel, ModelFormat, ModelSource, TFLiteConverter
from varhandle.formats.regular_file import open_regular
from varhandle.graph import Graph, ModelFileError, Signature

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant


class KerasModel(ModelFormat):
    """What both files have in common: once Keras has loaded them, there is no difference."""

    id = "keras"
    shows_ops = False
    can_export = True
    can_debug_quantization = True
    mark: ClassVar[bytes]
    """How such a file begins."""
    container: ClassVar[str]

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return head.startswith(self.mark)

    def read(self, path: Path) -> Graph:
        from varhandle.formats.keras_reader import read_keras

        # Keras goes by the name, and one file can be both: an archive is found from its end, and an
        # HDF5 file may have anything before it. What is read has to be what Keras would load.
        if path.suffix.lower() in {".keras", ".h5", ".hdf5"} and not self.is_named(path):
            fault = f"{self.container} whose name says {path.suffix}: Keras opens it by its name"
            raise ModelFileError(path, f"{fault}: call it {self.suffixes[0]}")
        return read_keras(path, is_archive=isinstance(self, KerasArchive))

    def call_signature(self, graph: Graph, name: str | None) -> None:
        return None

    def variable_values(self, graph: Graph) -> dict[str, Constant]:
        from varhandle.formats.keras_reader import read_keras_values

        path = Path(graph.source)
        with open_regular(path) as file:  # a graph does not tell which of the two it was read from
            is_archive = KerasArchive().recognizes(file.read(8))
        return read_keras_values(path, graph, is_archive)

    def load(self, source: ModelSource) -> LoadedModel:
        import tensorflow as tf

        from varhandle.formats.keras_loader import load_keras

        model = load_keras(source.path, source.trust, source.imports)
        # As Keras's own predict calls it: op by op, a recurrent layer takes a second for ten calls.
        called = tf.function(lambda inputs: model(inputs, training=False))

        def answer(call: Mapping[str, Any], _: str | None = None) -> Mapping[str, Any]:
            if len(call) == 1:
                return _named(called(next(iter(call.values()))))
            names = [tensor.name for tensor in model.inputs]
            inputs = dict(call) if set(names) == set(call) else list(call.values())
            return _named(called(inputs))

        return answer

    def open_converter(self, source: ModelSource) -> TFLiteConverter:
        import tensorflow as tf

        from varhandle.formats.keras_loader import load_keras

        model = load_keras(source.path, source.trust, source.imports)
        return tf.lite.TFLiteConverter.from_keras_model(model)

    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> list[str]:
        return ["converter = tf.lite.TFLiteConverter.from_keras_model(model)"]


class KerasArchive(KerasModel):
    """A ``.keras`` file: a zip archive of config and weights."""

    suffixes = (".keras",)
    without_mark = "no Keras file: it is no zip archive"
    mark = b"PK\x03\x04"
    container = "a zip archive"


class KerasHDF5(KerasModel):
    """A whole model in HDF5 format."""

    suffixes = (".h5", ".hdf5")
    without_mark = "no Keras file: it is not in HDF5 format"
    mark = b"\x89HDF\r\n\x1a\n"
    container = "an HDF5 file"


def _named(outputs: Any) -> dict[str, Any]:
    """Give the outputs of a Keras model names: its own, or their positions."""
    if isinstance(outputs, Mapping):
        return {str(name): value for name, value in outputs.items()}
    several = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {str(position): value for position, value in enumerate(several)}
