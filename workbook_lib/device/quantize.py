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

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbook_lib.graph import Signature, TensorSpec, read_graph
from workbook_lib.isolated import Record, run_isolated
from workbook_lib.rendering import Rich, table_html, table_text
from workbook_lib.waiting import busy

Array = npt.NDArray[Any]
Call = Mapping[str, Any] | Any
"""One call: input name to array, or the array alone where there is one input."""


class QuantizationError(ValueError):
    """A file could not be quantized; the message says in one line why."""


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

    def text(self) -> str:
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
        """Return the ranges of what an op computes.

        Args:
            op: Such as ``"READ_VARIABLE"``, or ``"input"``.

        Returns:
            The tensors, in the order of the file.
        """
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

    def text(self) -> str:
        """Return a line for each tensor."""
        return table_text(_RANGE_HEADERS, self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        return table_html(_RANGE_HEADERS, self._rows(), "what each quantized tensor can hold")


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

    Args:
        content: A float .tflite file with signatures.
        calibration: The calls to calibrate with, in their order: for each an array, or a mapping
            of input name to array where there are several inputs. For several signatures, a
            mapping of signature name to calls; a signature without calls cannot be quantized.
        signature: Which signature the calls are for; the only one if ``None``.
        activation_bits: 8, or 16 for int16 activations beside int8 weights.
        float_tensors: Tensors that stay float32, by the signature's name or the file's: so does
            the op that computes one. Of the inputs, and of the outputs, one name keeps all.
        timeout: Seconds that it may take.

    Returns:
        The quantized file.

    Raises:
        ModelFileError: ``content`` is no .tflite file, or a damaged one.
        KeyError: The file has no such signature, the signature no such input, or the file no such
            tensor.
        ValueError: There is no calibration call, a call's array has another shape or dtype than
            the input, the file has no signature, or it has several and none is named.
        QuantizationError: The quantizer refuses, crashes or hangs.
    """
    if activation_bits not in (8, 16):
        raise ValueError(f"activations take 8 or 16 bits here, and not {activation_bits}")
    kept = _tensor_names(content, float_tensors)
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
    from workbook_lib.device.tflite_edit import take_apart, text

    model = take_apart(content, "<bytes>")
    names: dict[str, set[str]] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            names.setdefault(text(tensor.name), set()).add(text(tensor.name))
    for signature in model.signatureDefs or ():
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            names.setdefault(text(entry.name), set()).add(text(tensors[entry.tensorIndex].name))
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
    from workbook_lib.device.tflite_edit import numbers, op_name, put_together, take_apart

    model = take_apart(content, "the quantized file")
    changed = False
    for signature in model.signatureDefs or ():
        subgraph = model.subgraphs[signature.subgraphIndex]
        named = {int(entry.tensorIndex) for entry in signature.outputs or ()}
        float_of = {
            numbers(operator.outputs)[0]: numbers(operator.inputs)[0]
            for operator in subgraph.operators or ()
            if op_name(model, operator) == "QUANTIZE"
        }
        outputs = [
            float_of[index] if index not in named and float_of.get(index) in named else index
            for index in numbers(subgraph.outputs)
        ]
        changed = changed or outputs != numbers(subgraph.outputs)
        subgraph.outputs = np.array(outputs, np.int32)
    return put_together(model) if changed else content


def quantized_ranges(content: bytes) -> Ranges:
    """Read what each quantized activation of a .tflite file can hold.

    Args:
        content: The file.

    Returns:
        The ranges of all quantized tensors that are no constants, main subgraph first.

    Raises:
        ModelFileError: It is no .tflite file, or a damaged one.
    """
    from workbook_lib.device.tflite_edit import take_apart, text

    model = take_apart(content, "<bytes>")
    names = {
        (signature.subgraphIndex, entry.tensorIndex): text(entry.name)
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
            name = names.get((number, index), _short(text(tensor.name)))
            found.append(_range(name, role, tensor, quantization))
    return Ranges(tuple(found))


def _roles(model: Any, subgraph: Any) -> dict[int, str]:
    """Return the tensors that a call fills, and what fills them."""
    from workbook_lib.device.tflite_edit import numbers, op_name

    roles = dict.fromkeys(numbers(subgraph.inputs), "input")
    for operator in subgraph.operators or ():
        for index in numbers(operator.outputs):
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
