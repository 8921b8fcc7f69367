"""A file whose ops or tensor types another runtime does not know."""

import shlex

import pytest
from family_checks import case_test, fix_of, ids, log_test

from varhandle import explain
from varhandle.cli import main
from varhandle.facts.targets import measured_runtimes, ops_of
from varhandle.families.catalog import family
from varhandle.formats import read_graph

FAMILY = family("runtime-too-old")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"newer-file": "works"})

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Element type 13 is unknown",
        "TensorType 13 cannot be loaded",
        "TensorType (13) cannot be loaded",
        "Unsupported tensor type 13",
        "ValueError: Unsupported data type 42 in tensor",
        "Edge TPU Compiler version 15.0.340273435\nInvalid model: m.tflite\nModel could not be"
        " parsed",
        "ValueError: Op builtin_code out of range: 999. Are you using old TFLite binary with newer"
        " model?Registration failed.",
    ],
)


def test_an_edge_tpu_compiler_asks_for_an_older_tensorflow():
    line = "Didn't find op for builtin opcode '{}' version '{}'. An older version of this builtin"
    line += " might be supported. Are you using an old TFLite binary with a newer model?"
    (runtime,) = explain(line.format("CONV_2D", 6)).matches
    compiler = "Edge TPU Compiler version 16.0.384591198\nERROR: "
    (edge,) = explain(compiler + line.format("CONV_2D", 6)).matches
    (newest,) = explain(compiler + line.format("CONV_2D", 99)).matches
    spans = [(release, ops_of(release)["CONV_2D"][1]) for release in measured_runtimes()]
    first = next(release for release, highest in spans if highest >= 6)
    assert f"from {first} on" in runtime.message
    assert "--upgrade ai-edge-litert" in runtime.fix
    assert f'pip install "tensorflow<{first}"' in edge.fix
    assert "litert" not in edge.fix
    assert "TensorFlow Lite has it" not in newest.message


def test_a_command_in_a_fix_is_one(specimen_path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(fix_of(specimen_path("counter_tflite"), "runtime-too-old"))
    assert program == "varhandle"
    assert main(arguments) == 0
    assert not read_graph("stateless.tflite").variables
    assert "counter" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("Didn't find op for builtin opcode 'VAR_HANDLE' version '1'. An older version of this"
         " builtin might be supported. Are you using an old TFLite binary with a newer model?\n"
         "Registration failed.", "runtime-too-old"),
        ("Didn't find op for builtin opcode 'CALL_ONCE' version '1'. Are you using an old TFLite"
         " binary with a newer model?", "runtime-too-old"),
        ("Didn't find op for builtin opcode 'CALL_ONCE'", "micro-needs-store"),
        ("Didn't find op for builtin opcode 'READ_VARIABLE'\nFailed to get registration from op"
         " code READ_VARIABLE\nAllocateTensors() failed", "micro-needs-store"),
        ("READ_VARIABLE requires resource variables. Please create ResourceVariables and pass it"
         " to the interpreter.\nNode READ_VARIABLE (number 2f) failed to prepare with status 1",
         "micro-needs-store"),
        ("Unsupported data type 13 in tensor", "runtime-too-old"),
        ("RuntimeError: Element type (13) is not supported", "runtime-too-old"),
    ],
)  # fmt: skip
def test_a_runtime_and_a_microcontroller(log, expected):
    assert ids(log) == [expected]
