"""How a verdict is reached: what was read, and what the proof showed, put together.

The rules, in the order in which they are tried:

1. The converter gave no file, died or was ended: ``blocked``.
2. The file was compared, and answers alike: ``convertible`` (``ready`` for a .tflite file). What
   was read as an error becomes a warning that says so. A .tflite file that is compared with itself
   proves less: only a family that is ``refuted_by_running``. That a state saturates or keeps a
   wrong shape, both ways of running the file agree on.
3. The file was compared, and does not answer alike: ``wrong-answers`` if an answer was wrong or a
   variable was read without a value; ``blocked`` if no interpreter would run it.
4. No comparison: an error that was read counts, as a wrong answer where its family
   ``answers_wrongly``; else the model is ``convertible`` (``ready``) after a static reading.
5. What would be ``convertible`` or ``ready``, and was not compared or only with what proves nothing
   (``Proof.doubt``), or is known to differ from the model when it is called, is ``unproved``. So is
   it after a static reading, where that shows that nothing can be proved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from varhandle.display import join_names, printable
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.verdicts import MEANINGS, Verdict
from varhandle.families import code
from varhandle.families.base import (
    Finding,
    handles_checkpoints,
    in_order,
    inference_signature,
    named,
    with_severity,
)
from varhandle.families.catalog import diagnose_log, family, find
from varhandle.families.converter_call import OUTPUT_TENSORS
from varhandle.families.log_index import LAST_RESORT, LogDiagnosis
from varhandle.families.log_text import without_noise
from varhandle.families.op_without_builtin import FAMILY as WITHOUT_BUILTIN
from varhandle.families.op_without_builtin import has_builtin
from varhandle.formats import format_of, read_graph
from varhandle.formats.base import CALLED_WITH_TRAINING, RefusedByLibraryError
from varhandle.formats.custom_code import CustomCodeError
from varhandle.formats.keras_loader import EXPORT, KerasLoadError, MissingCustomObjectError
from varhandle.graph import CustomObject, Graph
from varhandle.graph.model import GIVE_ORIGINAL, SAVE_AGAIN
from varhandle.tflite.runtime_support import misread_weights, missing_kernels
from varhandle.tflite.shared_reads import SharedRead, find_shared_reads, shared_read_words

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Run
    from varhandle.evaluate.proof import Proof
    from varhandle.sandbox.record import Record

_NO_SIGNATURE = (
    "the SavedModel has no signature, and the converter wants at least one: save it again with "
    "tf.saved_model.save(module, folder, signatures={'serving_default': module.step})"
)
_PLAIN_ERRORS = (CustomCodeError, KerasLoadError)
"""Errors of the tool's own, whose whole message is for the user."""

_REFUSED = RefusedByLibraryError.__name__
_DENIED = re.compile(r"PermissionDenied|Permission denied|Operation not permitted")
_UNKNOWN_OP = re.compile(r"Op type not registered '([^']+)'")
_OF_INTEGERS = re.compile(r"'tfl\.\w+' op operand #\d must be [^\n]*, but got 'tensor<[^'\n]*xi8>'")
QUANTIZED_ALREADY = (
    "the model was quantized before (Model.quantize of Keras), and no builtin op multiplies plain "
    "integers of 8 bits: convert the model as it was before, and let cure quantize it"
)
_NO_VALUE = "variable != nullptr"
_DIED = "the process died"


class Decision(NamedTuple):
    """A verdict, and what it rests on."""

    findings: tuple[Finding, ...]  # the worst first, as the proof leaves them
    verdict: Verdict
    other: tuple[str, ...] = ()  # what stands in the way and no finding tells of
    doubt: str = ""  # why it is unproved


def is_not_loaded(proof: Proof | None) -> bool:
    """Tell whether a model could not even be loaded: nothing is known of its conversion."""
    conversion = None if proof is None else proof.conversion
    if not conversion:
        return False
    told = conversion.record
    missing = told.exception_type == MissingCustomObjectError.__name__
    return missing or bool(told.said_by(*_PLAIN_ERRORS))


def refused_by_library(graph: Graph, findings: Iterable[Finding], proof: Proof | None) -> str:
    """Say that a model's own library does not load it, where nothing else explains that.

    To be called where the model was run, with or without the lock.
    Such a file is no model to convert, but bad input. Empty for any other.
    """
    record = proof.conversion.record if proof and proof.conversion else None
    if record is None or record.exception_type != _REFUSED:
        return ""
    shown = next(iter(diagnose_log(without_noise(record.message))), None)
    known = shown is not None and (shown.of_variables or shown.rank < LAST_RESORT)
    if (
        known
        or _UNKNOWN_OP.search(record.message)
        or any(finding.severity == "error" for finding in findings)
    ):
        return ""
    from importlib import metadata

    from varhandle.sandbox.lock import denied_by_lock, is_lock_on
    from varhandle.sandbox.record import short_message

    library, _, release = (graph.producer or "TensorFlow").partition(" ")
    here = metadata.version(library.lower())
    words = printable(short_message(record.message)).rstrip(".")
    refused = f"{library} {here} does not load it ({words})"
    if graph.embedded_code and is_lock_on() and _DENIED.search(record.message):
        return f"{refused}: {denied_by_lock(graph.embedded_code[0])}"
    if release and release != here:
        return f"{refused}: try {library} {release}, which wrote it, or {SAVE_AGAIN}"
    return f"{refused}: {SAVE_AGAIN}"


_FUSED = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"})


def is_fused_wrongly(proof: Proof | None) -> bool:
    """Tell whether an LSTM of Keras 2 became one op, whose state goes on from call to call."""
    if proof is None or proof.parity is None or proof.passed or proof.content is None:
        return False
    if any(run.refusal for run in proof.parity.runs):
        return False
    return any(node.op in _FUSED for node in read_graph(proof.content).nodes)


_LOST_INPUT = re.compile(r"Node '[^']+': Unknown input node '")


def is_broken_beside(proof: Proof | None) -> bool:
    """Tell whether a node that no call runs takes what is not there: the converter imports all."""
    conversion = None if proof is None else proof.conversion
    return bool(conversion and _LOST_INPUT.search(conversion.record.message))


def fatal_shared_reads(proof: Proof | None) -> tuple[SharedRead, ...]:
    """Return the ops that take one read of a variable twice, where the default delegates die."""
    from varhandle.evaluate.parity import DELEGATES

    if proof is None or proof.parity is None or proof.content is None:
        return ()
    if not any(run.kernels == DELEGATES and _DIED in run.refusal for run in proof.parity.runs):
        return ()
    return find_shared_reads(read_graph(proof.content))


def decide(
    graph: Graph,
    findings: tuple[Finding, ...],
    proof: Proof | None,
    missing: Sequence[CustomObject] = (),
    signature: str | None = None,
) -> Decision:
    """Reach the verdict of a signature.

    ``missing`` is what the model needs of its author's, and has not got.
    """
    if missing and (proof is None or proof.conversion is None):
        return Decision(findings, "blocked", (_custom_code(graph, join_names(missing)),))
    if proof is None:
        decision = _as_read(graph, findings)
        doubt = format_of(graph).left_to_chance(graph, [signature])
    else:
        decision = _by_proof(graph, _with_the_files(graph, findings, proof), proof)
        doubt = proof.doubt
    doubt = doubt or known_difference(graph, decision.findings)
    if not doubt or not MEANINGS[decision.verdict].good:
        return decision
    return decision._replace(verdict="unproved", doubt=doubt)


def known_difference(graph: Graph, findings: Iterable[Finding]) -> str:
    """Say how a file must differ from its model when that is called; empty if it need not."""
    told = next((f.message for f in findings if family(f.id).never_equal), "")
    names = [node.name for node in graph.nodes if node.attributes.get(CALLED_WITH_TRAINING)]
    if told or not names:
        return told
    return (
        f"{named(names)} called with training=True inside the model, and works as in training "
        "whenever the model is called; the file answers as the model does in inference"
    )


def _by_proof(graph: Graph, findings: tuple[Finding, ...], proof: Proof) -> Decision:
    if proof.refused:
        return _refused(graph, findings, proof)
    if proof.parity is None or (proof.doubt and not proof.passed):  # what differs says nothing
        return _as_read(graph, findings)
    if proof.reference == "itself":
        return _file(graph, findings, proof)
    if proof.passed:
        shown = "The proof disagrees: TensorFlow 2.21 converts it, and the file answers rightly."
        refuted = _downgraded(
            findings, shown, lambda f: not (proof.doubt and family(f.id).answers_wrongly)
        )
        return _as_read(graph, refuted)
    never_equal = any(family(finding.id).never_equal for finding in findings)
    if never_equal and not any(run.refusal for run in proof.parity.runs):
        return Decision(findings, "convertible")
    return _failed(graph, findings, proof)


def _as_read(graph: Graph, findings: tuple[Finding, ...]) -> Decision:
    model_format = format_of(graph)
    errors = [finding for finding in findings if finding.severity == "error"]
    if model_format.lacks_signature(graph):
        return Decision(findings, "blocked", (_NO_SIGNATURE,))
    if not errors:
        return Decision(findings, "ready" if model_format.is_converted else "convertible")
    blocks = any(not family(f.id).answers_wrongly or _hidden_handle(graph, f) for f in errors)
    return Decision(findings, "blocked" if blocks else "wrong-answers")


def _hidden_handle(graph: Graph, finding: Finding) -> bool:
    """Tell whether a handle is made inside a function: there the converter does not find it."""
    if format_of(graph).is_converted or not family(finding.id).needs_handle_in_main_graph:
        return False
    main = {
        str(node.attributes.get("shared_name") or node.name)
        for node in graph.functions[0].nodes
        if node.op == "VarHandleOp"
    }
    return not main.issuperset(finding.variables)


def _downgraded(
    findings: Iterable[Finding], why: str, is_refuted: Callable[[Finding], bool]
) -> tuple[Finding, ...]:
    return in_order(
        with_severity(f, "warning", why) if f.severity == "error" and is_refuted(f) else f
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
        seen = tuple(f for f in seen if family(f.id).of_the_file)
    told = {f.id for f in seen if family(f.id).of_the_file}
    return in_order((*(f for f in findings if f.severity != "info" or f.id not in told), *seen))


def _refused(graph: Graph, findings: tuple[Finding, ...], proof: Proof) -> Decision:
    """The converter gave no file: keep what was read, or else take the converter's own words."""
    assert proof.conversion is not None
    record = proof.conversion.record
    # By these words the families know whose message it is.
    shown = next(iter(diagnose_log(without_noise(f"TFLiteConverter\n{record.message}"))), None)
    beside = tuple(filter(None, [without_builtin(record, findings)]))
    if shown is not None and shown.fix == OUTPUT_TENSORS:
        beside = (_told(shown),)
    if any(finding.severity == "error" for finding in findings):
        return Decision(findings, "blocked", beside)
    other = _of_no_variable(graph, proof, shown)
    if other or shown is None:
        return Decision(findings, "blocked", (other,))
    variables = tuple(v.name for v in graph.variables if f'loc("{v.name}")' in record.message)
    # Where a warning said so before, its fix is the better one: it was made for this model.
    fixes = {f.id: f.fix for f in findings if f.severity == "warning"}
    fix = fixes.get(shown.id, shown.fix)
    told = Finding(shown.id, "error", variables, shown.message, fix)
    kept = (f for f in findings if f.severity != "warning" or f.id != shown.id)
    return Decision(in_order((*kept, told)), "blocked", beside)


def without_builtin(record: Record, findings: Iterable[Finding] = ()) -> str:
    """Say which ops, that no finding tells of, have no builtin in any dtype, and what to do."""
    for shown in diagnose_log(without_noise(record.message)):
        if shown.id == WITHOUT_BUILTIN.id:
            ops = [op for op in re.findall(r"\btf\.(\w+)", shown.message) if not has_builtin(op)]
            if any(all(op not in finding.message for finding in findings) for op in ops):
                return _told(shown)
    return ""


def _of_no_variable(graph: Graph, proof: Proof, shown: LogDiagnosis | None) -> str:
    """Say what stopped the converter where it was no variable; nothing where it was one."""
    assert proof.conversion is not None
    record = proof.conversion.record
    if told := _before_conversion(graph, record) or _broken_beside(graph, proof):
        return told
    if _OF_INTEGERS.search(record.message):
        return QUANTIZED_ALREADY
    if shown is not None and shown.fix == OUTPUT_TENSORS:  # other sizes change nothing
        return _told(shown)
    ops = sorted({error.op for error in record.errors if error.code.startswith("ERROR_NEEDS")})
    by_sizes = all(map(has_builtin, ops)) and "float64" not in other_floats(record.message)
    curable = _curable(graph, record.message, by_sizes)
    curable = _other_signature(graph, ops) or curable
    if curable and (shown is None or not shown.of_variables):
        return f"{', '.join(map(printable, ops)) or proof.reason}: {curable}"
    if shown is None or (not shown.of_variables and shown.rank >= LAST_RESORT):
        return f"{proof.reason} ({UNEXPLAINED}): {code.SEE_WHY}"
    return "" if shown.of_variables else _told(shown)


def _before_conversion(graph: Graph, record: Record) -> str:
    """Say what a model lacks before there is anything to convert; empty if it lacks nothing."""
    if format_of(graph).lacks_signature(graph):
        return _NO_SIGNATURE
    if record.exception_type == MissingCustomObjectError.__name__:
        return _custom_code(graph, record.message)
    if unknown := _UNKNOWN_OP.search(record.message):
        command = f"varhandle diagnose {code.shell(graph.source)} --trust --import MODULE"
        return (
            f"it needs the op {printable(unknown[1])}, which TensorFlow does not have: {command}, "
            "where MODULE is the Python package that registers it"
        )
    return record.said_by(*_PLAIN_ERRORS)


def _broken_beside(graph: Graph, proof: Proof) -> str:
    if not is_broken_beside(proof):
        return ""
    command = code.cure_command(graph.source, inference_signature(graph))
    return f"{proof.reason}, and TensorFlow loads it without: {command} saves it anew"


def _custom_code(graph: Graph, names: str) -> str:
    """Say what a model needs of its author's, and how the tool is given it."""
    modules = sorted({one.module or "FILE.py" for one in graph.custom_objects}) or ["FILE.py"]
    command = " ".join(
        ["varhandle diagnose", code.shell(graph.source)]
        + [f"--import {code.shell(module)}" for module in modules]
    )
    which = f", where FILE.py is the Python file that defines it; or, {EXPORT}"
    which = which if "FILE.py" in modules else ""
    return f"it needs {names}, which neither Keras nor the file has: {command}{which}"


def _curable(graph: Graph, message: str = "", by_sizes: bool = True) -> str:
    """Say what of a model ``cure`` may change, and the command; empty if there is nothing.

    Dtypes that no builtin calculates in are seen in the converter's words, and open sizes in the
    model's inputs: these only if what stopped has a builtin op for known sizes (``by_sizes``).
    """
    found = other_floats(message)
    if not format_of(graph).can_export:  # no layers that can be loaded in another dtype
        found -= {"float64"}
    narrow = " and ".join(sorted(found))
    signature = inference_signature(graph)
    called = graph.signature(signature) if signature else graph.main_signature
    sizes = [
        f"{printable(spec.name)} of any rank"
        if spec.shape is None
        else f"{printable(spec.name)} {[-1 if size is None else size for size in spec.shape]}"
        for spec in called.inputs
        if spec.shape is None or None in spec.shape
    ]
    if not (narrow or (sizes and by_sizes)):
        return ""
    command = code.cure_command(graph.source, signature)
    if narrow:
        return f"the model calculates in {narrow}: {command} carries it in float32"
    return f"sizes are open ({', '.join(sizes)}): {command} {GIVES_VALUES}"


def other_floats(message: str) -> frozenset[str]:
    """Return the float dtypes that the converter's words name, but for float32."""
    return frozenset(dtype_of(name).name for name in re.findall(r"[x<](b?f16|f64)>", message))


def _other_signature(graph: Graph, ops: Sequence[str]) -> str:
    """Say which signature runs none of these ops, and the command; empty if there is none.

    One that takes serialized examples or encoded images often has one of tensors beside it.
    """
    if len(graph.signatures) < 2:
        return ""
    without = frozenset(op.removeprefix("tf.") for op in ops if not has_builtin(op))
    name = inference_signature(graph, without=without) if without else None
    if name is None or not graph.signature(name).inputs or handles_checkpoints(graph, name):
        return ""
    it = "it" if len(without) == 1 else "them"
    command = code.cure_command(graph.source, name)
    return f"no builtin op does {it}, and signature {printable(name)} does without: {command}"


GIVES_VALUES = "gives them values"


def _failing(runs: Sequence[Run]) -> Verdict:
    """Say how bad it is that runs do not all agree: an answer that is wrong is the worst."""
    no_value = any(_NO_VALUE in run.refusal for run in runs)
    wrong = any(not run.refusal and run.agreeing < run.calls for run in runs)
    return "wrong-answers" if wrong or no_value else "blocked"


def _failed(graph: Graph, findings: tuple[Finding, ...], proof: Proof) -> Decision:
    """The file does not answer as TensorFlow: say wherever possible what it is about."""
    assert proof.parity is not None and proof.content is not None
    verdict = _failing(proof.parity.runs)
    if any(finding.severity == "error" for finding in findings):
        return Decision(findings, verdict)
    seen = [f for f in find(read_graph(proof.content)) if f.severity != "info"]
    told = tuple(with_severity(f, "error") for f in seen if family(f.id).answers_wrongly)
    other = () if told else tuple(_causes(graph, proof))
    return Decision(in_order((*findings, *told)), verdict, other)


def _refusals(proof: Proof) -> Iterator[str]:
    """Say what the interpreter's own words mean, where it is no variable that it refuses."""
    assert proof.parity is not None
    refusals = "\n".join(run.refusal for run in proof.parity.runs)
    shown = next(iter(diagnose_log(without_noise(refusals))), None)
    if shown is not None and not shown.of_variables and shown.rank <= LAST_RESORT + 1:
        yield _told(shown)


def _told(shown: LogDiagnosis) -> str:
    """Say in one line what ``explain`` says of a log."""
    advice = shown.fix.partition("\n\n")[0]
    return printable(f"{shown.message} {advice}", None)


UNEXPLAINED = "no failure that the tool knows explains it"


def _causes(graph: Graph, proof: Proof) -> Iterator[str]:
    """Say why the answers differ: by what cures it, by what a refusal means, or that none does."""
    assert proof.parity is not None
    runs = "; ".join(f"{run.kernels}: {run.verdict}" for run in proof.parity.runs)
    notes = sorted({note for run in proof.parity.runs for note in run.notes})
    largest = max(run.largest_difference for run in proof.parity.runs)
    if largest:  # none is told where no call was compared, or no number parts
        notes.insert(0, f"largest difference {largest:.2g}")
    text = f"the file does not answer as TensorFlow ({'; '.join([runs, *notes])})"
    curable = _curable(graph) if any(run.refusal for run in proof.parity.runs) else ""
    if is_fused_wrongly(proof):
        command = code.cure_command(graph.source, inference_signature(graph))
        curable = f"the op that the converter made of an LSTM keeps its state: {command} keeps none"
    if twice := fatal_shared_reads(proof):
        curable = _reads_once(graph, twice)
    known = list(_refusals(proof))
    if known and not curable:
        yield f"{text}: {known.pop(0)}"
    else:
        yield f"{text}, and {curable or f'{UNEXPLAINED}: {code.SEE_OP}'}"
    yield from known


def _reads_once(graph: Graph, twice: Sequence[SharedRead]) -> str:
    command = code.cure_command(graph.source, inference_signature(graph))
    return f"{shared_read_words(twice)}: {command} reads it twice"


def _file(graph: Graph, findings: tuple[Finding, ...], proof: Proof) -> Decision:
    """A .tflite file: its two ways of running, compared with each other."""
    assert proof.parity is not None
    if proof.stuck_after is not None:
        why = f"It did: after {proof.stuck_after} equal calls the answers stopped changing."
        findings = in_order(
            with_severity(f, "error", why) if family(f.id).accumulates_state else f
            for f in findings
        )
    if proof.passed:
        shown = "The proof disagrees: the plain kernels run it to the end."
        refuted = _downgraded(findings, shown, lambda f: family(f.id).refuted_by_running)
        return _as_read(graph, refuted)
    decision = _as_read(graph, findings)
    if decision.verdict != "ready" or proof.doubt:
        return decision
    runs = proof.parity.runs
    lines = "; ".join(f"{run.kernels}: {run.verdict}" for run in runs)
    refused = all(run.refusal for run in runs)
    missing = missing_kernels(graph, proof.content) if refused else misread_weights(proof.content)
    fault = f"the file does not run rightly ({lines})"
    known = tuple(missing or _refusals(proof))
    if twice := fatal_shared_reads(proof):
        fault = f"{fault}: {_reads_once(graph, twice)}"
    elif not known:
        known = (GIVE_ORIGINAL,)
    return Decision(findings, _failing(runs), (fault, *known))
