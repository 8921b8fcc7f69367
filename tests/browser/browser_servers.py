"""JupyterLab servers for the browser tests: each with a home, a root and a progress of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from workbook_lib.lesson.learner_copy import update_copy
from workbook_lib.locations import project_root

TOKEN = "browser-test"
SETTINGS = {
    # Every cell in the page, so that it can be counted and photographed.
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    # The next test's files lie where those of the last one did, which may just be saving itself.
    "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": {
        "autosave": False,
        "lastModifiedCheckMargin": 10**12,  # milliseconds
    },
    # As the Makefile sets it for everybody.
    "@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings": {"saveState": True},
}


class LabServer:
    """One server, as ``make lab`` starts it, or as a hub does for one of its users.

    Attributes:
        address: Where a browser finds it, with its base URL, without a slash at the end.
        root: The folder that it serves: a learner's copy.
        home: Everything else that it writes: settings, runtime files, progress, log.
        progress: The file of the learner's progress.
    """

    def __init__(self, folder: Path, base_url: str = "/") -> None:
        self.root, self.home = folder / "workbook", folder / "home"
        self._handed_out = folder / "handed-out"
        self.progress = self.home / "progress.jsonl"
        self.base_url = base_url
        self.port = 0
        self.address = ""
        self.home.mkdir(parents=True)
        update_copy(self._handed_out)
        self.renew()
        self.start()

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it answers."""
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.home / "settings"),
            "PYTHONPATH": os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")]),
            "WORKBOOK_PROGRESS": str(self.progress),
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"]
        command += [f"--ServerApp.root_dir={self.root}", f"--ServerApp.base_url={self.base_url}"]
        command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True"]
        shutil.rmtree(self.home / "runtime", ignore_errors=True)
        with (self.home / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=self.root
            )
        self.address = self._wait_for_address()

    def stop(self) -> None:
        """Stop it with its kernels, and whatever these leave behind."""
        if self.process.poll() is not None:
            return
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        for process in alive:
            process.kill()

    def restart(self) -> None:
        """Stop it and start it again: same address, same files, no kernel."""
        self.stop()
        self.start()

    def renew(self) -> None:
        """Make it as on a first visit: fresh notebooks, light theme, no progress, no kernel."""
        if self.address:
            self.shut_kernels()
        self._renew_files()
        for path in self.home.glob("progress*"):
            path.unlink()
        shutil.rmtree(self.home / "settings", ignore_errors=True)
        for name, values in SETTINGS.items():
            self.set(name, values)

    def _renew_files(self) -> None:
        """Bring the files back to what was handed out; no file of it is ever missing meanwhile.

        Where one vanishes while jupyter_server (2.21) lists its folder, it answers that there is no
        such folder, and an open file browser says so in a dialog.
        """
        folders = ("notebooks", "data", "drills")
        for path in [path for name in folders for path in self.root.glob(f"{name}/*")]:
            if not (self._handed_out / path.relative_to(self.root)).exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for original in self._handed_out.rglob("*"):
            path = self.root / original.relative_to(self._handed_out)
            if original.is_dir():
                path.mkdir(parents=True, exist_ok=True)
            elif not path.exists() or path.read_bytes() != original.read_bytes():
                shutil.copy(original, self.home / "renewed").replace(path)

    def set(self, name: str, values: dict) -> None:
        """Store a setting of JupyterLab; it holds from the next visit on."""
        path = self.home / "settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def shut_kernels(self) -> None:
        """Shut every kernel down: nine that have imported TensorFlow fill a machine."""
        for session in self.ask("api/sessions"):
            self.ask(f"api/sessions/{session['id']}", "DELETE")

    def ask(self, path: str, method: str = "GET"):
        """Ask the server's own interface, such as ``"api/kernels"``; ``None`` is no answer."""
        request = urllib.request.Request(
            f"{self.address}/{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def log(self) -> str:
        """Return what it wrote while it ran."""
        return (self.home / "server.log").read_text()

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"JupyterLab did not start:\n{self.log()[-2000:]}"
            for path in (self.home / "runtime").glob("jpserver-*.json"):
                try:
                    self.port = json.loads(path.read_text())["port"]
                    self.address = f"http://127.0.0.1:{self.port}{self.base_url}".rstrip("/")
                    self.ask("api/status")
                    return self.address
                except (OSError, ValueError):  # no answer yet, or the file is half written
                    pass
            time.sleep(0.2)
        raise TimeoutError(f"JupyterLab did not answer in 90 seconds:\n{self.log()[-2000:]}")
