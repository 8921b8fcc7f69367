"""A notebook that stands in for notebook 08, and the models that tell it what to do.

It declares the same parameters and writes the same verdict file, without TensorFlow. A "model" is
a JSON file that says what becomes of the kernel.
"""

import json
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil

from workbook_lib.runs.rows import store, unjudged

NUMBERS = ("agreeing", "calls", "largest_difference", "tolerance", "bytes", "seconds")

PARAMETERS = """
model = ""
signature = None
inputs = None
target = "litert"
quantization = None
output = "."
trust = False
"""

BEGIN = r"""
import json, os, subprocess, sys, time
from pathlib import Path

told = json.loads(Path(model).read_text())

def count(what):
    with open(told["log"], "a") as log:
        log.write(f"{what} {Path(model).name} {target} {quantization}\n")

count("began")
print("so far, so good")
with open(told["pids"], "a") as pids:
    pids.write(f"{os.getpid()}\n")
while "until" in told and not Path(told["until"]).exists():
    time.sleep(0.05)
"""

ACT = r"""
def start(source):
    # In a session of its own, as an isolated child is: a signal to the kernel's group passes it by.
    child = subprocess.Popen([sys.executable, "-c", source], start_new_session=True)
    with open(told["pids"], "a") as pids:
        pids.write(f"{child.pid}\n")

act = told.get("act")
if act == "abort":
    os.write(2, b"LLVM ERROR: no such thing\n")
    os.abort()
elif act == "hang":
    start("import time; time.sleep(600)")
    time.sleep(600)
elif act == "eat":
    start("import time; held = b'x' * 700_000_000; time.sleep(600)")
    time.sleep(600)
elif act == "raise":
    raise KeyError("<gone>")
elif act == "leave":
    start("import time; time.sleep(600)")
"""

VERDICT = """
difference = told.get("difference", 1e-7)
runs = [
    {"kernels": kernels, "agreeing": agreeing, "calls": 5,
     "largest_difference": size, "refusal": ""}
    for kernels, size, agreeing in (
        ("default delegates", difference, told.get("agreeing", 5)),
        ("plain kernels", difference / 2, 5),
    )
]
content = {
    "schema": 1, "model": model, "format": "tflite", "signature": signature, "target": target,
    "quantization": quantization, "verdict": told.get("verdict", "ready"),
    "reason": told.get("reason", "it runs"),
    "diagnosis": {"findings": [{"id": name} for name in told.get("findings", [])]},
    "way": {"id": "w", "steps": [], "why": ""}, "file": "model.tflite", "bytes": 1234,
    "parity": {"passed": True, "tolerance": None, "runs": runs}, "fails_on": [], "versions": {},
}
Path(output, "model.tflite").write_bytes(b"x" * 1234)
if told.get("verdict_file", True):
    Path(output, "verdict.json").write_text(told.get("content") or json.dumps(content))
"""


def write_notebook(path, *, extra=""):
    cells = [
        nbformat.v4.new_code_cell(source.strip(), id=name)
        for name, source in (
            ("parameters", PARAMETERS),
            ("begin", BEGIN),
            ("act", ACT),
            ("verdict", VERDICT),
            ("end", f'count("ended")\nprint("trust", trust, "inputs", inputs){extra}'),
        )
    ]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


class Probe:
    """A folder with the notebook, its models, and what the notebook has counted."""

    def __init__(self, folder):
        self.folder = folder
        self.notebook = write_notebook(folder / "probe.ipynb")
        self.log = folder / "log.txt"
        self.pids_file = folder / "pids.txt"

    def model(self, name, **told):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        told = {"log": str(self.log), "pids": str(self.pids_file), **told}
        path.write_text(json.dumps(told))
        return path

    def counted(self, what):
        """Model and settings of each execution that began, or that ended."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sorted(line.partition(" ")[2] for line in lines if line.startswith(what))

    def left_behind(self):
        """Processes that the notebooks started, and that still live."""
        pids = self.pids_file.read_text().split() if self.pids_file.exists() else []
        return [pid for pid in map(int, pids) if lives(pid)]


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition, seconds=60):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


class Pretended:
    """An executor that makes rows without running anything: each model says what it comes to."""

    def __init__(self):
        self.made = []

    def __str__(self):
        return "by pretending"

    def run(self, tasks):
        for task in tasks:
            told = json.loads(Path(task.model).read_text())
            task.row_folder.mkdir(parents=True, exist_ok=True)
            more = {name: told[name] for name in NUMBERS if name in told}
            row = unjudged(task, told.get("verdict", "ready"), told.get("reason", ""), **more)
            row = replace(row, findings=tuple(told.get("findings", ())))
            store(task, row)
            self.made.append(task.name)
            yield task, row
