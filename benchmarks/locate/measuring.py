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
from benchmarks.frame import Chapter, Row, in_child
from benchmarks.locate import faults
from benchmarks.locate.faults import Fault
from benchmarks.locate.listed import MODELS
from benchmarks.locate.pairs import Tried, try_pairs
from varhandle import convert
from varhandle.divergence.model_trace import ModelTrace
from varhandle.divergence.tensor_difference import STEPS
from varhandle.divergence.walk import OpComparison, compare_ops
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

    @property
    def missed(self) -> list[tuple[str, Fault, Mapping[str, Any] | None]]:
        """The faults that are not named exactly."""
        return [(self.title, f, first) for f, first in self.faults if not is_exact(f, first)]


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
    comparison = OpComparison(
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


def run(only: str = "") -> list[Judged]:
    """Judge every model whose name matches."""
    cache = cache_folder() / "models"
    cache.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in MODELS if re.search(only, " ".join(one))]
    judged = []
    for name, recipe in chosen:
        opened = open_model(name, recipe, cache)
        rng = np.random.default_rng(zlib.crc32(opened.title.encode()))
        one = in_child(judge, opened, plant_in(opened, -(-FAULTS // len(MODELS)), rng))
        judged.append(one)
        print("\n".join([_line(one), *map(_miss, one.missed)]), file=sys.stderr)
    return judged


def measure(only: str = "") -> Chapter:
    """Judge every model, or those whose name matches; the page is written of all."""
    from benchmarks.locate import cost

    judged = run(only)
    costs = [] if only else cost.measure(cache_folder() / "models")
    if not only:
        PAGE.write_text(page(judged), encoding="utf-8")
    return Chapter(
        "Where a file parts from its model",
        f"{len(judged)} models and their files: how many op outputs `varhandle locate` pairs with "
        "the model, how many faults it names that were planted into the files, and what it costs "
        "beside a process that loads both, makes the same calls of both and compares the answers.",
        [*rows(judged), *costs],
        unit="",
        picture="[Every model](locate.md), with what was missed.",
    )


def rows(judged: Sequence[Judged]) -> list[Row]:
    """Return what the table of all benchmarks says."""
    paired = sum(sum(one.how.values()) for one in judged)
    outputs = sum(one.outputs for one in judged)
    planted = [fault for one in judged for fault in one.faults]
    inexact = [(f, first) for f, first in planted if not is_exact(f, first)]
    lost = [1 for f, first in inexact if not is_held(f, first)]
    tried = [one.tried for one in judged]
    acted = sum(t.alike + len(t.wrong) for t in tried)
    sound = sum(not one.named for one in judged)
    return [
        Row("op outputs without a partner", [outputs - paired], "op outputs", [outputs]),
        Row("wrong pairs", [sum(len(t.wrong) for t in tried)], "pairs whose values were permuted",
            [max(acted, 1)], "ratio < 0.001"),
        Row("faults not named exactly", [len(inexact)], "faults planted", [max(len(planted), 1)],
            "ratio < 0.0501"),
        Row("faults that no group holds either", [len(lost)], "faults planted",
            [max(len(planted), 1)], "ratio < 0.001"),
        Row("files in which an op is named though nothing was planted", [len(judged) - sound],
            "files", [len(judged)], "ratio < 0.001"),
    ]  # fmt: skip


def page(judged: Sequence[Judged]) -> str:
    """Return the page of every model."""
    exact = sum(is_exact(*fault) for one in judged for fault in one.faults)
    planted = sum(len(one.faults) for one in judged)
    wrong = sum(len(one.tried.wrong) for one in judged)
    kinds = Counter(fault.kind for one in judged for fault, _ in one.faults)
    named = Counter(f.kind for one in judged for f, first in one.faults if is_exact(f, first))
    named_soundly = sum(bool(one.named) for one in judged)
    missed = [_miss(each).strip() for one in judged for each in one.missed]
    lines = [
        "# Where a file parts from its model",
        "",
        "Written by `python -m benchmarks locate`. Models made from seeds, each with the file that "
        "the converter makes of it, in float or by a recipe (cache-full: of one that was rewritten "
        "for the converter). *Paired* are op outputs of the file "
        "that have a partner in the model. Pairs were tried, up to 40 of a model: the values of "
        "one were permuted and put in place of what is computed there, in the file and in the "
        "model's graph; a pair whose two sides then answer differently is wrong. Where no answer "
        "moved, a pair is not counted. Faults were planted into the flatbuffers at random ops, and "
        f"kept where a bare interpreter shows that they change the op by {VISIBLE:.0%} of its "
        f"range or more, and by {2 * STEPS:.0f} steps where it is quantized, twice what rounding "
        "may add; or that it refuses the call. *Exact* means the first call and the op at which "
        "the fault shows there.",
        "",
        f"**{exact} of {planted} faults are named exactly; {wrong} pairs are wrong; "
        f"in {named_soundly} of {len(judged)} sound files an op is named.**",
        "",
        "| model | op outputs | paired | by name and value | value | name | position | other file "
        "| tried | wrong | planted | exact |",
        "|---|" + "---:|" * 11,
        *map(_cells, judged),
        "",
        "| fault | planted | exact |",
        "|---|---:|---:|",
        *(f"| {kind} | {count} | {named[kind]} |" for kind, count in sorted(kinds.items())),
        "",
        *([*(f"- {line}" for line in missed)] or ["Every fault is named exactly."]),
    ]
    return "\n".join(lines) + "\n"


def _cells(one: Judged) -> str:
    tried = one.tried
    hows = ("name and value", "value", "name", "position", "converted anew")
    cells = [
        one.title,
        one.outputs,
        sum(one.how.values()),
        *(one.how[how] for how in hows),
        tried.alike + len(tried.wrong),
        len(tried.wrong),
        len(one.faults),
        len(one.faults) - len(one.missed),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _line(one: Judged) -> str:
    named = f"; named in the sound file: {one.named}" if one.named else ""
    exact = len(one.faults) - len(one.missed)
    return (
        f"{one.title}: {sum(one.how.values())} of {one.outputs} paired, {exact} of "
        f"{len(one.faults)} faults, {one.tried}{named}"
    )


def _miss(missed: tuple[str, Fault, Mapping[str, Any] | None]) -> str:
    title, fault, first = missed
    told = "nothing is named"
    if first:
        told = f"call {first['call']}, {first['op']} {first['number']} is named: {first['why']}"
    held = "a group holds it" if is_held(fault, first) else "missed"
    place = f"{fault.op} {fault.number}, shown in call {fault.call} by operator {fault.shown}"
    return f"  {title}, {held}: {fault.kind} at {place}; {told}"
