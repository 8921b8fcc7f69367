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


def test_lists_a_saved_model_without_importing_tensorflow(running_total, save_module):
    folder = save_module(running_total())
    source = (
        "import sys; from varhandle.cli import main\n"
        f"code = main(['inspect', {str(folder)!r}])\n"
        "print(code, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False"
    assert "total" in done.stdout


def test_a_saved_model_without_variables_says_so(tf, save_module, capsys):
    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            return 2 * x

    assert main(["inspect", str(save_module(Double()))]) == 0
    assert "no variables" in capsys.readouterr().out.lower()


@pytest.fixture
def bad(tmp_path, counting_file):
    (tmp_path / "empty-folder").mkdir()
    files = {
        "truncated.tflite": counting_file[:100],
        "random.tflite": bytes(range(256)) * 8,
        "text.tflite": b"a text that calls itself a model\n",
        "text.keras": b"neither is this one\n",
        "random.pb": bytes(reversed(range(256))) * 8,
        "empty.h5": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    broken = tmp_path / "broken-model"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\xff" * 40)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "nowhere",
        "empty-folder",
        "truncated.tflite",
        "random.tflite",
        "text.tflite",
        "text.keras",
        "random.pb",
        "empty.h5",
        "broken-model",
    ],
)
def test_what_is_no_model_gets_one_line_and_exit_2(bad, name, capsys):
    path = bad / name
    assert main(["inspect", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert str(path) in printed.err
    assert len(printed.err) > len(str(path)) + 20  # it says what is wrong as well


def test_the_process_prints_no_traceback(bad):
    done = run("inspect", bad / "truncated.tflite")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


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
