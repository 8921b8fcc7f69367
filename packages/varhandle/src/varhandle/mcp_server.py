"""An MCP server over stdio: explain, inspect, diagnose, cure and locate for an assistant.

An assistant acts on what it reads, and what it reads may be a stranger's. So the server opens
files below one folder only, never runs what a model brings along, imports nobody's code, and writes
no file that would take another one's place. What it answers is what ``--json`` prints.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle import __version__
from varhandle.display import one_line
from varhandle.errors import VarhandleError
from varhandle.facts.schemas import schema_of
from varhandle.formats.trust import NotTrustedError
from varhandle.model_folder import ModelFolder, PathNotAllowedError
from varhandle.repair.refusal import NoCureError
from varhandle.sandbox.lock import hold_to_folders, is_lock_on
from varhandle.sandbox.scratch import temporary_folder

if TYPE_CHECKING:
    import mcp_types as types

_TICK = 2.0
"""Seconds between two reports of progress."""

_LONGEST_FAULT = 4000  # characters: a fault may repeat what was asked for
_MOST_CALLS = 1000

INSTRUCTIONS = (
    "For TensorFlow models on the way to .tflite: VarHandleOp, ReadVariableOp, resource variables, "
    "a converter that refuses, a file that answers wrongly. With a log or a traceback begin with "
    "explain; with a model, with diagnose; it says whether cure makes a file. A file is good only "
    "if cure says cured: true. Where its doubt is that inputs were made up, ask for real ones. "
    "Paths are relative to the folder that the server was started for."
)


@dataclass(frozen=True)
class _Tool:
    """One tool: what it is for, what it takes, and what makes its answer."""

    description: str
    arguments: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    answer: Callable[[ModelFolder, Mapping[str, Any]], dict[str, Any]]
    writes: bool = False

    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": list(self.required),
            "properties": dict(self.arguments),
        }


def _inputs(folder: ModelFolder, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a model is called. Inputs that are code would run: they are no files of data."""
    options = {name: told[name] for name in ("signature", "calls") if name in told}
    if "inputs" in told:
        options["inputs"] = folder.inputs(told["inputs"])
    return options


def _explain(_: ModelFolder, told: Mapping[str, Any]) -> dict[str, Any]:
    from varhandle.explanation import explain

    return explain(told["log"]).as_dict()


def _inspect(folder: ModelFolder, told: Mapping[str, Any]) -> dict[str, Any]:
    from varhandle.inspection.contents import inspect_model

    return inspect_model(folder.readable(told["model"])).as_dict()


def _diagnose(folder: ModelFolder, told: Mapping[str, Any]) -> dict[str, Any]:
    from varhandle.diagnosis import diagnose

    static = told.get("static", False)
    model = folder.readable(told["model"])
    return diagnose(model, static=static, **_inputs(folder, told)).as_dict()


def _cure(folder: ModelFolder, told: Mapping[str, Any]) -> dict[str, Any]:
    from varhandle.repair.run import cure_file

    options = {name: told[name] for name in ("target", "quantization") if name in told}
    model, output = folder.readable(told["model"]), folder.writable(told["output"])
    try:
        return cure_file(model, output, **options, **_inputs(folder, told)).as_dict()
    except NoCureError as error:
        return error.as_dict()


def _locate(folder: ModelFolder, told: Mapping[str, Any]) -> dict[str, Any]:
    from varhandle.divergence.location import locate

    model = folder.readable(told["model"])
    file = folder.readable(told["file"]) if "file" in told else None
    return locate(model, file, **_inputs(folder, told)).as_dict()


_MODEL = {
    "type": "string",
    "description": "SavedModel folder or .zip, .keras, .h5, .pb, .pbtxt, .meta or .tflite",
}
_CALLED = {
    "signature": {"type": "string", "description": "default: the one for inference"},
    "inputs": {
        "type": "string",
        "description": "an .npz file (an array for each input, its first axis the calls), an .npy "
        "file or a folder of images; default: what is stored with the model, else made up",
    },
}
_TOOLS: Mapping[str, _Tool] = {
    "explain": _Tool(
        "Say what a traceback or a log of a TFLite converter or runtime is about, and what to do.",
        {"log": {"type": "string", "description": "the whole log, as it was printed"}},
        ("log",),
        _explain,
    ),
    "inspect": _Tool(
        "List the variables, signatures and ops of a model. Reads only; takes a second.",
        {"model": _MODEL},
        ("model",),
        _inspect,
    ),
    "diagnose": _Tool(
        "Say what is wrong with a model on the way to .tflite: convert it in a locked process, run "
        "the file, compare with TensorFlow. With static it only reads, and takes a second.",
        {"model": _MODEL, "static": {"type": "boolean"}, **_CALLED},
        ("model",),
        _diagnose,
    ),
    "cure": _Tool(
        "Make the .tflite file that a model should have become, and prove it. The file is good if "
        "cured is true; with cured false and a file, it is unproved, and doubt says why.",
        {
            "model": _MODEL,
            "output": {"type": "string", "description": "a new file that ends with .tflite"},
            "target": {"type": "string", "description": "litert (default), builtin-only, micro"},
            "quantization": {"type": "string", "description": "a recipe; default: none"},
            **_CALLED,
        },
        ("model", "output"),
        _cure,
        writes=True,
    ),
    "locate": _Tool(
        "Name the first op where a .tflite file parts from its model, and why.",
        {
            "model": _MODEL,
            "file": {"type": "string", "description": "default: the model, converted"},
            "calls": {"type": "integer", "minimum": 1, "maximum": _MOST_CALLS},
            **_CALLED,
        },
        ("model",),
        _locate,
    ),
}


def serve(root: Path) -> None:
    """Serve the tools over the standard streams, until the other side closes them.

    The working folder becomes ``root``, so that paths in answers and in printed commands are as the
    assistant names them. The process opens no other folder again. Raises ``NotADirectoryError``
    where it is no folder.
    """
    import anyio

    folder = ModelFolder(root)
    os.chdir(folder.root)
    with temporary_folder("mcp-") as scratch:
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        # A link may be put in the place of a file that was checked: the kernel refuses that too.
        if is_lock_on():
            hold_to_folders([str(folder.root), scratch])
        anyio.run(_serve, folder)


async def _serve(folder: ModelFolder) -> None:
    import anyio
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

    one_at_a_time = anyio.Lock()  # a conversion fills a machine

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_listed(name) for name in _TOOLS])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        told = folder, params.name, params.arguments or {}
        async with one_at_a_time, anyio.create_task_group() as tasks:
            tasks.start_soon(_tell_progress, context.session, params.name)
            answer = await anyio.to_thread.run_sync(_answered, *told)
            tasks.cancel_scope.cancel()
        return answer

    server: Server[Any] = Server(
        "varhandle",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    async with stdio_server() as streams:
        await server.run(streams[0], streams[1], server.create_initialization_options())


async def _tell_progress(session: Any, name: str) -> None:
    """Say that it still runs: nobody knows how long a converter takes."""
    import anyio

    seconds = 0.0
    while True:
        await session.report_progress(seconds, None, f"{name}: {seconds:.0f} s")
        await anyio.sleep(_TICK)
        seconds += _TICK


def _listed(name: str) -> types.Tool:
    import mcp_types as types

    tool = _TOOLS[name]
    return types.Tool(
        name=name,
        description=tool.description,
        input_schema=tool.input_schema(),
        output_schema=schema_of(name),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.writes, destructive_hint=False, open_world_hint=False
        ),
    )


def _answered(folder: ModelFolder, name: str, told: Mapping[str, Any]) -> types.CallToolResult:
    """Answer a call; what goes wrong is told in one line, for the assistant to act on."""
    import json

    import jsonschema
    import mcp_types as types

    try:
        if name not in _TOOLS:
            raise PathNotAllowedError(f"{name}: there is no such tool, only {', '.join(_TOOLS)}")
        jsonschema.validate(dict(told), _TOOLS[name].input_schema())
        answer = _TOOLS[name].answer(folder, told)
    except jsonschema.ValidationError as error:
        return _fault(f"{error.json_path}: {error.message}")
    except NotTrustedError as error:
        return _fault(
            f"{error.fault}. Nothing of it was run, and this server never does: a person who knows "
            f"where the model comes from can run varhandle {name} --trust"
        )
    except (VarhandleError, KeyError, ValueError, OSError) as error:
        return _fault(error)
    except Exception as error:  # a stranger's file must not end the server
        return _fault(f"{type(error).__name__}: {error}")
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=answer
    )


def _fault(message: object) -> types.CallToolResult:
    import mcp_types as types

    line = one_line(message, _LONGEST_FAULT)
    return types.CallToolResult(content=[types.TextContent(type="text", text=line)], is_error=True)
