"""What other releases do with a model, run once for real, and replayed by a stand-in for uv.

``python tests/support/release_runs.py`` has uv install each release from the package registry, and
writes ``other_releases.json``: how its program ended, and what was said of it. The tests put a
program in uv's place that ends in the same way.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

from varhandle import bisect_settings
from varhandle.divergence import other_releases, release_program

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "tests/varhandle/divergence/other_releases.json"
RELEASES = ("ai-edge-litert==1.0.1", "tensorflow==2.15.1")

_UV = """\
#!{python}
import json, os, sys
record = json.load(open({record!r}))
if sys.argv[1] == "python":
    version = "3.11.7"  # of the recorded runs: which one it is here does not matter
    told = dict(implementation="cpython", variant="default", version=version, path=sys.executable)
    print(json.dumps([told]))
elif sys.argv[-1] == "pass":
    asked = [package for package in record if package in sys.argv]
    sys.exit("No solution found when resolving dependencies" if not asked else 0)
else:
    (package,) = [package for package in record if package in sys.argv]
    ended = record[package]
    if ended is None:  # as this release does it
        start = sys.argv.index("python") + 1
        os.execv(sys.executable, [sys.executable, *sys.argv[start:]])
    if ended["failure"]:
        json.dump(ended["failure"], open(os.path.join(sys.argv[-1], "failure.json"), "w"))
    sys.stderr.write(ended["stderr"])
    sys.exit(ended["code"])
"""


def stand_in(folder: Path, record: object) -> None:
    """Write a program that answers as uv did, by a record of its packages."""
    (folder / "record.json").write_text(json.dumps(record))
    uv = folder / "uv"
    uv.write_text(_UV.format(python=sys.executable, record=str(folder / "record.json")))
    uv.chmod(0o755)


def rounding(folder: Path) -> Path:
    """Write a model that rounds to bfloat16, and so needs version 7 of CAST."""
    import tensorflow as tf

    module = tf.Module()
    spec = tf.TensorSpec([4], tf.float32, "x")
    module.f = tf.function(
        lambda x: {"y": tf.cast(tf.cast(x, tf.bfloat16), tf.float32)}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(folder / "rounding"), signatures=module.f)
    return folder / "rounding"


def run(model: Path, release: str) -> dict[str, object]:
    """Have a release tried, and tell how its program ended."""
    ended: dict[str, object] = {}
    run_with_descendants = other_releases.run_with_descendants

    def recorded(command: list[str], *rest: object) -> object:
        done = run_with_descendants(command, *rest)  # type: ignore[arg-type]
        failure = Path(command[-1], release_program.FAILURE)
        told = json.loads(failure.read_text()) if failure.exists() else None
        ended.update(code=done.code, failure=told, stderr="" if told else done.last_words)
        return done

    with mock.patch.object(other_releases, "run_with_descendants", recorded):
        found = bisect_settings(model, releases=[release])
    return {**ended, "said": found.why, "tries": [list(vars(one).values()) for one in found.tries]}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = rounding(Path(folder))
        record = {release: run(model, release) for release in RELEASES}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    for release, one in record.items():
        print(f"{release}: {one['said']}")


if __name__ == "__main__":
    main()
