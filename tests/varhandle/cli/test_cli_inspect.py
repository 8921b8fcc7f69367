"""The command line on models and on what is none."""

import os
import subprocess
import sys

import pytest

from varhandle.cli import main


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "varhandle.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_lists_variables_and_ops_of_a_file(tmp_path, counting_file, capsys):
    path = tmp_path / "total.tflite"
    path.write_bytes(counting_file)
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "total" in printed
    assert "ASSIGN_VARIABLE" in printed


def test_a_saved_model_without_variables_says_so(tf, save_module, capsys):
    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            return 2 * x

    assert main(["inspect", str(save_module(Double()))]) == 0
    assert "no variables" in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nowhere", None),
        ("truncated.tflite", b"\x1c\0\0\0TFL3" + bytes(92)),
        ("random.tflite", bytes(range(256)) * 8),
        ("text.keras", b"a text that calls itself a model\n"),
        ("random.pb", bytes(reversed(range(256)))),
        ("empty.h5", b""),
    ],
)
def test_what_is_no_model_gets_one_line_and_exit_2(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = run("inspect", path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert str(path) in line
    assert len(line) > len(str(path)) + 20  # it says what is wrong as well


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path, counting_file, unbuffered):
    path = tmp_path / "total.tflite"
    path.write_bytes(counting_file)
    process = subprocess.Popen(
        [sys.executable, "-m", "varhandle.cli", "inspect", path],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 141  # as the shell reports any command that head cut short


def test_no_command_is_a_usage_error():
    done = run()
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_version_is_that_of_the_package():
    from importlib import metadata

    done = run("--version")
    assert done.stdout.strip() == metadata.version("varhandle")
