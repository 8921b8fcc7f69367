"""Run a .tflite file as a device does: LiteRT alone, no TensorFlow.

:class:`Session` opens a file that you trust in this process. :func:`infer` runs one that you do
not know in a child process: a file can end the process that runs it, and then a record says so.
Neither imports TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import Rich, RichTable, Table, join_all, panel_html
from varhandle.errors import VarhandleError
from varhandle.graph import ModelFileError, shape_fits
from varhandle.sandbox import Record, run_isolated
from varhandle.tflite.file_mark import check_mark

Array = npt.NDArray[Any]
Model = bytes | bytearray | memoryview | str | os.PathLike[str]
"""A .tflite file: its bytes, or the path to it."""
Inputs = Mapping[str, Any] | Any
"""One call: name to array, the array alone where there is one input, ``None`` where there is none.
"""

_GIB = 2**30
_MOST_THREADS = 1024  # more than any machine wants; at 100,000 the interpreter ends the process


class InputError(VarhandleError, ValueError):
    """A call's input does not fit the model; the message names the input and what it takes."""


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model, as the interpreter describes it.

    Attributes:
        name: Its name in the signature; the tensor's own where the file has no signature.
        dtype: Such as ``float32``; ``bytes`` for strings, as NumPy has it.
        shape: The shape the file was opened with.
        open_shape: The shape that the file declares, -1 where a dimension is open
            (``shape_signature`` in the interpreter's details).
        scale: Real value of one step; 0.0 for a tensor that is not quantized.
        zero_point: The integer that stands for 0.0.
        index: The tensor's number, for ``set_tensor`` and ``get_tensor``.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    open_shape: tuple[int, ...]
    scale: float
    zero_point: int
    index: int

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

    Attributes:
        signature: The signature that it runs; ``None`` for a file without signatures.
        inputs: Name to input.
        outputs: Name to output.
        interpreter: The ``ai_edge_litert`` interpreter underneath.
    """

    def __init__(
        self,
        model: Model,
        *,
        signature: str | None = None,
        threads: int | None = None,
        delegates: bool = True,
        strict: bool = True,
    ) -> None:
        """Open a .tflite file, for one of its signatures (the only one if ``None``).

        The kernels use one thread if ``threads`` is ``None``. Without ``delegates``, XNNPACK and
        its like take nothing over, and the plain kernels run all. A shape that the file does not
        leave open is refused; if not ``strict``, the runtime tries it, and may answer with an error
        or a wrong result.

        Raises:
            FileNotFoundError: ``model`` is a path to nothing.
            ModelFileError: It is no .tflite file.
            KeyError: It has no such signature.
            ValueError: It has several signatures and none was named, or ``threads`` is no number
                of threads.
            RuntimeError: The interpreter refuses the file; the message is its own.
        """
        _check_threads(threads)
        content, source = read_model(model)
        self._bind(_open(content, source, threads, delegates), content, signature, strict)

    @classmethod
    def on(cls, interpreter: Any, content: bytes, signature: str | None = None) -> Session:
        """Make a session of an interpreter that was opened, with other options, on ``content``."""
        session = cls.__new__(cls)
        session._bind(interpreter, content, signature, strict=True)
        return session

    @property
    def runs_main(self) -> bool:
        """Whether the signature is the main subgraph, which ``interpreter.invoke`` runs."""
        return self._runner is None

    def inside_delegates(self) -> list[str]:
        """Tell which tensors lie between two ops that a delegate has taken over.

        The interpreter plans no memory for these, so it has no value to hand out. Call it once the
        model has run: an output whose shape the run decides has no memory before either.
        """
        inside = []
        for detail in self.interpreter.get_tensor_details():
            try:
                self.interpreter.get_tensor(detail["index"])
            except ValueError:
                inside.append(detail["name"])
        return inside

    def _bind(self, interpreter: Any, content: bytes, signature: str | None, strict: bool) -> None:
        self._strict = strict
        self.interpreter = interpreter
        self.signature = _chosen(list(self.interpreter.get_signature_list()), signature)
        self.inputs, self.outputs = _tensors(self.interpreter, self.signature)
        self._fetches = tuple((name, one.index) for name, one in self.outputs.items())
        # The public set_tensor and invoke reach the main subgraph alone. The signature runner
        # reaches every subgraph, but plans the memory anew for each call.
        main = self.signature is None or _runs_main(content, self.signature)
        self._runner = None if main else self.interpreter.get_signature_runner(self.signature)
        self._shapes = {name: one.shape for name, one in self.inputs.items()}
        if main:
            self.interpreter.allocate_tensors()

    def __call__(self, inputs: Inputs = None, *, raw: bool = False) -> dict[str, Array]:
        """Run the model once, and return new arrays by output name.

        Give name to array, or the array alone where there is one input, or nothing where there is
        none. Floats for a quantized input are quantized; integers are taken as they are. Quantized
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
        if not isinstance(inputs, Mapping):
            inputs = self._only(inputs)
        if inputs.keys() != self.inputs.keys():
            takes, got = join_all(self.inputs), join_all(inputs)
            raise KeyError(f"the inputs are {takes}, and not {got}")
        fed = {}
        for name, value in inputs.items():
            tensor = self.inputs[name]
            right = type(value) is np.ndarray and value.dtype == tensor.dtype
            array = value if right else _converted(value, tensor)
            if array.shape != tensor.shape and self._strict:
                _check_shape(array.shape, tensor)
            fed[name] = array
        return fed

    def _only(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if len(self.inputs) != 1:
            takes = join_all(self.inputs)
            raise KeyError(f"the model has {len(self.inputs)} inputs ({takes}): give them by name")
        return {next(iter(self.inputs)): value}

    def _invoke(self, fed: dict[str, Array]) -> dict[str, Array]:
        interpreter = self.interpreter
        for name, array in fed.items():
            if array.shape != self._shapes[name]:
                self._resize(fed)
                break
        for name, array in fed.items():
            interpreter.set_tensor(self.inputs[name].index, array)
        interpreter.invoke()
        get = interpreter.get_tensor
        return {name: get(index) for name, index in self._fetches}

    def _resize(self, fed: dict[str, Array]) -> None:
        for name, array in fed.items():
            self._shapes[name] = (-1,)  # unknown again, should the interpreter refuse
            self.interpreter.resize_tensor_input(self.inputs[name].index, array.shape)
        self.interpreter.allocate_tensors()
        self._shapes.update({name: array.shape for name, array in fed.items()})

    def __repr__(self) -> str:
        name = f"{self.signature}: " if self.signature else ""
        return f"Session({name}{join_all(self.inputs)} -> {join_all(self.outputs)})"

    def _title(self) -> str:
        return f"signature {self.signature}" if self.signature else "no signature"

    def _table(self) -> Table:
        sides = (("input", self.inputs), ("output", self.outputs))
        rows = [(side, *_described(one)) for side, named in sides for one in named.values()]
        headers = ("", "name", "dtype", "shape", "scale", "zero point")
        return headers, rows, f"{self._title()}: inputs and outputs"

    def text(self) -> str:
        """Return a line for each input and output."""
        return f"{self._title()}\n{super().text()}"


@dataclass(frozen=True, repr=False)
class Inference(Rich):
    """What came of running a model in a process of its own.

    Attributes:
        record: How the process ended, and by which signal.
        calls: How many calls were to be made.
        answers: For each call, output name to array; empty unless all calls were answered.
    """

    record: Record
    calls: int
    answers: tuple[dict[str, Array], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every call was answered."""
        return self.record.ok

    def _headline(self) -> str:
        if self.ok:
            return f"{self.calls} call{'' if self.calls == 1 else 's'} answered"
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
    threads: int | None = None,
    delegates: bool = True,
    timeout: float = 60.0,
    memory_limit: int = 2 * _GIB,
) -> Inference:
    """Run an unknown model in a process of its own, over successive calls of one session.

    The options are those of :class:`Session`. The process is ended after ``timeout`` seconds, or
    above ``memory_limit`` resident bytes. A file that is refused, or is no model, is a record too.

    Raises:
        FileNotFoundError: ``model`` is a path to nothing.
        KeyError: A call names an input or signature that the model does not have.
        InputError: A call's input has a shape or dtype that the model does not take.
        ValueError: There are no calls, or ``threads`` is no number of threads.
    """
    _check_threads(threads)
    if isinstance(calls, (Mapping, np.ndarray)) or not isinstance(calls, Sequence) or not calls:
        raise ValueError("calls must be a list of at least one call, each with its inputs")
    content, _ = model_bytes(model)
    record = run_isolated(
        _answers,
        content,
        list(calls),
        {"signature": signature, "threads": threads, "delegates": delegates},
        timeout=timeout,
        memory_limit=memory_limit,
        tensorflow=False,
    )
    _raise_callers_mistake(record)
    return Inference(record, len(calls), tuple(record.value) if record.ok else ())


def _answers(model: bytes, calls: list[Inputs], options: dict[str, Any]) -> list[dict[str, Array]]:
    """Run successive calls. It may end the process."""
    session = Session(model, **options)
    return [session(call) for call in calls]


def _raise_callers_mistake(record: Record) -> None:
    """Raise again what the call is to blame for, and not the file."""
    mistakes: dict[str, Callable[[str], Exception]] = {
        "KeyError": KeyError,
        "InputError": InputError,
    }
    if record.exception_type in mistakes:
        raise mistakes[record.exception_type](record.message.strip("'\""))


def read_model(model: Model) -> tuple[bytes, str]:
    """Return the bytes of a .tflite file, and how to call it in a message.

    ``FileNotFoundError`` if a path leads to nothing, ``ModelFileError`` if it is no .tflite file.
    """
    content, source = model_bytes(model)
    check_mark(content, source)
    return content, source


def model_bytes(model: Model) -> tuple[bytes, str]:
    """Return bytes as they are, or those of a path, and how to call them in a message."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        return bytes(model), "<bytes>"
    path = Path(model)
    if path.is_dir():
        raise ModelFileError(path, "a folder, and not a .tflite file")
    return path.read_bytes(), str(path)


def _check_threads(threads: int | None) -> None:
    if threads is None or (type(threads) is int and 1 <= threads <= _MOST_THREADS):
        return
    limits = f"of at least 1 and at most {_MOST_THREADS}"
    raise ValueError(f"threads must be a whole number {limits}, not {threads!r}")


def _open(content: bytes, source: str, threads: int | None, delegates: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        return Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=OpResolverType.AUTO if delegates else plain,
        )
    except ValueError as error:  # what the flatbuffer's verifier does not accept
        raise ModelFileError(source, str(error)) from error


def _chosen(signatures: list[str], wanted: str | None) -> str | None:
    if wanted is not None and wanted not in signatures:
        raise KeyError(f"no signature {wanted!r}; there are: {', '.join(signatures) or 'none'}")
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


def _tensors(
    interpreter: Any, signature: str | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Describe inputs and outputs.

    The signature runner is let go: while one lives, the interpreter's own ``allocate_tensors``
    refuses, because it takes the runner for an array that looks into its memory.
    """
    if signature is None:
        details = interpreter.get_input_details(), interpreter.get_output_details()
        ins, outs = ({one["name"]: one for one in side} for side in details)
    else:
        runner = interpreter.get_signature_runner(signature)
        ins, outs = runner.get_input_details(), runner.get_output_details()
    return (
        {name: _tensor(name, detail) for name, detail in ins.items()},
        {name: _tensor(name, detail) for name, detail in outs.items()},
    )


def _tensor(name: str, detail: Mapping[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        name,
        np.dtype(detail["dtype"]),
        tuple(int(size) for size in detail["shape"]),
        tuple(int(size) for size in detail["shape_signature"]),
        float(scale),
        int(zero_point),
        int(detail["index"]),
    )


def _described(tensor: Tensor) -> tuple[object, ...]:
    quantized = (f"{tensor.scale:.6g}", tensor.zero_point) if tensor.quantized else ("", "")
    return (tensor.name, _dtype_name(tensor.dtype), list(tensor.open_shape), *quantized)


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return "string" if dtype.kind in "SU" else dtype.name


def _check_shape(shape: tuple[int, ...], tensor: Tensor) -> None:
    wanted = tensor.open_shape
    if not shape_fits(shape, wanted):
        takes = f"input {tensor.name!r} takes shape {list(wanted)}"
        raise InputError(f"{takes}, and not {list(shape)} (-1 is open)")


def _converted(value: Any, tensor: Tensor) -> Array:
    """Return a value in the dtype of its input, if nothing is lost but digits of a float."""
    array = np.asarray(value)
    if tensor.dtype.kind in "SUO":
        return _strings(array, tensor)
    if array.dtype == tensor.dtype:
        return array
    if tensor.quantized and array.dtype.kind == "f":
        return tensor.quantize(array)
    if _fits(array, tensor.dtype):
        return array.astype(tensor.dtype)
    wanted, got = _dtype_name(tensor.dtype), _dtype_name(array.dtype)
    raise InputError(f"input {tensor.name!r} takes {wanted}, and not {got}")


def _fits(array: Array, dtype: np.dtype[Any]) -> bool:
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return not array.size or bool(limits.min <= array.min() and array.max() <= limits.max)
    return array.dtype.kind in "biufc" and np.can_cast(array.dtype, dtype, "same_kind")


def _strings(array: Array, tensor: Tensor) -> Array:
    if array.dtype.kind not in "SUO":
        got = _dtype_name(array.dtype)
        raise InputError(f"input {tensor.name!r} takes string, and not {got}")
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8")
    return array
