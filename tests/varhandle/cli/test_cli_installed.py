"""The tool as somebody installs it who has neither the checkout nor TensorFlow nor Jupyter."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from workbook_lib.locations import project_root

ROOT = project_root()
MODEL = ROOT / "data" / "half_reader"
KERAS = ROOT / "data" / "digits_classifier.keras"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def call(*command, **options):
    command = [str(part) for part in command]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel, and install it with what it asks for into an environment of its own."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(
        ROOT / "packages" / "varhandle",
        source,
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )
    built = call(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    assert built.returncode == 0, built.stderr
    environment = folder / "environment"
    # Neither pip nor bytecode is put into it, which would take longer than the rest.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (wheel,) = folder.glob("*.whl")
    done = call(*PIP, f"--python={environment}", "install", "--no-compile", wheel)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.fixture
def varhandle(installed, tmp_path):
    """Run the command from an empty folder, in an environment with an empty home."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()

    def run(*arguments, **options):
        environment = {"HOME": str(home), "PATH": os.defpath}
        command = installed / "bin" / "varhandle"
        done = call(command, *arguments, cwd=here, env=environment, **options)
        assert "Traceback" not in done.stderr
        return done

    yield run
    assert {path.name for path in home.iterdir()} <= {".keras", ".cache", ".config"}  # TensorFlow's


@pytest.fixture
def stateful(counting_file, tmp_path):
    path = tmp_path / "counting.tflite"
    path.write_bytes(counting_file)
    return path


def test_the_wheel_brings_neither_tensorflow_nor_jupyter(installed):
    listed = call(*PIP, f"--python={installed}", "list", "--format", "json")
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert not names & {"tensorflow", "keras", "jupyterlab", "ipython", "warm-kernels", "pyarrow"}
    files = {path.name for path in installed.rglob("varhandle/data/**/*")}
    assert {"runtime_ops.json", "version_matrix.json", "verdict.schema.json"} <= files


def test_a_log_is_explained(varhandle):
    log = "error: 'tf.VarHandleOp' op is neither a custom op nor a flex op"
    done = varhandle("explain", "--json", input=log)
    assert done.returncode == 0
    assert json.loads(done.stdout)["matches"][0]["id"] == "unsupported-variable-dtype"


@pytest.mark.parametrize(("model", "name"), [(MODEL, "memory"), (KERAS, "conv2d/kernel")])
def test_a_model_is_inspected(varhandle, model, name):
    done = varhandle("inspect", model)
    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout or "6 variables" in done.stdout


def test_a_model_is_read(varhandle):
    done = varhandle("diagnose", "--static", "--json", MODEL)
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (1, "blocked")
    assert found["findings"][0]["id"] == "unsupported-variable-dtype"
    done = varhandle("diagnose", "--static", KERAS)
    assert (done.returncode, done.stdout[:12]) == (0, "convertible:")


def test_a_file_is_run_and_lifted(varhandle, stateful):
    done = varhandle("diagnose", stateful)
    assert (done.returncode, done.stdout[:6]) == (0, "ready:")
    done = varhandle("lift", stateful, "lifted.tflite")
    assert done.returncode == 0
    assert "wrote lifted.tflite" in done.stdout
    done = varhandle("cure", stateful, "cured.tflite", "--target", "builtin-only")
    assert done.returncode == 0
    assert "20 of 20 calls agree" in done.stdout
    assert varhandle("matrix", "--list").stdout.startswith("1.15")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("diagnose", MODEL), "varhandle[tensorflow]"),
        (("diagnose", KERAS), "varhandle[tensorflow]"),
        (("cure", MODEL, "out.tflite"), "varhandle[tensorflow]"),
        (("cure", "STATEFUL", "out.tflite", "--quantization", "int8"), "varhandle[quantize]"),
        (("sweep", MODEL), "varhandle[sweep]"),
        (("matrix", "2.15.1"), "uv"),
    ],
)
def test_what_is_missing_is_said_in_one_line(varhandle, stateful, arguments, extra):
    done = varhandle(*(stateful if part == "STATEFUL" else part for part in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("varhandle: ")
    assert f'pip install "{extra}"' in line or line.endswith(f"pip install {extra}")


@pytest.fixture
def with_extras(installed):
    """Lend the environment TensorFlow and the rest, as the extras would install them."""
    paths = sysconfig.get_paths(vars={"base": str(installed), "platbase": str(installed)})
    lent = Path(paths["purelib"], "lent.pth")
    lent.write_text(sysconfig.get_paths()["purelib"])
    yield
    lent.unlink()


def test_with_the_extras_everything_works(with_extras, varhandle, tmp_path):
    done = varhandle("diagnose", MODEL)
    assert (done.returncode, done.stdout[:8]) == (1, "blocked:")
    done = varhandle("sweep", MODEL, KERAS, "--output", tmp_path / "swept", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 rows ready or convertible" in done.stdout
