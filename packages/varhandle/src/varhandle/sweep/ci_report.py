"""What a CI service shows of a sweep: a summary in Markdown, annotations of files, SARIF.

The services are GitHub's, and what speaks their language. Names of models and what libraries said
are a stranger's words: nothing in them may open a command, a link or a tag.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from varhandle.display import one_line, printable
from varhandle.formats.regular_file import LARGEST_TEXT, read_regular
from varhandle.sarif import CheckedModel, shown_path
from varhandle.sweep.row_specs import RowSpec
from varhandle.sweep.rows import Row
from varhandle.sweep.run import SweepResult
from varhandle.verdict_file import VERDICT_FILE

_MARKUP = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_{}[]()#+-.!|<>&~@:"})


def checked_models(result: SweepResult, specs: Sequence[RowSpec]) -> list[CheckedModel]:
    """Return the rows of a sweep of ``specs`` with the findings of their verdict files."""
    rows = zip(result.rows, dict.fromkeys(specs), strict=True)
    return [_checked(result.folder, row, spec) for row, spec in rows]


def _checked(folder: Path, row: Row, spec: RowSpec) -> CheckedModel:
    diagnosis = _diagnosis(folder / row.folder / VERDICT_FILE) if row.folder else {}
    reason = f"{row.reason} ({row.setting})"
    if row.first_difference:
        reason += f". First difference: {row.first_difference}"
    findings = diagnosis.get("findings", ())
    return CheckedModel(spec.model, row.verdict, reason, findings, diagnosis.get("other", ()))


def _diagnosis(path: Path) -> dict[str, Any]:
    """Read what ``finished_row`` has read once; a row that crashed has none."""
    try:
        told: dict[str, Any] = json.loads(read_regular(path, LARGEST_TEXT))["diagnosis"]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return told


def step_summary(result: SweepResult) -> str:
    """Return the rows, and what changed, as a table in GitHub's Markdown."""
    changes = {change.title: change for change in result.changes}
    worse = sum(change.regression for change in result.changes)
    good = sum(row.good for row in result.rows)
    lines = [f"### varhandle: {good} of {len(result.rows)} ready or convertible", ""]
    if result.changes:
        lines += [f"{worse} worse than the baseline.", ""]
    lines += ["| | verdict | model | settings | since the baseline | why |", "|---" * 6 + "|"]
    for row in result.rows:
        change = changes.pop(row.title, None)
        since = f"{change.kind} {change.text}".strip() if change else ""
        cells = (row.verdict, row.model, row.setting, since, row.reason)
        lines.append(f"| {row.mark} | " + " | ".join(map(_markdown, cells)) + " |")
    for change in changes.values():  # what is missing
        cells = (change.kind, change.title, "", change.text, "")
        lines.append("| ? | " + " | ".join(map(_markdown, cells)) + " |")
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return one_line(text).translate(_MARKUP)


def workflow_commands(
    result: SweepResult, models: Sequence[CheckedModel], root: Path | None = None
) -> list[str]:
    """Return a workflow command for each model that is not good, or got worse."""
    changes = {change.title: change for change in result.changes}
    lines = []
    for row, model in zip(result.rows, models, strict=True):
        change = changes.pop(row.title, None)
        worse = change is not None and change.regression
        if row.good and not worse:
            continue
        kind = "error" if worse or row.verdict != "unproved" else "warning"
        since = f" ({change.kind} than the baseline: {change.text})" if change and worse else ""
        path = shown_path(model.file, root or Path.cwd())
        where = f"file={_property(path)},title={_property(f'varhandle: {row.verdict}')}"
        ids = f" [{', '.join(row.findings)}]" if row.findings else ""
        lines.append(f"::{kind} {where}::{_data(f'{row.title}: {row.reason}{ids}{since}')}")
    for change in changes.values():
        if change.regression:
            lines.append(f"::error title=varhandle%3A missing::{_data(str(change))}")
    return lines


def _data(text: str) -> str:
    """Write what stands behind ``::`` of a workflow command."""
    return "%0A".join(printable(line.replace("%", "%25"), None) for line in text.splitlines())


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
