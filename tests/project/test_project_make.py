"""The two commands of the README, as somebody types them in this checkout."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from workbook_lib.samples import project_root

ROOT = project_root()
pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv" / "ready").exists() or shutil.which("make") is None,
    reason="runs where make has set the checkout up",
)


def make(*arguments, **options):
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


def test_help_lists_every_target():
    listed = set(re.findall(r"^make (\w+) ", make("help").stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert listed == set(phony.split())
    assert make().stdout == make("help").stdout


def test_a_second_set_up_installs_nothing():
    assert "Nothing to be done" in make("setup").stdout
    for target in ("lab", "run", "test"):
        planned = make("--dry-run", target).stdout
        assert "pip install" not in planned, target


def test_a_changed_lock_is_installed_anew(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    ready = tmp_path / ".venv" / "ready"
    ready.touch()
    future = time.time() + 10
    os.utime(tmp_path / "requirements.lock", (future, future))
    planned = subprocess.run(
        ["make", "--dry-run", "setup"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "--require-hashes -r requirements.lock" in planned.stdout


def test_without_a_python_that_will_do_it_says_which(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        ["make", "setup", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Python 3.10, 3.11, 3.12 or 3.13" in done.stdout


@pytest.fixture
def lab(tmp_path):
    """``make lab`` while its port is taken; gives the lines that it prints."""
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    environment |= {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    process = subprocess.Popen(
        ["make", "lab", f"PORT={port}"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    yield port, lines, process
    taken.close()
    os.killpg(process.pid, 15)
    process.wait(timeout=30)


def test_lab_prints_its_address_on_the_next_port_and_opens_notebook_00(lab):
    port, lines, process = lab
    address = None
    for _ in range(300):
        assert process.poll() is None, "".join(lines)
        found = re.findall(r"http://127\.0\.0\.1:(\d+)(/lab\S*)", "".join(lines))
        if found:
            address = found[0]
            break
        time.sleep(0.2)
    assert address, "".join(lines)
    assert int(address[0]) != port
    assert address[1].startswith("/lab/tree/notebooks/00_start_here.ipynb?token=")
    page = urllib.request.urlopen(f"http://127.0.0.1:{address[0]}{address[1]}", timeout=20)
    assert page.status == 200
    assert "jupyter-config-data" in page.read().decode()
