"""Is this machine ready for the workbook? Said so that a person can act on it.

Nothing heavy is imported: versions, and the ranges that will do, are read from the installed
packages' metadata.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from varhandle.display import Rich, panel_html, table_html, table_text
from workbook_lib.locations import data_path

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

DISTRIBUTION = "varhandle-workbook"
PACKAGES = (
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "jupyterlab",
    "ipywidgets",
    "netron",
    "papermill",
)
"""The packages to look at; which releases will do is said in ``pyproject.toml`` alone."""

_REINSTALL = "In the workbook's folder run: make setup. Then restart the kernel."
_MEMORY_GIB = 4.0  # a kernel with TensorFlow, its warm child and a conversion hold about 2 GiB
_DISK_GIB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str  # what was looked at
    found: str  # what is there
    ok: bool  # whether it will do
    advice: str = ""  # what to do if it will not; empty if it will


@dataclass(frozen=True, repr=False)
class Environment(Rich):
    """What was found, and whether it will do."""

    findings: tuple[Finding, ...]

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
        """Return what was looked at, what was found, and what to do."""
        table = table_text(("looked at", "found", "what to do"), self._rows())
        return f"This machine is {self._headline()}\n{table}"

    def html(self) -> str:
        """Return the same as a table."""
        table = table_html(("looked at", "found", "what to do"), self._rows(), "This machine")
        return panel_html(
            "right" if self.ready else "raised", f"This machine is {self._headline()}", table
        )


def check_environment() -> Environment:
    """Look at Python, the packages, the memory, the disk and the workbook's own files."""
    return Environment((_python(), *_packages(), _memory(), _disk(), _files()))


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    return Finding(
        "Python", found, ok, "" if ok else "Use Python 3.10 to 3.13: TensorFlow 2.21 needs one."
    )


def _packages() -> list[Finding]:
    try:
        ranges = _ranges()
    except (ImportError, ValueError) as error:
        return [Finding("the packages", f"not known ({error})", False, _REINSTALL)]
    return [_package(name, ranges.get(name)) for name in PACKAGES]


def _ranges() -> dict[str, SpecifierSet]:
    """Return which releases of each package the workbook was installed to work with.

    Raises ``ImportError``: the workbook or packaging is not installed. Raises ``ValueError``: what
    the workbook was installed with cannot be read.
    """
    from packaging.requirements import Requirement

    wanted = (Requirement(text) for text in metadata.requires(DISTRIBUTION) or ())
    return {each.name: each.specifier for each in wanted if each.marker is None}


def _package(name: str, wanted: SpecifierSet | None) -> Finding:
    try:
        found = metadata.version(name) or "not known"  # a half-removed package has no version
        ok = wanted is not None and wanted.contains(found, prereleases=True)
    except metadata.PackageNotFoundError:
        found, ok = "missing", False
    except ValueError:  # what packaging says to a version of no known form
        ok = False
    return Finding(name, found, ok, "" if ok else _REINSTALL)


def _memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("free memory", "not known: psutil is missing", False, _REINSTALL)
    available = psutil.virtual_memory().available / 2**30
    ok = available >= _MEMORY_GIB
    advice = f"Close programs or other kernels until {_MEMORY_GIB:.0f} GiB are free."
    return Finding("free memory", f"{available:.1f} GiB", ok, "" if ok else advice)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    ok = free >= _DISK_GIB and os.access(Path.cwd(), os.W_OK)
    advice = f"Free {_DISK_GIB:.0f} GiB on this disk, in a folder that you may write to."
    return Finding("free disk", f"{free:.0f} GiB", ok, "" if ok else advice)


def _files() -> Finding:
    try:
        missing = [
            name
            for name in ("digits.npz", "digits_classifier.keras", "version_matrix.json")
            if not data_path(name).is_file()
        ]
    except FileNotFoundError as error:
        return Finding("the workbook's files", "missing", False, str(error))
    advice = f"Check the workbook out again: data/{', data/'.join(missing)} is missing."
    return Finding(
        "the workbook's files",
        "missing" if missing else "there",
        not missing,
        advice if missing else "",
    )
