"""What was found in models as SARIF 2.1.0, the form that code scanning services take.

A model is no text, so a result points at the file, and names the variables. The first result of a
model that is not good is its verdict; its findings follow.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from varhandle import __version__
from varhandle.diagnosis import Diagnosis
from varhandle.display import printable
from varhandle.facts.verdicts import MEANINGS
from varhandle.families.catalog import FAMILIES

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_MENDED = {"error": "note", "warning": "note"}
_NO_VERDICT = "no-verdict"


@dataclass(frozen=True)
class CheckedModel:
    """A model, the verdict on it, and what was found in it.

    ``findings`` are as ``diagnose --json`` prints them. Where the verdict is good, they are what
    was mended, or is worth knowing.
    """

    path: Path
    verdict: str
    reason: str  # in one line
    findings: Sequence[Mapping[str, Any]] = ()
    other: Sequence[str] = ()  # what stands in the way and no finding tells of

    @property
    def line(self) -> str:
        """The verdict and why, in one line."""
        return ": ".join(filter(None, [self.verdict, printable(self.reason, None)]))

    @property
    def good(self) -> bool:
        """Whether the model can be used."""
        return self.verdict in MEANINGS and MEANINGS[self.verdict].good

    @property
    def file(self) -> Path:
        """The file that stands for the model: a SavedModel is a folder."""
        inner = self.path / "saved_model.pb"
        return inner if inner.is_file() else self.path


def checked_model(found: Diagnosis) -> CheckedModel:
    """Return a diagnosis as one of the models of a log."""
    headline = found.text().partition("\n")[0]
    reason = headline.removeprefix(found.verdict).lstrip(": ")
    told = found.as_dict()
    return CheckedModel(Path(found.model), found.verdict, reason, told["findings"], found.other)


def sarif_log(checked: Iterable[CheckedModel], root: Path | None = None) -> dict[str, Any]:
    """Return a log of one run, as plain data; paths are told as seen from ``root``.

    Without ``root`` that is the working folder, which in CI is the checkout.
    """
    models = list(checked)
    results = [result for model in models for result in _results(model, root or Path.cwd())]
    rules = _rules({result["ruleId"] for result in results})
    numbers = {rule["id"]: number for number, rule in enumerate(rules)}
    for result in results:
        result["ruleIndex"] = numbers[result["ruleId"]]
    driver = {"name": "varhandle", "semanticVersion": __version__, "rules": rules}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}],
    }


def _results(model: CheckedModel, root: Path) -> Iterable[dict[str, Any]]:
    path = shown_path(model.file, root)
    if not model.good:
        rule = model.verdict if model.verdict in MEANINGS else _NO_VERDICT
        level = "warning" if rule == "unproved" else "error"
        yield _result(path, rule, level, "\n".join([model.line, *model.other]))
    levels = _MENDED if model.good else _LEVELS
    for finding in model.findings:
        level = levels.get(finding["severity"], "")
        if not level:  # worth knowing of a file that is good
            continue
        words = [str(finding["message"])]
        if finding["fix"]:
            words.append(f"What to do: {finding['fix']}")
        names = [str(name) for name in finding["variables"]]
        yield _result(path, str(finding["id"]), level, "\n\n".join(words), names)


def _result(
    path: str, rule: str, level: str, words: str, variables: Sequence[str] = ()
) -> dict[str, Any]:
    shown = "\n".join(printable(line, None) for line in words.split("\n"))
    uri = quote(path, errors="surrogateescape")
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}
    }
    if variables:
        location["logicalLocations"] = [
            {"name": printable(name, None), "kind": "variable"} for name in variables
        ]
    exact = "\0".join([uri, rule, *variables])
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": shown},
        "locations": [location],
        "partialFingerprints": {
            "varhandle/v1": hashlib.sha256(exact.encode(errors="surrogateescape")).hexdigest()
        },
    }


def shown_path(path: Path, root: Path) -> str:
    """Return a path as seen from a folder that it lies in, with slashes; else the whole path."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
    try:
        return whole.relative_to(os.path.abspath(root)).as_posix()  # noqa: PTH100
    except ValueError:
        return whole.as_posix()


def _rules(used: set[str]) -> list[dict[str, Any]]:
    rules = [
        {
            "id": one.id,
            "shortDescription": {"text": one.what},
            "fullDescription": {"text": f"{one.what} {one.cause}"},
            "help": {"text": one.fix},
        }
        for one in FAMILIES
        if one.id in used
    ]
    rules += [
        {"id": name, "shortDescription": {"text": meaning.proved}}
        for name, meaning in MEANINGS.items()
        if name in used
    ]
    known = {str(rule["id"]) for rule in rules}
    for name in sorted(used - known):
        text = "It came to no verdict: it crashed, took too long or too much memory, or failed."
        rules.append({"id": name, "shortDescription": {"text": text}})
    return rules
