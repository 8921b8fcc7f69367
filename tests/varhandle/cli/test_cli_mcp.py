"""``varhandle mcp``, asked by the SDK's own client over the standard streams."""

import json
import os
import shutil
import sys

import anyio
import jsonschema
import numpy as np
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from varhandle import diagnosis, mcp_server
from varhandle.cli import main
from varhandle.facts.schemas import schema_of
from varhandle.model_folder import ModelFolder
from varhandle.sandbox.lock import why_no_lock
from workbook_lib.locations import data_path

TOOLS = ["cure", "diagnose", "explain", "inspect", "locate"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, counting_file, specimen_path):
    """A folder of models, and beside it what is nobody's business."""
    root = tmp_path_factory.mktemp("served") / "models"
    root.mkdir()
    (root / "counting.tflite").write_bytes(counting_file)
    shutil.copytree(data_path("half_reader"), root / "half_reader")
    shutil.copy(specimen_path("lambda_keras"), root / "lambda.keras")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.tflite").write_bytes(counting_file)
    shutil.copytree(data_path("half_reader"), outside / "model")
    (root / "link.tflite").symlink_to(outside / "secret.tflite")
    (root / "out").symlink_to(outside)
    linked = root / "linked"
    linked.mkdir()
    (linked / "saved_model.pb").symlink_to(outside / "model" / "saved_model.pb")
    (root / "code.py").write_text("open('ran', 'w')\ndef calls():\n    return []\n")
    return root


def ask(folder, *calls, progress=None, list_tools=False, program=("-m", "varhandle.cli")):
    """Start a server for a folder, and return what it answers to each call: name, arguments."""

    async def conversation():
        server = StdioServerParameters(
            command=sys.executable,
            args=[*program, "mcp", str(folder)],
            env=dict(os.environ),
            cwd="/",
        )
        async with Client(server) as client:
            if list_tools:
                return (await client.list_tools()).tools
            return [
                await client.call_tool(name, told, progress_callback=progress)
                for name, told in calls
            ]

    return anyio.run(conversation)


def test_the_tools_are_listed_with_the_schemas_that_are_published(folder):
    tools = {tool.name: tool for tool in ask(folder, list_tools=True)}
    assert sorted(tools) == TOOLS
    for name, tool in tools.items():
        assert tool.output_schema == schema_of(name)
        assert not {"trust", "imports", "lock"} & set(tool.input_schema["properties"])
        assert tool.annotations.read_only_hint == (name != "cure")


def test_answers_are_those_of_the_command(folder, capsys, monkeypatch):
    log = "error: 'tf.VarHandleOp' op is neither a custom op nor a flex op"
    explained, inspected, diagnosed, cured, located = ask(
        folder,
        ("explain", {"log": log}),
        ("inspect", {"model": "half_reader"}),
        ("diagnose", {"model": "half_reader", "static": True}),
        ("cure", {"model": "counting.tflite", "output": "out.tflite", "target": "builtin-only"}),
        ("locate", {"model": "half_reader", "file": "nothing.tflite"}),
    )
    monkeypatch.chdir(folder)
    for verb, answer in (("inspect", inspected), ("diagnose", diagnosed)):
        static = ["--static"] if verb == "diagnose" else []
        main([verb, "half_reader", "--json", *static])
        assert answer.structured_content == json.loads(capsys.readouterr().out)
        jsonschema.Draft202012Validator(schema_of(verb)).validate(answer.structured_content)
    assert explained.structured_content["matches"][0]["id"] == "unsupported-variable-dtype"
    assert json.loads(explained.content[0].text) == explained.structured_content
    assert cured.structured_content["cured"]
    assert cured.structured_content["file"] == "out.tflite"
    assert (folder / "out.tflite").is_file()
    with np.load(folder / "out.state.npz") as state:
        assert state.files
    assert located.is_error
    assert "no such file" in located.content[0].text


def test_a_model_is_converted_and_progress_is_told(folder):
    told = []

    async def progress(done, total, message):
        told.append((done, message))

    (found,) = ask(folder, ("locate", {"model": "counting.tflite"}), progress=progress)
    assert found.is_error  # a .tflite file has no model to be compared with
    (found,) = ask(folder, ("diagnose", {"model": "half_reader"}), progress=progress)
    assert found.structured_content["verdict"] == "blocked"
    assert found.structured_content["proof"]["converter"]["outcome"] == "raised"
    diagnosed = [done for done, message in told if message.startswith("diagnose: ")]
    assert diagnosed and diagnosed == sorted(set(diagnosed))


OUTSIDE = [
    "../outside/secret.tflite",
    "link.tflite",
    "out/secret.tflite",
    "out/model",
    "linked",
    "half_reader/../../outside/secret.tflite",
    "/etc/passwd",
    "/proc/self/environ",
]


def refused(answers):
    """Return the one line of each refusal."""
    assert all(answer.is_error and answer.structured_content is None for answer in answers)
    lines = [answer.content[0].text for answer in answers]
    assert not [line for line in lines if "\n" in line or "Traceback" in line]
    return lines


def test_nothing_outside_of_the_folder_is_opened(folder):
    paths = [*OUTSIDE, str(folder.parent / "outside" / "secret.tflite")]
    lines = refused(ask(folder, *(("inspect", {"model": path}) for path in paths)))
    assert [line for line in lines if "leads out of the folder" not in line] == []
    lines = refused(
        ask(
            folder,
            ("diagnose", {"model": "counting.tflite", "inputs": "../outside/calls.npz"}),
            ("locate", {"model": "half_reader", "file": "link.tflite"}),
            ("inspect", {"model": "a\0b"}),
            ("inspect", {"model": "nowhere"}),
            ("inspect", {"model": "."}),
        )
    )
    assert all("leads out of the folder" in line for line in (*lines[:2], lines[4]))


SWAPPING = """
import os, sys
from pathlib import Path
from varhandle import model_folder
from varhandle.cli import main

checked = {name: getattr(model_folder.ModelFolder, name) for name in ("readable", "writable")}

def swap(name):
    def checked_then_swapped(self, path):
        found = checked[name](self, path)
        place = self.root / (path if name == "readable" else "new")
        place.rename(place.with_name(f"{place.name}-before"))
        place.symlink_to(self.root.parent / "outside" / ("made" if name == "writable" else path))
        return found
    setattr(model_folder.ModelFolder, name, checked_then_swapped)

swap(sys.argv.pop(1))
main(sys.argv[1:])
"""


@pytest.mark.skipif(bool(why_no_lock()), reason="the kernel has no lock")
@pytest.mark.parametrize("verb", ["inspect", "diagnose", "cure"])
@pytest.mark.parametrize("model", ["counting.tflite", "half_reader"])
def test_a_link_that_comes_after_the_check_leads_nowhere(tmp_path, folder, model, verb):
    """The file is swapped for a link to somebody else's, of the same name, once it is checked."""
    served = tmp_path / "served"
    shutil.copytree(folder, served, symlinks=True)
    shutil.copytree(folder, tmp_path / "outside", symlinks=True)
    told = {"model": model} | ({"output": "made.tflite"} if verb == "cure" else {})
    (line,) = refused(ask(served, (verb, told), program=("-c", SWAPPING, "readable")))
    assert (served / model).is_symlink()
    assert "Permission denied" in line
    assert not (served / "made.tflite").exists()


@pytest.mark.skipif(bool(why_no_lock()), reason="the kernel has no lock")
def test_a_folder_that_becomes_a_link_is_not_written_into(tmp_path, folder):
    served, made = tmp_path / "served", tmp_path / "outside" / "made"
    shutil.copytree(folder, served, symlinks=True)
    (served / "new").mkdir()
    made.mkdir(parents=True)
    told = {"model": "counting.tflite", "output": "new/out.tflite"}
    (line,) = refused(ask(served, ("cure", told), program=("-c", SWAPPING, "writable")))
    assert (served / "new").is_symlink()
    assert "Permission denied" in line
    assert list(made.iterdir()) == []


def test_a_server_leaves_nothing_behind(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (answer,) = ask(folder, ("diagnose", {"model": "counting.tflite"}))
    assert answer.structured_content["verdict"] == "ready"
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_path_inside_is_inside(folder):
    (found,) = ask(folder, ("inspect", {"model": str(folder / "counting.tflite")}))
    assert found.structured_content["model"] == "counting.tflite"


def test_nothing_is_written_outside_or_over_a_file(folder):
    before = sorted(folder.parent.rglob("*"))
    outputs = ["../x.tflite", "out/x.tflite", "link.tflite", "counting.tflite", "new.keras"]
    outputs += ["half_reader/none/x.tflite", "/tmp/x.tflite"]
    (folder / "dangling.tflite").symlink_to(folder.parent / "outside" / "made.tflite")
    (folder / "kept.state.npz").write_bytes(b"mine")
    outputs += ["dangling.tflite", "kept.tflite"]
    cures = (("cure", {"model": "counting.tflite", "output": each}) for each in outputs)
    try:
        refused(ask(folder, *cures))
        assert (folder / "kept.state.npz").read_bytes() == b"mine"
    finally:
        (folder / "dangling.tflite").unlink()
        (folder / "kept.state.npz").unlink()
    assert sorted(folder.parent.rglob("*")) == before


def test_no_code_runs(folder):
    lines = refused(
        ask(
            folder,
            ("diagnose", {"model": "counting.tflite", "inputs": "code.py:calls"}),
            ("diagnose", {"model": "counting.tflite", "inputs": "code.py"}),
            ("diagnose", {"model": "counting.tflite", "inputs": "os:getcwd"}),
            ("diagnose", {"model": "counting.tflite", "trust": True}),
            ("cure", {"model": "lambda.keras", "output": "l.tflite"}),
            ("erase", {}),
            ("inspect", {}),
        )
    )
    assert "give an .npz or .npy file" in lines[1]  # before anything looks into it
    assert "'trust' was unexpected" in lines[3]
    assert "Lambda" in lines[4] and "this server never does" in lines[4]
    assert not (folder / "ran").exists()
    assert not (folder / "l.tflite").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("no signature 'x'"), "no signature 'x'"),
        (KeyError(), "KeyError"),
        (ValueError("two\nlines\x1b[31m"), "two lines\\x1b[31m"),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
)
def test_every_fault_is_one_line(folder, monkeypatch, error, said):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(diagnosis, "diagnose", refuse)
    answer = mcp_server._answered(ModelFolder(folder), "diagnose", {"model": "counting.tflite"})
    assert refused([answer]) == [said]


def test_a_call_costs_no_more_than_it_is_worth(folder):
    """Calls are made up one by one, and a fault does not send back all that came."""
    calls, long = refused(
        ask(
            folder,
            ("locate", {"model": "half_reader", "calls": 10**12}),
            ("inspect", {"model": ["x" * 10**6]}),
        )
    )
    assert "maximum of 1000" in calls
    assert len(long) <= 4000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_model(folder):
    os.mkfifo(folder / "pipe.tflite")
    try:
        (line,) = refused(ask(folder, ("inspect", {"model": "pipe.tflite"})))
    finally:
        (folder / "pipe.tflite").unlink()
    assert "no regular file" in line


def test_a_folder_that_is_none_is_bad_input(tmp_path, capsys):
    assert main(["mcp", str(tmp_path / "nowhere")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
