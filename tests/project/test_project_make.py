"""The Makefile's commands as somebody types them, and what CI makes of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml

from workbook_lib.locations import project_root

ROOT = project_root()
pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv" / "ready").exists() or shutil.which("make") is None,
    reason="runs where make has set the checkout up",
)


@pytest.fixture(autouse=True)
def as_typed(monkeypatch):
    """Take away what an outer make (``make test``) tells the inner ones."""
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        monkeypatch.delenv(name, raising=False)


def make(*arguments, **options):
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


def test_help_lists_every_target():
    listed = set(re.findall(r"^make (\w+) ", make("help").stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(phony[1].replace("\\\n", " ").split())
    assert make().stdout == make("help").stdout


def test_git_does_not_see_the_learners_copy():
    for name in ("notebooks/01_mine.ipynb", ".workbook/progress.jsonl", "workbook-output/x.tflite"):
        subprocess.run(["git", "check-ignore", "-q", f"my-workbook/{name}"], cwd=ROOT, check=True)


# A Python for the Makefile that notes what it is asked, and makes a .venv of copies of itself.
RECORDER = """#!/bin/sh
echo "$@" >> asked
case "$*" in
    "-m pip --disable-pip-version-check --version") [ ! -e "$0.broken" ] ;;
    "-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *--require-hashes*)
        for name in a b c d e f g h i j; do echo "Collecting $name==1"; done
        [ ! -e fails ] || { echo "ERROR: no network" >&2; exit 1; }
        echo "Installing collected packages: a, b, c" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """What the Makefile needs, and the recorder as ``python`` and ``.venv/bin/python``."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for path in (tmp_path / "python", tmp_path / ".venv" / "bin" / "python"):
        program(path, RECORDER)
    return tmp_path


def set_up(checkout, target="setup"):
    done = make_in(checkout, target, "PYTHON=./python")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("changed", "layers"), [("", 0), ("lab.lock", 2), ("test.lock", 1), ("hub.lock", 0)]
)
def test_a_layer_is_installed_once_and_anew_when_it_changes(checkout, changed, layers):
    """Of the tests' set-up, which goes on top of the lessons'."""
    program(checkout / ".venv" / "bin" / "ruff", "#!/bin/sh\n")
    set_up(checkout, "lint")
    if changed:
        os.utime(checkout / "requirements" / changed, (time.time() + 10,) * 2)
    planned = make_in(checkout, "--dry-run", "lint").stdout
    assert planned.count("--require-hashes") == layers
    assert ("-r requirements/lab.lock" in planned) == (layers == 2)


def test_the_lessons_get_their_layer_alone(checkout):
    set_up(checkout)
    asked = (checkout / "asked").read_text()
    assert re.findall(r"--require-hashes -r (\S+)", asked) == ["requirements/lab.lock"]


def test_set_up_says_how_far_it_is_and_is_not_ready_when_pip_fails(checkout):
    assert "fetched 10 packages" in set_up(checkout)
    (checkout / ".venv" / "ready").unlink()
    (checkout / "fails").touch()
    done = make_in(checkout, "setup", "PYTHON=./python")
    assert done.returncode != 0
    assert "no network" in done.stderr
    assert not (checkout / ".venv" / "ready").exists()


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def make_in(folder, *arguments, **environment):
    return subprocess.run(
        [shutil.which("make"), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("pip_works", [True, False])
def test_a_venv_without_pip_is_made_anew(checkout, pip_works):
    if not pip_works:
        (checkout / ".venv" / "bin" / "python.broken").touch()
    set_up(checkout)
    asked = (checkout / "asked").read_text()
    assert ("-m venv --clear .venv" in asked) is not pip_works
    assert "--require-hashes" in asked
    assert (checkout / ".venv" / "ready").exists()


@pytest.mark.parametrize("python", ["./python3.9", ""])
def test_a_python_that_will_not_do_is_named_and_installs_nothing(checkout, python):
    program(checkout / "python3.9", "#!/bin/sh\nexit 1\n")
    done = make_in(checkout, "setup", f"PYTHON={python}")
    assert done.returncode != 0
    assert f"Python 3.10, 3.11, 3.12 or 3.13, and PYTHON is '{python}'" in done.stdout
    assert not (checkout / "asked").exists()


def test_clean_removes_nothing_that_somebody_else_named(checkout):
    for name in ("mine", "my-workbook", "workbook-output"):
        (checkout / name).mkdir()
    assert make_in(checkout, "clean", OUTPUT="mine").returncode == 0
    assert make_in(checkout, "clean", "OUTPUT=mine").returncode == 0
    assert (checkout / "mine").exists()
    assert (checkout / "my-workbook").exists(), "the learner's work"
    assert not (checkout / "workbook-output").exists()


def test_output_is_one_folder_and_not_taken_from_the_environment(checkout):
    set_up(checkout)
    named = make_in(checkout, "--dry-run", "run", "OUTPUT=my runs").stdout
    assert '--output "my runs"' in named
    assert '--output "workbook-output"' in make_in(checkout, "-n", "run", OUTPUT="mine").stdout


def test_lock_needs_no_venv_and_says_that_it_needs_uv(checkout):
    assert "venv" not in make_in(checkout, "--dry-run", "lock").stdout
    done = make_in(checkout, "lock", PATH=str(checkout))
    assert done.returncode != 0
    assert "make lock needs uv" in done.stdout


@pytest.fixture
def texts(checkout):
    """A notebook with its text; a jupytext that notes and fails at ``broken``, and a refresh."""
    for layer in ("ready", "ready-test"):
        (checkout / ".venv" / layer).touch()
    for folder in ("notebooks", "workbook-output/text"):
        (checkout / folder).mkdir(parents=True)
    noted = '#!/bin/sh\necho "$*" >> asked\ncase "$*" in *broken*) exit 1;; esac\n'
    program(checkout / ".venv" / "bin" / "jupytext", noted)
    touching = 'for name; do :; done\n[ -z "$name" ] || touch "$name"\n'
    program(checkout / ".venv" / "bin" / "python", noted + touching)  # it writes the notebook
    add(checkout, "01_two")
    return checkout


def add(folder, stem):
    for name in (f"notebooks/{stem}.ipynb", f"workbook-output/text/{stem}.py"):
        (folder / name).touch()


@pytest.mark.parametrize("target", ["text", "untext"])
def test_text_and_untext_stop_at_the_first_failure(texts, target):
    add(texts, "00_broken")
    assert make_in(texts, target).returncode != 0
    (asked,) = (texts / "asked").read_text().splitlines()
    assert "00_broken" in asked


def test_untext_can_be_repeated_and_keeps_a_notebook_that_is_newer(texts):
    for _ in range(2):
        done = make_in(texts, "untext")
        assert done.returncode == 0, done.stdout
        time.sleep(0.02)
    refreshed = "workbook_lib.runs.canonical notebooks/01_two.ipynb"
    assert (texts / "asked").read_text().count(refreshed) == 2
    (texts / "asked").unlink()
    os.utime(texts / "notebooks" / "01_two.ipynb", (time.time() + 10,) * 2)
    done = make_in(texts, "untext")
    assert done.returncode != 0
    text = "workbook-output/text/01_two.py"
    assert f"notebooks/01_two.ipynb is newer than {text}" in done.stdout
    assert not (texts / "asked").exists()


def test_untext_without_text_says_what_comes_first(texts):
    shutil.rmtree(texts / "workbook-output" / "text")
    done = make_in(texts, "untext")
    assert done.returncode != 0
    assert "make text comes first" in done.stdout


@pytest.fixture
def bare(tmp_path):
    """A machine for .ci/run: what is on it is in ``bin``, and what it is asked in ``asked``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "env", "dirname", "grep"):
        (folder / name).symlink_to(shutil.which(name))
    noted = '#!/bin/bash\necho "${0##*/} $*" >> "$ASKED"\n'
    for name in ("make", "chromium", "python3"):
        program(folder / name, noted)
    program(folder / "fc-list", "#!/bin/bash\necho font\n")
    program(folder / "id", "#!/bin/bash\necho 1000\n")
    program(folder / "sudo", noted)
    return tmp_path


def ci(machine):
    """Run .ci/run there; return what it installed and the last command."""
    asked = machine / "asked"
    done = subprocess.run(
        [ROOT / ".ci" / "run"],
        env={"PATH": str(machine / "bin"), "ASKED": str(asked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = asked.read_text().splitlines()
    return [line for line in lines if line.startswith("sudo")], lines[-1]


def test_ci_installs_nothing_where_nothing_is_missing(bare):
    assert ci(bare) == ([], "make test")
    (bare / "bin" / "chromium").rename(bare / "bin" / "google-chrome")  # it will do as well
    assert ci(bare) == ([], "make test")


def test_ci_installs_what_is_missing_without_questions(bare):
    """A browser that does not start, and venv for the Python that make takes, the second one."""
    program(bare / "bin" / "chromium", "#!/bin/bash\nexit 1\n")
    program(bare / "bin" / "python3", "#!/bin/bash\n[[ $2 != *version_info* ]]\n")
    program(bare / "bin" / "python3.12", "#!/bin/bash\n[[ $2 != *ensurepip* ]]\n")
    installed, last = ci(bare)
    assert installed[0] == "sudo apt-get update -qq"
    assert installed[1].startswith("sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y")
    assert installed[1].endswith(" chromium python3.12-venv")
    assert last == "make test"


def test_ci_and_make_try_the_same_pythons():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    names = re.search(r"for python in (python3 .*?);", makefile)[1]
    assert f" {names}; do" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_workflow_runs_once_a_change_on_every_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    events = workflow[True]  # YAML 1.1 reads "on" so
    assert events == {"push": {"branches": ["main"]}, "pull_request": None}
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.10", "3.11", "3.12", "3.13"]


def test_lab_prints_its_address_on_the_next_port_and_opens_the_copys_notebook_00(
    tmp_path, monkeypatch
):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lab = subprocess.Popen(
            ["make", "lab", f"PORT={port}", f"WORKBOOK_FOLDER={tmp_path / 'my copy'}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said = (re.search(r"http://127\.0\.0\.1:(\d+)(/lab\S*)", line) for line in lab.stdout)
            address = next(found for found in said if found)
            page = opened(address[0])
            api = (
                address[0]
                .replace("/lab/tree/", "/api/contents/")
                .replace("00_start_here.ipynb", "")
            )
            listed = json.loads(opened(api))["content"]
        finally:
            os.killpg(lab.pid, signal.SIGTERM)
            lab.communicate(timeout=30)
    assert int(address[1]) != port
    assert address[2].startswith("/lab/tree/notebooks/00_start_here.ipynb?token=")
    assert "jupyter-config-data" in page
    copied = tmp_path / "my copy" / "notebooks"
    assert {entry["name"] for entry in listed} == {path.name for path in copied.iterdir()}
    assert '"outputs": []' in (copied / "00_start_here.ipynb").read_text()


def opened(address):
    """Fetch a page; the server prints its address a moment before it answers there."""
    for _ in range(100):
        try:
            return urllib.request.urlopen(address, timeout=20).read().decode()
        except urllib.error.URLError:
            time.sleep(0.2)
    raise TimeoutError(f"nobody answers at {address}")
