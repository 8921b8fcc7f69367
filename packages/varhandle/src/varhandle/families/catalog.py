"""The registry of failure families: the modules of this folder that have a ``FAMILY``.

Add a family as a module here, with its test in ``tests/``; see CONTRIBUTING.md. No list names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from varhandle.families import harness, log_index
from varhandle.families.base import Family, Finding, Reading, in_order, inference_signature
from varhandle.families.harness import Case
from varhandle.families.log_index import LAST_RESORT, LogDiagnosis, MatchIndex
from varhandle.families.log_patterns import find_matches
from varhandle.formats import format_of
from varhandle.graph import Graph


def _families() -> tuple[Family, ...]:
    names = (f"{__package__}.{found.name}" for found in iter_modules([str(Path(__file__).parent)]))
    modules = (import_module(name) for name in names if name != __name__)
    found = (module.FAMILY for module in modules if hasattr(module, "FAMILY"))
    return tuple(sorted(found, key=lambda family: family.order))


FAMILIES: tuple[Family, ...] = _families()

CASES: Mapping[str, Case] = harness.CASES
"""Every reproduction by its id: those of the families, and those of ``reference_cases``."""

LOG_PATTERNS = (
    *log_index.PATTERNS,
    *(pattern for family in FAMILIES for pattern in family.log_patterns),
)


def family(identifier: str) -> Family:
    """Return the family of an id; ``KeyError`` if there is none."""
    return {entry.id: entry for entry in FAMILIES}[identifier]


def find(
    graph: Graph, signature: str | None = None, content: bytes | None = None
) -> tuple[Finding, ...]:
    """Look for every family that a graph can show: the worst first, then by id.

    The signature is chosen by ``inference_signature`` if it is ``None``; ``content`` holds the
    bytes of a .tflite file that is in memory only. Raises ``KeyError`` for an unknown signature.
    """
    reading = Reading(graph, inference_signature(graph, signature), content)
    kind = format_of(graph).rules_of or graph.format
    rules = (entry.graph_rules.get(kind) for entry in FAMILIES)
    return in_order(finding for rule in rules if rule for finding in rule(reading))


def find_in_difference(reading: Reading, first: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Look for every family that explains what parts first, as ``locate`` has it."""
    rules = (entry.difference_rule for entry in FAMILIES)
    return tuple(filter(None, (rule(reading, first) for rule in rules if rule)))


def diagnose_log(text: str) -> tuple[LogDiagnosis, ...]:
    """Read a log without noise (``log_text.without_noise``): each family once, best first."""
    index = MatchIndex(find_matches(text, LOG_PATTERNS))
    closest: dict[str, LogDiagnosis] = {}
    for found in sorted((d for f in FAMILIES for d in f.diagnose_log(index)), key=_closeness):
        closest.setdefault(found.id, found)
    strong = [found for found in closest.values() if found.rank < LAST_RESORT]
    return tuple(_with_older(found, index) for found in strong or closest.values())


def _with_older(found: LogDiagnosis, index: MatchIndex) -> LogDiagnosis:
    """Add to the advice what somebody can do who is bound to the release that wrote the log."""
    if not found.with_older:
        return found
    sentence, gap, code = found.fix.partition("\n\n")
    return replace(found, fix=f"{sentence}{family(found.id).for_older(index.release)}{gap}{code}")


def _closeness(found: LogDiagnosis) -> tuple[int, int]:
    return found.rank, found.line_number
