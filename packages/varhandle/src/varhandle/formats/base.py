"""What a format of model files is to the rest of the tool.

To add one, see "Add a file format" in CONTRIBUTING.md.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from varhandle.errors import InternalError
from varhandle.formats.custom_code import Import, read_folders
from varhandle.formats.regular_file import check_folder
from varhandle.graph import Graph, ModelFileError, Signature
from varhandle.graph.access_order import unordered_accesses

if TYPE_CHECKING:
    from varhandle.formats.constants import Constant, Constants

LoadedModel = Callable[[Mapping[str, Any], str | None], Mapping[str, Any]]
"""A loaded model, in inference mode: the inputs of one call by name, and the name of the signature
(``None`` for the one that it was loaded for), to its outputs by name."""

TFLiteConverter = Any
"""TensorFlow's, which comes without types and is not imported here."""


CALLED_WITH_TRAINING = "called with training=True"
"""Attribute of a layer's node: the model works as in training there, whoever calls it."""


TAKEN_BY_KEY = "taken by key"
"""Attribute of an input's node: the key in the dictionary that the model takes."""


OF_NO_MODULE = "of no module"
"""Attribute of an operation's node: the file has its class by name alone, and Keras finds none."""


@dataclass(frozen=True)
class ModelSource:
    """What a child process needs to open a model."""

    path: str  # as ``ModelFormat.path_to_load`` gives it
    signature: Signature | None = None  # as ``ModelFormat.call_signature`` gives it
    keys: tuple[str, ...] = ()  # the signatures to convert; none stands for all
    trust: bool = False
    imports: tuple[Import, ...] = ()  # the user's own code that the model needs

    @property
    def reads(self) -> tuple[str, ...]:
        """The files and folders that a locked process must be able to read."""
        path = Path(self.path)
        elsewhere = check_folder(path) if path.is_dir() else []
        return (self.path, *map(str, elsewhere), *read_folders(self.imports))


class RefusedByLibraryError(InternalError, ValueError):
    """A model's own library does not load it; the message is the library's, of one line."""


class ModelFormat(ABC):
    """A format of model files: all that is special about it, and the only place that knows it.

    Nothing else compares formats. Where another part has to do one thing for some formats and
    another for the rest, it asks a question that is answered here. An object has no state of its
    own, so it can be sent to a child process.
    """

    id: ClassVar[str]  # ``Graph.format``, and the word for it in JSON
    suffixes: ClassVar[tuple[str, ...]] = ()  # how such files are commonly named, in lower case
    without_mark: ClassVar[str] = ""
    """What is wrong with a file of such a name that is not recognized; no fault if empty."""

    rules_of: ClassVar[str] = ""
    """The ``id`` of the format whose rules of families hold for this one; its own if empty."""

    is_converted = False  # whether it is what the converter makes, with no model beside it
    shows_ops = True  # whether it shows ops, and so reads, assigns and the dtypes it calculates in
    needs_checkpoint = False  # whether the values of variables lie in a checkpoint of another file
    can_export = False  # whether the loaded model can be exported as a SavedModel
    can_debug_quantization = False  # whether the QuantizationDebugger takes its converter

    @abstractmethod
    def recognizes(self, head: bytes, path: Path | None = None) -> bool:
        """Tell from its first 8 bytes whether a file is of this format; folders have none."""

    def is_named(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether the name of a file is one that such files commonly have."""
        return Path(path).suffix.lower() in self.suffixes

    @abstractmethod
    def read(self, path: Path) -> Graph:
        """Read a model; raises ``ModelFileError`` or ``OSError``."""

    def read_bytes(self, data: bytes | memoryview, source: str) -> Graph:
        """Read a model in memory, where the format has any there; raises ``ModelFileError``."""
        raise ModelFileError(source, "such a model is not read from memory: give its path")

    def constants(self, graph: Graph, content: bytes | None = None) -> Constants:
        """Return the constants of a model that was read, where the file shows them as such.

        ``content`` is the file itself, of a format that is read from memory.
        """
        return {}

    def variable_values(self, graph: Graph) -> Mapping[str, Constant]:
        """Return the values that a model's file holds for its variables, by their names.

        Raises ``ModelFileError`` or ``OSError``.
        """
        return {}

    def path_to_load(self, source: str | os.PathLike[str]) -> str:
        """Return what TensorFlow opens, where that is not the path that was read."""
        return os.fspath(source)

    def source_code(self, path: str) -> tuple[list[str], str]:
        """Write what comes before loading the model at a path; return it, and what is loaded."""
        return [], self.path_to_load(path)

    def lacks_signature(self, graph: Graph) -> bool:
        """Tell whether the converter refuses a model because it has no signature."""
        return False

    @abstractmethod
    def call_signature(self, graph: Graph, name: str | None) -> Signature | None:
        """Return what a call of a signature, or of a model without any, passes and gets.

        ``None`` where the file does not show it. Raises ``KeyError`` for an unknown name.
        """

    def left_to_chance(self, graph: Graph, names: Iterable[str | None]) -> str:
        """Say which variable a call of one of the signatures uses in no fixed order, if any."""
        for name in () if self.is_converted else names:
            called = self.call_signature(graph, name)
            pair = next(unordered_accesses(graph, called), None) if called else None
            if pair is not None:
                return str(pair)
        return ""

    @abstractmethod
    def load(self, source: ModelSource) -> LoadedModel:
        """Load a fresh copy with TensorFlow, in a child process."""

    @abstractmethod
    def open_converter(self, source: ModelSource) -> TFLiteConverter:
        """Open TensorFlow's converter on a model, in a child process."""

    @abstractmethod
    def converter_code(self, signature: Signature | None, keys: Sequence[str]) -> list[str]:
        """Write the lines that do so for the path ``source``, or a Keras ``model``."""
