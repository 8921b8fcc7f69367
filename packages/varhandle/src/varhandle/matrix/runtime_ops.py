"""Which builtin ops a runtime has a kernel for, and in which versions: measured, by asking it.

``python -m varhandle.matrix.runtime_ops 2.3.4=PYTHON 2.14.0=PYTHON …`` asks the TensorFlow, or
the tflite-runtime, of each of these Pythons, and LiteRT and TensorFlow Lite Micro of this one, and
writes ``data/runtime_ops.json`` anew. The files that it asks with are empty but for one op: an
interpreter looks for the kernel before it looks at anything else.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from varhandle.facts.data_files import data_file
from varhandle.facts.releases import minor, short
from varhandle.sandbox import run_source
from varhandle.tflite.flatbuffer import pack

LATEST = 15
"""The highest version that is asked for; no op has come so far."""

_ASK = """
import base64, json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
try:
    if sys.argv[1:] == ["litert"]:
        from ai_edge_litert.interpreter import Interpreter
    else:
        import tensorflow
        Interpreter = tensorflow.lite.Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter
known = {}
for op, files in json.load(sys.stdin).items():
    known[op] = []
    for version, content in enumerate(files, start=1):
        try:
            Interpreter(model_content=base64.b64decode(content))
        except Exception as error:
            if "Didn't find op" in str(error) or "out of range" in str(error):
                continue
        known[op].append(version)
print("KNOWN " + json.dumps(known))
"""
_ASK_MICRO = """
from tflite_micro import runtime
try:
    runtime.Interpreter.from_bytes(content, arena_size=10_000)
except Exception:
    pass
"""


def single_op_file(op: int, version: int = 1) -> bytes:
    """Make a .tflite file with one operator of some op, and nothing that the op needs.

    The op is given by its number in the schema.
    """
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = op, min(op, 127), version
    tensor = schema.TensorT(shape=[1], type=0, buffer=0, name="x")
    operator = schema.OperatorT(opcodeIndex=0, inputs=[0], outputs=[0])
    subgraph = schema.SubGraphT(tensors=[tensor], inputs=[0], outputs=[0], operators=[operator])
    return pack(
        schema.ModelT(
            version=3, operatorCodes=[code], buffers=[schema.BufferT()], subgraphs=[subgraph]
        )
    )


def builtin_ops() -> dict[str, int]:
    """Return the ops of the schema and their numbers, but for those that stand for others."""
    others = {"CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"}
    members = vars(schema.BuiltinOperator).items()
    return {n: v for n, v in members if isinstance(v, int) and n not in others}


def ask_runtime(python: str, *arguments: str) -> dict[str, list[int]]:
    """Ask the runtime of another Python; ``RuntimeError`` if it has none."""
    files = {
        name: [base64.b64encode(single_op_file(op, v)).decode() for v in range(1, LATEST + 1)]
        for name, op in builtin_ops().items()
    }
    done = subprocess.run(
        [python, "-c", _ASK, *arguments],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("KNOWN "):
            known = json.loads(line.removeprefix("KNOWN "))
            return {op: [found[0], found[-1]] for op, found in known.items() if found}
    raise RuntimeError(f"{python}: {done.stderr.strip().splitlines()[-1:]}")


def ask_micro() -> list[str]:
    """Return the ops that the installed TensorFlow Lite Micro has a kernel for, sorted."""
    found = []
    for name, op in builtin_ops().items():
        record = run_source(_ASK_MICRO, inputs={"content": single_op_file(op)})
        if "Didn't find op" not in record.log:  # it may end the process once it has the kernel
            found.append(name)
    return sorted(found)


def changes(measured: Mapping[str, Mapping[str, list[int]]]) -> dict[str, dict[str, Any]]:
    """Write what releases have as what each changed."""
    table: dict[str, dict[str, Any]] = {}
    for op in builtin_ops():
        last = None
        for release, ops in measured.items():
            if ops.get(op) != last:
                table.setdefault(op, {})[release] = last = ops.get(op)
    return table


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the file."""
    named = dict(argument.split("=", 1) for argument in arguments)
    versions = {short(version): version for version in sorted(named, key=minor)}
    measured = {release: ask_runtime(named[version]) for release, version in versions.items()}
    table = {
        "about": "builtin ops that each runtime has a kernel for, and their versions [lowest, "
        "highest]; a release that is not named under an op has what the one before it has",
        "measured": versions,
        "ops": changes(measured),
        "litert": ask_runtime(sys.executable, "litert"),
        "micro": ask_micro(),
    }
    data_file("runtime_ops.json").write_text(as_text(table), encoding="utf-8")


def as_text(table: Mapping[str, Any]) -> str:
    """Return the table as JSON with a line for each op."""
    parts = []
    for key, value in table.items():
        lines = json.dumps(value)
        if key in ("ops", "litert"):
            rows = (f"  {json.dumps(op)}: {json.dumps(row)}" for op, row in sorted(value.items()))
            lines = "{\n" + ",\n".join(rows) + "\n}"
        parts.append(f"{json.dumps(key)}: {lines}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
