"""What is wrong with a model: the findings, and the verdict that they add up to.

First a static reading, without TensorFlow (``findings``); then, where reading cannot decide, a
conversion and a comparison in child processes (``proof``). Importing this module imports neither
TensorFlow nor an interpreter: the static reading must answer at once.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from workbook_lib.graph import Graph, Variable
from workbook_lib.rendering import Rich, panel_html, table_html, table_text

if TYPE_CHECKING:
    from workbook_lib.failures.proof import Proof

Severity = Literal["error", "warning", "info"]
Verdict = Literal["ready", "convertible", "blocked", "wrong-answers"]

VERDICTS: tuple[Verdict, ...] = ("ready", "convertible", "blocked", "wrong-answers")
"""From the best to the worst."""


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in a model.

    Attributes:
        id: Id of its family (see ``catalogue.FAMILIES``).
        severity: ``"error"`` (it does not convert, or answers wrongly), ``"warning"`` (it may, on
            some road or some release), or ``"info"`` (worth knowing; no fault).
        variables: Names of the variables concerned, sorted.
        message: The cause, in one sentence, in terms of this model.
        fix: What to do: code made for this model, or a sentence where no code helps.
    """

    id: str
    severity: Severity
    variables: tuple[str, ...]
    message: str
    fix: str


@dataclass(frozen=True, repr=False, eq=False)
class Diagnosis(Rich):
    """What is wrong with a model, and how sure that is.

    Attributes:
        model: Path of the model, as it was given.
        format: ``"saved_model"``, ``"graph_def"``, ``"keras"`` or ``"tflite"``.
        variables: Every variable, sorted by name.
        findings: The worst first.
        verdict: ``"ready"`` (a .tflite file that runs, and runs rightly), ``"convertible"``,
            ``"blocked"`` or ``"wrong-answers"``.
        proof: What converting, running and comparing showed; ``None`` after a static reading.
        graph: The model as it was read.
    """

    model: str
    format: str
    variables: tuple[Variable, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    proof: Proof | None
    graph: Graph = field(repr=False)
