"""The releases of TensorFlow: which were measured, and which Pythons they have wheels for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

from varhandle.facts.data_files import data_file

Answer = TypeVar("Answer")

_NEWEST_PYTHON = 20  # tried for a release that is younger than the table

WHEELS: dict[tuple[int, int], tuple[int, int]] = {
    (1, 15): (6, 7), (2, 0): (6, 7), (2, 1): (6, 7), (2, 2): (6, 8), (2, 3): (6, 8),
    (2, 4): (6, 8), (2, 5): (7, 9), (2, 6): (7, 9), (2, 7): (7, 9), (2, 8): (7, 10),
    (2, 9): (7, 10), (2, 10): (7, 10), (2, 11): (8, 10), (2, 12): (8, 11), (2, 13): (8, 11),
    (2, 14): (9, 11), (2, 15): (9, 11), (2, 16): (9, 12), (2, 17): (9, 12), (2, 18): (9, 12),
    (2, 19): (9, 12), (2, 20): (9, 13), (2, 21): (10, 13),
}  # fmt: skip
"""Release to the first and the last minor version of CPython 3 that it has a wheel for, read off
the wheels of the last patch release of each."""


LITERT_RELEASES = ("2.1.0", "1.4.0", "1.2.0", "1.0.1")
"""Releases of ai-edge-litert, the newest first, whose interpreters are tried beside the installed
one."""


def minor(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version such as ``"2.15.1"``."""
    first, second = version.split(".")[:2]
    return int(first), int(second)


def short(version: str) -> str:
    """Return the same as text, such as ``"2.15"``."""
    return ".".join(version.split(".")[:2])


def runs(releases: Iterable[tuple[str, Answer]]) -> list[tuple[Answer, list[str]]]:
    """Return the releases that follow each other with one answer: the answer, and the releases."""
    groups = groupby(releases, key=lambda release: release[1])
    return [(answer, [version for version, _ in group]) for answer, group in groups]


def marked_runs(releases: Iterable[tuple[str, bool]]) -> list[list[str]]:
    """Return the releases that are marked, those that follow each other together, as ``short``."""
    return [[short(version) for version in run] for marked, run in runs(releases) if marked]


def span(run: Sequence[str]) -> str:
    """Write releases in a row: the only one, or ``first to last``."""
    return run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}"


def pythons_of(version: str) -> tuple[str, ...]:
    """Say which CPythons a release has wheels for, such as ``("3.11", "3.10")``, newest first."""
    known = WHEELS.get(minor(version))
    if known is None:
        earlier = [release for release in WHEELS if release < minor(version)]
        known = (WHEELS[max(earlier)][0], _NEWEST_PYTHON)
    return tuple(f"3.{number}" for number in range(known[1], known[0] - 1, -1))


@cache
def measured_releases() -> tuple[dict[str, Any], ...]:
    """Return the entries of ``data/version_matrix.json`` that could be installed, oldest first."""
    matrix = json.loads(data_file("version_matrix.json").read_text(encoding="utf-8"))
    return tuple(entry for entry in matrix["versions"] if entry.get("installed"))
