"""What the proof runs and what it does not, and how what it shows decides the verdict."""

import functools
import json
import signal

import pytest
import zoo
from zoo import delay_line_file

from varhandle import explain
from varhandle.conversion.converter import Conversion
from varhandle.diagnosis import diagnose
from varhandle.evaluate import proof as proving
from varhandle.evaluate import reference
from varhandle.evaluate.parity import DELEGATES, PLAIN, Parity, Run
from varhandle.evaluate.proof import Proof, prove
from varhandle.families.base import Finding
from varhandle.formats import read_graph
from varhandle.graph import Function, Graph, Signature
from varhandle.graph.model import GIVE_ORIGINAL
from varhandle.sandbox import OpError, Record, process, run_isolated
from varhandle.sandbox.process import GIB
from varhandle.verdict_rules import decide

# Code that a file brings along.


def test_a_lambda_that_is_trusted_is_proven(specimen_path):
    assert diagnose(specimen_path("lambda_keras"), trust=True).proof.passed


# A converter that does not come back.


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Record("crashed", exit_signal="SIGABRT"), "the converter died (SIGABRT)"),
        (Record("timed out", message="ended: it ran longer than it may"), "did not end in time"),
        (Record("out of memory", message="ended: it took over 6.0 GiB"), "took over 6.0 GiB"),
        (
            Record("raised", exception_type="OSError", message="\x1b[31mno\x07\nway"),
            "OSError: no\\x07",
        ),
    ],
)
def test_a_converter_that_dies_is_a_reason_and_no_traceback(
    specimen_path, monkeypatch, record, words
):
    monkeypatch.setattr(proving, "convert", lambda *_, **__: Conversion(record))
    found = diagnose(specimen_path("module_that_reads"))
    assert found.verdict == "blocked"
    assert words in found.proof.reason
    assert words in found.text()
    assert found.findings == ()
    assert "\x1b" not in found.text() + json.dumps(found.as_dict())


def test_a_converter_that_really_dies(tf, tmp_path):
    def step(module, x):
        before = tf.cast(module.total, tf.float32)
        module.total.assign(tf.cast(x, "int4"))
        return {"y": before}

    variables = {"total": tf.Variable(tf.zeros([4], "int4"), name="total")}
    found = diagnose(zoo.save_step(tf, tmp_path, variables, step))
    assert found.verdict == "blocked"
    assert "the converter died" in found.proof.reason
    assert [(f.id, f.variables) for f in found.findings] == [
        ("unsupported-variable-dtype", ("total",))
    ]


# A model that does not come back: it is really run, with small limits.


def test_a_model_that_never_answers_is_ended(specimen_path, monkeypatch):
    ask = proving.ask_model
    monkeypatch.setattr(proving, "ask_model", lambda *a, **b: ask(*a, **{**b, "timeout": 2.0}))
    found = diagnose(specimen_path("never_ends"))
    assert found.verdict == "unproved"
    assert "nothing to compare signature serving_default with: timed out" in found.doubt


def test_a_file_that_never_answers_is_ended(tf, specimen_path, tmp_path, monkeypatch):
    monkeypatch.setattr(proving, "_RUN_SECONDS", 2.0)
    found = diagnose(zoo.to_tflite(tf, specimen_path("never_ends"), tmp_path))
    assert found.verdict == "blocked"
    assert [run.agreeing for run in found.proof.parity.runs] == [0, 0]
    assert "longer than it may" in found.other[0]


def test_a_model_that_takes_too_much_memory_is_ended(tf, specimen_path, tmp_path, monkeypatch):
    small = functools.partial(run_isolated, memory_limit=3 * GIB // 2)
    monkeypatch.setattr(reference, "run_isolated", small)
    monkeypatch.setattr(process, "run_isolated", small)
    found = diagnose(specimen_path("needs_memory"))
    assert found.verdict == "unproved"
    assert "nothing to compare signature serving_default with: out of memory" in found.doubt
    made = diagnose(zoo.to_tflite(tf, specimen_path("needs_memory"), tmp_path))
    assert made.verdict == "blocked"
    assert "it took over 1.5 GiB" in made.other[0]


# Calls.


def test_an_input_too_large_to_be_made_up_is_a_reason(tf, tmp_path):
    wide = zoo.spec(tf, 1000, 1000, 100)
    path = zoo.save_step(tf, tmp_path, {}, lambda m, x: {"y": x + 1.0}, wide)
    found = diagnose(path)
    assert found.verdict == "unproved"
    assert "too many to make up" in found.doubt


@pytest.mark.parametrize(
    ("dtype", "compute"),
    [
        ("int32", lambda tf, x: tf.gather(tf.constant([[1.0], [2.0], [3.0]]), x)),
        ("bool", lambda tf, x: tf.logical_not(x)),
        ("string", lambda tf, x: tf.identity(x)),
        ("complex64", lambda tf, x: tf.math.real(x)),
    ],
)
def test_inputs_of_any_dtype_are_made_up(tf, tmp_path, dtype, compute):
    path = zoo.save_step(
        tf, tmp_path, {}, lambda m, x: {"y": compute(tf, x)}, zoo.spec(tf, None, 2, dtype=dtype)
    )
    assert diagnose(path).proof.passed


def test_a_model_without_inputs_is_proven(tf, tmp_path):
    module = tf.Module()
    module.n = tf.Variable(1.0, name="n")
    module.step = tf.function(lambda: {"y": module.n.assign_add(1.0) * 2.0}, input_signature=[])
    found = diagnose(zoo.save(tf, tmp_path, module, step=module.step))
    assert found.verdict == "convertible"
    assert found.proof.passed


def test_rounding_is_told_and_not_called_wrong(monkeypatch, specimen_path):
    def off_by(share):
        def answers(*_, **__):
            answers, refusal = asked(*_, **__).value
            off = [{k: v * (1 + share) for k, v in answer.items()} for answer in answers]
            return Record("ok", reference.ModelAnswers(off, refusal))

        return answers

    asked = proving.ask_model
    monkeypatch.setattr(proving, "ask_model", off_by(5e-4))
    near = diagnose(specimen_path("module_that_reads"))
    assert near.verdict == "convertible"
    assert "as rounding does" in near.proof.reason
    monkeypatch.setattr(proving, "ask_model", off_by(5e-2))
    far = diagnose(specimen_path("module_that_reads"))
    assert far.verdict == "wrong-answers"
    assert far.findings == ()
    assert "does not answer as TensorFlow" in far.other[0]


def test_a_reference_that_fails_leaves_it_unproved(monkeypatch, specimen_path):
    crashed = Record("crashed", exit_signal="SIGSEGV", message="the process died: SIGSEGV")
    monkeypatch.setattr(proving, "ask_model", lambda *_, **__: crashed)
    found = diagnose(specimen_path("module_that_reads"))
    assert found.verdict == "unproved"
    assert found.text().startswith("unproved: it converts, and nothing that means anything")
    assert "SIGSEGV" in found.text().splitlines()[0]


@pytest.mark.parametrize("name", ["module_that_reads", "int8_mlp_tflite"])
@pytest.mark.parametrize("times", [1, 4])
def test_what_the_system_ends_is_no_fault_of_the_file(monkeypatch, specimen_path, name, times):
    """A kernel that has no memory left kills whom it likes."""
    ended = []

    def mostly_killed(function, *args, **limits):
        ended.append(len(ended) < times)
        if ended[-1]:
            return run_isolated(signal.raise_signal, signal.SIGKILL, tensorflow=False)
        return run_isolated(function, *args, **limits)

    monkeypatch.setattr(process, "run_isolated", mostly_killed)
    found = diagnose(specimen_path(name))
    if times == 1:
        assert ended == [True, False, False]
        assert found.verdict == zoo.ZOO[name].verdict
    else:
        assert ended == [True] * 4  # each of the two ways once more, and not for ever
        assert found.verdict == "unproved"
        first = found.text().splitlines()[0]
        assert "the system ended the process (SIGKILL)" in first
        assert "where more memory is free" in first


def test_a_frozen_graph_that_hands_an_input_through(tf, tmp_path):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2], name="x")
        tf.identity(x, name="same")
        tf.add(x, 1.0, name="more")
    path = zoo.write_graph(tmp_path, graph.as_graph_def())
    found = prove(read_graph(path), None)
    assert found.passed


# Settling, on proofs made by hand.

MAIN = Function("main graph", ())
SAVED = Graph("m", "saved_model", (MAIN,), (), (Signature("s", MAIN.name, (), ()),))
FILE = Graph("m.tflite", "tflite", (Function("main", ()),))
LOST = Finding("uninitialised-variable", "error", ("v",), "v is read.", "fix")
GROWS = Finding("shared-or-dynamic-state", "error", ("v",), "v grows.", "fix")
FLEX = Finding("flex-variable", "error", ("v",), "v is Flex.", "fix")
NO_VALUE = "read_variable.cc:67 variable != nullptr was not true."
BAD, GOOD = Run(DELEGATES, 0, 5), Run(DELEGATES, 5, 5)
REFUSED = Run(PLAIN, 0, 5, refusal=NO_VALUE)
OTHERWISE = Run(PLAIN, 0, 5, refusal="it says no")


def compared(*runs, reference="TensorFlow", content=None):
    conversion = Conversion(Record("ok", b"")) if reference == "TensorFlow" else None
    return Proof(conversion, content or delay_line_file(), Parity(runs), (), reference)


def test_a_proof_that_passes_overrules_what_was_read():
    decision = decide(SAVED, (GROWS,), compared(GOOD, Run(PLAIN, 5, 5)))
    assert decision.verdict == "convertible"
    assert [f.severity for f in decision.findings] == ["warning"]
    assert "The proof disagrees" in decision.findings[0].message


@pytest.mark.parametrize(
    ("findings", "runs", "verdict"),
    [
        ((GROWS,), (BAD, Run(PLAIN, 0, 5)), "wrong-answers"),
        ((GROWS,), (GOOD, OTHERWISE), "blocked"),
        ((LOST,), (BAD, REFUSED), "wrong-answers"),
        ((LOST,), (GOOD, REFUSED), "wrong-answers"),
        ((FLEX,), (Run(DELEGATES, 0, 5, refusal="no"), OTHERWISE), "blocked"),
    ],
)
def test_a_proof_that_fails_settles_how_bad_it_is(findings, runs, verdict):
    decision = decide(SAVED, findings, compared(*runs))
    assert decision.verdict == verdict
    assert decision.findings == findings


def test_a_failure_that_nobody_saw_is_looked_for_in_the_file(specimen_path):
    content = specimen_path("keras_saved_tflite").read_bytes()
    decision = decide(SAVED, (), compared(BAD, REFUSED, content=content))
    assert decision.verdict == "wrong-answers"
    assert [(f.id, f.severity) for f in decision.findings] == [("uninitialised-variable", "error")]


@pytest.mark.parametrize(
    ("finding", "runs", "verdict"),
    [
        (LOST, (GOOD, Run(PLAIN, 5, 5)), "ready"),
        (LOST, (GOOD, REFUSED), "wrong-answers"),
        (GROWS, (GOOD, Run(PLAIN, 5, 5)), "wrong-answers"),
        (FLEX, (OTHERWISE, OTHERWISE), "blocked"),
    ],
)
def test_a_file_beside_itself_proves_less(finding, runs, verdict):
    assert decide(FILE, (finding,), compared(*runs, reference="itself")).verdict == verdict


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ((BAD, Run(PLAIN, 0, 5)), "wrong-answers"),
        ((OTHERWISE, OTHERWISE), "blocked"),
        ((GOOD, REFUSED), "wrong-answers"),
        ((GOOD, OTHERWISE), "blocked"),
    ],
)
def test_a_file_in_which_nothing_was_seen_and_that_does_not_run_rightly(runs, verdict):
    decision = decide(FILE, (), compared(*runs, reference="itself"))
    assert decision.verdict == verdict
    assert decision.findings == ()
    assert decision.other


def test_an_error_that_the_converter_names_first_is_explained():
    message = (
        "Could not translate MLIR to FlatBuffer.<unknown>:0: error: loc(\"v\"): 'tf.VarHandleOp' "
        "op is neither a custom op nor a flex op\n<unknown>:0: error: "
        "'tf.ResourceStridedSliceAssign' op is neither a custom op nor a flex op"
    )
    errors = (
        OpError("tf.ResourceStridedSliceAssign", "ERROR_NEEDS_FLEX_OPS"),
        OpError("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS"),
    )
    record = Record("raised", None, "ConverterError", message, errors=errors)
    decision = decide(SAVED, (), Proof(Conversion(record)))
    assert decision.verdict == "blocked"
    assert [f.id for f in decision.findings] == ["unsupported-variable-update"]


@pytest.mark.parametrize(
    "line",
    [
        "error: 'tf.MatrixInverse' op is neither a custom op nor a flex op",
        "RuntimeError: Quantization to 16x8-bit not yet supported for op: 'CONV_3D'",
        "None is only supported in the 1st dimension. Tensor 'x' has invalid shape '[None, None]'.",
    ],
)
def test_what_stops_a_converter_is_said_as_explain_says_it(line):
    decision = decide(SAVED, (), Proof(Conversion(Record("raised", None, "ConverterError", line))))
    (match,) = explain(line).matches
    assert decision.other == (f"{match.message} {match.fix.partition(chr(10) * 2)[0]}",)
    assert (decision.verdict, decision.findings) == ("blocked", ())


def test_what_no_family_knows_is_told_as_it_is():
    record = Record("raised", None, "ConverterError", "something new")
    decision = decide(SAVED, (), Proof(Conversion(record), reason="ConverterError: something new"))
    assert decision.other == (
        "ConverterError: something new (no failure that the tool knows explains it): "
        "`varhandle locate MODEL --why` names the part to blame",
    )


@pytest.mark.parametrize("reference", ["itself", "TensorFlow"])
@pytest.mark.parametrize(
    "refusal",
    [
        "Encountered unresolved custom op: Erf.Node number 0 (Erf) failed to prepare.",
        "Node number 11 (FlexStridedSlice) failed to prepare.",
        "gather index out of boundsNode number 0 (GATHER) failed to invoke.",
    ],
)
def test_what_an_interpreter_refuses_is_said_as_explain_says_it(reference, refusal):
    run = Run(PLAIN, 0, 5, refusal=refusal)
    graph = FILE if reference == "itself" else SAVED
    decision = decide(graph, (), compared(run, run, reference=reference))
    (match,) = explain(refusal).matches
    told = " ".join(decision.other)
    assert match.message in told
    assert "no failure that the tool knows" not in told
    _, *step = decide(graph, (), compared(OTHERWISE, OTHERWISE, reference=reference)).other
    assert step == [GIVE_ORIGINAL] * (reference == "itself")  # of a model, the first says it


def test_a_proof_says_itself_in_one_line():
    assert repr(Proof(reason="why")) == "Proof(not proven: why)"
    assert "answers as TensorFlow" in repr(compared(GOOD, GOOD))
    (run,) = compared(Run(DELEGATES, 4, 5, "", 0.25, ("odd",))).as_dict()["parity"]["runs"]
    assert (run["agreeing"], run["largest_difference"], run["notes"]) == (4, 0.25, ["odd"])
