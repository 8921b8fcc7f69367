"""A Jupyter Server with some extensions, as a hub starts one, and a way to ask it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

TOKEN = "jupyter-test"
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
    runtime: Path  # its folder of runtime files
    below: str  # where an extension begins, with a slash at the end

    def request(self, path, token=TOKEN, method="GET", body=None, **headers):
        """Make a request; a path with a slash in front is taken as it is."""
        url = path if path.startswith("/") else f"{BASE_URL}{self.below}{path}"
        if token:
            headers["Authorization"] = f"token {token}"
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(self.address + url, data, headers, method=method)

    def get(self, path, token=TOKEN, method="GET", body=None, **headers):
        """Ask, and return the whole answer."""
        request = self.request(path, token, method, body, **headers)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=120) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def stop(self):
        """Stop it, and wait until it has ended."""
        self.process.terminate()
        self.process.wait(timeout=30)


def started_server(home, extension, below, *options):
    """Start a server whose home is a new folder, and wait until it answers."""
    root, runtime = home / "root", home / "runtime"
    root.mkdir()
    own = {
        f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in ("config", "runtime", "data")
    }
    environment = {**os.environ, "HOME": str(home), **own}
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += ["--ServerApp.port=0", f"--ServerApp.root_dir={root}"]
    command += [f"--ServerApp.base_url={BASE_URL}", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.jpserver_extensions={{'{extension}': True}}", *options]
    log = (home / "log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, (home / "log").read_text()
        for path in runtime.glob("jpserver-*.json"):
            try:
                address = f"http://127.0.0.1:{json.loads(path.read_text())['port']}"
                server = JupyterServer(process, address, root, runtime, below)
                if server.get(f"{BASE_URL}api/status").status == 200:
                    return server
            except (OSError, ValueError):  # it does not answer yet, or the file is half written
                pass
        time.sleep(0.1)
    process.kill()
    raise TimeoutError((home / "log").read_text())
