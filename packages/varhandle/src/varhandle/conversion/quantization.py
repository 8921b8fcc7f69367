"""Quantize: fewer bits for weights and activations, and what that costs.

A recipe is plain data: what to set on the converter. ``quantize`` converts with one, in a child
process; ``quantize_file`` quantizes a .tflite file that is converted already, calibration included.
``layer_errors`` measures which layers lose most, and ``compare_recipes`` sets size, accuracy and
latency of several files side by side. No TensorFlow is imported into this process.

Scheme, as in the specification of TensorFlow Lite's 8-bit quantization: a real value is
``scale * (integer - zero_point)``. So a tensor can hold nothing outside the range that its dtype,
scale and zero point span: what is larger *saturates*.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.conversion.converter import convert
from varhandle.display import Rich, table_html, table_text
from varhandle.errors import VarhandleError
from varhandle.evaluate.latency import Latency, compare_latency
from varhandle.evaluate.session import Session
from varhandle.facts.recipes import Recipe, find_recipe
from varhandle.formats import ModelFormat, format_of, read_graph
from varhandle.formats.base import ModelSource
from varhandle.formats.trust import check_trust
from varhandle.graph import ModelFileError, Signature, TensorSpec
from varhandle.progress_bar import busy, steps
from varhandle.sandbox import Record, run_isolated

Array = npt.NDArray[Any]
Call = Mapping[str, Any] | Any
"""One call: input name to array, or the array alone where there is one input."""


class QuantizationError(VarhandleError, ValueError):
    """A file could not be quantized; the message says in one line why."""


@dataclass(frozen=True, repr=False, eq=False)
class Quantized(Rich):
    """A .tflite file that a recipe made.

    Attributes:
        recipe: The recipe.
        content: The file.
        calls: How many calls it was calibrated with; 0 if it needs none.
        float_layers: Output tensors of the layers that a selective recipe left in float.
        seconds: How long the conversion took.
    """

    recipe: Recipe
    content: bytes
    calls: int
    float_layers: tuple[str, ...]
    seconds: float

    @property
    def ranges(self) -> Ranges:
        """What each quantized tensor of the file can hold."""
        return quantized_ranges(self.content)

    def _rows(self) -> list[tuple[str, object]]:
        kept = ", ".join(layer_label(name) for name in self.float_layers)
        return [
            ("recipe", f"{self.recipe.name}: {self.recipe.what}"),
            ("size", f"{len(self.content):,} bytes"),
            ("calibrated with", f"{self.calls} calls" if self.calls else "nothing"),
            ("layers in float", kept or ("none" if self.recipe.calibrated else "not chosen")),
        ]

    def __repr__(self) -> str:
        calibrated = f", calibrated with {self.calls} calls" if self.calls else ""
        return f"Quantized({self.recipe.name}: {len(self.content):,} bytes{calibrated})"

    def decode(self) -> str:
        """Return what was done and what came of it."""
        return table_text(("", "quantized"), self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        return table_html(("", "quantized"), self._rows(), f"Quantized: {self.recipe.name}")


def quantize(
    source: str | os.PathLike[str],
    recipe: str | Recipe,
    calibration: Sequence[Any] | None = None,
    *,
    float_layers: Sequence[str] = (),
    timeout: float = 300.0,
) -> Quantized:
    """Convert a model with a recipe, in a child process.

    Raises:
        UnknownRecipeError: There is no such recipe (a ``ValueError``).
        ModelFileError: There is no such model, or it is of another format.
        ValueError: The recipe needs calibration calls and got none, or ``float_layers`` names a
            tensor that no layer gives.
        QuantizationError: The converter refuses, crashes or hangs.
        NotTrustedError: It brings code along.
    """
    chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
    calls = [_listed_call(call) for call in calibration or ()] if chosen.calibrated else []
    if chosen.calibrated and not calls:
        raise ValueError(f"the recipe {chosen.name} needs calibration: give at least one call")
    if chosen.selective:
        return _quantize_selectively(source, chosen, calls, tuple(float_layers), timeout)
    settings = replace(chosen.settings, representative_dataset=calls or None)
    conversion = convert(source, settings=settings, timeout=timeout)
    if conversion.content is None:
        raise QuantizationError(f"{chosen.name}: no file: {_reason(conversion.record)}")
    return Quantized(chosen, conversion.content, len(calls), (), conversion.record.seconds)


def _listed_call(call: Any) -> list[Array]:
    return [np.asarray(value) for value in (call if isinstance(call, (list, tuple)) else [call])]


def _quantize_selectively(
    source: str | os.PathLike[str],
    recipe: Recipe,
    calls: list[list[Array]],
    float_layers: tuple[str, ...],
    timeout: float,
) -> Quantized:
    measured = layer_errors(source, calls, timeout=timeout)
    known = {layer.tensor for layer in measured.layers}
    unknown = [name for name in float_layers if name not in known]
    if unknown:  # the converter would leave everything in int8, without a word
        raise ValueError(f"no layer's output tensor is called {', '.join(unknown)}")
    if not float_layers:
        float_layers = tuple(layer.tensor for layer in measured.worst(1))
    with busy(f"converting, {len(float_layers)} layers in float"):
        record = run_isolated(
            _selective, os.fspath(source), _debuggable(source), calls, float_layers, timeout=timeout
        )
    if not record.ok:
        raise QuantizationError(f"{recipe.name}: no file: {_reason(record)}")
    return Quantized(recipe, record.value, len(calls), float_layers, record.seconds)


def _debuggable(source: str | os.PathLike[str]) -> ModelFormat:
    """Return the format of a model that may be loaded; one that brings code along may not."""
    graph = read_graph(source)
    model_format = format_of(graph)
    if not model_format.can_debug_quantization:
        raise ModelFileError(source, "neither a SavedModel nor a Keras file")
    check_trust(graph, trust=False)
    return model_format


def _debugger(
    source: str,
    model_format: ModelFormat,
    calls: list[list[Array]],
    float_layers: Sequence[str] = (),
) -> Any:
    """Return TensorFlow's QuantizationDebugger for an int8 model, in the child process."""
    import tensorflow as tf

    converter = model_format.open_converter(ModelSource(model_format.path_to_load(source)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(calls)
    lite = tf.lite.experimental
    return lite.QuantizationDebugger(
        converter=converter,
        debug_dataset=lambda: iter(calls),
        debug_options=lite.QuantizationDebugOptions(denylisted_nodes=list(float_layers)),
    )


def _selective(
    source: str, model_format: ModelFormat, calls: list[list[Array]], float_layers: Sequence[str]
) -> bytes:
    debugger = _debugger(source, model_format, calls, float_layers)
    return bytes(debugger.get_nondebug_quantized_model())


ROUNDING_ALONE = 1 / math.sqrt(12)
"""Root mean square error of rounding to whole steps, in steps: 0.29.

That is the standard deviation of an error spread evenly over one step."""


@dataclass(frozen=True)
class LayerError:
    """How far the int8 answers of one layer are from its float answers.

    Both get the same int8 inputs, so the error is the layer's own.

    Attributes:
        layer: A short name for people: the Keras layer's where there is one.
        op: Such as ``"CONV_2D"``.
        error: Root mean square error, in the real unit of the layer's output.
        scale: Real size of one int8 step of the output.
        tensor: Full name of the output tensor, which a selective recipe takes.
    """

    layer: str
    op: str
    error: float
    scale: float
    tensor: str

    @property
    def steps(self) -> float:
        """The error in int8 steps (RMSE / scale), rounded; rounding alone makes 0.29."""
        return round(self.error / self.scale, 2) if self.scale else 0.0


@dataclass(frozen=True, repr=False)
class LayerErrors(Rich):
    """The errors of a model's layers, the worst first.

    Attributes:
        layers: Sorted by error in int8 steps, largest first; the order of the file among equals.
    """

    layers: tuple[LayerError, ...]

    def worst(self, count: int = 1) -> tuple[LayerError, ...]:
        """Return the layers with the largest errors in steps."""
        return self.layers[:count]

    def __repr__(self) -> str:
        listed = ", ".join(f"{one.layer} {one.steps:.2f}" for one in self.layers)
        return f"LayerErrors(in int8 steps: {listed})"

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (one.layer, one.op, f"{one.error:.4f}", f"{one.scale:.4f}", f"{one.steps:.2f}")
            for one in self.layers
        ]

    def decode(self) -> str:
        """Return a line for each layer."""
        return table_text(_LAYER_HEADERS, self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        caption = f"Error of each layer; rounding alone makes {ROUNDING_ALONE:.2f} steps"
        return table_html(_LAYER_HEADERS, self._rows(), caption)


_LAYER_HEADERS = ("layer", "op", "error", "one step", "error in steps")


def layer_errors(
    source: str | os.PathLike[str], calibration: Sequence[Any], *, timeout: float = 300.0
) -> LayerErrors:
    """Measure what int8 costs each layer, with TensorFlow's QuantizationDebugger, in a child.

    Raises:
        ModelFileError: There is no such model, or it is of another format.
        ValueError: There is no call.
        QuantizationError: The debugger refuses, crashes or hangs.
    """
    calls = [_listed_call(call) for call in calibration]
    if not calls:
        raise ValueError("layer errors need at least one call")
    with busy("measuring the layers"):
        record = run_isolated(
            _layer_statistics, os.fspath(source), _debuggable(source), calls, timeout=timeout
        )
    if not record.ok:
        raise QuantizationError(f"the layers could not be measured: {_reason(record)}")
    return read_layer_statistics(record.value)


def _layer_statistics(source: str, model_format: ModelFormat, calls: list[list[Array]]) -> str:
    debugger = _debugger(source, model_format, calls)
    debugger.run()
    written = io.StringIO()
    debugger.layer_statistics_dump(written)
    return written.getvalue()


def read_layer_statistics(statistics: str) -> LayerErrors:
    """Read what ``QuantizationDebugger.layer_statistics_dump`` writes.

    Raises:
        ValueError: It is another table.
    """
    try:
        found = [
            LayerError(
                layer_label(row["tensor_name"]),
                row["op_name"],
                math.sqrt(float(row["mean_squared_error"])),
                float(row["scale"]),
                row["tensor_name"],
            )
            for row in csv.DictReader(io.StringIO(statistics))
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no layer statistics of the QuantizationDebugger ({error})") from error
    return LayerErrors(tuple(sorted(found, key=lambda one: -one.steps)))


def layer_label(tensor: str) -> str:
    """Return a short name for an op's output tensor."""
    first = tensor.partition(";")[0].partition(":")[0]
    if re.fullmatch(r"(Stateful)?PartitionedCall(_\d+)?", first):
        return "output"
    scopes = first.split("/")
    if len(scopes) < 3:
        return scopes[0]
    added = re.search(r"_\d+$", scopes[0])
    return scopes[-2].removesuffix(added[0]) if added else scopes[-2]


@dataclass(frozen=True)
class Measured:
    """What one file costs and what it can do.

    Attributes:
        name: Its name.
        size: Bytes.
        right: Inputs whose largest answer is at the label's place.
        moved: Inputs whose largest answer is elsewhere than in the first file.
        latency: Of one inference, fed and answered in the dtypes of the file.
    """

    name: str
    size: int
    right: int
    moved: int
    latency: Latency


@dataclass(frozen=True, repr=False)
class RecipeTable(Rich):
    """Files beside each other, the first of which is the measure of the others.

    Attributes:
        rows: One a file, in the order they were given.
        total: How many inputs were classified.
    """

    rows: tuple[Measured, ...]
    total: int

    def __getitem__(self, name: str) -> Measured:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def ratio(self, name: str) -> float:
        """Return how many times as long as the first file one takes, median by median.

        Raises:
            KeyError: There is no such file.
        """
        return self[name].latency.median / self.rows[0].latency.median

    def __repr__(self) -> str:
        listed = ", ".join(f"{row.name} {row.size:,} bytes" for row in self.rows)
        return f"RecipeTable({listed})"

    def _headers(self) -> tuple[str, ...]:
        first = self.rows[0].name
        right = f"right of {self.total}"
        timing = ("median µs", "quartiles µs", f"times {first}")
        return ("recipe", "bytes", "share", right, "moved", *timing)

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                row.name,
                row.size,
                f"{row.size / self.rows[0].size:.2f}",
                row.right,
                row.moved,
                f"{1000 * row.latency.median:.1f}",
                f"{1000 * row.latency.lower_quartile:.1f} to "
                f"{1000 * row.latency.upper_quartile:.1f}",
                f"{self.ratio(row.name):.2f}",
            )
            for row in self.rows
        ]

    def decode(self) -> str:
        """Return a line for each file."""
        return table_text(self._headers(), self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        caption = "Size, accuracy and latency of one inference, on this machine"
        return table_html(self._headers(), self._rows(), caption)


def compare_recipes(
    files: Mapping[str, bytes],
    inputs: Array,
    labels: Array,
    *,
    runs: int = 2000,
    warm_up: int = 100,
) -> RecipeTable:
    """Measure files of one classifier: size, accuracy and latency.

    The files run in this process, on one thread, with the default delegates: give files that you
    trust. For the latency they take turns, so that a machine that slows down slows all of them.

    Raises:
        ValueError: There are no files or no inputs, or not a label for each input.
        ModelFileError: A file is no .tflite file.
        RuntimeError: The interpreter refuses a file.
    """
    if not files:
        raise ValueError("there is no file to compare")
    if len(inputs) != len(labels) or not len(inputs):
        raise ValueError(f"a label for each input, please: {len(inputs)} and {len(labels)}")
    sessions = {name: Session(content) for name, content in files.items()}
    classes = {
        name: _classes(session, inputs)
        for name, session in steps(list(sessions.items()), "classifying")
    }
    latencies = compare_latency(
        {name: session.interpreter.invoke for name, session in sessions.items()},
        runs=runs,
        warm_up=warm_up,
        label="timing the recipes in turns",
    )
    first = next(iter(classes.values()))
    rows = [
        Measured(
            name,
            len(content),
            int(np.sum(classes[name] == labels)),
            int(np.sum(classes[name] != first)),
            latencies[name],
        )
        for name, content in files.items()
    ]
    return RecipeTable(tuple(rows), len(inputs))


def count_right(content: bytes, inputs: Array, labels: Array) -> int:
    """Return how many inputs a classifier's file names rightly.

    Raises:
        ModelFileError: It is no .tflite file.
        RuntimeError: The interpreter refuses it.
    """
    return int(np.sum(_classes(Session(content), inputs) == labels))


def _classes(session: Session, inputs: Array) -> Array:
    """Return the class of each input. The session quantizes and dequantizes where it must."""
    output = next(iter(session.outputs))
    return np.array([session(one[np.newaxis])[output].argmax() for one in inputs])


@dataclass(frozen=True, repr=False, eq=False)
class QuantizedFile(Rich):
    """A .tflite file that was quantized after its conversion.

    Attributes:
        content: The quantized file.
        bytes_before: Size of the file that it was made of.
        calls: Signature to number of calibration calls.
        seconds: How long calibration and quantization took.
    """

    content: bytes
    bytes_before: int
    calls: Mapping[str, int]
    seconds: float

    @property
    def ranges(self) -> Ranges:
        """The ranges that the calibration left in the file."""
        return quantized_ranges(self.content)

    def __repr__(self) -> str:
        calls = ", ".join(f"{name}: {count} calls" for name, count in self.calls.items())
        return (
            f"QuantizedFile({self.bytes_before} bytes before, {len(self.content)} after; "
            f"calibrated with {calls})"
        )

    def decode(self) -> str:
        """Return the line of the ``repr``."""
        return repr(self)


@dataclass(frozen=True)
class TensorRange:
    """What a quantized tensor can hold.

    Attributes:
        name: The tensor's name; the signature's own name for an input or output.
        role: ``"input"``, or the op that computes the tensor, such as ``"READ_VARIABLE"``.
        dtype: Such as ``"int8"``.
        scale: Real size of one step; the first one where each channel has its own.
        zero_point: The integer that stands for 0.0.
        smallest: Smallest real value that the tensor can hold.
        largest: Largest real value that it can hold.
    """

    name: str
    role: str
    dtype: str
    scale: float
    zero_point: int
    smallest: float
    largest: float


@dataclass(frozen=True, repr=False)
class Ranges(Rich):
    """The ranges of a file's quantized activations: inputs, and what ops compute.

    Attributes:
        tensors: In the order of the file.
    """

    tensors: tuple[TensorRange, ...]

    def __getitem__(self, name: str) -> TensorRange:
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def of_op(self, op: str) -> tuple[TensorRange, ...]:
        """Return the ranges of what an op computes."""
        return tuple(tensor for tensor in self.tensors if tensor.role == op)

    def __repr__(self) -> str:
        return f"Ranges({len(self.tensors)} quantized tensors)"

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                tensor.name,
                tensor.role,
                tensor.dtype,
                f"{tensor.scale:.4g}",
                tensor.zero_point,
                f"{tensor.smallest:.4g} to {tensor.largest:.4g}",
            )
            for tensor in self.tensors
        ]

    def decode(self) -> str:
        """Return a line for each tensor."""
        return table_text(_RANGE_HEADERS, self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        return table_html(_RANGE_HEADERS, self._rows(), "What each quantized tensor can hold")


_RANGE_HEADERS = ("tensor", "computed by", "dtype", "scale", "zero point", "range")


def quantize_file(
    content: bytes,
    calibration: Sequence[Call] | Mapping[str, Sequence[Call]],
    *,
    signature: str | None = None,
    activation_bits: int = 8,
    float_tensors: Sequence[str] = (),
    timeout: float = 300.0,
) -> QuantizedFile:
    """Quantize a .tflite file after its conversion: int8 weights, calibrated activations.

    Google's ai-edge-quantizer does it, in a child process: on a damaged file its calibration may
    end the process. Each range spans the smallest and the largest value that was met, and not a
    moving average, which would lie below a value that grows from call to call. Inputs and outputs
    of dtype float32 become integers; feed them by scale and zero point (``check_parity`` does).
    Name a state that has no bound among the ``float_tensors``: whatever range calibration finds
    for it, it grows out of.

    Raises:
        ModelFileError: ``content`` is no .tflite file, or a damaged one.
        KeyError: The file has no such signature, the signature no such input, or the file no such
            tensor.
        ValueError: There is no calibration call, a call's array has another shape or dtype than
            the input, the file is quantized already, it has no signature, or it has several and
            none is named.
        QuantizationError: The quantizer refuses, crashes or hangs.
    """
    if activation_bits not in (8, 16):
        raise ValueError(f"activations take 8 or 16 bits here, and not {activation_bits}")
    kept = _tensor_names(content, float_tensors)
    if quantized_ranges(content).tensors:
        raise ValueError("the file is quantized already: give the float file that it was made of")
    named = _named_calibration(read_graph(content).signatures, calibration, signature)
    with busy("calibrating and quantizing"):
        record = run_isolated(
            _quantize_file, content, named, activation_bits, kept, timeout=timeout, tensorflow=False
        )
    if not record.ok:
        raise QuantizationError(f"the file could not be quantized: {_reason(record)}")
    counts = {name: len(calls) for name, calls in named.items()}
    return QuantizedFile(record.value, len(content), counts, record.seconds)


def _tensor_names(content: bytes, wanted: Sequence[str]) -> list[str]:
    """Return the file's names of tensors that may be named as the signatures name them."""
    from varhandle.tflite.flatbuffer import decode, unpack

    model = unpack(content, "<bytes>")
    names: dict[str, set[str]] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            names.setdefault(decode(tensor.name), set()).add(decode(tensor.name))
    for signature in model.signatureDefs or ():
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            names.setdefault(decode(entry.name), set()).add(decode(tensors[entry.tensorIndex].name))
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise KeyError(f"no tensor {', '.join(unknown)} in the file")
    return sorted(set().union(*(names[name] for name in wanted)))


def _reason(record: Record) -> str:
    message = " ".join(record.message.split())[:300]
    return message if record.outcome != "raised" else f"{record.exception_type}: {message}"


def _named_calibration(
    signatures: Sequence[Signature],
    calibration: Sequence[Call] | Mapping[str, Sequence[Call]],
    signature: str | None,
) -> dict[str, list[dict[str, Array]]]:
    """Give every call its signature and every array its input's name."""
    inputs = {found.name: {spec.name: spec for spec in found.inputs} for found in signatures}
    if not inputs:
        raise ValueError("the file has no signature to calibrate; convert it with one")
    if isinstance(calibration, Mapping):
        by_signature = {str(name): list(calls) for name, calls in calibration.items()}
    else:
        if signature is None and len(inputs) > 1:
            raise ValueError(f"which signature? there are: {', '.join(inputs)}")
        by_signature = {next(iter(inputs)) if signature is None else signature: list(calibration)}
    if not by_signature or not all(by_signature.values()):
        raise ValueError("calibration needs at least one call of each signature")
    unknown = sorted(set(by_signature) - set(inputs))
    if unknown:
        raise KeyError(f"no signature {', '.join(unknown)}; there are: {', '.join(inputs)}")
    return {
        name: [_named_call(call, inputs[name]) for call in calls]
        for name, calls in by_signature.items()
    }


def _named_call(call: Call, inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    if not isinstance(call, Mapping):
        if len(inputs) != 1:
            raise KeyError(f"name the inputs of a call: {', '.join(inputs)}")
        call = {next(iter(inputs)): call}
    if set(call) != set(inputs):
        raise KeyError(f"the inputs are {', '.join(inputs)}, and not {', '.join(call)}")
    return {name: _fitting(name, np.asarray(value), inputs[name]) for name, value in call.items()}


def _fitting(name: str, array: Array, spec: TensorSpec) -> Array:
    """Return an array as an input takes it, or say why it does not."""
    if array.dtype.kind != np.dtype(spec.dtype).kind:
        raise ValueError(f"the input {name} is of dtype {spec.dtype}, and not {array.dtype}")
    shape = array.shape if spec.shape is None else spec.shape
    fits = len(shape) == array.ndim and all(
        size in (None, own) for size, own in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"the input {name} has the shape {list(shape)}, and not {list(array.shape)}"
        )
    return array.astype(spec.dtype, copy=False)


def _quantize_file(
    content: bytes,
    calibration: Mapping[str, list[dict[str, Array]]],
    activation_bits: int,
    float_tensors: Sequence[str],
) -> bytes:
    """Calibrate and quantize, in the child process."""
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    chosen = recipe.static_wi8_ai8() if activation_bits == 8 else recipe.static_wi8_ai16()
    for name in float_tensors:  # an op goes by the names of its outputs; the last rule wins
        op = rf"(^|;){re.escape(name)}(;|$)"
        chosen.append({"regex": op, "operation": "*", "algorithm_key": "no_quantize"})
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(chosen)
    calibrating = calibrator.Calibrator(
        content, num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    calibrating.calibrate(calibration, manager)
    result = quantizer.Quantizer(bytearray(content), chosen).quantize(
        calibrating.get_model_qsvs(), enable_progress_bar=False, enable_progress_report=False
    )
    return _with_signed_outputs(bytes(result.quantized_model))


def _with_signed_outputs(content: bytes) -> bytes:
    """Give a file the outputs that its signatures name.

    Where an output stays float and an int8 op reads it as well, ai-edge-quantizer 0.10 makes the
    QUANTIZE op's tensor the output of the subgraph and leaves the signature as it was: the
    interpreter then finds no data in what the signature names.
    """
    from varhandle.tflite.flatbuffer import indices, op_name, pack, unpack

    model = unpack(content, "the quantized file")
    changed = False
    for signature in model.signatureDefs or ():
        subgraph = model.subgraphs[signature.subgraphIndex]
        named = {int(entry.tensorIndex) for entry in signature.outputs or ()}
        float_of = {
            indices(operator.outputs)[0]: indices(operator.inputs)[0]
            for operator in subgraph.operators or ()
            if op_name(model, operator) == "QUANTIZE"
        }
        outputs = [
            float_of[index] if index not in named and float_of.get(index) in named else index
            for index in indices(subgraph.outputs)
        ]
        changed = changed or outputs != indices(subgraph.outputs)
        subgraph.outputs = np.array(outputs, np.int32)
    return pack(model) if changed else content


def quantized_ranges(content: bytes) -> Ranges:
    """Read what each quantized activation of a .tflite file can hold.

    Raises:
        ModelFileError: It is no .tflite file, or a damaged one.
    """
    from varhandle.tflite.flatbuffer import decode, unpack

    model = unpack(content, "<bytes>")
    names = {
        (signature.subgraphIndex, entry.tensorIndex): decode(entry.name)
        for signature in model.signatureDefs or ()
        for entry in (*(signature.inputs or ()), *(signature.outputs or ()))
    }
    found = []
    for number, subgraph in enumerate(model.subgraphs):
        for index, role in _roles(model, subgraph).items():
            tensor = subgraph.tensors[index]
            quantization = tensor.quantization
            if quantization is None or quantization.scale is None or not len(quantization.scale):
                continue
            name = names.get((number, index), _short(decode(tensor.name)))
            found.append(_range(name, role, tensor, quantization))
    return Ranges(tuple(found))


def _roles(model: Any, subgraph: Any) -> dict[int, str]:
    """Return the tensors that a call fills, and what fills them."""
    from varhandle.tflite.flatbuffer import indices, op_name

    roles = dict.fromkeys(indices(subgraph.inputs), "input")
    for operator in subgraph.operators or ():
        for index in indices(operator.outputs):
            if index >= 0:
                roles[index] = op_name(model, operator)
    return roles


def _short(name: str) -> str:
    """Return the first of the layers that were fused into one, without its scopes' numbers."""
    return name.partition(";")[0]


#: Number of a dtype in the schema's TensorType -> NumPy's name.
_DTYPES = {2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8"}


def _range(name: str, role: str, tensor: Any, quantization: Any) -> TensorRange:
    dtype = _DTYPES.get(tensor.type, f"type {tensor.type}")
    limits = np.iinfo(dtype) if dtype in _DTYPES.values() else np.iinfo("int8")
    scale = float(quantization.scale[0])
    zero_points = quantization.zeroPoint
    zero_point = int(zero_points[0]) if zero_points is not None and len(zero_points) else 0
    smallest, largest = (scale * (int(end) - zero_point) for end in (limits.min, limits.max))
    return TensorRange(name, role, dtype, scale, zero_point, smallest, largest)
