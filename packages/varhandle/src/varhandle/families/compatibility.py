"""What other releases of TensorFlow, and other runtimes, make of a model: as it was measured.

The releases are those of ``data/version_matrix.json``, the runtimes those of ``facts.targets``.
Read here and not through ``version_matrix.fails_on``, whose module brings along what measures: the
static reading of a model has to answer at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import takewhile

from varhandle.display import join_names, join_words
from varhandle.facts.releases import marked_runs, measured_releases, span
from varhandle.facts.targets import MICRO_TARGET, TARGETS, find_target, measured_runtimes
from varhandle.families import code
from varhandle.families.base import Finding, Reading, variable_names
from varhandle.tflite.runtime_support import earliest_release, refusals

_FINE = frozenset({"works", "absent"})
_STATE_CASE = "float32-state"


def failing_releases(case: str, label: str = "") -> str:
    """Say on which TensorFlow releases a case fails, where this is in the label of the failure.

    Such as ``"1.15 to 2.1 and 2.4 to 2.8"``; empty where it fails on none.
    """
    fails = [
        (version, result["outcome"] not in _FINE and label in result["label"])
        for version, result in _results(case)
    ]
    return join_words(
        [join_words(run) if len(run) < 3 else span(run) for run in marked_runs(fails)]
    )


def works_from(case: str) -> str:
    """Return the release from which on a case works; empty if it does not on the newest."""
    works = [(version, result["outcome"] == "works") for version, result in _results(case)]
    return marked_runs(works)[-1][0] if works[-1][1] else ""


def _results(case: str) -> list[tuple[str, dict[str, str]]]:
    """Return what a case did on each release that it was measured on."""
    measured = (entry for entry in measured_releases() if case in entry["results"])
    return [(entry["version"], entry["results"][case]) for entry in measured]


def refused_by_older_releases(
    reading: Reading, family: str, answer: str, besides: str = ""
) -> Iterator[Finding]:
    """Say which releases before today's give an answer to a model that assigns a variable."""
    if not reading.kept_state or reading.signature is None:
        return
    names = variable_names(reading.kept_state)
    releases = f"TensorFlow {failing_releases(_STATE_CASE, answer)}{besides}"
    message = f'{releases} answer "{answer}": {reading.subject} assigns {join_names(names)}.'
    since = works_from(_STATE_CASE)
    fix = code.convert_here(reading.graph, reading.signature, since)
    yield Finding(family, "info", names, message, fix)


@cache
def without_variables() -> str:
    """Name the runtimes that have no ops on variables."""
    releases = measured_runtimes()
    *_, last = takewhile(lambda it: not find_target(f"tflite-{it}").resource_variables, releases)
    plain = [f"{t.name} (target {t.id})" for t in TARGETS.values() if not t.resource_variables]
    return ", and ".join([f"TensorFlow Lite {last} and older", *plain])


def takers(reading: Reading) -> str:
    """Say which runtimes take a .tflite file, and why others do not: no full stop."""
    graph, content = reading.graph, reading.file
    parts = []
    if content is not None:
        release = earliest_release(content)
        oldest = f"the oldest release of TensorFlow Lite with all of its ops is {release}"
        parts = [oldest if release else "no measured release of TensorFlow Lite has all of its ops"]
    for runtime in TARGETS.values():
        if runtime.id != MICRO_TARGET:  # whose infos are its own
            parts += refusals(graph, runtime, content)
    return "; ".join(parts)
