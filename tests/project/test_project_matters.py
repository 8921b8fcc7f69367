"""The notebooks' stored outputs hold the library to its word: break it, and nbval goes red."""

import json
import os
import shutil
import subprocess
import sys

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
        ("13_the_file_that_says_nothing", "parity"),
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


@pytest.fixture
def copy(tmp_path):
    """The packages and the workbook's data, where a test may break them."""
    root = project_root()
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for source in (root / "workbook_lib", root / "data", *root.glob("packages/*/src/[a-z]*")):
        if source.is_dir():
            shutil.copytree(source, tmp_path / source.name, ignore=ignore)
    return tmp_path


def nbval(folder, stem, *cells):
    """Compare what these cells, and those that they need, print now with what is stored."""
    stored = (project_root() / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8")
    (folder / "notebooks").mkdir()
    path = folder / "notebooks" / f"{stem}.ipynb"
    path.write_text(json.dumps(sliced(json.loads(stored), *cells)), encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--nbval", "--nbval-kernel-name=python3", path],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "WORKBOOK_PROGRESS": "off"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("step", BROKEN)
def test_a_step_that_does_nothing_turns_nbval_red(copy, step):
    line, broken, (stem, cell) = BROKEN[step]
    sources = {path: path.read_text(encoding="utf-8") for path in copy.rglob("*.py")}
    (path,) = (path for path, source in sources.items() if line in source)
    path.write_text(sources[path].replace(line, broken), encoding="utf-8")
    done = nbval(copy, stem, cell)
    assert done.returncode == 1, done.stdout[-2000:]
    assert "failed" in done.stdout


@pytest.mark.parametrize("stem", ["21_freeze", "32_lift_the_state"])
def test_the_copy_is_green_as_it_is(copy, stem):
    """Otherwise the test above would prove nothing."""
    cells = [cell for _, _, (name, cell) in BROKEN.values() if name == stem]
    done = nbval(copy, stem, *cells)
    assert done.returncode == 0, done.stdout[-2000:]
