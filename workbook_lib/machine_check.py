"""``workbook check-machine``: what can be asked of a computer before a workshop, and mailed back.

Beside looking (``environment``) it tries: a cell that converts a model and runs it, and JupyterLab.
Like ``environment`` it works where packages are missing: ``python3 -m workbook_lib.machine_check``.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbook_lib.environment import EnvironmentFinding, check_environment

_SECONDS = 180  # a laptop with a virus scanner reads TensorFlow for the first time
_WIDE = 76
_MAIL = (
    "Mail this text back to whoever gives the workshop. It holds no name and no path of this "
    "computer."
)
_LOOK_IN_MAIL = "Mail this text back before the workshop: there is help for it."

# What a lesson does, in a kernel as JupyterLab starts it: convert a model with a variable, run it.
_LESSON = """
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

class Scale(tf.Module):
    def __init__(self):
        self.factor = tf.Variable(3.0)

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def __call__(self, x):
        return x * self.factor

model = Scale()
function = model.__call__.get_concrete_function()
content = tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()
run = Interpreter(model_content=content).get_signature_runner()
(answer,) = run(x=tf.constant([1.0, 2.0])).values()
assert answer.tolist() == [3.0, 6.0], answer
print("the answer is right")
"""
_KERNEL = """
import sys
from jupyter_client.manager import run_kernel

with run_kernel(kernel_name="python3") as kernel:
    reply = kernel.execute_interactive(sys.argv[1], timeout=float(sys.argv[2]))["content"]
sys.exit(None if reply["status"] == "ok" else f"{reply['ename']}: {reply['evalue']}")
"""
_LAB = """
import socket, sys, threading, urllib.request
from jupyterlab.labapp import LabApp

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]

def ask(server):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        page = opener.open(f"{server.connection_url}lab?token=look", timeout=60).read()
        print("JupyterLab answers" if b"jupyter-config-data" in page else "another page answers")
    except OSError as error:
        print(error, file=sys.stderr)
    server.io_loop.add_callback(server.stop)


settings = ["--no-browser", f"--port={port}", "--IdentityProvider.token=look", "--log-level=50"]
app = LabApp.initialize_server([*settings, *(["--allow-root"] if sys.argv[1] == "0" else [])])
# Once it runs: before, nothing listens.
app.io_loop.add_callback(threading.Thread(target=ask, args=(app,), daemon=True).start)
app.start()
"""


@dataclass(frozen=True)
class MachineCheck:
    """What was looked at and tried."""

    findings: Sequence[EnvironmentFinding]

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way."""
        return all(finding.ok for finding in self.findings)

    def text(self) -> str:
        """Return one screen of text, made to be mailed."""
        wide = max(len(finding.what) for finding in self.findings)
        lines = ["VarHandleOp workbook: is this computer ready?", ""]
        for one in self.findings:
            found = textwrap.shorten(_without_paths(one.found), _WIDE - wide - 6, placeholder=" …")
            lines.append(f"{'ok' if one.ok else 'NO':4}{one.what:{wide}}  {found}")
            if not one.ok:
                advice = textwrap.wrap(_without_paths(one.advice), _WIDE - 6)
                lines += [f"    > {line}" for line in advice]
        bad = [finding.what for finding in self.findings if not finding.ok]
        verdict = f"Not ready: {', '.join(bad)}." if bad else "This computer is ready."
        return "\n".join([*lines, "", verdict, *textwrap.wrap(_MAIL, _WIDE)])


def check_machine() -> MachineCheck:
    """Look at this computer, and try what a lesson needs. It never raises."""
    looked = check_environment().findings
    installed = all(map(importlib.util.find_spec, ("tensorflow", "jupyterlab", "packaging")))
    tried = [_lesson(), _lab()] if installed else []
    return MachineCheck([_system(), *looked, *tried])


def _system() -> EnvironmentFinding:
    system, release = platform.system(), platform.release()
    if system == "Darwin":
        system, release = "macOS", platform.mac_ver()[0]
    parts = [
        f"{system} {release.partition('-')[0]}",
        platform.machine(),
        f"{os.cpu_count()} processors",
    ]
    try:
        import psutil

        parts.append(f"{psutil.virtual_memory().total / 2**30:.0f} GiB memory")
    except ImportError:
        pass  # that it is missing is said elsewhere
    return EnvironmentFinding("system", ", ".join(parts), True, "")


def _lesson() -> EnvironmentFinding:
    return _tried("a lesson's cell", [_KERNEL, _LESSON, str(_SECONDS - 10)], "the answer is right")


def _lab() -> EnvironmentFinding:
    user = str(os.geteuid()) if hasattr(os, "geteuid") else ""
    return _tried("JupyterLab", [_LAB, user], "JupyterLab answers")


def _tried(what: str, program: Sequence[str], expected: str) -> EnvironmentFinding:
    """Run a program of Python in a process of its own, and in an empty folder."""
    environment = {**os.environ, "WORKBOOK_PROGRESS": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-c", *program],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return EnvironmentFinding(what, f"no answer in {_SECONDS} s", False, _LOOK_IN_MAIL)
        except OSError as error:
            return EnvironmentFinding(what, str(error.strerror), False, _LOOK_IN_MAIL)
    if expected in done.stdout:
        return EnvironmentFinding(what, expected, True, "")
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    found = said[-1] if said else f"ended without a word ({_end_of(done.returncode)})"
    return EnvironmentFinding(what, found, False, _LOOK_IN_MAIL)


def _end_of(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _without_paths(text: str) -> str:
    """Leave out what names a person: the folders of this computer."""
    for folder in (Path(__file__).resolve().parents[1], Path(sys.prefix), Path.home()):
        if folder != folder.parent:
            text = text.replace(str(folder), "…")
    return text


def main() -> int:
    """Print the text; return 0 for a computer that is ready, else 1."""
    checked = check_machine()
    print(checked.text())
    return 0 if checked.ready else 1


if __name__ == "__main__":
    sys.exit(main())
