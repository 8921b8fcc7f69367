"""What the page of the site asks the package: text in, JSON out, and never an exception.

It runs in the browser, in pyodide, where there is no TensorFlow, no interpreter, no NumPy and no
other process. What comes in is a log, or a path below which the page has put the files that were
dropped on it. A fault is ``{"error": …}``, one line that names the file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from varhandle.display import join_words, one_line, printable
from varhandle.errors import VarhandleError
from varhandle.facts.targets import DEFAULT_TARGET
from varhandle.families import code
from varhandle.formats import format_of
from varhandle.formats.trust import code_along
from varhandle.graph import Graph

_EXTRA = 'pip install "varhandle[tensorflow]"'
DTYPES_OF_LITERT_JS = ("float32", "int32", "uint8")
"""Of an input or output, in @litertjs/core 2.5.3: its ``DATATYPES``. Inside, a file has any."""


def _as_json(answer: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    """Let a function answer in JSON, whatever it raises: it was given a stranger's file."""

    @functools.wraps(answer)
    def answered(subject: str, *others: str) -> str:
        try:
            found = answer(subject, *others)
        except VarhandleError as error:
            found = {"error": one_line(error)}
        except (MemoryError, RecursionError):
            found = {"error": f"{subject}: it takes more memory than the browser gives"}
        except Exception as error:  # a traceback would be of no use on a page
            found = {"error": f"{subject}: it cannot be read ({type(error).__name__}: {error})"}
        if "error" in found:
            found["error"] = one_line(found["error"])
        return json.dumps(found, indent=2)

    return answered


def explain_log(text: str) -> str:
    """Say what a log is about, as ``varhandle explain --json`` does."""
    from varhandle.explanation import explain

    return json.dumps(explain(text).as_dict(), indent=2)


@_as_json
def read_model(path: str) -> dict[str, Any]:
    """Say what a model is, and what is wrong with it.

    As ``varhandle diagnose --static --json``, and beside that: ``inspect``, as ``varhandle inspect
    --json``; ``html``, the report, ``contents_html``, its tables, and ``drawing_html``, the graph
    of its signature; ``fix``, the ``sentence`` that says what comes next, and its ``commands``;
    ``runnable``, which runtime of the page takes it (``by``), and ``why``; ``sizes``, which bytes
    of a .tflite file to write before LiteRT.js gets it, each with an int32.
    """
    from varhandle.diagnosis import diagnose
    from varhandle.inspection.contents import contents_of
    from varhandle.inspection.graph_drawing import draw_graph

    found = diagnose(path, static=True)
    contents = contents_of(found.graph)
    has_signatures = bool(found.graph.signatures)
    drawing = draw_graph(found.graph, signature=found.signature if has_signatures else None)
    return {
        **found.as_dict(),
        "inspect": contents.as_dict(),
        "html": found.html(),
        "contents_html": contents.html(),
        "drawing_html": drawing.html(),
        "fix": _fix(found.graph, found.signature),
        "runnable": _runnable(found.graph),
        "sizes": _sizes(found.graph),
    }


@_as_json
def lift(path: str, out_path: str) -> dict[str, Any]:
    """Lift the state of a .tflite file into another one, as ``varhandle lift --json`` does."""
    from varhandle.lift import lift_file
    from varhandle.tflite.variable_values import CannotLiftError

    try:
        return lift_file(path, out_path).as_dict()
    except CannotLiftError as error:
        return {"error": f"{path}: {error}"}


def _fix(graph: Graph, signature: str | None) -> dict[str, Any]:
    """Say what this page cannot do for a model, and which commands do it."""
    path, trust = graph.source, bool(graph.embedded_code)
    name = code.shell(path)
    if format_of(graph).is_converted:
        commands = ["pip install varhandle", f"varhandle diagnose {name}"]
        sentence = (
            "This page has read the file. To run it with and without delegates, on a computer:"
        )
        if graph.variables:
            commands.append(code.lift_code(path, None))
            sentence = (
                "This page has read the file, and can lift its state into inputs and outputs. To "
                "run it with and without delegates, and to lift it there, on a computer:"
            )
        return {"sentence": sentence, "commands": commands}
    several = len(graph.signatures) > 1
    cure = code.cure_command(path, signature if several else None)
    sentence = (
        "This page has read the model. To convert it, to mend what can be mended and to prove "
        "the file takes TensorFlow, on a computer:"
    )
    if along := printable(code_along(graph), None):
        sentence = (
            f"{along[0].upper()}{along[1:]}. The option --trust lets that run: give it only if you "
            f"know where the model comes from. {sentence}"
        )
    return {
        "sentence": sentence,
        "commands": [_EXTRA, code.with_options(cure, path, trust, ())],
    }


def _runnable(graph: Graph) -> dict[str, str | None]:
    """Say whether LiteRT.js runs a file: on an op without a kernel it answers with rubbish."""
    from varhandle.families.unwritten_output import unwritten_outputs
    from varhandle.tflite.runtime_support import refusals

    if not format_of(graph).is_converted:
        return {"by": None, "why": "Only a .tflite file runs here: make one of the model first."}
    if sentences := unwritten_outputs(graph):
        return {"by": None, "why": " ".join(sentences)}
    reasons = refusals(graph, DEFAULT_TARGET)
    if reasons:
        why = f"It does not run here: {join_words(list(map(printable, reasons)))}."
        return {"by": None, "why": f"{why} LiteRT.js would answer with whatever is in its memory."}
    if others := _of_other_dtypes(graph):
        why = f"LiteRT.js takes and gives {join_words(DTYPES_OF_LITERT_JS)} alone, and "
        return {"by": None, "why": f"{why}{join_words(others)}."}
    return {"by": "litert.js", "why": "LiteRT has a kernel for each of its ops."}


def _sizes(graph: Graph) -> list[tuple[int, int]]:
    """Return what closes the sizes that a file leaves open: LiteRT.js runs it with none."""
    from varhandle.formats.tflite_bytes import read_graph_part
    from varhandle.tflite.open_sizes import closed_sizes

    if not format_of(graph).is_converted:
        return []
    return list(closed_sizes(read_graph_part(Path(graph.source))))


def _of_other_dtypes(graph: Graph) -> list[str]:
    """Name the inputs and outputs that LiteRT.js has no array for, each with its dtype."""
    called = graph.signatures or (graph.main_signature,)
    specs = [s for one in called for s in (*one.inputs, *one.outputs)]
    others = {s.name: s.dtype for s in specs if s.dtype not in DTYPES_OF_LITERT_JS}
    return [f"{printable(name)} is {dtype}" for name, dtype in others.items()]
