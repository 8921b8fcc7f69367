"""The code that calls a .tflite file: its signature, its inputs, the state that its caller carries.

Names out of a file enter it as string literals, so that none of them can become code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from varhandle.formats import read_graph
from varhandle.graph import TensorSpec

_SMALL = ("int8", "uint8", "int16")
"""Dtypes of integers that may stand for real values."""


def calling_code(
    content: bytes, state: Collection[str] = (), *, signature: str | None = None
) -> str:
    """Write the code that calls a .tflite file with LiteRT, made for this file.

    ``state`` names what its caller carries; nothing if the file keeps its own. The code opens
    ``model.tflite``, and ``model.state.npz`` for the state before the first call. It defines
    ``call``, makes one call with zeros, and leaves the answers by name as ``outputs``.

    Raises:
        ModelFileError: It is no .tflite file, or a damaged one.
        KeyError: It has no such signature.
    """
    graph = read_graph(content)
    called = next(iter(graph.signatures), graph.main_signature)
    if signature is not None:
        called = graph.signature(signature)
    takes = [spec.name for spec in called.inputs if spec.name in state]
    gives = [spec.name for spec in called.outputs if spec.name in state]
    quantized = any(spec.dtype in _SMALL for spec in (*called.inputs, *called.outputs))
    lines = ["import numpy as np", "from ai_edge_litert.interpreter import Interpreter", ""]
    if graph.signatures:
        key = _literal(called.name)
        lines.append(f'runner = Interpreter("model.tflite").get_signature_runner({key})')
    else:
        lines += ['interpreter = Interpreter("model.tflite")', *_BY_PLACE]
    if takes or gives:
        load = 'state = dict(np.load("model.state.npz"))'
        lines.append(f"{load}  # load it anew for each new stream")
    elif any(variable.assigns for variable in graph.variables):
        lines.append(
            "# The state lives in the interpreter: open the file anew for each new stream."
        )
    if quantized:
        lines += _DETAILS_OF_RUNNER if graph.signatures else _DETAILS_BY_PLACE
    lines += _calling(quantized, takes, gives)
    own = [spec for spec in called.inputs if spec.name not in takes]
    answers = [spec for spec in called.outputs if spec.name not in gives]
    return "\n".join([*lines, "", *_example(own, answers)])


_BY_PLACE = """\


def runner(**inputs):
    places = {place["name"]: place["index"] for place in interpreter.get_input_details()}
    for name, value in inputs.items():
        interpreter.resize_tensor_input(places[name], np.shape(value))
    interpreter.allocate_tensors()
    for name, value in inputs.items():
        interpreter.set_tensor(places[name], value)
    interpreter.invoke()
    gives = interpreter.get_output_details()
    return {place["name"]: interpreter.get_tensor(place["index"]) for place in gives}

""".splitlines()


def _calling(quantized: bool, takes: Sequence[str], gives: Sequence[str]) -> list[str]:
    """Write ``call``."""
    if not (quantized or takes or gives):
        return ["", "", "def call(inputs):", "    return runner(**inputs)", ""]
    given = f", **{{name: state[name] for name in {_literals(takes)}}}" if takes else ""
    lines = [*(_STEPS if quantized else []), "", "", "def call(inputs):"]
    if quantized:
        lines.append("    inputs = {name: to_steps(name, value) for name, value in inputs.items()}")
    lines.append(f"    outputs = runner(**inputs{given})")
    if gives:
        lines.append(
            f"    state.update({{name: outputs.pop(name) for name in {_literals(gives)}}})"
        )
    if quantized:
        lines.append("    return {name: to_real(name, value) for name, value in outputs.items()}")
    else:
        lines.append("    return outputs")
    return [*lines, ""]


_DETAILS_OF_RUNNER = ["takes, gives = runner.get_input_details(), runner.get_output_details()"]
_DETAILS_BY_PLACE = [
    'takes = {place["name"]: place for place in interpreter.get_input_details()}',
    'gives = {place["name"]: place for place in interpreter.get_output_details()}',
]
_STEPS = """\


def to_steps(name, value):  # a real value to the integers of a quantized input
    dtype, found = takes[name]["dtype"], takes[name]["quantization_parameters"]
    if not len(found["scales"]):
        return np.asarray(value).astype(dtype)
    limits = np.iinfo(dtype)
    whole = np.round(np.asarray(value) / found["scales"][0]) + found["zero_points"][0]
    return np.clip(whole, limits.min, limits.max).astype(dtype)


def to_real(name, value):
    found = gives[name]["quantization_parameters"]
    if not len(found["scales"]):
        return value
    steps = value.astype(np.float32) - np.float32(found["zero_points"][0])
    return steps * found["scales"][0]
""".splitlines()


def _example(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> list[str]:
    named = ", ".join(_literal(spec.name) for spec in outputs)
    return [
        "inputs = {  # your own values instead of these",
        *(f"    {_literal(spec.name)}: {zeros_code(spec)}," for spec in inputs),
        "}",
        f"outputs = call(inputs)  # a dictionary of {named}",
    ]


def zeros_code(spec: TensorSpec) -> str:
    """Write an array that an input takes: zeros, of size 1 where the size is open."""
    sizes = [1 if size is None else size for size in spec.shape or ()]
    if spec.dtype == "string":
        return f'np.full({sizes!r}, b"", object)'
    dtype = "float32" if spec.dtype in _SMALL else spec.dtype  # call makes integers of it
    return f'np.zeros({sizes!r}, "{dtype}")'


def _literal(name: str) -> str:
    """Write a name as a Python literal, in ASCII and, where it can be, in double quotes."""
    literal = ascii(name)
    return literal if '"' in name else f'"{literal[1:-1]}"'


def _literals(names: Iterable[str]) -> str:
    return f"[{', '.join(map(_literal, names))}]"
