"""The notebooks' stored outputs hold the library to its word: break it, and nbval goes red."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from notebook_slice import sliced

from workbook_lib.locations import project_root

# What is broken: a line of the library, what stands there then, and the cell that must notice.
BROKEN = {
    "a magic that brings nothing back": (
        "names.update(record.value)",
        "pass",
        ("00_start_here", "practice-compare"),
    ),
    "a reader that misses a handle": (
        "keys = self._restored_keys(handles)",
        "keys = self._restored_keys(handles := handles[1:])",
        ("15_whose_variable_is_it", "service-table"),
    ),
    "freezing that does nothing": (
        "frozen = _converted(function, chosen)",
        "frozen = function",
        ("21_freeze", "chooser"),
    ),
    "parity that always agrees": (
        "return bool(np.all(relative <= limit)), float(",
        "return True, float(",
        ("13_compare_the_answers", "parity"),
    ),
    "weights that never vanish": (
        "initialized=bool(flow.accesses(handle, [EntryPoint(None, set_once)])[1]),",
        "initialized=True,",
        ("24_weights_that_vanish", "vanished"),
    ),
    "ranges without their zero point": (
        "(scale * (int(end) - zero_point) for end",
        "(scale * int(end) for end",
        ("97_calibration", "ranges"),
    ),
    "integers that are taken for real values": (
        "return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)",
        "return integers.astype(np.float32)",
        ("98_integers_in_and_out", "cast"),
    ),
    "a lifted state that never changes": (
        "draft.current[key] = draft.value(inputs[1])",
        "draft.current.setdefault(key, draft.value(inputs[1]))",
        ("32_lift_the_state", "fifty-steps"),
    ),
    "a dtype that is taken for a supported one": (
        'Dtype("float16", 19, ("f16", "half"),',
        'Dtype("float16", 19, ("f16", "half"), carried=True,',
        ("36_your_own_model", "diagnosis"),
    ),
}


# The kernels are forked from a process that has imported the checkout's packages.
FROM_THE_COPY = """\
import sys
from pathlib import Path
sys.path.insert(0, str(Path.cwd().parent))
for name in [*sys.modules]:
    if name.partition(".")[0] in ("varhandle", "workbook_lib"):
        del sys.modules[name]
"""
SOUND = ("21_freeze", "32_lift_the_state")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Break each line in a copy of its own, and have one nbval compare what they print now."""
    root = project_root()
    whole, folder = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("copies")
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for source in (root / "workbook_lib", root / "data", *root.glob("packages/*/src/[a-z]*")):
        if source.is_dir():
            shutil.copytree(source, whole / source.name, ignore=ignore)
    sources = {path: path.read_text(encoding="utf-8") for path in whole.rglob("*.py")}
    cells = {}
    for name, (line, broken, (stem, cell)) in BROKEN.items():
        (path,) = (path for path, source in sources.items() if line in source)
        copy = folder / name.replace(" ", "-")
        shutil.copytree(whole, copy, copy_function=os.link)
        (copy / path.relative_to(whole)).unlink()
        text = sources[path].replace(line, broken)
        (copy / path.relative_to(whole)).write_text(text, encoding="utf-8")
        cells |= write(copy, stem, cell)
    for stem in SOUND:
        shutil.copytree(whole, folder / stem, copy_function=os.link)
        cells |= write(folder / stem, stem, *(c for _, _, (n, c) in BROKEN.values() if n == stem))
    options = ["-qrA", "--tb=short", "-p", "no:cacheprovider", "-c", os.devnull]
    nbval = ["--nbval", "--nbval-kernel-name=python3", *folder.glob("*/notebooks/*.ipynb")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}", *nbval],
        cwd=folder,
        env={**os.environ, "WORKBOOK_PROGRESS": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    results = re.findall(r"^(PASSED|FAILED) (.+?)/.*::Cell (\d+)", done.stdout, re.MULTILINE)
    assert len(results) == len(cells), done.stdout[-2000:]
    return {(name, cells[name, int(number)]): word for word, name, number in results}


def write(copy, stem, *wanted):
    """Write the part of a lesson with these cells into a copy; return its cells by their place."""
    stored = (project_root() / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8")
    notebook = sliced(json.loads(stored), *wanted)
    notebook["cells"].insert(0, {**nbformat.v4.new_code_cell(FROM_THE_COPY), "id": "from-the-copy"})
    (copy / "notebooks").mkdir()
    path = copy / "notebooks" / f"{stem}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    code = (cell["id"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    return {(copy.name, number): cell for number, cell in enumerate(code)}


@pytest.mark.parametrize("step", BROKEN)
def test_a_step_that_does_nothing_turns_nbval_red(compared, step):
    assert compared[step.replace(" ", "-"), BROKEN[step][2][1]] == "FAILED"
    assert compared[step.replace(" ", "-"), "from-the-copy"] == "PASSED"


@pytest.mark.parametrize("stem", SOUND)
def test_the_copy_is_green_as_it_is(compared, stem):
    """Otherwise the test above would prove nothing."""
    assert {word for (name, _), word in compared.items() if name == stem} == {"PASSED"}
