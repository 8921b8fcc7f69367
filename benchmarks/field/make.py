"""Make the models that are not in the cache, and say what is right of each.

``python -m benchmarks.field.make CACHE PATTERN GROUP`` prints a JSON list. The group is ``now`` or
``keras2``: two processes, because Keras 2 takes the place of Keras 3.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import shutil
import sys
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

GROUPS = {
    "now": ("keras_cases", "module_cases", "graph_cases", "file_cases", "held_out"),
    "keras2": ("keras2_cases",),
}


def prepare(case: Any, cache: Path) -> str:
    """Make one model, unless it lies there; return what went wrong, or nothing."""
    mark = hashlib.sha256("".join(_sources(case.make)).encode()).hexdigest()
    folder = cache / case.name
    if (folder / "mark").exists() and (folder / "mark").read_text() == mark:
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seed = zlib.crc32(case.name.encode())
    tf.keras.utils.set_random_seed(seed)
    try:
        made = case.make(folder, np.random.default_rng(seed))
    except Exception:
        return traceback.format_exc()
    finally:
        tf.keras.backend.clear_session()
    _keep_inputs(made, folder / "inputs.npz")
    made.save(folder)
    (folder / "mark").write_text(mark)
    return ""


def _sources(function: Any) -> Iterator[str]:
    """Yield what a model is made by, as text: it is made anew where that has changed."""
    yield inspect.getsource(function)
    for value in inspect.getclosurevars(function).nonlocals.values():
        if inspect.isfunction(value):
            yield from _sources(value)
        else:
            yield re.sub(r" at 0x\w+", "", repr(value))


def _keep_inputs(made: Any, path: Path) -> None:
    """Keep the first half of the calls, as a person would give them to the tool."""
    calls = [call for _, call in made.calls][: (len(made.calls) + 1) // 2]
    if calls and calls[0] and all(call.keys() == calls[0].keys() for call in calls):
        named: dict[str, Any] = {n: np.stack([call[n] for call in calls]) for n in calls[0]}
        np.savez(path, **named)


def main() -> int:
    """Make what is missing."""
    cache, pattern, group = Path(sys.argv[1]), re.compile(sys.argv[2]), sys.argv[3]
    from benchmarks.field.case import CASES

    for module in GROUPS[group]:
        importlib.import_module(f"benchmarks.field.{module}")
    listed = []
    for case in CASES.values():
        if pattern.search(case.name) or pattern.search(case.kind):
            wrong = prepare(case, cache)
            if wrong:
                print(f"{case.name} was not made: {wrong}", file=sys.stderr, flush=True)
            listed.append({**case.as_dict(), "not_made": wrong})
    (cache / f"{group}.json").write_text(json.dumps(listed, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
