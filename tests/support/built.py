"""What takes long to build and several test files look at: built once for a state of the checkout.

The workers of a run share it, and so do the stages of ``make test``; a file that changes, is added
or is gone makes another state. Nobody may change what was built.
"""

import hashlib
import pickle
import shutil
import subprocess
import sys
from functools import cache

from filelock import FileLock

from workbook_lib.editions import make_edition
from workbook_lib.editions.page import build_page
from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks

BUILT = project_root() / ".pytest_cache" / "built"
STATES = 2  # that are kept


def built_edition(kind):
    """The site or the slides, from the outputs that the notebooks hold."""
    made = _once(kind, lambda folder: make_edition(kind, all_notebooks(), folder, run=False))
    assert made.ok, made.text()
    return made


def built_page():
    """The folder of the page."""

    def build(folder):
        build_page(folder)
        return folder

    return _once("page", build)


def _once(name, build):
    BUILT.mkdir(parents=True, exist_ok=True)
    result = BUILT / _state() / f"{name}.pickle"
    with FileLock(BUILT / f"{name}.lock"):
        if not result.exists():
            others = (path for path in BUILT.glob("*/") if path.name != _state())
            for old in sorted(others, key=lambda path: path.stat().st_mtime)[: 1 - STATES]:
                shutil.rmtree(old, ignore_errors=True)
            folder = result.with_suffix("")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            result.write_bytes(pickle.dumps(build(folder)))
        return pickle.loads(result.read_bytes())


@cache
def _state():
    digest, root = hashlib.sha256(repr((sys.version, sys.prefix)).encode()), project_root()
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    for path in sorted(root / name for name in listed.split("\0") if name):
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
