"""What int8 costs each layer, by TensorFlow's QuantizationDebugger, which also leaves some out.

It runs in a child process: no TensorFlow is imported into this one.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import RichTable, Table
from varhandle.errors import VarhandleError
from varhandle.facts.recipes import TAKE_ANOTHER
from varhandle.formats import ModelFormat, format_of, read_graph
from varhandle.formats.base import ModelSource
from varhandle.formats.trust import check_trust
from varhandle.graph import ModelFileError
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_isolated

ConverterCall = list[npt.NDArray[Any]]
"""One call: an array for each input, in the model's order."""

_ROUNDING_ALONE = 1 / math.sqrt(12)
"""Root mean square error of rounding, in steps: that of an error spread evenly over one step."""


_GIVE_DUMP = "give what its layer_statistics_dump writes"
_RUN_DEBUGGER = "convert the model first, and give inputs that it takes"


class QuantizationError(VarhandleError, ValueError):
    """The converter, or a quantizer, made no file.

    Attributes:
        fault: Why, in one line.
        step: What to do instead.
    """

    def __init__(self, fault: str, step: str = TAKE_ANOTHER) -> None:
        self.fault, self.step = fault, step
        super().__init__(f"{fault}: {step}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.fault, self.step)


def failure_reason(record: Record) -> str:
    """Return in one line why a child process made no file."""
    message = " ".join(record.message.split())[:300]
    return message if record.outcome != "raised" else f"{record.exception_type}: {message}"


@dataclass(frozen=True)
class LayerError:
    """How far the int8 answers of one layer are from its float answers.

    Both get the same int8 inputs, so the error is the layer's own.
    """

    layer: str  # a short name for people: the Keras layer's where there is one
    op: str  # such as "CONV_2D"
    error: float  # root mean square error, in the real unit of the layer's output
    scale: float  # real size of one int8 step of the output
    tensor: str  # full name of the output tensor, which a selective recipe takes

    @property
    def steps(self) -> float:
        """The error in int8 steps (RMSE / scale), rounded; rounding alone makes 0.29."""
        return round(self.error / self.scale, 2) if self.scale else 0.0


@dataclass(frozen=True, repr=False)
class LayerErrors(RichTable):
    """The errors of a model's layers, by int8 steps, largest first; equals in the file's order."""

    layers: tuple[LayerError, ...]

    def worst(self, count: int = 1) -> tuple[LayerError, ...]:
        """Return the layers with the largest errors in steps, the worst first."""
        return self.layers[:count]

    def __repr__(self) -> str:
        listed = ", ".join(f"{one.layer} {one.steps:.2f}" for one in self.layers)
        return f"LayerErrors(in int8 steps: {listed})"

    def _table(self) -> Table:
        rows = [
            (one.layer, one.op, f"{one.error:.4f}", f"{one.scale:.4f}", f"{one.steps:.2f}")
            for one in self.layers
        ]
        caption = f"Error of each layer; rounding alone makes {_ROUNDING_ALONE:.2f} steps"
        return ("layer", "op", "error", "one step", "error in steps"), rows, caption


def converter_calls(calls: Sequence[Any]) -> list[ConverterCall]:
    """Return calibration calls as the converter wants them: a list of arrays each."""
    return [
        [np.asarray(value) for value in (call if isinstance(call, (list, tuple)) else [call])]
        for call in calls
    ]


def layer_errors(
    source: str | os.PathLike[str], calibration: Sequence[Any], *, timeout: float = 300.0
) -> LayerErrors:
    """Measure what int8 costs each layer, on the calls that calibrate it too.

    ``source`` and ``calibration`` are as ``quantize`` takes them.

    Raises:
        ModelFileError: There is no such model, or it is of another format.
        ValueError: There is no call.
        QuantizationError: The debugger refuses, crashes or hangs.
    """
    calls = converter_calls(calibration)
    if not calls:
        raise ValueError("there is no call to measure with: give at least one")
    with busy("measuring the layers"):
        model_format, opened = _debuggable(source)
        record = run_isolated(
            _layer_statistics, model_format, opened, calls, timeout=timeout, reads=opened.reads
        )
    if not record.ok:
        fault = f"the layers could not be measured ({failure_reason(record)})"
        raise QuantizationError(fault, _RUN_DEBUGGER)
    return read_layer_statistics(record.value)


def quantize_selectively(
    source: str | os.PathLike[str],
    calls: list[ConverterCall],
    float_layers: Sequence[str],
    timeout: float,
) -> Record:
    """Quantize to int8, some layers left in float; the record's value is the file."""
    with busy(f"converting, {len(float_layers)} layers in float"):
        model_format, opened = _debuggable(source)
        return run_isolated(
            *(_selective, model_format, opened, calls, float_layers),
            timeout=timeout,
            reads=opened.reads,
        )


def _debuggable(source: str | os.PathLike[str]) -> tuple[ModelFormat, ModelSource]:
    """Return how to open a model that may be loaded; one that brings code along may not."""
    graph = read_graph(source)
    model_format = format_of(graph)
    if not model_format.can_debug_quantization:
        raise ModelFileError(source, "neither a SavedModel nor a Keras file: give one of these")
    check_trust(graph, trust=False)
    return model_format, ModelSource(model_format.path_to_load(source))


def _debugger(
    model_format: ModelFormat,
    source: ModelSource,
    calls: list[ConverterCall],
    float_layers: Sequence[str],
) -> Any:
    """Return TensorFlow's QuantizationDebugger for an int8 model, in the child process."""
    import tensorflow as tf

    converter = model_format.open_converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(calls)
    lite = tf.lite.experimental
    return lite.QuantizationDebugger(
        converter=converter,
        debug_dataset=lambda: iter(calls),
        debug_options=lite.QuantizationDebugOptions(denylisted_nodes=list(float_layers)),
    )


def _selective(
    model_format: ModelFormat,
    source: ModelSource,
    calls: list[ConverterCall],
    float_layers: Sequence[str],
) -> bytes:
    debugger = _debugger(model_format, source, calls, float_layers)
    return bytes(debugger.get_nondebug_quantized_model())


def _layer_statistics(
    model_format: ModelFormat, source: ModelSource, calls: list[ConverterCall]
) -> str:
    debugger = _debugger(model_format, source, calls, ())
    debugger.run()
    written = io.StringIO()
    debugger.layer_statistics_dump(written)
    return written.getvalue()


def read_layer_statistics(statistics: str) -> LayerErrors:
    """Read the CSV that ``QuantizationDebugger.layer_statistics_dump`` writes.

    ``ValueError`` if it is another table.
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
        fault = f"no layer statistics of the QuantizationDebugger ({error})"
        raise ValueError(f"{fault}: {_GIVE_DUMP}") from error
    return LayerErrors(tuple(sorted(found, key=lambda one: -one.steps)))


def layer_label(tensor: str) -> str:
    """Return a short name for an op's output tensor: its innermost scope.

    ``"digits_classifier_1/edges_1/Relu;digits_classifier_1/edges_1/BiasAdd"`` is ``"edges"``:
    Keras adds a number to every scope of a model that was called before. What a signature returns,
    which the converter names after the call, is ``"output"``.
    """
    first = tensor.partition(";")[0].partition(":")[0]
    if re.fullmatch(r"(Stateful)?PartitionedCall(_\d+)?", first):
        return "output"
    scopes = first.split("/")
    if len(scopes) < 3:
        return scopes[0]
    added = re.search(r"_\d+$", scopes[0])
    return scopes[-2].removesuffix(added[0]) if added else scopes[-2]
