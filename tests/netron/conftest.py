"""A Jupyter Server with the extension, as a hub starts one, and a way to ask it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from workbook_lib.netron.tickets import VARIABLE, TicketFolder

TOKEN = "netron-test"
BASE_URL = "/user/ada/"


@dataclass
class Answer:
    """An answer of a server."""

    status: int
    headers: dict
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@dataclass
class JupyterServer:
    """A server in a process of its own."""

    process: subprocess.Popen
    address: str  # scheme, host and port
    root: Path  # the folder that it serves
    tickets: TicketFolder

    def get(self, path, token=TOKEN, **headers):
        """Ask for a path; what starts with a slash is taken as it is, others are below Netron's."""
        url = path if path.startswith("/") else f"{BASE_URL}workbook/netron/{path}"
        if token:
            headers["Authorization"] = f"token {token}"
        request = urllib.request.Request(self.address + url, headers=headers)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())


@pytest.fixture(scope="session")
def start_jupyter(tmp_path_factory):
    """Start servers: ``start_jupyter(*options)``; they end with the tests."""
    started = []

    def start(*options):
        home = tmp_path_factory.mktemp("home")
        root = home / "root"
        root.mkdir()
        own = {
            f"JUPYTER_{name.upper()}_DIR": str(home / name)
            for name in ("config", "runtime", "data")
        }
        environment = {**os.environ, "HOME": str(home), **own}
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
        command += ["--ServerApp.port=0", f"--ServerApp.root_dir={root}"]
        command += [f"--ServerApp.base_url={BASE_URL}", f"--IdentityProvider.token={TOKEN}"]
        command += ["--ServerApp.jpserver_extensions={'workbook_lib.netron': True}", *options]
        log = (home / "log").open("w")
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        started.append(process)
        runtime = home / "runtime"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None, (home / "log").read_text()
            for path in runtime.glob("jpserver-*.json"):
                address = f"http://127.0.0.1:{json.loads(path.read_text())['port']}"
                (folder,) = runtime.glob("workbook-netron-*")
                server = JupyterServer(process, address, root, TicketFolder(folder, BASE_URL))
                try:
                    if server.get(f"{BASE_URL}api/status").status == 200:
                        return server
                except OSError:
                    pass
            time.sleep(0.1)
        raise TimeoutError((home / "log").read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def jupyter(start_jupyter):
    return start_jupyter()


@pytest.fixture
def kernel_of(monkeypatch):
    """Make this process look like a kernel that a server has started: ``kernel_of(server)``."""

    def become(server):
        monkeypatch.setenv(VARIABLE, str(server.tickets.path))
        monkeypatch.setenv("JPY_PARENT_PID", str(server.process.pid))

    return become
