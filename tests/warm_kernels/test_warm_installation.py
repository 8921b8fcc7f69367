"""What an installation of the package lays down, and that its own part runs on each Python."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbook_lib.locations import project_root

PACKAGE = project_root() / "packages" / "warm-kernels"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module", params=["editable", "whole"])
def prefix(request, tmp_path_factory):
    """An installation in a prefix of its own, from a copy: building may leave files."""
    folder = tmp_path_factory.mktemp("installation")
    source = shutil.copytree(PACKAGE, folder / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    command += ["--no-warn-script-location", "--prefix", str(folder / "prefix")]
    command += ["-e", "."] if request.param == "editable" else ["."]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return folder / "prefix"


def test_jupyter_finds_the_server_extension_and_the_provisioner(prefix):
    from jupyter_server.extension.config import ExtensionConfigManager

    manager = ExtensionConfigManager(read_config_path=[str(prefix / "etc" / "jupyter")])
    assert manager.get_jpserver_extensions() == {"warm_kernels": True}
    (about,) = prefix.rglob("warm_kernels-*.dist-info/entry_points.txt")
    assert about.read_text("utf-8").split() == [
        "[jupyter_client.kernel_provisioners]",
        "warm-kernels",
        "=",
        "warm_kernels.provisioner:WarmProvisioner",
    ]


def test_nothing_of_ours_is_inside():
    text = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py")).lower()
    assert not [name for name in ("varhandle", "workbook", "tensorflow", "keras") if name in text]


def python(version):
    """Find a Python of a version, with nothing installed for it."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, beside)):
        # A name on the PATH may be a switch between Pythons that has none of this version.
        tried = found and subprocess.run([found, "-c", ""], capture_output=True, check=False)
        if tried and tried.returncode == 0:
            return found
    return None


JOBS = """
import atexit, multiprocessing, os, random, signal, sys, tempfile, time

def show(*names):
    atexit.register(print, "the end", flush=True)
    print(*[eval(name) for name in names], flush=True)

def end(how):
    exec(how)

def speak(report, word):
    if os.fork() == 0:  # what it has started may outlive it
        time.sleep(600)
    report(word)
    sys.stdin.read()

def fork_again():
    from warm_kernels.forked_process import ForkedProcess
    import warm_kernels.fork_server as one
    assert one.SERVER.is_running
    server = ForkedProcess(show, "os.getppid() != 1", streams=(0, 1, 2), environment={}, cwd="/")
    assert server.wait(20) == 0
"""
SCRIPT = """
import os, signal, sys, tempfile, time
import jobs
from warm_kernels.fork_server import SERVER
from warm_kernels.forked_process import ForkedProcess

nothing = os.open(os.devnull, os.O_RDWR)
out = tempfile.TemporaryFile()
options = dict(streams=(nothing, out.fileno(), 2), environment={"SET": "here"}, cwd="/tmp")

def start(function, *args, **more):
    return ForkedProcess(function, *args, **{**options, **more})

def said():
    out.seek(0)
    text = out.read().decode()
    out.seek(0)
    out.truncate()
    return text

asked = ("dict(os.environ)", "os.getcwd()", "os.getsid(0) == os.getpid()",
         "'preloaded' in sys.modules", "signal.getsignal(signal.SIGINT).__name__",
         "multiprocessing.parent_process()")
assert start(jobs.show, *asked).wait(20) == 0
here = "{'SET': 'here'} /tmp True True default_int_handler None\\nthe end\\n"
assert (found := said()) == here, found
draws = ("random.random()", "bytes(multiprocessing.current_process().authkey)",
         "tempfile.gettempdir()")
for _ in range(2):
    start(jobs.show, *draws, environment={"TMPDIR": "/"}).wait(20)
one, _, other, _ = said().splitlines()
assert not set(one.split()[:2]) & set(other.split()[:2]) and one.endswith(" /")
for how, code in (("sys.exit(3)", 3), ("os.abort()", -6), ("1 / 0", 1)):
    assert start(jobs.end, how, streams=(nothing, nothing, nothing)).wait(20) == code, how
waiting, hold = os.pipe()
held = start(jobs.speak, "listening", reports=True, streams=(waiting, out.fileno(), 2))
assert (held.report, held.poll()) == ("listening", None)
os.kill(SERVER._process.pid, signal.SIGKILL)
SERVER._process.wait()
assert held.poll() is None
assert start(jobs.fork_again, nested=True).wait(20) == 0
assert said().startswith("True")
held.terminate()
assert held.wait(20) == 255
os.killpg(held.pid, signal.SIGKILL)
before = len(os.listdir("/proc/self/fd"))
for number in range(20):
    assert start(jobs.end, f"sys.exit({number})").wait(20) == number
try:
    start(jobs.end, "pass", first=jobs.missing if hasattr(jobs, "missing") else sys.exit)
except OSError as error:
    assert "exit code 0" in str(error)
else:
    raise AssertionError("it was never ready")
assert len(os.listdir("/proc/self/fd")) == before
out.close()
print("as promised")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
@pytest.mark.parametrize("version", VERSIONS)
def test_processes_are_forked_alike_by_each_python(tmp_path, version):
    """With stand-ins for the two packages that the fork server looks into, and nothing else."""
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version}")
    for name, content in {
        "jobs.py": JOBS,
        "script.py": SCRIPT,
        "preloaded.py": "",
        "ipykernel/__init__.py": "",
        "ipykernel/kernelapp.py": "",
        "jupyter_core/__init__.py": "",
        "jupyter_core/paths.py": f"def jupyter_config_path(): return [{str(tmp_path)!r}]",
        "warm_kernels.json": json.dumps({"preload": ["preloaded", "not_there"]}),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    path = os.pathsep.join((str(tmp_path), str(PACKAGE / "src")))
    done = subprocess.run(
        [interpreter, "-W", "error", str(tmp_path / "script.py")],
        env={"PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == "as promised\n", done.stderr
    assert "warm kernels: not_there is not preloaded: ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Expecting"),
        ("[]", "preload and start_variables alone"),
        ('{"preloads": []}', "preload and start_variables alone"),
        ('{"preload": [1]}', "1 is no text"),
        ('{"start_variables": ["("]}', "missing )"),
        ('{"preload": "numpy"}', "a list is expected"),
    ],
)
def test_settings_that_cannot_be_read_are_named_and_passed_over(
    tmp_path, monkeypatch, caplog, content, said
):
    from warm_kernels.settings import Settings, read_settings

    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "none"))
    others = read_settings()
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    (tmp_path / "warm_kernels.json").write_text(content)
    assert read_settings() == others != Settings()
    (line,) = caplog.messages
    assert str(tmp_path / "warm_kernels.json") in line
    assert said in line


def test_what_stands_in_an_earlier_folder_counts(tmp_path, monkeypatch):
    from warm_kernels.settings import read_settings

    assert read_settings().modules == {"keras", "tensorflow", "ai_edge_litert.interpreter"}
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    (tmp_path / "warm_kernels.json").write_text('{"preload": ["json"]}')
    settings = read_settings()
    assert settings.modules == {"json"}
    counted = {"TF_X": "1", "TF2_BEHAVIOR": "0", "PYTHONHASHSEED": "0", "LD_PRELOAD": "x"}
    others = {"TF2_BEHAVIOR": "1", "TF_CPP_MIN_LOG_LEVEL": "0", "HOME": "/", "ATF_": "1"}
    assert settings.start_variables_of({**others, **counted}) == counted
    assert settings.start_variables_of(others) == {}
