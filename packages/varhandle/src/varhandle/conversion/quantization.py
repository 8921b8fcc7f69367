"""Quantize: fewer bits for weights and activations.

``quantize`` converts with a recipe of ``facts.recipes``, in a child process; ``quantize_file``
quantizes a .tflite file that is converted already, calibration included. No TensorFlow is imported
into this process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from varhandle.conversion.converter import convert
from varhandle.conversion.quantization_debugger import (
    QuantizationError,
    converter_calls,
    failure_reason,
    layer_errors,
    layer_label,
    quantize_selectively,
)
from varhandle.display import Rich, RichTable, Table
from varhandle.facts.recipes import Recipe, find_recipe
from varhandle.formats import read_graph
from varhandle.graph import Signature, TensorSpec, shape_fits
from varhandle.progress_bar import busy
from varhandle.sandbox import run_isolated
from varhandle.tflite.tensor_ranges import Ranges, quantized_ranges

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]
Call = Mapping[str, Any] | Any
"""One call: input name to array, or the array alone where there is one input."""


@dataclass(frozen=True, repr=False, eq=False)
class Quantized(RichTable):
    """A .tflite file that a recipe made."""

    recipe: Recipe
    content: bytes
    calls: int  # with which it was calibrated; 0 if it needs none
    float_layers: tuple[str, ...]  # output tensors of those that a selective recipe left in float

    @property
    def ranges(self) -> Ranges:
        """What each quantized tensor of the file can hold."""
        return quantized_ranges(self.content)

    def __repr__(self) -> str:
        calibrated = f", calibrated with {self.calls} calls" if self.calls else ""
        return f"Quantized({self.recipe.name}: {len(self.content):,} bytes{calibrated})"

    def _table(self) -> Table:
        in_float = ", ".join(layer_label(name) for name in self.float_layers)
        rows = [
            ("recipe", f"{self.recipe.name}: {self.recipe.what}"),
            ("size", f"{len(self.content):,} bytes"),
            ("calibrated with", f"{self.calls} calls" if self.calls else "nothing"),
            ("layers in float", in_float or ("none" if self.recipe.calibrated else "not chosen")),
        ]
        return ("", "quantized"), rows, f"Quantized: {self.recipe.name}"


def quantize(
    source: str | os.PathLike[str],
    recipe: str,
    calibration: Sequence[Any] | None = None,
    *,
    timeout: float = 300.0,
) -> Quantized:
    """Convert a SavedModel or a Keras file with a recipe, in a child process.

    The calls of ``calibration``, for a recipe that needs some, are an array each where the model
    has one input, or a list of arrays in the order of its inputs. A selective recipe leaves the
    layer with the largest measured error in float.

    Raises:
        UnknownRecipeError: There is no such recipe (a ``ValueError``).
        ModelFileError: There is no such model, or it is of another format.
        ValueError: The recipe needs calibration calls and got none.
        QuantizationError: The converter refuses, crashes or hangs.
        NotTrustedError: It brings code along.
    """
    chosen = find_recipe(recipe)
    calls = converter_calls(calibration or ()) if chosen.calibrated else []
    if chosen.calibrated and not calls:
        raise ValueError(f"the recipe {chosen.name} needs calibration: give at least one call")
    in_float: tuple[str, ...] = ()
    if chosen.selective:
        worst = layer_errors(source, calls, timeout=timeout).worst(1)
        in_float = tuple(layer.tensor for layer in worst)
        record = quantize_selectively(source, calls, in_float, timeout)
    else:
        settings = replace(chosen.settings, representative_dataset=calls or None)
        record = convert(source, settings=settings, timeout=timeout).record
    if not record.ok:
        raise QuantizationError(f"{chosen.name}: no file ({failure_reason(record)})")
    return Quantized(chosen, record.value, len(calls), in_float)


@dataclass(frozen=True, repr=False, eq=False)
class QuantizedFile(Rich):
    """A .tflite file that was quantized after its conversion."""

    content: bytes
    bytes_before: int  # size of the file that it was made of
    calls: Mapping[str, int]  # signature to number of calibration calls

    def __repr__(self) -> str:
        calls = ", ".join(f"{name}: {count} calls" for name, count in self.calls.items())
        return (
            f"QuantizedFile({self.bytes_before} bytes before, {len(self.content)} after; "
            f"calibrated with {calls})"
        )


def quantize_file(
    content: bytes,
    calibration: Sequence[Call] | Mapping[str, Sequence[Call]],
    *,
    activation_bits: int = 8,
    float_tensors: Sequence[str] = (),
    timeout: float = 300.0,
) -> QuantizedFile:
    """Quantize a .tflite file after its conversion: int8 weights, calibrated activations.

    Google's ai-edge-quantizer does it, in a child process: on a damaged file its calibration may
    end the process. Each range spans the smallest and the largest value that was met, and not a
    moving average, which would lie below a value that grows from call to call. Inputs and outputs
    of dtype float32 become integers; feed them by scale and zero point (``check_parity`` does).

    ``calibration`` has the calls in their order: an array each, or a mapping of input name to array
    where there are several inputs. For several signatures, give a mapping of signature name to
    calls: one without calls cannot be quantized. ``activation_bits`` is 8, or 16 for int16
    activations beside int8 weights.

    ``float_tensors`` stay float32, and so does the op that computes one; name them as the signature
    or the file does. Of the inputs, and of the outputs, one name keeps all. Name a state that has
    no bound: whatever range calibration finds, it grows out of it.

    Raises:
        ModelFileError: ``content`` is no .tflite file, or a damaged one.
        KeyError: There is no such signature, input or tensor.
        ValueError: There is no calibration call, a call's array has another shape or dtype than
            the input, the file is quantized already, has no signature, or several and the calls do
            not say which.
        QuantizationError: The quantizer refuses, crashes or hangs.
    """
    if activation_bits not in (8, 16):
        raise ValueError(f"activations take 8 or 16 bits here, and not {activation_bits}")
    joined, copies = _joined(content)
    in_float = _tensor_names(joined, [copies.get(name, name) for name in float_tensors])
    if quantized_ranges(content).tensors:
        raise ValueError("the file is quantized already: give the float file that it was made of")
    named = _named_calibration(read_graph(content).signatures, calibration)
    with busy("calibrating and quantizing"):
        record = run_isolated(
            _quantize_file,
            joined,
            named,
            activation_bits,
            in_float,
            timeout=timeout,
            tensorflow=False,
        )
    if not record.ok:
        raise QuantizationError(f"the file could not be quantized ({failure_reason(record)})")
    if record.value is None:
        beside = " beside what stays in float" if in_float else ""
        raise QuantizationError(
            f"the file has no op to quantize{beside}", "take the float file, without a recipe"
        )
    counts = {name: len(calls) for name, calls in named.items()}
    made = _separated(record.value) if copies else record.value
    return QuantizedFile(made, len(content), counts)


def _joined(content: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a file without the copies that give each output its tensor, and what they copy."""
    from varhandle.tflite.flatbuffer import pack, unpack
    from varhandle.tflite.own_outputs import join_outputs

    model, copies = join_outputs(unpack(content))
    return (pack(model) if copies else content), copies


def _separated(content: bytes) -> bytes:
    from varhandle.tflite.flatbuffer import pack, unpack
    from varhandle.tflite.own_outputs import separate_outputs

    model = unpack(content, "the quantized file")
    separate_outputs(model)
    return pack(model)


def _tensor_names(content: bytes, wanted: Sequence[str]) -> list[str]:
    """Return the file's names of tensors that may be named as the signatures name them."""
    from varhandle.tflite.flatbuffer import decode, tensor_maps, unpack

    model = unpack(content)
    every = {decode(one.name) for subgraph in model.subgraphs for one in subgraph.tensors}
    names = {name: {name} for name in every}
    for signature in model.signatureDefs or ():
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in tensor_maps(signature):
            names.setdefault(decode(entry.name), set()).add(decode(tensors[entry.tensorIndex].name))
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise KeyError(f"no tensor {', '.join(unknown)} in the file: name one that it has")
    return sorted(set().union(*(names[name] for name in wanted)))


def _named_calibration(
    signatures: Sequence[Signature], calibration: Sequence[Call] | Mapping[str, Sequence[Call]]
) -> dict[str, list[dict[str, Array]]]:
    """Give every call its signature and every array its input's name."""
    inputs = {found.name: {spec.name: spec for spec in found.inputs} for found in signatures}
    known = ", ".join(inputs)
    if not inputs:
        raise ValueError("the file has no signature to calibrate; convert it with one")
    if isinstance(calibration, Mapping):
        by_signature = dict(calibration)
    elif len(inputs) > 1:
        raise ValueError(f"which signature? there are: {known}")
    else:
        by_signature = {next(iter(inputs)): calibration}
    if not by_signature or not all(map(len, by_signature.values())):
        raise ValueError("there are no calls of a signature: give at least one call of each")
    unknown = sorted(set(by_signature) - set(inputs))
    if unknown:
        raise KeyError(f"no signature {', '.join(unknown)}; there are: {known}")
    return {
        name: [_named_call(call, inputs[name]) for call in calls]
        for name, calls in by_signature.items()
    }


def _named_call(call: Call, inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Return the arrays of a call as the inputs take them, or say why they do not."""
    if not isinstance(call, Mapping):
        if len(inputs) != 1:
            raise KeyError(f"name the inputs of a call: {', '.join(inputs)}")
        call = {next(iter(inputs)): call}
    if set(call) != set(inputs):
        raise KeyError(f"the file takes {', '.join(inputs)}, and not {', '.join(call)}")
    named = {}
    for name, value in call.items():
        array, spec = np.asarray(value), inputs[name]
        if array.dtype.kind != np.dtype(spec.dtype).kind:
            raise ValueError(f"the input {name} takes dtype {spec.dtype}, and not {array.dtype}")
        if spec.shape is not None and not shape_fits(array.shape, spec.shape):
            shapes = f"{list(spec.shape)}, and not {list(array.shape)}"
            raise ValueError(f"the input {name} takes shape {shapes}")
        named[name] = array.astype(spec.dtype, copy=False)
    return named


def _quantize_file(
    content: bytes,
    calibration: Mapping[str, list[dict[str, Array]]],
    activation_bits: int,
    float_tensors: Sequence[str],
) -> bytes | None:
    """Calibrate and quantize, in the child process; ``None`` where no op is to be quantized."""
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
    if not (ranges := calibrating.get_model_qsvs()):
        return None
    result = quantizer.Quantizer(bytearray(content), chosen).quantize(
        ranges, enable_progress_bar=False, enable_progress_report=False
    )
    return _with_signed_outputs(bytes(result.quantized_model))


def _with_signed_outputs(content: bytes) -> bytes:
    """Give a file the outputs that its signatures name.

    Where an output stays float and an int8 op reads it as well, ai-edge-quantizer 0.10 makes the
    QUANTIZE op's tensor the output of the subgraph and leaves the signature as it was: the
    interpreter then finds no data in what the signature names. Where an output is given twice and
    becomes float by a DEQUANTIZE op, the signature may go on to name the int8 tensor.
    """
    from varhandle.tflite.flatbuffer import indices, op_name, pack, unpack

    model = unpack(content, "the quantized file")
    changed = False
    for signature in model.signatureDefs or ():
        subgraph = model.subgraphs[signature.subgraphIndex]
        changed = _name_dequantized(model, signature) or changed
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


def _name_dequantized(model: schema.ModelT, signature: schema.SignatureDefT) -> bool:
    """Let a signature name the outputs that the subgraph gives in float; return if it did not."""
    from varhandle.tflite.flatbuffer import indices, op_name

    subgraph = model.subgraphs[signature.subgraphIndex]
    given, changed = set(indices(subgraph.outputs)), False
    float_of = {
        indices(operator.inputs)[0]: indices(operator.outputs)[0]
        for operator in subgraph.operators or ()
        if op_name(model, operator) == "DEQUANTIZE" and indices(operator.outputs)[0] in given
    }
    for entry in signature.outputs or ():
        index = int(entry.tensorIndex)
        if index not in given and index in float_of:
            entry.tensorIndex, changed = float_of[index], True
    return changed
