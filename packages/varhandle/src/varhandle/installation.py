"""What is installed for the tool, and whether it fits together: what ``doctor`` says.

Which releases fit is read from what the installed packages themselves ask for, so that no range
stands here a second time. Nothing is imported that is looked at: what is broken can be told.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from typing import Any

from varhandle.display import Rich, panel_html, table_html, table_text
from varhandle.sandbox.lock import why_no_lock

_LISTED = {
    "tensorflow": ("TensorFlow", "tensorflow", "converting models and comparing with them"),
    "keras": ("Keras", "tensorflow", "opening .keras and .h5 files"),
    "ai-edge-litert": ("LiteRT", "", "running .tflite files"),
    "ai-edge-quantizer": ("quantizer", "quantize", "calibrated recipes of .tflite files"),
}
"""Package to what a person calls it, the extra that brings it, and what it is for."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_BOUND = re.compile(r"(===?|~=|!=|<=|>=|<|>)\s*([^\s,]+)")
_HEADERS = ("looked at", "found", "what to do")


@dataclass(frozen=True)
class InstalledPart:
    """One thing that was looked at.

    Attributes:
        found: Its version, or what there is of it.
        status: ``"ok"``, ``"missing"`` (and only wanted for more than what works now), or
            ``"wrong"``.
        advice: What to do; empty where there is nothing.
    """

    what: str
    found: str
    status: str
    advice: str = ""


@dataclass(frozen=True, repr=False)
class Installation(Rich):
    """What is installed; ``ok`` says whether it fits together."""

    parts: tuple[InstalledPart, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; an extra may be missing."""
        return all(part.status != "wrong" for part in self.parts)

    def __repr__(self) -> str:
        return f"Installation({self._headline()})"

    def _headline(self) -> str:
        wrong = dict.fromkeys(part.what for part in self.parts if part.status == "wrong")
        return "it fits together" if not wrong else f"it does not fit together: {', '.join(wrong)}"

    def _rows(self) -> list[Sequence[object]]:
        return [(part.what, part.found, part.advice or part.status) for part in self.parts]

    def text(self) -> str:
        """Return a line for each part."""
        return f"{self._headline()}\n\n{table_text(_HEADERS, self._rows())}"

    def html(self) -> str:
        """Return the same as a panel."""
        table = table_html(_HEADERS, self._rows(), "What is installed")
        return panel_html("right" if self.ok else "raised", self._headline(), table)

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON."""
        return {"ok": self.ok, "parts": [asdict(part) for part in self.parts]}


def misfit() -> str:
    """Say in a line what does not fit together, where something has failed; empty if all fits."""
    wrong = dict.fromkeys(p.what for p in look_at_installation().parts if p.status == "wrong")
    if not wrong:
        return ""
    return f"what is installed does not fit together ({', '.join(wrong)}): run varhandle doctor"


def look_at_installation() -> Installation:
    """Look at Python, the packages, what they ask of each other, and the lock; never raises."""
    return Installation((_python(), *map(_package, _LISTED), *_misfits(), _lock()))


def _python() -> InstalledPart:
    found = platform.python_version()
    wanted = (metadata.metadata("varhandle")["Requires-Python"] or "").replace(" ", "")
    if fits(found, wanted):
        return InstalledPart("Python", found, "ok")
    return InstalledPart("Python", found, "wrong", f"make an environment with Python {wanted}")


def _package(name: str) -> InstalledPart:
    what, extra, purpose = _LISTED[name]
    brought = _distributions(name)
    ours = f"varhandle[{extra}]" if extra else "varhandle"
    install = f'pip install "{ours}"'
    if not brought:
        status = "missing" if extra else "wrong"
        return InstalledPart(what, "not installed", status, f"for {purpose}: {install}")
    if len(brought) > 1:  # each has written over files of the other
        advice = f"only one may be there: uninstall {' and '.join(brought)}, then {install}"
        return InstalledPart(what, ", ".join(map(_named, brought)), "wrong", advice)
    found = installed_version(brought[0]) or ""
    wanted = dict(_requirements("varhandle", extra)).get(name, "")
    shown = found if brought == [name] else _named(brought[0])
    if fits(found, wanted):
        return InstalledPart(what, shown, "ok")
    return InstalledPart(
        what, shown, "wrong", f'{wanted} is needed: pip install --upgrade "{ours}"'
    )


def _misfits() -> Iterator[InstalledPart]:
    """Yield what does not fit to what another one asks for: first ours, then the listed ones."""
    seen = set(_LISTED)
    for asking in ("varhandle", *(one for name in _LISTED for one in _distributions(name))):
        for name, wanted in _requirements(asking):
            found = installed_version(name)
            if found is not None and fits(found, wanted):
                continue
            if asking == "varhandle" and name in seen:
                continue  # said of it already
            told = f"{asking} needs {name} {wanted}".strip()
            what = _LISTED[name][0] if name in _LISTED else name
            yield InstalledPart(
                what, found or "not installed", "wrong", f'{told}: pip install "{name}{wanted}"'
            )


def _lock() -> InstalledPart:
    fault = why_no_lock()
    if not fault:
        return InstalledPart("lock", "Landlock", "ok")
    return InstalledPart(
        "lock",
        f"none ({fault})",
        "missing",
        "open models that you trust, or use Linux 5.13 or newer",
    )


def _distributions(name: str) -> list[str]:
    """Return which installed packages bring the module of one: a nightly has a name of its own."""
    brings = _distributions_by_module().get(name.replace("-", "_"), [name])
    brings = [one.lower().replace("_", "-") for one in brings]
    return sorted({one for one in brings if installed_version(one) is not None})


@cache
def _distributions_by_module() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _named(package: str) -> str:
    return f"{package} {installed_version(package)}"


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, looked up without importing it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements(name: str, extra: str = "") -> list[tuple[str, str]]:
    """Return what a package asks for, and in which releases; with an extra, also for that.

    What is asked for only on some systems is left to pip.
    """
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for text in texts:
        match = _REQUIREMENT.fullmatch(text.strip())
        condition = (match[3] or "").strip().replace('"', "'") if match else ""
        if match and (not condition or (extra and condition == f"extra == '{extra}'")):
            found.append((match[1].lower().replace("_", "-"), match[2].strip()))
    return found


def fits(version: str, wanted: str) -> bool:
    """Whether a release is one of those asked for (``>=2.21,<2.22``), by its numbers."""
    found = _numbers(version)
    return all(_holds(found, sign, bound) for sign, bound in _BOUND.findall(wanted))


def _holds(found: tuple[int, ...], sign: str, text: str) -> bool:
    bound = _numbers(text)
    if sign in ("==", "===", "!=") and text.endswith(".*"):
        found = found[: len(bound)]
    if sign == "~=":
        return found >= bound and found[: len(bound) - 1] == bound[:-1]
    long = max(len(found), len(bound))
    one, two = (tuple(each) + (0,) * (long - len(each)) for each in (found, bound))
    answers = {"<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two, "!=": one != two}
    return answers.get(sign, one == two)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else ()
