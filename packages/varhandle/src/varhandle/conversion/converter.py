"""Convert: make a .tflite file in a child process, and say what the converter did.

A conversion can abort its process, it leaks memory, and its most useful lines go to the C++ log.
So ``convert`` runs it isolated, and gives back the file or the failure as data.
``inspect_conversion`` looks into a .tflite file. Neither imports TensorFlow into this process.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from varhandle.display import Rich, RichTable, Table, join_all, panel_html
from varhandle.facts.recipes import ConverterSettings
from varhandle.formats import ModelFormat, format_of, read_graph
from varhandle.formats.base import ModelSource
from varhandle.formats.custom_code import Import
from varhandle.formats.trust import check_trust
from varhandle.graph import Graph, ModelFileError, Signature, Variable
from varhandle.graph.model import NO_MODEL
from varhandle.progress_bar import busy
from varhandle.sandbox import OpError, Record, run_isolated
from varhandle.tflite.file_identifier import check_identifier


@dataclass(frozen=True, repr=False)
class Converted(RichTable):
    """What a .tflite file holds, all but the ops sorted by name.

    A variable that the model only reads became a constant when it was converted; it is among the
    variables only if its value was not found.
    """

    size: int  # bytes
    ops: Counter[str] = field(hash=False)  # op to number of nodes, over all subgraphs
    signatures: tuple[Signature, ...]
    variables: tuple[Variable, ...]
    flex_ops: tuple[str, ...]  # ops that need the Flex delegate
    custom_ops: tuple[str, ...]  # ops that need a kernel of one's own

    @property
    def uninitialized(self) -> tuple[str, ...]:
        """Names of the variables that are read, and that no ``CALL_ONCE`` gives a first value."""
        return tuple(v.name for v in self.variables if v.reads and not v.initialized)

    def __repr__(self) -> str:
        parts = [
            _kilobytes(self.size),
            f"signatures: {join_all(signature.name for signature in self.signatures)}",
            f"variables: {len(self.variables)}",
        ]
        if self.uninitialized:
            parts[-1] += f", of these NOT initialized: {len(self.uninitialized)}"
        if self.flex_ops:
            parts.append(f"Flex ops: {join_all(self.flex_ops)}")
        if self.custom_ops:
            parts.append(f"custom ops: {join_all(self.custom_ops)}")
        return f"Converted({'; '.join(parts)})"

    def _table(self) -> Table:
        rows = [
            ("size", _kilobytes(self.size)),
            ("ops", join_all(f"{op} ({count})" for op, count in sorted(self.ops.items()))),
        ]
        for signature in self.signatures:
            inputs = ", ".join(spec.name for spec in signature.inputs)
            outputs = ", ".join(spec.name for spec in signature.outputs)
            rows.append(("signature", f"{signature.name}({inputs}) -> {outputs}"))
        if not self.signatures:
            rows.append(("signature", "none"))
        for variable in self.variables:
            shape = "" if variable.shape is None else list(variable.shape)
            state = "initialized" if variable.initialized else "NOT initialized"
            rows.append(("variable", f"{variable.name}: {variable.dtype} {shape}, {state}"))
        if not self.variables:
            rows.append(("variable", "none"))
        rows.append(("ops that need Flex", join_all(self.flex_ops)))
        rows.append(("custom ops", join_all(self.custom_ops)))
        return ("part", "in the file"), rows, "What the .tflite file holds"


def _kilobytes(size: int) -> str:
    return f"{size / 1000:.1f} kB"  # of 1000 bytes, as sizes of model files are commonly given


def inspect_conversion(content: bytes) -> Converted:
    """Look into a .tflite file; ``ModelFileError`` if it is none, or a damaged one."""
    if not isinstance(content, (bytes, bytearray, memoryview)):
        what = type(content).__name__
        raise ModelFileError(f"<{what}>", "the bytes of a .tflite file are wanted")
    check_identifier(content)  # read_graph would take other bytes for a GraphDef
    graph = read_graph(content)
    custom = {node.op for node in graph.nodes if node.attributes.get("custom")}
    flex = {op for op in custom if op.startswith("Flex")}
    return Converted(
        size=len(content),
        ops=graph.op_counts(),
        signatures=graph.signatures,
        variables=graph.variables,
        flex_ops=tuple(sorted(flex)),
        custom_ops=tuple(sorted(custom - flex)),
    )


@dataclass(frozen=True, repr=False, eq=False)
class Conversion(Rich):
    """A conversion that ran in a child process, and the record of what came of it."""

    record: Record

    @property
    def content(self) -> bytes | None:
        """The .tflite file; ``None`` if the converter wrote none."""
        return self.record.value

    @property
    def errors(self) -> tuple[OpError, ...]:
        """The entries of ``ConverterError.errors``, each (op, code) once, sorted."""
        return self.record.errors

    def __repr__(self) -> str:
        if self.content is not None:
            return f"Conversion({inspect_conversion(self.content)!r})"
        return f"Conversion(no file: {self.record!r})"

    def text(self) -> str:
        """Return what is in the file, or why there is none."""
        if self.content is not None:
            return inspect_conversion(self.content).text()
        return self.record.text()

    def html(self) -> str:
        """Return the same as a panel."""
        if self.content is not None:
            return panel_html("neutral", "converted", inspect_conversion(self.content).html())
        return self.record.html()


def convert(
    source: str | os.PathLike[str] | Graph,
    *,
    settings: ConverterSettings | None = None,
    signature_keys: Sequence[str] | None = None,
    trust: bool = False,
    timeout: float = 300.0,
    imports: Sequence[Import] = (),
) -> Conversion:
    """Convert a SavedModel, a Keras file or a frozen GraphDef in a child process.

    Nothing that the converter does is raised here. ``signature_keys`` are those of a SavedModel to
    convert, all if ``None``. With ``trust``, code that the file brings along may run; ``imports``
    are what it needs of the user's own (``custom_code.check_imports``).

    Raises:
        ModelFileError: There is no such model, or it is of another format.
        NotTrustedError: It brings code along, and ``trust`` is not given (a ``ValueError``).
        ValueError: The model has no such signature.
    """
    graph = source if isinstance(source, Graph) else read_graph(source)
    model_format = format_of(graph)
    if model_format.is_converted:
        raise ModelFileError(graph.source, NO_MODEL)
    check_trust(graph, trust)  # Keras ignores safe_mode for a .h5 file: nothing later would stop it
    keys = list(signature_keys or ())
    names = [signature.name for signature in graph.signatures]
    unknown = [key for key in keys if key not in names]
    if unknown:
        raise ValueError(f"no signature {join_all(unknown)}; there are: {join_all(names)}")
    path, called = model_format.path_to_load(graph.source), model_format.call_signature(graph, None)
    opened = ModelSource(path, called, tuple(keys), trust, tuple(imports))
    with busy("converting"):
        record = run_isolated(
            _converted, model_format, opened, settings, timeout=timeout, reads=opened.reads
        )
    return Conversion(record)


def _converted(
    model_format: ModelFormat, source: ModelSource, settings: ConverterSettings | None
) -> bytes:
    """Convert, in the child process."""
    import tensorflow as tf

    converter = model_format.open_converter(source)
    if settings is not None:
        spec, samples = converter.target_spec, settings.representative_dataset
        spec.supported_ops = [tf.lite.OpsSet[name] for name in settings.supported_ops]
        spec.supported_types = [tf.as_dtype(name) for name in settings.supported_types]
        converter.optimizations = [tf.lite.Optimize[name] for name in settings.optimizations]
        converter.inference_input_type = tf.as_dtype(settings.inference_input_type)
        converter.inference_output_type = tf.as_dtype(settings.inference_output_type)
        converter.serialize_debug_metadata = settings.serialize_debug_metadata
        converter.unfold_batchmatmul = settings.unfold_batchmatmul
        converter.canonicalizing_inf_as_min_max_float = not settings.keep_infinities
        if samples is not None:
            converter.representative_dataset = lambda: iter(samples)
    content: bytes = converter.convert()
    return content
