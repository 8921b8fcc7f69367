"""Is this machine ready for the workbook? Said so that a person can act on it.

This works where packages are missing, so it imports the standard library alone, and whatever else
it needs where it is used. Versions, and the ranges that will do, are read from the installed
packages' metadata.
"""

from __future__ import annotations

import html
import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbook_lib.locations import data_path

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

#: Our own distributions: what they require is looked at.
DISTRIBUTIONS = ("varhandle-workbook", "varhandle", "warm-kernels")
#: Always listed; any other requirement is listed where it will not do.
ALWAYS_LISTED = (
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "jupyterlab",
    "ipywidgets",
    "netron",
    "papermill",
)

_REINSTALL = "In the workbook's folder run: make setup. Then restart the kernel."
_MEMORY_GIB = 4.0  # a kernel with TensorFlow, its warm child and a conversion hold about 2 GiB
_DISK_GIB = 1.0
_HEADERS = ("looked at", "found", "what to do")


@dataclass(frozen=True)
class EnvironmentFinding:
    """One thing that was looked at, and what to do about it if it will not do."""

    what: str
    found: str
    ok: bool
    advice: str  # what to do if it is not


@dataclass(frozen=True, repr=False)
class Environment:
    """What was found, and whether it will do."""

    findings: tuple[EnvironmentFinding, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way."""
        return all(finding.ok for finding in self.findings)

    def __repr__(self) -> str:
        return f"Environment({self._headline()})"

    def _headline(self) -> str:
        bad = [finding.what for finding in self.findings if not finding.ok]
        return "ready" if not bad else f"not ready: {', '.join(bad)}"

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(f.what, f.found, "ok" if f.ok else f.advice) for f in self.findings]

    def text(self) -> str:
        """Return what was looked at, what was found, and what to do, as a table."""
        rows = [_HEADERS, *self._rows()]
        wide = [max(len(row[column]) for row in rows) for column in range(3)]
        rows.insert(1, ("-" * wide[0], "-" * wide[1], "-" * wide[2]))
        lines = ("  ".join(map(str.ljust, row, wide)).rstrip() for row in rows)
        return "\n".join([f"This machine is {self._headline()}", *lines])

    def html(self) -> str:
        """Return the same as a table; as plain text where our own packages are missing."""
        try:
            from varhandle.display import panel_html, table_html
        except ImportError:
            return f"<pre>{html.escape(self.text())}</pre>"
        table = table_html(_HEADERS, self._rows(), "Python, packages, memory, disk and files")
        tone = "right" if self.ready else "raised"
        return panel_html(tone, f"This machine is {self._headline()}", table)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


def check_environment() -> Environment:
    """Look at Python, the packages, the memory, the disk and the workbook's own files.

    It never raises: a missing package is a finding.
    """
    return Environment((_python(), *_packages(), _memory(), _disk(), _files()))


def _python() -> EnvironmentFinding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    advice = "Use Python 3.10 to 3.13: TensorFlow 2.21 needs one."
    return EnvironmentFinding("Python", found, ok, advice)


def _packages() -> list[EnvironmentFinding]:
    try:
        wanted = _required_releases()
    except (ImportError, ValueError) as error:
        return [EnvironmentFinding("the packages", f"not known ({error})", False, _REINSTALL)]
    listed = [_package(name, wanted.get(name)) for name in ALWAYS_LISTED]
    others = [_package(name, wanted[name]) for name in sorted(wanted.keys() - set(ALWAYS_LISTED))]
    return [*listed, *(finding for finding in others if not finding.ok)]


def _required_releases() -> dict[str, SpecifierSet]:
    """Return which releases of each package our own distributions require.

    Raises ``ImportError`` where one of them, or packaging, is not installed, and ``ValueError``
    where what one was installed with cannot be read.
    """
    from packaging.requirements import Requirement

    texts = (text for name in DISTRIBUTIONS for text in metadata.requires(name) or ())
    required = [Requirement(text) for text in texts]
    # The extras of our own packages that our own packages ask for, such as varhandle[tensorflow].
    extras = {"", *(e for each in required if each.name in DISTRIBUTIONS for e in each.extras)}
    return {
        each.name: each.specifier
        for each in required
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }


def _package(name: str, wanted: SpecifierSet | None) -> EnvironmentFinding:
    try:
        found = metadata.version(name) or "not known"  # a half-removed package has no version
        ok = wanted is not None and wanted.contains(found, prereleases=True)
    except metadata.PackageNotFoundError:
        found, ok = "missing", False
    except ValueError:  # what packaging says to a version of no known form
        ok = False
    return EnvironmentFinding(name, found, ok, _REINSTALL)


def _memory() -> EnvironmentFinding:
    what = "free memory"
    try:
        import psutil
    except ImportError:
        return EnvironmentFinding(what, "not known: psutil is missing", False, _REINSTALL)
    free = psutil.virtual_memory().available / 2**30
    advice = f"Close programs or other kernels until {_MEMORY_GIB:.0f} GiB are free."
    return EnvironmentFinding(what, f"{free:.1f} GiB", free >= _MEMORY_GIB, advice)


def _disk() -> EnvironmentFinding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    ok = free >= _DISK_GIB and os.access(Path.cwd(), os.W_OK)
    advice = f"Free {_DISK_GIB:.0f} GiB on this disk, in a folder that you may write to."
    return EnvironmentFinding("free disk", f"{free:.0f} GiB", ok, advice)


def _files() -> EnvironmentFinding:
    try:
        files = [data_path(name) for name in ("digits.npz", "digits_classifier.keras")]
        missing = ", ".join(f"data/{file.name}" for file in files if not file.is_file())
        advice = f"Check the workbook out again: {missing} is missing." if missing else ""
    except FileNotFoundError as error:
        advice = str(error)
    found = "missing" if advice else "there"
    return EnvironmentFinding("the workbook's files", found, not advice, advice)
