"""A hub as ``make hub`` starts it, with two participants and the instructor, once for a module."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.participant import Visitor, wait_until
from workshop.hub_folder import USER_NUMBERS, HubFolder

MEMORY = 1.6  # gigabytes for each: a server, its warm parent, and two kernels
PATIENCE = 300.0  # seconds: a busy machine takes minutes over a server that imports for itself
SECRET = "what root's shell has been told"


class Hub:
    """The ``workbook hub`` command, in a folder of its own."""

    def __init__(self, folder):
        self.folder = HubFolder(folder)
        self._said = folder.with_name("said")
        self._process = None

    def start(self, **environment):
        command = [sys.executable, "-m", "workbook_lib.cli", "hub"]
        command += [f"--folder={self.folder.folder}", "--ip=127.0.0.1", "--port=18000"]
        command += [f"--memory={MEMORY}"]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                command,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, "SECRET_OF_ROOT": SECRET, **environment},
            )
        wait_until(
            lambda: "address" in self.said or self._process.poll() is not None, "a hub", PATIENCE
        )
        if "a participant cannot read" in self.said:
            # No view of one's own is to be had here, and the project lies below a closed folder.
            pytest.skip(self.said.strip())
        assert self._process.poll() is None, self.said

    @property
    def said(self):
        return self._said.read_text(encoding="utf-8")

    @property
    def address(self):
        return f"http://127.0.0.1:{self.folder.config.settings.port}"

    @property
    def numbers(self):
        first = self.folder.config.first_number
        return range(first, first + USER_NUMBERS)

    def wait_until(self, true, what):
        """Ask until the answer counts as true; tell what the hub has said if it never does."""
        try:
            wait_until(true, what)
        except AssertionError as error:
            log = (self.folder.state / "hub.log").read_text("utf-8", "replace")
            raise AssertionError(f"{error}; the hub's last words:\n{log[-6000:]}") from None

    def visitor(self, name):
        return Visitor(self.address, name, PATIENCE)

    def code(self, name="workshop code"):
        return self.folder.secrets[name]

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)
        return self._process.returncode


def a_hub(folder, **environment):
    """Start one; skip where that says nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip(
            "only root, on Linux, can look into what it keeps apart: sudo pytest tests/workshop"
        )
    pytest.importorskip("jupyterhub")
    started = Hub(Path(folder, "workshop"))
    started.start(**environment)
    return started


@pytest.fixture
def hub_folder(tmp_path):
    """A workshop's folder without a hub."""
    made = HubFolder(tmp_path / "workshop")
    made.make()
    return made


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    started = a_hub(tmp_path_factory.mktemp("hub"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def ada(hub):
    return at_work(hub, "ada")


@pytest.fixture(scope="module")
def bob(hub):
    return at_work(hub, "bob")


def at_work(hub, name):
    visitor = hub.visitor(name)
    visitor.sign_in(hub.code(), f"{name}'s own")
    visitor.start_server()
    visitor.work = visitor.kernel()
    return visitor


def server_of(visitor):
    """Return the process of a participant's server, as root sees it."""
    return psutil.Process(int(visitor.work.run("import os; print(os.environ['JPY_PARENT_PID'])")))
