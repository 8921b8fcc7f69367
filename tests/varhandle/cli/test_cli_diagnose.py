"""``varhandle diagnose``: what it prints, and how it exits."""

import json
import subprocess
import sys

import numpy as np
import pytest

from varhandle import diagnosis
from varhandle.cli import main
from varhandle.errors import UnknownNameError


@pytest.fixture(scope="module")
def models(tf, running_total, save_module, counting_file, tmp_path_factory):
    file = tmp_path_factory.mktemp("diagnose") / "total.tflite"
    file.write_bytes(counting_file)
    return {
        "convertible": save_module(running_total()),
        "blocked": save_module(running_total("float16")),
        "ready": file,
    }


@pytest.mark.parametrize(("verdict", "code"), [("convertible", 0), ("blocked", 1), ("ready", 0)])
@pytest.mark.parametrize("static", [True, False])
def test_the_verdict_is_the_first_word_and_the_exit_code(models, capsys, verdict, code, static):
    options = ["--static"] if static else []
    assert main(["diagnose", str(models[verdict]), *options]) == code
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{verdict}: ")
    assert shown.err == ""
    assert ("none was asked for" in shown.out) == static


def test_the_code_that_a_model_brings_along_is_named_where_nothing_runs(specimen_path, capsys):
    assert main(["diagnose", str(specimen_path("lambda_keras")), "--static"]) == 0
    shown = capsys.readouterr().out
    assert "it brings code along (Lambda calls a Python function of the file" in shown
    assert "--trust lets it run" in shown


def test_json_is_one_object(models, capsys):
    assert main(["diagnose", "--json", "--static", str(models["blocked"])]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "blocked"
    assert found["model"] == str(models["blocked"])
    (finding,) = found["findings"]
    assert (finding["id"], finding["variables"]) == ("unsupported-variable-dtype", ["total"])
    (variable,) = found["variables"]
    assert variable["assigns"][0]["signatures"] == ["serving_default"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--signature", "run"], "no signature 'run'; there are: serving_default"),
        (["--inputs", "missing.npz"], "missing.npz: "),
    ],
)
def test_what_does_not_fit_the_model_is_bad_input(models, capsys, tmp_path, options, fault):
    assert main(["diagnose", str(models["convertible"]), *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert str(models["convertible"]) in shown.err
    assert fault in shown.err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError(), "ValueError: run it with --help"),
        (KeyError(), "KeyError: run it with --help"),
        (UnknownNameError("no signature; there are: x"), "no signature; there are: x"),
        (ValueError("two\nlines\x1b[31m"), "two lines\\x1b[31m: run it with --help"),
        (PermissionError(13, "Denied"), "Denied: check the path, and your rights to it"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte: "
            "run it with --help",
        ),
    ],
)
def test_every_fault_of_the_input_is_one_line(models, capsys, monkeypatch, error, said):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(diagnosis, "diagnose", refuse)
    assert main(["diagnose", str(models["ready"])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"varhandle: {models['ready']}: {said}"  # no quotes around a KeyError's


def test_inputs_of_ones_own(models, capsys, tmp_path):
    np.savez(tmp_path / "calls.npz", x=np.ones([3, 4], "float32"))
    options = ["--inputs", str(tmp_path / "calls.npz"), "--json"]
    assert main(["diagnose", str(models["convertible"]), *options]) == 0
    runs = json.loads(capsys.readouterr().out)["proof"]["parity"]["runs"]
    assert [run["calls"] for run in runs] == [3, 3]


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        *(("diagnose --static", verdict) for verdict in ("convertible", "blocked", "ready")),
        ("inspect", "blocked"),
        ("explain", "ready"),  # any file may call itself a log
    ],
)
def test_what_only_reads_imports_nothing_heavy(models, command, verdict):
    program = (
        "import sys; from varhandle.cli import main; main(sys.argv[1:]);"
        "heavy = 'tensorflow keras IPython matplotlib multiprocessing psutil h5py'.split();"
        "heavy.append('ai_edge_litert.interpreter');"
        "sys.exit(', '.join(m for m in heavy if m in sys.modules) or 0)"
    )
    arguments = [*command.split(), str(models[verdict])]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


STARTED = """
import sys
from varhandle.cli import main
from varhandle.sandbox import fork_server

started, start = [], fork_server._ForkServer._start
def noted(server, imports):
    started.append(server._tensorflow)
    start(server, imports)
fork_server._ForkServer._start = noted
main(sys.argv[1:])
print(started, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("model", "options", "started"),
    [
        ("ready", [], [False]),
        ("ready", ["--static"], []),
        ("convertible", [], [False, True]),
        ("convertible", ["--static"], []),
        ("missing", [], [False]),
    ],
)
def test_tensorflow_is_imported_at_once_and_only_where_it_is_needed(
    models, tmp_path, model, options, started
):
    path = str(models.get(model, tmp_path / "missing.keras"))
    command = [sys.executable, "-c", STARTED, "diagnose", path, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == str(started)
