"""The ``workbook`` command: the tool's verbs, the lessons' own, and those of other packages."""

import errno
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import varhandle.cli
from varhandle.cli.program import BadInputError, make_parser
from workbook_lib import cli, runs
from workbook_lib.runs import RunReport


def listed(program, capsys):
    with pytest.raises(SystemExit):
        program(["--help"])
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "}


def test_it_offers_all_that_the_tool_offers_and_more(capsys):
    tool = listed(varhandle.cli.main, capsys)
    assert {"diagnose", "explain", "cure", "inspect", "lift", "matrix"} <= tool
    own = {"run", "edition", "sweep", "class"}
    assert listed(cli.main, capsys) >= tool | own | {"hub", "fresh"}


def test_a_verb_of_the_tool_answers_under_its_name(capsys):
    assert cli.main(["inspect", "nowhere"]) == 2
    step = "check the path, and your rights to it"
    assert (
        capsys.readouterr().err == f"workbook: nowhere: there is no such file or folder: {step}\n"
    )


def test_another_package_adds_a_command_by_an_entry_point(monkeypatch, capsys):
    def command(options):
        if options.refuse:
            raise BadInputError("there is\nnothing")
        if options.fail:
            raise OSError(errno.EIO, "the disk is broken")
        return 7

    def register(commands):
        parser = commands.add_parser("other")
        parser.add_argument("--refuse", action="store_true")
        parser.add_argument("--fail", action="store_true")
        parser.set_defaults(command=command)

    class Entry:
        def load(self):
            return register

    def entry_points(*, group):
        assert group == "workbook.commands"
        return [Entry()]

    monkeypatch.setattr(cli, "entry_points", entry_points)
    assert cli.main(["other"]) == 7
    assert cli.main(["other", "--refuse"]) == 2
    assert capsys.readouterr().err == "workbook: there is nothing\n"
    with pytest.raises(OSError, match="the disk is broken"):  # no fault of the standard output
        cli.main(["other", "--fail"])


def test_what_is_not_there_is_run_by_nobody(capsys):
    assert cli.main(["run", "two\nlines \x1b[2J \u202e.ipynb"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert r"\x1b[2J" in printed.err
    assert printed.err.removesuffix("\n").isprintable()


def test_version_and_usage():
    def run(*arguments):
        command = [sys.executable, "-m", "workbook_lib.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    version = importlib.metadata.version("varhandle-workbook")
    assert run("--version").stdout.strip() == version
    usage = run()
    assert usage.returncode == 2
    assert "usage: workbook" in usage.stderr


@pytest.fixture
def given(monkeypatch, tmp_path):
    """The parameters that a command line gives to the notebooks."""
    seen = {}

    def run_notebooks(notebooks, folder, parameters, on_start, jobs):
        seen.update(parameters)
        return RunReport((), folder)

    monkeypatch.setattr(runs, "run_notebooks", run_notebooks)
    monkeypatch.chdir(tmp_path)

    def given(*words):
        assert cli.main(["run", "--output", str(tmp_path / "out"), *words]) == 0
        return seen

    return given


def test_a_path_is_seen_from_where_the_user_stands(given, tmp_path):
    """The notebooks run in their own folder, where the same words would name something else."""
    seen = given("-p", "model", "models/mine", "-p", "inputs", "calls.npz", "-p", "output", "made")
    paths = {"model": "models/mine", "inputs": "calls.npz", "output": "made"}
    assert seen == {name: str(tmp_path / path) for name, path in paths.items()}
    own = given("-p", "imports", "code/own.py,a_module")["imports"]
    assert own == [str(tmp_path / "code/own.py"), "a_module"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("0.5", 0.5), ("True", True), ("float16", "float16"), ("[1", "[1"), ("", "")],
)
def test_other_values_are_python_or_text(given, text, value):
    assert given("-p", "it", text, "-p", "inputs", "") == {"it": value, "inputs": ""}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("locate m --calls 3 f.tflite", {"model": "m", "file": "f.tflite", "calls": 3}),
        ("locate --calls 3 m f.tflite", {"model": "m", "file": "f.tflite", "calls": 3}),
        ("locate m --calls 3", {"model": "m", "file": None, "calls": 3}),
        ("edition slides --output out 11", {"kind": "slides", "notebooks": [Path("11")]}),
        ("edition slides --no-run", {"kind": "slides", "notebooks": []}),
        ("drill --reset windows", {"name": "windows", "reset": True}),
        ("explain --json log.txt", {"log": "log.txt", "json": True}),
        ("diagnose --json -- -odd.h5", {"model": "-odd.h5", "json": True}),
    ],
)
def test_options_stand_between_arguments_too(line, expected):
    parser = make_parser("workbook", "", "1", cli.registrations())
    found = vars(parser.parse_args(line.split()))
    assert {name: found[name] for name in expected} == expected


def test_what_is_too_much_or_unknown_is_still_refused(capsys):
    for line in ("locate m f.tflite other", "locate m --wrong", "edition --output out"):
        with pytest.raises(SystemExit, match="2"):
            cli.main(line.split())
        assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("cure m o.tflite --signature infer --signature train", "--signature"),
        ("diagnose m --signature infer --sig=train", "--signature"),
        ("locate --signature train m --json --signature train", "--signature"),
        ("sweep m --signature infer --signature train", "--signature"),
        ("cure m --target litert o.tflite --target micro", "--target"),
        ("lift i.tflite o.tflite --json", None),
        ("sweep absent --target litert --target micro", None),
    ],
)
def test_of_two_values_none_is_lost_silently(line, option, capsys):
    assert cli.main(line.split()) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert ("is given twice, and takes one value: run the command once for each" in told) == (
        option is not None
    )
    assert option is None or option in told
    assert ("without it, cure keeps those that share a state" in told) == (option == "--signature")
