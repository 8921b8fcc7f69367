"""The notebooks' stored outputs hold the library to its word: break it, and nbval goes red."""

import os
import shutil
import subprocess
import sys

import pytest

from workbook_lib.locations import project_root


def nbval(root, notebook):
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull]
    options += ["--nbval", "--nbval-kernel-name", "python3"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={root}", str(notebook)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "WORKBOOK_PROGRESS": "off"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """The workbook, where a test may break it."""
    root = project_root()
    for name in ("workbook_lib", "data", "notebooks"):
        ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(root / name, tmp_path / name, ignore=ignore)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "broken", "notebook"),
    [
        (
            "device/freeze.py",
            "frozen = _converted(function, chosen)",
            "frozen = function",
            "03_freeze_the_weights.ipynb",
        ),
        (
            "device/parity.py",
            "same = bool(np.all(~unequal | (relative <= limit)))",
            "same = True",
            "01_reproduce_the_failure.ipynb",
        ),
        (
            "device/convert.py",
            "return tuple(v.name for v in self.variables if v.reads and not v.initialized)",
            "return ()",
            "04_convert.ipynb",
        ),
        (
            "device/quantize.py",
            "(scale * (int(end) - zero_point) for end",
            "(scale * int(end) for end",
            "05_quantize.ipynb",
        ),
        (
            "device/infer.py",
            "return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)",
            "return integers.astype(np.float32)",
            "06_run_inference.ipynb",
        ),
        (
            "device/lifting.py",
            "page.current[page.handles[inputs[0]]] = page.value(inputs[1])",
            "page.current.setdefault(page.handles[inputs[0]], page.value(inputs[1]))",
            "07_keep_the_state.ipynb",
        ),
        (
            "failures/findings.py",
            '{"float16", "bfloat16",',
            '{"bfloat16",',
            "08_your_own_model.ipynb",
        ),
    ],
    ids=[
        "freezing that does nothing",
        "parity that always agrees",
        "weights that never vanish",
        "ranges without their zero point",
        "integers that are taken for real values",
        "a lifted state that never changes",
        "a dtype that is taken for a supported one",
    ],
)
def test_a_step_that_does_nothing_turns_nbval_red(copy, module, line, broken, notebook):
    path = copy / "workbook_lib" / module
    source = path.read_text(encoding="utf-8")
    assert line in source
    path.write_text(source.replace(line, broken), encoding="utf-8")
    done = nbval(copy, copy / "notebooks" / notebook)
    assert done.returncode == 1, done.stdout[-2000:]
    assert "failed" in done.stdout


def test_the_copy_is_green_as_it_is(copy):
    """Otherwise the test above would prove nothing."""
    done = nbval(copy, copy / "notebooks" / "03_freeze_the_weights.ipynb")
    assert done.returncode == 0, done.stdout[-2000:]
