"""The SavedModel: a folder with ``saved_model.pb`` and its variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.formats.base import (
    LoadedModel,
    ModelFormat,
    ModelSource,
    RefusedByLibraryError,
    TFLiteConverter,
)
from varhandle.formats.custom_code import import_custom
from varhandle.formats.foreign import NAME_MODEL, hint_of_folder
from varhandle.formats.regular_file import check_folder
from varhandle.graph import Graph, ModelFileError, Signature

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant, Constants

SAVED_MODEL_FILE = "saved_model.pb"
SAVED_MODEL_FILES = (SAVED_MODEL_FILE, "saved_model.pbtxt")
"""The file that makes a folder a SavedModel, binary or as text; TensorFlow takes the first."""


def _file_in(folder: Path) -> Path | None:
    found = (folder / name for name in SAVED_MODEL_FILES)
    return next((path for path in found if path.is_file()), None)


class SavedModel(ModelFormat):
    """A SavedModel, given by its folder or by the file in it."""

    id = "saved_model"
    can_debug_quantization = True

    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        return path is not None and (path.is_dir() or path.name in SAVED_MODEL_FILES)

    def read(self, path: Path) -> Graph:
        from varhandle.formats.saved_model_reader import read_saved_model

        folder = path if path.is_dir() else path.parent
        found = _file_in(folder)
        if found is None:
            if any(os.path.lexists(folder / name) for name in SAVED_MODEL_FILES):
                check_folder(folder)  # it says what is there and is no file
            fault = f"no SavedModel: there is no {SAVED_MODEL_FILE} in this folder"
            raise ModelFileError(path, f"{fault}{hint_of_folder(folder) or NAME_MODEL}")
        return read_saved_model(found, str(path))

    def path_to_load(self, source: str | os.PathLike[str]) -> str:
        path = Path(source)
        return str(path.parent if path.name in SAVED_MODEL_FILES else path)

    def lacks_signature(self, graph: Graph) -> bool:
        return not graph.signatures

    def call_signature(self, graph: Graph, name: str | None) -> Signature | None:
        return graph.signature(name) if name else None

    def constants(self, graph: Graph, content: bytes | None = None) -> Constants:
        from varhandle.formats.saved_model_reader import meta_graphs
        from varhandle.formats.tensor_proto import constants_of_graph_def

        path = _file_in(Path(self.path_to_load(graph.source)))
        assert path is not None  # it was read
        return constants_of_graph_def(meta_graphs(path, graph.source)[0].graph_def, path)

    def variable_values(self, graph: Graph) -> dict[str, Constant]:
        from varhandle.formats.checkpoint import checkpoint_values
        from varhandle.formats.saved_model_reader import meta_graphs, variable_keys

        folder = Path(self.path_to_load(graph.source))
        path = _file_in(folder)
        assert path is not None  # it was read
        if not (folder / "variables" / "variables.index").exists():
            return {}
        held = checkpoint_values(folder / "variables" / "variables")
        keys = variable_keys(meta_graphs(path, graph.source)[0], folder, graph.source)
        return {name: held[key] for name, key in keys.items() if key in held}

    def load(self, source: ModelSource) -> LoadedModel:
        import tensorflow as tf

        import_custom(source.imports)  # it may register ops, as TensorFlow Text does
        load_old_optimizers()
        loaded = tf.saved_model.load(source.path)
        first = source.signature.name if source.signature else next(iter(loaded.signatures))

        def answer(call: Mapping[str, Any], signature: str | None = None) -> Mapping[str, Any]:
            # The closure holds ``loaded``: a signature alone does not keep its variables alive.
            function = loaded.signatures[signature or first]
            # An argument is named as Python can; its spec keeps the signature's name for it.
            specs = function.structured_input_signature[1].values()
            dtypes = {spec.name: spec.dtype for spec in specs}
            tensors = {n: tf.convert_to_tensor(v, dtypes[n]) for n, v in call.items()}
            return dict(function(**tensors))

        return answer

    def open_converter(self, source: ModelSource) -> TFLiteConverter:
        import tensorflow as tf

        import_custom(source.imports)
        load_old_optimizers()
        try:
            return tf.lite.TFLiteConverter.from_saved_model(
                source.path, signature_keys=list(source.keys) or None
            )
        except MemoryError:
            raise
        except Exception as error:  # it loads the model
            raise RefusedByLibraryError(f"{type(error).__name__}: {error}") from error

    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> list[str]:
        return [
            "converter = tf.lite.TFLiteConverter.from_saved_model(",
            f"    source, signature_keys={list(keys) or ['serving_default']!r}",
            ")",
        ]


def load_old_optimizers() -> None:
    """Let TensorFlow load what a model was trained with, where that was an optimizer of Keras 2.

    ``tf.saved_model.load`` asks the optimizer for its slot variables, and only Keras 2 has a class
    that gives them. No signature reads them; empty ones do.
    """
    import tensorflow as tf

    class Optimizer(tf.Module):
        def add_slot(self, var: Any, slot_name: str) -> Any:
            return tf.Variable(tf.zeros_like(var), trainable=False, name=slot_name)

    loading = tf.__internal__.saved_model.load
    made = loading.VersionedTypeRegistration(
        lambda _: Optimizer(), version=2, min_producer_version=1, min_consumer_version=1
    )
    loading.register_revived_type("optimizer", lambda _: False, versions=[made])
