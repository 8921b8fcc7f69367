"""Which case fails on which TensorFlow: measured, each release in an environment of its own.

``varhandle matrix`` measures releases and merges them into ``data/version_matrix.json``. A release
runs all reproductions as a script, on its own Python, with nothing of this project installed.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_text
from varhandle.display import Rich, join_words, printable
from varhandle.facts.data_files import data_file
from varhandle.facts.releases import marked_runs, span
from varhandle.families.catalog import CASES
from varhandle.families.catalog import family as family_of
from varhandle.formats.regular_file import read_text
from varhandle.matrix.environments import (
    NotInstalledError,
    ProcessEnd,
    Release,
    choose_pythons,
    install,
    pythons_here,
    run_with_descendants,
    tensorflow_packages,
    uv_environment,
    uv_run,
)
from varhandle.reproduction import script

_TIMEOUT_SECONDS = 600
_FAILING = frozenset({"error", "refused", "wrong", "crash"})


def stored_path() -> Path:
    """Return the file that holds the measured matrix."""
    return data_file("version_matrix.json")


def load(path: Path | None = None) -> dict[str, Any]:
    """Return a measured matrix, as ``show.version_matrix`` draws it.

    Raises ``ValueError`` if the file holds none.
    """
    file = path or stored_path()
    try:
        matrix = json.loads(read_text(file))
    except RecursionError:
        matrix = None
    matrix = matrix if isinstance(matrix, dict) else {}
    entries, cases = matrix.get("versions"), matrix.get("cases", [])
    if not (_all_are(_is_entry, entries) and _all_are(lambda case: "id" in case, cases)):
        raise ValueError("this is no version matrix")
    return matrix


def _all_are(kind: Callable[[dict[str, Any]], bool], found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, dict) and kind(one) for one in found)


def _is_entry(entry: dict[str, Any]) -> bool:
    version, results = str(entry.get("version")), entry.get("results")
    return (
        re.fullmatch(r"\d{1,4}(\.\d{1,4})+", version, re.ASCII) is not None
        and isinstance(results, dict)
        and _all_are(lambda result: isinstance(result.get("outcome"), str), [*results.values()])
    )


def store(entry: Mapping[str, Any], path: Path) -> None:
    """Merge a measured release into a file, which is never left half written."""
    matrix = merge(load(path) if path.exists() else {}, [entry])
    write_text(path, json.dumps(matrix, indent=1, ensure_ascii=False) + "\n")


def label(result: Mapping[str, Any]) -> dict[str, str]:
    """Reduce what ``harness.run_case`` returns to one cell of the matrix.

    ``outcome`` is ``works``, ``error``, ``refused`` (by the interpreter), ``wrong``, ``absent`` or
    ``crash``, and ``label`` says what gave it away.
    """
    outcome = result["outcome"]
    if outcome != "error":
        labels = {
            "works": "works",
            "wrong": "runs, wrong answers",
            "absent": result.get("message"),
            "crash": f"the process died: {result.get('message')}",
        }
        return {"outcome": outcome, "label": labels[outcome]}
    if result["stage"] in {"load", "run"}:
        outcome = "refused"
    telling = _telling_line(result["message"])
    return {"outcome": outcome, "label": f"{result['stage']}: {result['exception']}: {telling}"}


def _telling_line(message: str) -> str:
    """Return the part of a message that names its cause, or the start of the message."""
    for sign in (
        "'tf.VarHandleOp' op is neither a custom op nor a flex op",
        "incompatible with expected resource",
        "Variable constant folding is failed",
        "is not immutable",
        "Encountered unresolved custom op",
        "Select TensorFlow op(s)",
        "variable != nullptr was not true",
        "variable_tensor->type != output->type (INT8 != FLOAT32)",
    ):
        if sign in message:
            return sign
    first = message.strip().splitlines()[0] if message.strip() else ""
    # MLIR says first where the op came from: in a file of this machine, or nowhere. Values, node
    # paths and the numbers of tensors are others in every run.
    first = re.sub(r"^.*?(<unknown>:0|\S:\d+:\d+): error: (loc\(.*?\): )?", "", first)
    return re.sub(r"\[\[.*|\{\{.*?\}\} |Tensor\(\".*", "", first)[:100].strip()


def measure_releases(
    release: Release, here: Mapping[str, Path], program: str, stop: threading.Event
) -> dict[str, Any]:
    """Run every case on one release of TensorFlow; return its entry of the matrix.

    ``program`` is ``script()``, made once: CPython 3.11 cannot parse in several threads at a time.
    ``here`` is ``pythons_here()``; ``reason`` in the entry says why it could not be installed.
    Raises ``StoppedError`` once ``stop`` is set.
    """
    entry: dict[str, Any] = {"version": release.version, "python": release.python or ""}
    reason = ""
    try:
        for python, executable in choose_pythons(release, here).items():
            try:
                command = uv_run(tensorflow_packages(release.version), executable)
                install(command, stop)
                results = _run_cases(command, program, stop)
                return {**entry, "python": python, "installed": True, "results": results}
            except NotInstalledError as error:
                reason = reason or error.fault
    except NotInstalledError as error:
        reason = error.fault
    return {**entry, "installed": False, "reason": reason, "results": {}}


def described(entry: Mapping[str, Any], changed: Sequence[str] = ()) -> str:
    """Say how a release came out: a line, and one for each case that changed."""
    outcomes = [result["outcome"] for result in entry["results"].values()]
    failing = sum(outcome in _FAILING for outcome in outcomes)
    said = (
        f"Python {entry.get('python') or ''}, {len(outcomes)} cases: "
        f"{outcomes.count('works')} work, {failing} fail"
    )
    if not entry.get("installed"):
        said = f"not installed: {entry.get('reason') or 'no reason was given'}"
    lines = [f"{entry['version']}: {said}", *(f"  {change}" for change in changed)]
    return "\n".join(printable(line, None) for line in lines)


def releases_of(matrix: Mapping[str, Any], here: Mapping[str, Path]) -> tuple[Release, ...]:
    """Return the releases of a matrix, to be measured anew.

    Each with the CPython of its last measurement where this machine has it, so that nothing but the
    release decides what changed.
    """
    known = [Release(entry["version"], entry.get("python") or None) for entry in matrix["versions"]]
    return tuple(
        release
        if any(f"{version}.".startswith(f"{release.python}.") for version in here)
        else Release(release.version)
        for release in known
    )


def update(
    releases: Sequence[Release], path: Path, jobs: int, on_start: Callable[[Release], None]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Measure releases, some side by side, and merge each into a file as soon as it is done.

    Yields the entry of each, and what is to be said of it.

    Without any: the releases that the file holds, or, where there is no such file, those of the
    installed one. Each takes about 1 GB of memory; ``on_start`` is called in a thread. Where the
    caller leaves, by an exception or a Ctrl-C, the programs that still run are ended.

    Raises ``NotInstalledError`` if there is no uv, and ``OSError`` or ``ValueError`` before
    anything is measured if the file cannot be.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise OSError("no file can be written there")
    before = load(path if path.exists() else None)
    stored = {entry["version"]: entry for entry in before["versions"]}
    here = pythons_here()
    program, stop = script(), threading.Event()

    def one(release: Release) -> dict[str, Any]:
        if not stop.is_set():
            on_start(release)
        return measure_releases(release, here, program, stop)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            waiting = [pool.submit(one, each) for each in releases or releases_of(before, here)]
            for done in as_completed(waiting):
                entry = done.result()
                store(entry, path)
                changed = differences(stored.get(entry["version"], {}), entry)
                yield entry, described(entry, changed)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _run_cases(
    command: Sequence[str], program: str, stop: threading.Event
) -> dict[str, dict[str, str]]:
    """Run all cases, in a new process after each one that killed or hung its own."""
    environment = {**uv_environment(), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONNOUSERSITE": "1"}
    results: dict[str, dict[str, str]] = {}
    waiting = list(CASES)
    while waiting:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "reproductions.py"
            file.write_text(program, encoding="utf-8")
            whole = [*command, str(file), *waiting]
            ended = run_with_descendants(whole, environment, _TIMEOUT_SECONDS, stop)
        for line in ended.stdout.splitlines():
            if line.startswith("CASE "):
                result = json.loads(line.removeprefix("CASE "))
                results[result["id"]] = label(result)
        waiting = [identifier for identifier in waiting if identifier not in results]
        if waiting:
            died = waiting.pop(0)
            results[died] = label({"outcome": "crash", "message": _failure_reason(ended)})
    return {identifier: results[identifier] for identifier in CASES}


def _failure_reason(ended: ProcessEnd) -> str:
    if ended.code is None:
        return f"still running after {_TIMEOUT_SECONDS} s"
    return ended.last_words


def merge(matrix: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put measured entries into a matrix, in the order of their versions.

    One that could not be installed does not take the place of one that was: what was measured once
    is still true of that release. The titles of the cases are those of today, new ones last, and
    ``drawn`` marks those that the picture of lesson 92 shows.
    """
    versions = {entry["version"]: entry for entry in matrix.get("versions", ())}
    for entry in entries:
        if entry.get("installed") or not versions.get(entry["version"], {}).get("installed"):
            versions[entry["version"]] = dict(entry)
    ordered = sorted(versions, key=lambda version: [int(part) for part in version.split(".")])
    known = [case["id"] for case in matrix.get("cases", ()) if case["id"] in CASES]
    cases = [CASES[name] for name in dict.fromkeys([*known, *CASES])]
    titles = [{"id": case.id, "title": case.title, "drawn": case.drawn} for case in cases]
    return {"cases": titles, "versions": [versions[version] for version in ordered]}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Say where a release was measured to do something else than it did.

    Cases that are new do not count.
    """
    old, new = before.get("results", {}), after.get("results", {})
    return tuple(
        f"{case}: was {old[case]['outcome']}, is {new[case]['outcome']}"
        for case in new
        if case in old and old[case]["outcome"] != new[case]["outcome"]
    )


@dataclass(frozen=True, repr=False)
class CaseReleases(Rich):
    """What one case did on each release."""

    id: str
    title: str
    outcomes: tuple[tuple[str, str], ...]  # release and outcome, in the order of the releases

    def versions(self, *outcomes: str) -> tuple[str, ...]:
        """Return the releases with one of these outcomes."""
        return tuple(version for version, outcome in self.outcomes if outcome in outcomes)

    def __repr__(self) -> str:
        return f"CaseReleases({self.title}: {self.text()})"

    def text(self) -> str:
        """Return such as ``fails on 1.15 to 2.8; works from 2.9``."""
        verbs = {"fails": _FAILING, "works": {"works"}, "not offered": {"absent"}}
        said = [self._releases_with(verb, outcomes) for verb, outcomes in verbs.items()]
        return "; ".join(part for part in said if part) or "not measured"

    def _releases_with(self, verb: str, outcomes: Set[str]) -> str:
        """Say on which releases it had one of these outcomes, those in a row as a span."""
        had = [(version, outcome in outcomes) for version, outcome in self.outcomes]
        spans = marked_runs(had)
        if not spans:
            return ""
        if len(spans[0]) == len(had):
            return f"{verb} on every release"
        if len(spans) == 1 and had[-1][1]:
            return f"{verb} from {spans[0][0]}"
        return f"{verb} on {join_words([span(run) for run in spans])}"


@dataclass(frozen=True, repr=False)
class FamilyReleases(Rich):
    """On which TensorFlow releases a family of failures was seen."""

    family: str
    measured: tuple[str, ...]  # releases, in their order
    cases: tuple[CaseReleases, ...]  # empty where the catalog has none

    @property
    def fails(self) -> tuple[str, ...]:
        """Releases on which at least one of the cases fails: error, refusal, garbage or crash."""
        return self._with(*_FAILING)

    @property
    def works(self) -> tuple[str, ...]:
        """Releases on which none of the cases fails, and at least one works."""
        return tuple(version for version in self._with("works") if version not in self.fails)

    def _with(self, *outcomes: str) -> tuple[str, ...]:
        seen = {version for case in self.cases for version in case.versions(*outcomes)}
        return tuple(version for version in self.measured if version in seen)

    def __repr__(self) -> str:
        return f"FamilyReleases({self.family}: fails on {len(self.fails)} of {len(self.measured)})"

    def text(self) -> str:
        """Return a line, or one for each case where the cases differ."""
        if not self.cases:
            return "not measured: no program of the catalog shows it on a TensorFlow release"
        counted = f"({len(self.measured)} releases measured)"
        if len({case.text() for case in self.cases}) == 1:
            return f"{self.cases[0].text()} {counted}"
        return "\n".join([*(f"{case.title}: {case.text()}" for case in self.cases), counted])


def fails_on(family: str, matrix: Mapping[str, Any] | None = None) -> FamilyReleases:
    """Say on which TensorFlow releases a family of failures was seen.

    Raises ``KeyError`` if there is no such family.
    """
    cases = family_of(family).cases
    columns = [one for one in (matrix or load())["versions"] if one.get("installed")]
    found = []
    for case in cases:
        measured = [one for one in columns if case.id in one["results"]]
        outcomes = tuple((one["version"], one["results"][case.id]["outcome"]) for one in measured)
        found.append(CaseReleases(case.id, case.title, outcomes))
    return FamilyReleases(family, tuple(one["version"] for one in columns), tuple(found))
