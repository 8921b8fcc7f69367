"""Is this machine ready for the workbook? Said so that a person can act on it.

Nothing heavy is imported: versions are read from the installed packages' metadata.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from workbook_lib.rendering import Rich, panel_html, table_html, table_text

PACKAGES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tensorflow": ((2, 21), (2, 22)),
    "keras": ((3,), (4,)),
    "ai-edge-litert": ((2, 3), (3,)),
    "jupyterlab": ((4,), (5,)),
    "ipywidgets": ((8,), (9,)),
    "netron": ((9,), (10,)),
    "papermill": ((2, 7), (3,)),
}
"""Package -> (first release that will do, first one that will not)."""

_REINSTALL = "In the workbook's folder run: make setup. Then restart the kernel."
_MEMORY_GIB = 4.0  # a kernel with TensorFlow, its warm child and a conversion hold about 2 GiB
_DISK_GIB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What was looked at.
        found: What is there.
        ok: Whether it will do.
        advice: What to do if it will not; empty if it will.
    """

    what: str
    found: str
    ok: bool
    advice: str = ""


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
        table = table_html(("looked at", "found", "what to do"), self._rows(), "this machine")
        return panel_html(
            "right" if self.ready else "raised", f"This machine is {self._headline()}", table
        )


def check_environment() -> Environment:
    """Look at Python, the packages, the memory, the disk and the workbook's own files.

    Returns:
        What was found. It never raises: a missing package is a finding.
    """
    return Environment(
        (_python(), *(_package(name) for name in PACKAGES), _memory(), _disk(), _files())
    )


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    return Finding(
        "Python", found, ok, "" if ok else "Use Python 3.10 to 3.13: TensorFlow 2.21 needs one."
    )


def _package(name: str) -> Finding:
    first, beyond = PACKAGES[name]
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "missing", False, _REINSTALL)
    release = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    ok = first <= release < beyond
    return Finding(name, found, ok, "" if ok else _REINSTALL)


def _memory() -> Finding:
    import psutil

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
    from workbook_lib.samples import data_path

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
