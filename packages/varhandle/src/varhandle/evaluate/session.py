"""Run a .tflite file as a device does: LiteRT alone, no TensorFlow.

:class:`Session` opens a file that you trust in this process. :func:`infer` runs one that you do
not know in a child process: a file can end the process that runs it, and then a record says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - without it the interpreter does not give the dtype bfloat16
import numpy as np
import numpy.typing as npt

from varhandle.display import Rich, RichTable, Table, join_all, panel_html
from varhandle.errors import CHECK_PATH, UnknownNameError, VarhandleError, system_fault
from varhandle.formats.regular_file import read_regular
from varhandle.graph import ModelFileError, damaged_file, shape_fits
from varhandle.sandbox import Record, run_isolated
from varhandle.tflite.file_identifier import CURE_MAKES_ONE, check_identifier

Array = npt.NDArray[Any]
Model = bytes | bytearray | memoryview | str | os.PathLike[str]
"""A .tflite file: its bytes, or the path to it."""
Inputs = Mapping[str, Any] | Any
"""One call: name to array, the array alone where there is one input, ``None`` where there is none.
"""


class InputError(VarhandleError, ValueError):
    """A call's input does not fit the model; the message names the input and what it takes."""


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model, as the interpreter describes it."""

    name: str  # in the signature; the tensor's own where the file has no signature
    dtype: np.dtype[Any]  # ``bytes`` for strings
    shape: tuple[int, ...]  # with which the file was opened
    open_shape: tuple[int, ...]  # as the file declares it, -1 where a dimension is open
    scale: float  # real value of one step; 0.0 for a tensor that is not quantized
    zero_point: int  # the integer that stands for 0.0
    index: int  # the tensor's number, for ``set_tensor`` and ``get_tensor``

    @property
    def quantized(self) -> bool:
        """Whether its integers stand for real values."""
        return bool(self.scale) and self.dtype.kind in "iu"

    def quantize(self, values: Any) -> Array:
        """Return the integers for real values: divide by the scale, round, add the zero point.

        What lies outside the range of the dtype is clipped to it; halves round to the even one.
        """
        limits = np.iinfo(self.dtype)
        steps = np.round(np.asarray(values) / self.scale) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, integers: Array) -> Array:
        """Return float32 values of integers: subtract the zero point, multiply by the scale."""
        return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)


class Session(RichTable):
    """An opened .tflite file: call it with inputs, get its outputs by name.

    A session keeps its interpreter, so the variables of a stateful model live as long as it does.
    ``inputs`` and ``outputs`` map names to tensors; ``signature`` is ``None`` for a file without.
    """

    def __init__(
        self,
        model: Model,
        *,
        signature: str | None = None,
        delegates: bool = True,
        strict: bool = True,
        keep_tensors: bool = False,
        shared: Any = None,
        threads: int | None = None,
    ) -> None:
        """Open a .tflite file, for one of its signatures (the only one if ``None``).

        Without ``delegates``, XNNPACK and its like take nothing over, and the plain kernels run
        all. A shape that the file does not leave open is refused; if not ``strict``, the runtime
        tries it, and may answer with an error or a wrong result. With ``keep_tensors``, no tensor
        takes the place of another, so each can be read after a call. ``threads`` are those that an
        op may use; the runtime's own choice if ``None``. With ``shared``, an
        interpreter that has the file open, the session runs in it, beside those of other
        signatures, and shares their variables.

        Raises:
            ModelFileError: ``model`` cannot be read, or is no .tflite file.
            KeyError: It has no such signature.
            ValueError: It has several signatures and none was named.
            RuntimeError: The interpreter refuses the file; the message is its own.
        """
        content, source = model_bytes(model)
        check_identifier(content, source)
        self._strict = strict
        self.interpreter = shared or _open(content, source, delegates, keep_tensors, threads)
        self.signature = _chosen(list(self.interpreter.get_signature_list()), signature)
        self.inputs, self.outputs = _tensors(self.interpreter, self.signature)
        # The public set_tensor and invoke reach the main subgraph alone. The signature runner
        # reaches every subgraph, but plans the memory anew for each call.
        # While a runner lives, the public calls refuse: sessions that share have one each.
        main = self.signature is None or (shared is None and _runs_main(content, self.signature))
        self._runner = None if main else self.interpreter.get_signature_runner(self.signature)
        self._shapes: dict[str, tuple[int, ...]] = {}  # of the inputs, as far as memory is planned
        # Where more is open than the batch, the file's sizes are placeholders of 1, which an op may
        # refuse; after that the interpreter is of no use. So the first call plans the memory.
        if main and not any(_is_open(one.open_shape) for one in self.inputs.values()):
            self.interpreter.allocate_tensors()
            self._shapes = {name: one.shape for name, one in self.inputs.items()}

    @property
    def runs_main(self) -> bool:
        """Whether the signature is the main subgraph, which ``interpreter.invoke`` runs."""
        return self._runner is None

    def __call__(self, inputs: Inputs = None, *, raw: bool = False) -> dict[str, Array]:
        """Run the model once, and return new arrays by output name.

        Floats for a quantized input are quantized; integers are taken as they are. Quantized
        outputs are given as float32, unless ``raw``.

        Raises:
            KeyError: A name is not an input of the model, or an input is missing.
            InputError: A shape or dtype is not what the input takes.
            RuntimeError: The interpreter gives up; the message is its own.
        """
        fed = self._fed(inputs)
        got = self._invoke(fed) if self._runner is None else self._runner(**fed)
        if not raw:
            for name, output in self.outputs.items():
                if output.scale and output.quantized:
                    got[name] = output.dequantize(got[name])
        return got

    def _fed(self, inputs: Inputs) -> dict[str, Array]:
        """Return the arrays for the interpreter, each checked against its input."""
        if inputs is None:
            inputs = {}
        elif not isinstance(inputs, Mapping):
            if len(self.inputs) != 1:
                takes = f"{len(self.inputs)} inputs ({join_all(self.inputs)})"
                raise UnknownNameError(f"the model has {takes}: give them by name")
            inputs = {next(iter(self.inputs)): inputs}
        if inputs.keys() != self.inputs.keys():
            takes, got = join_all(self.inputs), join_all(inputs)
            raise UnknownNameError(f"the model takes {takes}, and not {got}")
        fed = {}
        for name, value in inputs.items():
            tensor = self.inputs[name]
            right = type(value) is np.ndarray and value.dtype == tensor.dtype
            array = value if right else _converted(value, tensor)
            if self._strict and not shape_fits(array.shape, tensor.open_shape):
                takes = f"input {name!r} takes shape {list(tensor.open_shape)}"
                raise InputError(f"{takes}, and not {list(array.shape)} (-1 is open)")
            fed[name] = array
        return fed

    def _invoke(self, fed: dict[str, Array]) -> dict[str, Array]:
        interpreter = self.interpreter
        if {name: array.shape for name, array in fed.items()} != self._shapes:
            self._resize(fed)
        for name, array in fed.items():
            interpreter.set_tensor(self.inputs[name].index, array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(one.index) for name, one in self.outputs.items()}

    def _resize(self, fed: dict[str, Array]) -> None:
        self._shapes = {}  # unknown again, should the interpreter refuse
        for name, array in fed.items():
            self.interpreter.resize_tensor_input(self.inputs[name].index, array.shape)
        self.interpreter.allocate_tensors()
        self._shapes = {name: array.shape for name, array in fed.items()}

    def __repr__(self) -> str:
        name = f"{self.signature}: " if self.signature else ""
        return f"Session({name}{join_all(self.inputs)} -> {join_all(self.outputs)})"

    def _title(self) -> str:
        return f"signature {self.signature}" if self.signature else "no signature"

    def _table(self) -> Table:
        rows: list[tuple[object, ...]] = []
        for side, named in (("input", self.inputs), ("output", self.outputs)):
            for one in named.values():
                steps = (f"{one.scale:.6g}", one.zero_point) if one.quantized else ("", "")
                rows.append((side, one.name, _dtype_name(one.dtype), list(one.open_shape), *steps))
        headers = ("", "name", "dtype", "shape", "scale", "zero point")
        return headers, rows, f"{self._title()}: inputs and outputs"

    def text(self) -> str:
        """Return a line for each input and output."""
        return f"{self._title()}\n{super().text()}"


@dataclass(frozen=True, repr=False)
class Inference(Rich):
    """What came of running a model in a process of its own, and how that process ended."""

    record: Record

    @property
    def ok(self) -> bool:
        """Whether every call was answered."""
        return self.record.ok

    @property
    def answers(self) -> tuple[dict[str, Array], ...]:
        """For each call, output name to array; empty unless all calls were answered."""
        return tuple(self.record.value) if self.ok else ()

    def _headline(self) -> str:
        if self.ok:
            return f"{len(self.answers)} call{'' if len(self.answers) == 1 else 's'} answered"
        if self.record.outcome == "crashed":
            return f"the process died, {self.record.exit_signal or 'with no word'}"
        return self.record.outcome

    def __repr__(self) -> str:
        return f"Inference({self._headline()})"

    def text(self) -> str:
        """Return how it went, and what a process said that did not answer."""
        failure = "" if self.ok else f"\n{self.record.text()}"
        return f"inference: {self._headline()}{failure}"

    def html(self) -> str:
        """Return the same as a panel."""
        tone, body = ("right", "") if self.ok else ("raised", self.record.html())
        return panel_html(tone, f"inference: {self._headline()}", body)


def infer(
    model: Model,
    calls: Sequence[Inputs],
    *,
    signature: str | None = None,
    delegates: bool = True,
    timeout: float = 60.0,
    memory_limit: int = 2 * 2**30,
) -> Inference:
    """Run an unknown model in a process of its own, over successive calls of one session.

    The process is ended after ``timeout`` seconds, or above ``memory_limit`` resident bytes. A file
    that is refused, or is no model, is a record too.

    Raises:
        ModelFileError: ``model`` cannot be read, or is no .tflite file.
        KeyError: A call names an input or signature that the model does not have.
        InputError: A call's input has a shape or dtype that the model does not take.
        ValueError: There are no calls.
    """
    if isinstance(calls, (Mapping, np.ndarray)) or not isinstance(calls, Sequence) or not calls:
        raise ValueError("calls must be a list of at least one call, each with its inputs")
    content, _ = model_bytes(model)
    record = run_isolated(
        _answers,
        content,
        list(calls),
        signature,
        delegates,
        timeout=timeout,
        memory_limit=memory_limit,
        tensorflow=False,
    )
    for mistake in (UnknownNameError, InputError):  # the caller's, not the file's
        if told := record.said_by(mistake):
            raise mistake(told)
    return Inference(record)


def _answers(
    model: bytes, calls: list[Inputs], signature: str | None, delegates: bool
) -> list[dict[str, Array]]:
    """Run successive calls. It may end the process."""
    session = Session(model, signature=signature, delegates=delegates)
    return [session(call) for call in calls]


def model_bytes(model: Model) -> tuple[bytes, str]:
    """Return bytes as they are, or those of a path, and how to call them in a message."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        return bytes(model), "<bytes>"
    path = Path(model)
    if path.is_dir():
        raise ModelFileError(path, f"a folder, and not a .tflite file; {CURE_MAKES_ONE}")
    try:
        return read_regular(path), str(path)
    except OSError as error:
        fault = f"cannot be read: {system_fault(error, CHECK_PATH)}"
        raise ModelFileError(path, fault) from error


def _open(
    content: bytes, source: str, delegates: bool, keep_tensors: bool, threads: int | None
) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        return Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.AUTO if delegates else plain,
            experimental_preserve_all_tensors=keep_tensors,
            num_threads=threads,
        )
    except ValueError as error:  # what the flatbuffer's verifier does not accept
        raise damaged_file(source, str(error)) from error


def _chosen(signatures: list[str], wanted: str | None) -> str | None:
    if wanted is not None and wanted not in signatures:
        known = ", ".join(signatures) or "none"
        raise UnknownNameError(f"no signature {wanted!r}; there are: {known}")
    if wanted is None and len(signatures) > 1:
        raise ValueError(f"the file has several signatures; name one of {', '.join(signatures)}")
    return wanted if wanted is not None or not signatures else signatures[0]


def _runs_main(content: bytes, signature: str) -> bool:
    """Whether a signature runs the main subgraph, which the interpreter does not tell.

    It is read in place: to unpack the file would take as long as to open it.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    definitions = (model.SignatureDefs(n) for n in range(model.SignatureDefsLength()))
    return any(
        one.SubgraphIndex() == 0
        for one in definitions
        if (one.SignatureKey() or b"").decode(errors="replace") == signature
    )


def _tensors(interpreter: Any, signature: str | None) -> tuple[dict[str, Tensor], ...]:
    """Describe inputs and outputs.

    The signature runner is let go: while one lives, the interpreter's own ``allocate_tensors``
    refuses, because it takes the runner for an array that looks into its memory.
    """
    if signature is None:
        details = interpreter.get_input_details(), interpreter.get_output_details()
        sides = tuple({one["name"]: one for one in side} for side in details)
    else:
        runner = interpreter.get_signature_runner(signature)
        sides = runner.get_input_details(), runner.get_output_details()
    return tuple({name: _tensor(name, one) for name, one in side.items()} for side in sides)


def _tensor(name: str, detail: Mapping[str, Any]) -> Tensor:
    held = detail["quantization_parameters"]
    has_one = len(held["scales"]) == 1
    return Tensor(
        name,
        np.dtype(detail["dtype"]),
        tuple(detail["shape"].tolist()),
        tuple(detail["shape_signature"].tolist()),
        float(held["scales"][0]) if has_one else 0.0,
        int(held["zero_points"][0]) if has_one else 0,
        int(detail["index"]),
    )


def _is_open(shape: tuple[int, ...]) -> bool:
    """Whether more of a shape is open than the batch; a single dimension is no batch."""
    return -1 in (shape[1:] or shape)


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return "string" if dtype.kind in "SU" else dtype.name


def _converted(value: Any, tensor: Tensor) -> Array:
    """Return a value in the dtype of its input, if nothing is lost but digits of a float."""
    array, dtype = np.asarray(value), tensor.dtype
    if dtype.kind in "SUO":
        if array.dtype.kind == "U":
            return np.char.encode(array, "utf-8")
        if array.dtype.kind in "SO":
            return array
    elif array.dtype == dtype:
        return array
    elif tensor.quantized and array.dtype.kind == "f":
        return tensor.quantize(array)
    elif _fits(array, dtype):
        return array.astype(dtype)
    wanted, got = _dtype_name(dtype), _dtype_name(array.dtype)
    raise InputError(f"input {tensor.name!r} takes {wanted}, and not {got}")


def _fits(array: Array, dtype: np.dtype[Any]) -> bool:
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return not array.size or bool(limits.min <= array.min() and array.max() <= limits.max)
    return array.dtype.kind in "biufc" and np.can_cast(array.dtype, dtype, "same_kind")
