"""``varhandle matrix`` with a uv that installs nothing, so that a release takes a moment."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from varhandle.cli import main
from varhandle.families.catalog import CASES
from varhandle.matrix import version_matrix

# Two CPythons; 2.99.0 does not exist, 2.14.1 has no wheel for the newer one; every case works, save
# that float32-state is an error on 2.8.4; 2.19.1 takes for ever.
UV = """
import json, os, sys
from pathlib import Path

arguments = sys.argv[1:]
if arguments[:2] == ["python", "list"]:
    usual = {"implementation": "cpython", "variant": "default"}
    print(json.dumps([{"version": v, "path": "/p/" + v, **usual} for v in ("3.10.2", "3.9.1")]))
else:
    base = arguments[arguments.index("--python") + 1]
    version = next(a for a in arguments if a.startswith("tensorflow==")).partition("==")[2]
    if version == "2.99.0" or (version == "2.14.1" and "3.10" in base):
        sys.exit("error: Because there is no tensorflow==" + version + ", we can conclude nothing")
    told = arguments[arguments.index("python") + 1 :]
    if told != ["-c", "pass"]:
        source = PYTHON.replace("VERSION", version)
        os.execv(sys.executable, [sys.executable, "-c", source, *told])
"""
PYTHON = """
import json, sys, time
if "VERSION" == "2.19.1":
    time.sleep(600)
for name in sys.argv[2:]:
    if "VERSION" == "2.8.4" and name == "float32-state":
        lost = {"stage": "convert", "exception": "ConverterError", "message": "folding"}
        print("CASE " + json.dumps({"id": name, "outcome": "error", **lost}))
    else:
        print("CASE " + json.dumps({"id": name, "outcome": "works"}))
"""


@pytest.fixture
def uv(tmp_path, monkeypatch):
    path = tmp_path / "bin" / "uv"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\nPYTHON = {PYTHON!r}\n{UV}")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))


MEASURED_BEFORE = ("read-only", "float32-state", "slice-assign")


@pytest.fixture
def held(tmp_path):
    """A matrix of two releases, one of which did otherwise when it was measured."""
    results = {case: {"outcome": "works", "label": "works"} for case in MEASURED_BEFORE}
    matrix = {
        "cases": [],
        "versions": [
            {"version": v, "python": "3.9", "installed": True, "results": results}
            for v in ("2.8.4", "2.12.1")
        ],
    }
    path = tmp_path / "matrix.json"
    path.write_text(json.dumps(matrix))
    return path


def read(path):
    return {entry["version"]: entry for entry in json.loads(path.read_text())["versions"]}


def test_measures_what_the_matrix_holds_and_says_what_changed(uv, held, capsys):
    assert main(["matrix", "--output", str(held)]) == 0
    printed = capsys.readouterr().out.splitlines()
    count = len(CASES)
    started = [line for line in printed if line.startswith("measuring")]
    assert started == ["measuring 2.8.4", "measuring 2.12.1"]
    assert [line for line in printed if line not in started] == [
        f"2.8.4: Python 3.9, {count} cases: {count - 1} work, 1 fail",
        "  float32-state: was works, is error",
        f"2.12.1: Python 3.9, {count} cases: {count} work, 0 fail",
    ]
    entries = read(held)
    assert entries["2.8.4"]["results"]["float32-state"]["outcome"] == "error"
    assert set(entries["2.12.1"]["results"]) == set(CASES)
    assert not [path for path in held.parent.iterdir() if path.name.startswith(".")]


def test_chooses_a_python_and_takes_the_next_where_there_is_no_wheel(uv, tmp_path):
    path = tmp_path / "new.json"
    named = ["2.15.1", "2.14.1", "2.13.1@3.9", "2.12.1@3.9.1"]
    assert main(["matrix", *named, "--output", str(path), "--jobs", "2"]) == 0
    pythons = {version: entry["python"] for version, entry in read(path).items()}
    assert pythons == {"2.12.1": "3.9.1", "2.13.1": "3.9", "2.14.1": "3.9", "2.15.1": "3.10"}


def test_what_could_not_be_installed_is_in_the_file_with_its_reason(uv, tmp_path, capsys):
    path = tmp_path / "new.json"
    assert main(["matrix", "2.99.0", "1.15.5", "2.12.1", "--output", str(path)]) == 1
    entries = read(path)
    assert [(e["version"], e["installed"]) for e in entries.values()] == [
        ("1.15.5", False),
        ("2.12.1", True),
        ("2.99.0", False),
    ]
    assert entries["2.99.0"]["reason"] == "there is no tensorflow==2.99.0"
    reason = "no CPython 3.6 to 3.7 on this machine, only 3.10.2, 3.9.1"
    assert entries["1.15.5"]["reason"] == reason
    printed = capsys.readouterr().out
    assert f"1.15.5: not installed: {reason}" in printed
    assert main(["matrix", "--list", "--output", str(path)]) == 0
    assert f"1.15.5: not installed: {reason}" in capsys.readouterr().out


def test_a_matrix_is_listed_as_text(tmp_path, capsys):
    path = tmp_path / "matrix.json"
    entry = {"version": "2.8.4", "installed": False, "reason": "a\x1b]0;b\n\x9b2J", "results": {}}
    path.write_text(json.dumps({"versions": [entry]}))
    assert main(["matrix", "--list", "--output", str(path)]) == 0
    assert capsys.readouterr().out == "2.8.4: not installed: a\\x1b]0;b\\n\\x9b2J\n"


def test_lists_what_the_workbook_holds_without_uv(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["matrix", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(version_matrix.load()["versions"])
    assert listed[0].startswith("1.15")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["latest"], "'latest' is no release"),
        (["2.15"], "'2.15' is no release"),
        (["2.15.1@pypy"], "'2.15.1@pypy' is no release"),
        (["1.4.0"], "1.4.0 is too old"),
        (["2.15.1", "2.15.1"], "2.15.1 is asked for twice"),
        (["2.15.1\x1b[31m"], "is no release"),
    ],
)
def test_a_bad_version_is_one_line_and_2(uv, tmp_path, capsys, arguments, told):
    path = tmp_path / "new.json"
    assert main(["matrix", *arguments, "--output", str(path)]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert not path.exists()


def test_no_uv_is_one_line_and_2(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "new.json"
    assert main(["matrix", "2.15.1", "--output", str(path)]) == 2
    said = capsys.readouterr().err
    assert "there is no uv" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        *(
            "{",
            "[" * 100_000,
            "[]",
            '{"versions": 3}',
            '{"versions": [{"version": "x"}]}',
            "\udcff",
        ),
        '{"versions": [{"version": "2.8.4", "results": {"read-only": {}}}]}',
        '{"versions": [], "cases": [1]}',
    ],
)
def test_a_file_that_is_no_matrix_is_left_alone(uv, tmp_path, capsys, content):
    path = tmp_path / "other.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    before = path.read_bytes()
    for more in ([], ["--list"], ["2.15.1"]):
        assert main(["matrix", *more, "--output", str(path)]) == 2
        said = capsys.readouterr().err
        assert str(path) in said
        assert said.count("\n") == 1
    assert path.read_bytes() == before


def test_a_place_where_no_file_can_be_is_said_before_anything_is_measured(uv, tmp_path, capsys):
    for path in (tmp_path, tmp_path / "missing" / "file.json"):
        assert main(["matrix", "2.15.1", "--output", str(path)]) == 2
        printed = capsys.readouterr()
        assert "measuring" not in printed.out
        assert printed.err.count("\n") == 1


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5"])
def test_jobs_is_a_count(uv, jobs, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["matrix", "2.15.1", "--jobs", jobs])
    assert refused.value.code == 2


def test_an_interrupt_keeps_what_is_measured_and_leaves_no_program(uv, held):
    command = [sys.executable, "-m", "varhandle.cli", "matrix", "2.8.4", "2.19.1", "2.12.1"]
    program = subprocess.Popen(
        [*command, "--output", str(held)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(held.parent)},
    )
    for line in program.stdout:
        if line.startswith("measuring 2.19.1"):
            break
    import psutil

    deadline = time.monotonic() + 60
    while not _measuring(psutil.Process(program.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    running = _measuring(psutil.Process(program.pid))
    assert running
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert said == "varhandle: interrupted\n"
    assert not any(process.is_running() for process in running)
    entries = read(held)
    assert set(entries["2.8.4"]["results"]) == set(CASES)
    assert set(entries) == {"2.8.4", "2.12.1"}
    assert len(entries["2.12.1"]["results"]) == 3  # as it was


def _measuring(program):
    """Return the processes that run the cases."""
    return [one for one in program.children(recursive=True) if "float32-state" in _line(one)]


def _line(process):
    import psutil

    try:
        return process.cmdline()
    except psutil.Error:
        return []
