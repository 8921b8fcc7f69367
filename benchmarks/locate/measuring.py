"""How many op outputs ``locate`` pairs, and how many planted faults it names."""

from __future__ import annotations

import re
import sys
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.case import Made
from benchmarks.field.measuring import cache_folder
from benchmarks.frame import in_child
from benchmarks.locate import faults
from benchmarks.locate.faults import Fault
from benchmarks.locate.pairs import Tried, try_pairs
from varhandle import convert
from varhandle.divergence.model_trace import ModelTrace
from varhandle.divergence.walk import Comparison, compare_ops
from varhandle.evaluate.reference import loader_of
from varhandle.families.base import inference_signature
from varhandle.formats import read_graph
from varhandle.sandbox import run_isolated

PAGE = Path(__file__).parents[1] / "locate.md"
FAULTS = 200
VISIBLE = 0.01
"""Share of its range by which a fault changes the output of its op: less may be rounding."""
_TRIES = 40


@dataclass
class Opened:
    """A model, the file that is compared with it, and one that was converted anew."""

    name: str
    recipe: str
    path: Path
    content: bytes
    witness: bytes
    calls: Sequence[Mapping[str, Any]]

    @property
    def title(self) -> str:
        """Its name in a table."""
        return f"{self.name}, {self.recipe}" if self.recipe else self.name


@dataclass
class Judged:
    """What came of one model."""

    title: str
    outputs: int  # op outputs of the file
    how: Counter[str]
    unmatched: Sequence[str]
    named: str  # an op that was named where nothing was planted; empty: none
    tried: Tried = field(default_factory=Tried)
    faults: list[tuple[Fault, Mapping[str, Any] | None]] = field(default_factory=list)


def open_model(name: str, recipe: str, cache: Path) -> Opened:
    """Make a model and its files, unless they lie in the cache."""
    in_child(make_files, name, recipe, str(cache))
    made = Made.load(cache / name)
    content = (cache / name / f"file {recipe}.tflite").read_bytes()
    kept = cache / name / "witness.tflite"
    if not kept.exists():
        signature = inference_signature(read_graph(made.path), None)
        keys = None if signature is None else [signature]
        conversion = convert(made.path, signature_keys=keys, trust=True)
        if conversion.content is None:
            raise RuntimeError(f"{name}: {conversion.text()}")
        kept.write_bytes(conversion.content)
    calls = [dict(call) for _, call in made.calls[:5]]
    return Opened(name, recipe, made.path, content, kept.read_bytes(), calls)


def make_files(name: str, recipe: str, cache: str) -> None:
    """Make a model and its file, in a child process."""
    from benchmarks.locate.models import made_model

    _, content = made_model(name, recipe, Path(cache))
    (Path(cache) / name / f"file {recipe}.tflite").write_bytes(content)


def plant_in(opened: Opened, count: int, rng: np.random.Generator) -> list[Fault]:
    """Plant faults, of kinds drawn by lot, that change what an op gives for these calls."""
    found: list[Fault] = []
    seen: set[bytes] = set()
    kinds = list(faults.KINDS)
    for _ in range(_TRIES * count):
        if len(found) == count or not kinds:
            break
        kind = kinds[int(rng.integers(len(kinds)))]
        fault = faults.plant(opened.content, kind, rng)
        if fault is None:
            kinds.remove(kind)  # no operator of this file can have it
            continue
        if fault.content in seen:
            continue
        seen.add(fault.content)
        record = run_isolated(
            faults.shown, opened.content, fault, opened.calls, VISIBLE, timeout=60, locked=False
        )
        if record.ok and record.value is not None:
            found.append(record.value)
    return found


def judge(opened: Opened, planted: Sequence[Fault]) -> Judged:
    """Compare the sound file and each faulty one with the model, in a child process."""
    graph = read_graph(opened.path)
    signature = inference_signature(graph, None)
    load = loader_of(graph, signature, trust=True)
    names = [one.name for one in read_graph(opened.content).signatures]
    chosen = signature if signature in names else next(iter(names), None)

    def compared(content: bytes) -> dict[str, Any]:
        return compare_ops(load, signature, opened.calls, content,
                           file_signature=chosen, witness=opened.witness)  # fmt: skip

    sound = compared(opened.content)
    how = Counter(pair["how"] for pair in sound["pairs"])
    first = sound["first"]
    named = f"{first['op']} {first['tensor']}: {first['why']}" if first else ""
    judged = Judged(opened.title, sum(how.values()), how, sound["unmatched"], named)
    paired = {pair["tensor"] for pair in sound["pairs"]}
    judged.outputs += sum(1 for name in sound["unmatched"] if name not in paired)
    comparison = Comparison(
        load, signature, opened.calls, opened.content,
        file_signature=chosen, witness=opened.witness,
    )  # fmt: skip
    comparison.run()
    trace = ModelTrace(load(), signature, opened.calls)
    rng = np.random.default_rng(zlib.crc32(opened.title.encode()))
    judged.tried = try_pairs(
        opened.content, trace, comparison.matches, opened.calls, rng,
        quantized=bool(opened.recipe),
    )  # fmt: skip
    for fault in planted:
        judged.faults.append((fault, compared(fault.content)["first"]))
    return judged


def is_exact(fault: Fault, first: Mapping[str, Any] | None) -> bool:
    """Whether the op that is named is the one where the fault was planted, or shows by nature."""
    return first is not None and (first["call"], first["number"]) == (fault.call, fault.shown)


def is_held(fault: Fault, first: Mapping[str, Any] | None) -> bool:
    """Whether a group of ops holds it."""
    return first is not None and fault.shown in [number for _, number in first["group"]]


def run(only: str = "", count: int = FAULTS) -> list[Judged]:
    """Judge every model whose name matches."""
    from benchmarks.locate.listed import MODELS

    cache = cache_folder() / "models"
    cache.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in MODELS if re.search(only, " ".join(one))]
    share, judged = -(-FAULTS // len(MODELS)), []
    left = count
    for name, recipe in chosen:
        opened = open_model(name, recipe, cache)
        rng = np.random.default_rng(zlib.crc32(opened.title.encode()))
        planted = plant_in(opened, min(share, left), rng)
        left -= len(planted)
        one = in_child(judge, opened, planted)
        judged.append(one)
        wrong = [(f, first) for f, first in one.faults if not is_exact(f, first)]
        matched = f"{sum(one.how.values())} of {one.outputs} outputs {dict(one.how)}"
        named = f"{len(one.faults) - len(wrong)} of {len(one.faults)} faults"
        print(f"{one.title}: {matched}, {named}, {one.tried}", file=sys.stderr)
        if one.named:
            print(f"  named though nothing is planted: {one.named}", file=sys.stderr)
        for f, first in wrong:
            held = "held by a group" if is_held(f, first) else "MISSED"
            told = first and (first["call"], first["op"], first["number"], first["why"])
            print(
                f"  {held}: {f.kind}, {f.op} {f.number}, call {f.call}, {f.shown}: {told}",
                file=sys.stderr,
            )
    return judged
