"""What is wrong with a model: the findings, and the verdict that they add up to.

First a static reading, without TensorFlow (``findings``); then a conversion and a comparison in
child processes (``proof``); from both ``verdict_rules`` decides. Importing this module imports
neither TensorFlow nor an interpreter: the static reading must answer at once.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from varhandle.display import Rich, code_html, counted, panel_html, printable, table_html
from varhandle.extras import require
from varhandle.facts.verdicts import MEANINGS, VERDICTS, Severity, Verdict
from varhandle.families import code
from varhandle.families.base import Finding, Reading, in_order, inference_signature
from varhandle.families.catalog import family, find, find_in_difference
from varhandle.formats import format_of, read_graph
from varhandle.formats.custom_code import check_imports
from varhandle.formats.trust import code_along
from varhandle.graph import Graph, ModelFileError, Variable
from varhandle.verdict_rules import decide, known_difference, refused_by_library

if TYPE_CHECKING:
    from varhandle.divergence.location import Location
    from varhandle.evaluate.given_inputs import Inputs
    from varhandle.evaluate.proof import Proof

__all__ = ["VERDICTS", "Diagnosis", "Finding", "Severity", "Verdict", "diagnose"]

_SEVERITY_TONES = {"error": "raised", "warning": "wrong", "info": "neutral"}


@dataclass(frozen=True, repr=False, eq=False)
class Diagnosis(Rich):
    """What is wrong with a model, and how sure that is.

    Attributes:
        model: Path of the model, as it was given.
        format: The ``id`` of its format.
        variables: Every variable, sorted by name.
        findings: The worst first.
        verdict: ``"ready"`` (a .tflite file that runs, with delegates as without),
            ``"convertible"``, ``"unproved"``, ``"blocked"`` or ``"wrong-answers"``.
        proof: What converting, running and comparing showed; ``None`` after a static reading.
        graph: The model as it was read.
        signature: The signature that the verdict is about; ``None`` where there is none.
        other: What stands in the way and no finding tells of: a line each.
        doubt: Why it is unproved, in one line; empty for any other verdict.
        imports: The Python files and modules that the model was given.
        location: Where the file parts from the model, if its answers are wrong and that was found.
    """

    model: str
    format: str
    variables: tuple[Variable, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    proof: Proof | None
    graph: Graph = field(repr=False)
    signature: str | None = None
    other: tuple[str, ...] = ()
    doubt: str = ""
    imports: tuple[str, ...] = ()
    location: Location | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the verdict is a good one."""
        return MEANINGS[self.verdict].good

    def __repr__(self) -> str:
        ids = list(dict.fromkeys(f.id for f in self.findings if f.severity != "info"))
        return f"Diagnosis({self.verdict}: {', '.join(ids) or 'nothing wrong'})"

    def as_dict(self) -> dict[str, Any]:
        """Return the whole diagnosis as plain data, fit for JSON; no values of arrays."""
        return {
            "model": self.model,
            "format": self.format,
            "signature": self.signature,
            "producer": self.graph.producer,
            "variables": [variable.as_dict() for variable in self.variables],
            "findings": [{**vars(one), "variables": list(one.variables)} for one in self.findings],
            "verdict": self.verdict,
            "doubt": self.doubt or None,
            "other": list(self.other),
            "first_difference": self.location and self.location.line,
            "proof": None if self.proof is None else self.proof.as_dict(),
        }

    def text(self) -> str:
        """Return the verdict, what to do about it, and what it rests on."""
        parts = ["\n".join([self._headline(), self._subject(), *self._next()])]
        parts.extend(_finding_text(f) for f in self.findings if f.severity != "info")
        parts.extend(f"cause: {printable(line, None)}" for line in self.other)
        infos = [f for f in self.findings if f.severity == "info"]
        if infos and self.ok:
            lines = (f"  {printable(f.id)}: {printable(f.message, None)}" for f in infos)
            parts.append("\n".join(["worth knowing:", *lines]))
        elif infos:  # what is to be known of a file that there is not yet
            names = ", ".join(dict.fromkeys(f.id for f in infos))
            parts.append(f"worth knowing once that is mended (--json has it): {names}")
        if self.location:
            parts.append(f"first difference: {self.location.line}")
        parts.append(self._evidence())
        return "\n\n".join(parts)

    def _headline(self) -> str:
        ran = self.proof is not None and self.proof.content is not None
        converted = format_of(self.graph).is_converted
        meaning = MEANINGS[self.verdict].sentence(converted, ran)
        if ran and self.doubt and self.doubt == known_difference(self.graph, self.findings):
            meaning = "it converts, and the file is known to differ from the model"
        return ": ".join(filter(None, [self.verdict, meaning, printable(self.doubt, None)]))

    def _next(self) -> list[str]:
        """Return the command that makes the file, where there is none yet and it can be proved."""
        trust = bool(self.graph.embedded_code)
        if self.verdict not in ("convertible", "unproved") or format_of(self.graph).is_converted:
            return []
        several = len(self.graph.signatures) > 1
        command = code.cure_command(self.model, self.signature if several else None)
        command = code.with_options(command, self.model, trust, self.imports)
        return [f"make the file: {printable(command, None)}"]

    def _subject(self) -> str:
        assigned = sum(1 for variable in self.variables if variable.assigns)
        parts = [printable(self.model, None), self.format]
        if self.graph.producer:
            parts.append(printable(self.graph.producer))
        if self.signature is not None:
            names = [s.name for s in self.graph.signatures]
            of = f" (of {len(names)})" if len(names) > 1 else ""
            parts.append(f"signature {printable(self.signature)}{of}")
        parts.append(f"{counted(len(self.variables), 'variable')}, {assigned} assigned")
        return " · ".join(parts)

    def _evidence(self) -> str:
        if self.proof is None:
            shown = "proof: none was asked for (--static); this is what the file shows"
            code = printable(code_along(self.graph), None)
            return f"{shown}\n  {code}; --trust lets it run" if code else shown
        return self.proof.text()

    def html(self) -> str:
        """Return the same as a panel, with the variables that matter as a table."""
        body = [f"<p>{html.escape(self._subject())}</p>"]
        body.extend(_finding_html(f) for f in self.findings if f.severity != "info")
        body.extend(f"<p>{html.escape(printable(line, None))}</p>" for line in self.other)
        infos = [(f.id, f.message) for f in self.findings if f.severity == "info"]
        if infos:
            body.append(table_html(("worth knowing", ""), infos, "No fault of the model"))
        if self.location:
            body.append(f"<p>first difference: {html.escape(self.location.line)}</p>")
        body.append(code_html(self._evidence()))
        return panel_html(MEANINGS[self.verdict].tone, self._headline(), "".join(body))


def _with_misfit(other: tuple[str, ...], proof: Proof | None) -> tuple[str, ...]:
    """Put first what does not fit together here, where the model got no file: it may be all."""
    if proof is None or proof.content is not None or not other:
        return other
    from varhandle.installation import misfit

    fault = misfit()
    return (fault, *other) if fault else other


def _finding_text(finding: Finding) -> str:
    lines = (printable(line, None) for line in finding.fix.split("\n"))
    fix = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"{finding.severity}: {finding.id}\n  {printable(finding.message, None)}\n\n{fix}"


def _finding_html(finding: Finding) -> str:
    body = f"<p>{html.escape(finding.message)}</p>{code_html(finding.fix)}"
    title = f"{finding.severity}: {finding.id}"
    return panel_html(_SEVERITY_TONES[finding.severity], title, body)


def diagnose(
    source: str | os.PathLike[str] | Graph,
    *,
    static: bool = False,
    signature: str | None = None,
    inputs: Inputs | None = None,
    trust: bool = False,
    lock: bool = True,
    timeout: float = 300.0,
    reference_calls: int = 0,
    imports: Sequence[str | os.PathLike[str]] = (),
    custom_objects: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Say what is wrong with a model, and prove it.

    Args:
        source: A path, as ``read_graph`` takes it; or a ``Graph`` that was read already.
        static: Whether to read only: no TensorFlow, nothing converted, nothing run.
        signature: The signature that the verdict is about. If ``None``, ``serving_default``, else
            the one that assigns the fewest variables, of those that take inputs; all signatures of
            a .tflite file are run.
        inputs: What to call the model with, as ``given_calls`` takes it; if ``None``, what is
            stored with it or made up.
        trust: Whether code that the file brings along (Lambda layers, ops that call Python or
            write files) may run. Without it such a model is only read.
        lock: Whether the processes that open the model are locked by the kernel
            (``sandbox.lock``), whatever runs there.
        timeout: Seconds that the conversion, and TensorFlow's own answers, may take.
        reference_calls: How many calls to make up at least, where a ``cure`` is to follow that
            wants more.
        imports: Python files (``my_layers.py``) and modules that define what the model names and
            does not bring along: custom classes, activations, ops. They run in a child process.
        custom_objects: The same as Keras takes it, by name; defined in modules, not in a notebook.

    Returns:
        The diagnosis. Whatever the model does when it is converted or run is in it.

    Raises:
        ModelFileError: There is no model, or none that can be read.
        KeyError: The model has no such signature.
        CallsError: ``inputs`` do not fit the signature (a ``ValueError``).
        CustomCodeError: There is no such file to import (a ``ValueError``).
    """
    own_code = check_imports(imports, custom_objects)
    graph = source if isinstance(source, Graph) else read_graph(source)
    if not static and not format_of(graph).is_converted:
        require("tensorflow", "diagnosing a model beyond what it shows (--static)")
    chosen = inference_signature(graph, signature)
    findings = find(graph, chosen)
    proof = None
    if not static:
        from varhandle.evaluate.proof import prove
        from varhandle.sandbox.lock import locking

        accumulates = any(family(f.id).accumulates_state for f in findings)
        others = [one.name for one in graph.signatures if one.name != chosen]
        with locking(lock):
            proof = prove(
                graph,
                chosen,
                beside=others if signature is None else [],
                inputs=inputs,
                trust=trust,
                timeout=timeout,
                accumulates_state=accumulates,
                reference_calls=reference_calls,
                imports=own_code,
            )
            if refusal := refused_by_library(graph, findings, proof):
                raise ModelFileError(graph.source, refusal)
    missing = () if own_code else graph.custom_objects
    decision = decide(graph, findings, proof, missing, chosen)
    location = None
    if decision.verdict == "wrong-answers" and proof and proof.content:
        from varhandle.divergence.failed_comparison import locate_failure

        location = locate_failure(
            graph,
            proof.content,
            converted=proof.content,
            signature=signature,
            inputs=inputs,
            trust=trust,
            lock=lock,
            timeout=timeout,
            own_code=own_code,
        )
    if location and not any(f.severity == "error" for f in decision.findings):
        seen = find_in_difference(Reading(graph, chosen), location.first or {})
        findings = in_order((*decision.findings, *seen))
        decision = decision._replace(findings=findings, other=() if seen else decision.other)
    named = tuple(str(each) for each in imports)
    return Diagnosis(
        model=graph.source,
        format=graph.format,
        variables=graph.variables,
        findings=tuple(
            replace(f, fix=code.with_options(f.fix, graph.source, bool(graph.embedded_code), named))
            for f in decision.findings
        ),
        verdict=decision.verdict,
        proof=proof,
        graph=graph,
        signature=chosen,
        other=_with_misfit(decision.other, proof),
        doubt=decision.doubt,
        imports=named,
        location=location,
    )
