"""What several tests have a locked child do with one model, done once in this process.

Its record rests on its task, the files that it can read, and its environment: nothing else is
there for it. A test that breaks what runs in the child breaks it in a child of its own.
"""

import hashlib
import os
import pickle
from pathlib import Path

from varhandle.sandbox import process
from varhandle.sandbox.lock import search_path

REMEMBERED = {"_converted", "_answers", "compare_ops"}
LARGEST = 2**20
_records = {}


def remember_runs(patch):
    run = process._run

    def remembered(task, lock, own_folder, **options):
        known = lock and not lock["writes"] and not process._cancelled.get().is_set()
        key = _key(task, lock, options) if known and task.func.__name__ in REMEMBERED else None
        if key in _records:
            return pickle.loads(_records[key])
        record = run(task, lock, own_folder, **options)
        if key and record.outcome in ("ok", "raised"):
            content = pickle.dumps(record)
            if len(content) < LARGEST:
                _records[key] = content
        return record

    patch.setattr(process, "_run", remembered)


def _key(task, lock, options):
    """A digest of all that counts; ``None`` for a task that cannot be sent."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    try:
        digest = hashlib.sha256(pickle.dumps((task, lock, options, environment, Path.cwd())))
    except Exception:
        return None
    for read in map(Path, sorted({*lock["reads"]} - {*search_path()})):
        for path in sorted(read.rglob("*")) if read.is_dir() else [read]:
            if path.is_file():
                digest.update(f"{path}\n".encode() + path.read_bytes())
    return digest.digest()
