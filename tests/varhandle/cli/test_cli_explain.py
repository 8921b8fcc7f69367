"""``varhandle explain``: a log from a file or a pipe, in words or as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from varhandle.cli import main
from varhandle.formats import regular_file

LOG = (
    "Traceback (most recent call last):\n"
    "ConverterError: <unknown>:0: error: loc(\"total\"): 'tf.VarHandleOp' op is neither a custom op"
    " nor a flex op\n"
)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "converter.log"
    path.write_text(LOG, encoding="utf-8")
    return path


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "varhandle.cli", "explain", *map(str, arguments)],
        capture_output=True,
        check=False,
        **options,
    )


def test_in_words(log, capsys):
    assert main(["explain", str(log)]) == 0
    printed = capsys.readouterr()
    assert "unsupported-variable-dtype" in printed.out
    assert "line 2" in printed.out
    assert "'total'" in printed.out
    assert printed.err == ""


def test_as_json(log, capsys):
    assert main(["explain", str(log), "--json"]) == 0
    (match,) = json.loads(capsys.readouterr().out)["matches"]
    assert match["id"] == "unsupported-variable-dtype"
    assert match["line_number"] == 2
    assert "VarHandleOp" in match["line"]
    assert match["message"]
    assert match["fix"]


@pytest.mark.parametrize(
    "content",
    [
        b"ModuleNotFoundError: No module named 'tensorflow'\n",
        b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 40,  # which is no text
    ],
)
def test_nothing_recognized_is_no_failure(tmp_path, capsys, content):
    path = tmp_path / "other.log"
    path.write_bytes(content)
    assert main(["explain", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"matches": []}
    assert main(["explain", str(path)]) == 0
    assert "nothing in this log" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["-"], []])
def test_from_a_pipe(arguments):
    done = command(*arguments, "--json", input=LOG.encode("utf-16"))
    assert done.returncode == 0
    assert done.stderr == b""
    assert json.loads(done.stdout)["matches"][0]["id"] == "unsupported-variable-dtype"


@pytest.mark.parametrize("make", ["missing", "folder", "pipe", "device"])
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, monkeypatch, capsys, make):
    path = tmp_path / "a\nb\x1b[2J"
    monkeypatch.setattr(regular_file, "_UNTIL_A_WRITER", 50)
    monkeypatch.setattr(regular_file, "LARGEST_TEXT", 1000)
    maker, told = {
        "missing": (Path.exists, "No such file"),
        "folder": (Path.mkdir, "directory"),
        "pipe": (os.mkfifo, "nobody writes into"),
        "device": (lambda at: at.symlink_to("/dev/zero"), "more than 1,000 bytes"),
    }[make]
    maker(path)
    assert main(["explain", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert "\x1b" not in printed.err
    assert told in printed.err


def test_a_closed_input_is_refused():
    source = (
        "import sys; sys.stdin = None\nfrom varhandle.cli import main\nsys.exit(main(['explain']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "varhandle: standard input: it is closed; name the file of the log\n"
