"""How a verdict is reached: what was read, and what the proof showed, put together.

The rules, in the order in which they are tried:

1. The converter gave no file, died or was ended: ``blocked``.
2. The file was compared, and answers alike: ``convertible`` (``ready`` for a .tflite file). What
   was read as an error becomes a warning that says so. A .tflite file that is compared with itself
   proves less: see ``_SHOWN_BY_ITSELF``.
3. The file was compared, and does not answer alike: ``wrong-answers`` if an answer was wrong or a
   variable was read without a value; ``blocked`` if no interpreter would run it.
4. No comparison: an error that was read counts, each family as ``_WRONG`` says; else the model is
   ``convertible`` (``ready``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from varhandle.display import printable
from varhandle.facts.verdicts import Verdict
from varhandle.families.catalog import FAMILIES, diagnose_log, find
from varhandle.families.findings import Finding, in_order, with_severity
from varhandle.families.log_text import without_noise
from varhandle.formats import format_of, read_graph
from varhandle.graph import Graph

if TYPE_CHECKING:
    from varhandle.evaluate.proof import Proof

_WRONG = frozenset(family.id for family in FAMILIES if family.answers_wrongly)
_OF_THE_FILE = frozenset(family.id for family in FAMILIES if family.of_the_file)
_SHOWN_BY_ITSELF = frozenset(family.id for family in FAMILIES if family.refuted_by_running)
"""What cannot be so if the plain kernels run a .tflite file to the end. That a state saturates or
keeps a wrong shape, both ways of running it agree on."""

_NO_SIGNATURE = (
    "the SavedModel has no signature, and the converter wants at least one: save it again with "
    "tf.saved_model.save(module, folder, signatures={'serving_default': module.step})"
)
_FLEX = (
    " SELECT_TF_OPS converts it for a runtime that has the Flex delegate, which the Python "
    "packages no longer have."
)
_NO_VALUE = "variable != nullptr"


@dataclass(frozen=True)
class Decision:
    """A verdict, and what it rests on.

    Attributes:
        findings: The findings, the worst first, as the proof leaves them.
        verdict: The verdict.
        other: What stands in the way and is no matter of variables.
    """

    findings: tuple[Finding, ...]
    verdict: Verdict
    other: tuple[str, ...] = ()


def decide(graph: Graph, findings: tuple[Finding, ...], proof: Proof | None) -> Decision:
    """Reach the verdict."""
    if proof is None:
        return _as_read(graph, findings)
    findings = _with_the_files(graph, findings, proof)
    if proof.refused:
        return _refused(graph, findings, proof)
    if proof.parity is None:
        return _as_read(graph, findings)
    if proof.reference == "itself":
        return _file(graph, findings, proof)
    if proof.passed:
        shown = "The proof disagrees: TensorFlow 2.21 converts it, and the file answers rightly."
        return Decision(_downgraded(findings, shown), _good(graph))
    return _failed(findings, proof)


def _good(graph: Graph) -> Verdict:
    return "ready" if format_of(graph).is_converted else "convertible"


def _as_read(graph: Graph, findings: tuple[Finding, ...]) -> Decision:
    errors = [finding for finding in findings if finding.severity == "error"]
    if format_of(graph).lacks_signature(graph):
        return Decision(findings, "blocked", (_NO_SIGNATURE,))
    if not errors:
        return Decision(findings, _good(graph))
    blocks = any(f.id not in _WRONG or _hidden_handle(graph, f) for f in errors)
    return Decision(findings, "blocked" if blocks else "wrong-answers")


def _hidden_handle(graph: Graph, finding: Finding) -> bool:
    """Tell whether a handle is made inside a function: there the converter does not find it."""
    if format_of(graph).is_converted or finding.id != "uninitialised-variable":
        return False
    main = {
        str(node.attributes.get("shared_name") or node.name)
        for node in graph.functions[0].nodes
        if node.op == "VarHandleOp"
    }
    return not main.issuperset(finding.variables)


def _downgraded(
    findings: Iterable[Finding], why: str, ids: frozenset[str] | None = None
) -> tuple[Finding, ...]:
    return in_order(
        with_severity(f, "warning", why)
        if f.severity == "error" and (ids is None or f.id in ids)
        else f
        for f in findings
    )


def _with_the_files(
    graph: Graph, findings: tuple[Finding, ...], proof: Proof
) -> tuple[Finding, ...]:
    """Add what is worth knowing of the made file, in the place of what was only expected of it.

    A Keras model does not show its state itself; the file made from it does.
    """
    if format_of(graph).is_converted or proof.content is None:
        return findings
    made = replace(read_graph(proof.content), source=graph.source)
    seen = tuple(f for f in find(made, None, proof.content) if f.severity == "info")
    if format_of(graph).shows_ops:
        seen = tuple(f for f in seen if f.id in _OF_THE_FILE)
    told = {finding.id for finding in seen}
    kept = (f for f in findings if not (f.severity == "info" and f.id in told & _OF_THE_FILE))
    return in_order((*kept, *seen))


def _refused(graph: Graph, findings: tuple[Finding, ...], proof: Proof) -> Decision:
    """The converter gave no file: keep what was read, or else take the converter's own words."""
    if any(finding.severity == "error" for finding in findings):
        return Decision(findings, "blocked")
    assert proof.conversion is not None
    record = proof.conversion.record
    if format_of(graph).lacks_signature(graph):
        return Decision(findings, "blocked", (_NO_SIGNATURE,))
    told = _explained(graph, findings, record.message)
    other = () if told else (_stopped(proof),)
    surer = {finding.id for finding in told}
    kept = (f for f in findings if not (f.severity == "warning" and f.id in surer))
    return Decision(in_order((*kept, *told)), "blocked", other)


def _stopped(proof: Proof) -> str:
    """Say what stopped the converter where it was no variable."""
    assert proof.conversion is not None
    needs = [e for e in proof.conversion.errors if e.code.startswith("ERROR_NEEDS")]
    ops = tuple(dict.fromkeys(error.op for error in needs))
    if not ops:
        return f"{proof.reason} (no variable explains it)"
    flex = _FLEX if all(error.code == "ERROR_NEEDS_FLEX_OPS" for error in needs) else ""
    return (
        f"{', '.join(map(printable, ops))}: the converter has no builtin op for "
        f"{'it' if len(ops) == 1 else 'them'}. That is no matter of variables: write it with other "
        f"ops, or leave it to the program around the model.{flex}"
    )


def _explained(graph: Graph, findings: tuple[Finding, ...], message: str) -> tuple[Finding, ...]:
    """Return the family that the converter's message shows, with the variables that it names.

    Where a warning said so before, its fix is the better one: it was made for this model.
    """
    matches = diagnose_log(without_noise(message))[:1]
    variables = tuple(v.name for v in graph.variables if f'loc("{v.name}")' in message)
    fixes = {f.id: f.fix for f in findings if f.severity == "warning"}
    return tuple(
        Finding(m.id, "error", variables, m.message, fixes.get(m.id, m.fix)) for m in matches
    )


def _failed(findings: tuple[Finding, ...], proof: Proof) -> Decision:
    """The file does not answer as TensorFlow: say wherever possible what it is about."""
    assert proof.parity is not None and proof.content is not None
    runs = proof.parity.runs
    wrong = any(not r.refusal and r.agreeing < r.calls for r in runs)
    no_value = any(_NO_VALUE in run.refusal for run in runs)
    verdict: Verdict = "wrong-answers" if wrong or no_value else "blocked"
    if any(finding.severity == "error" for finding in findings):
        return Decision(findings, verdict)
    seen = [f for f in find(read_graph(proof.content)) if f.severity != "info"]
    told = tuple(with_severity(f, "error") for f in seen if f.id in _WRONG)
    other = () if told else (_unexplained(proof),)
    return Decision(in_order((*findings, *told)), verdict, other)


def _unexplained(proof: Proof) -> str:
    assert proof.parity is not None
    runs = "; ".join(f"{run.kernels}: {run.verdict}" for run in proof.parity.runs)
    notes = sorted({note for run in proof.parity.runs for note in run.notes})
    largest = max(run.largest_difference for run in proof.parity.runs)
    text = f"the file does not answer as TensorFlow ({runs}; largest difference {largest:.2g}"
    return f"{text}{'; ' if notes else ''}{'; '.join(notes)}), and no variable explains it"


def _file(graph: Graph, findings: tuple[Finding, ...], proof: Proof) -> Decision:
    """A .tflite file: its two ways of running, compared with each other."""
    assert proof.parity is not None
    if proof.stuck_after is not None:
        why = f"It did: after {proof.stuck_after} equal calls the answers stopped changing."
        findings = in_order(
            with_severity(f, "error", why) if f.id == "quantised-state" else f for f in findings
        )
    if proof.passed:
        shown = "The proof disagrees: the plain kernels run it to the end."
        return _as_read(graph, _downgraded(findings, shown, _SHOWN_BY_ITSELF))
    decision = _as_read(graph, findings)
    if decision.verdict != "ready":
        return decision
    runs = proof.parity.runs
    refused = all(run.refusal for run in runs)
    differ = not any(run.refusal for run in runs)
    no_value = any(_NO_VALUE in run.refusal for run in runs)
    verdict: Verdict = "wrong-answers" if no_value or (differ and not refused) else "blocked"
    lines = "; ".join(f"{run.kernels}: {run.verdict}" for run in runs)
    return Decision(findings, verdict, (f"the file does not run rightly ({lines})",))
