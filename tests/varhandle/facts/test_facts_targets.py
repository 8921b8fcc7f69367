"""What a runtime takes: against those that are installed, and what old ones were seen to do."""

import json

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from varhandle.facts.data_files import data_file
from varhandle.facts.targets import TARGETS, find_target
from varhandle.formats import read_graph
from varhandle.graph import Function, Graph, ModelFileError, Node
from varhandle.matrix import runtime_ops
from varhandle.sandbox import Record
from varhandle.tflite.externalize_state import lift_state
from varhandle.tflite.runtime_support import earliest_release, refusals, update_runtime_version

OPS = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}


def file_with(code, version=1):
    """Return a file with one operator of some op, in some version, and nothing that it needs."""
    model = schema.ModelT(version=3)
    model.operatorCodes = [schema.OperatorCodeT()]
    model.operatorCodes[0].builtinCode = code
    model.operatorCodes[0].deprecatedBuiltinCode = min(code, 127)
    model.operatorCodes[0].version = version
    model.buffers = [schema.BufferT()]
    tensor = schema.TensorT(shape=[1], type=0, buffer=0, name="x")
    operator = schema.OperatorT(opcodeIndex=0, inputs=[0], outputs=[0])
    model.subgraphs = [
        schema.SubGraphT(tensors=[tensor], inputs=[0], outputs=[0], operators=[operator])
    ]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def takes(content, place):
    return not refusals(read_graph(content), place, content)


def test_litert_is_what_the_table_says():
    """Every op, in its first, last and next version, asked of the interpreter that is installed."""
    from ai_edge_litert.interpreter import Interpreter

    def known(content):
        try:
            Interpreter(model_content=content)
        except ValueError as error:
            return "Didn't find op" not in str(error)
        return True

    wrong = []
    for code, name in OPS.items():
        if name in ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"):
            continue
        last = TARGETS["litert"].ops.get(name, (1, 1))[1]
        for version in (1, last, last + 1):
            content = file_with(code, version)
            if known(content) != takes(content, "litert"):
                wrong.append((name, version))
    assert wrong == []


@pytest.mark.parametrize(
    ("release", "counter", "lifted"),
    [("1.15", False, True), ("2.3", False, True), ("2.5", False, True), ("2.6", True, True)],
)
def test_what_old_releases_were_seen_to_do(counting_file, release, counter, lifted):
    """Each of these was run on that release of TensorFlow: refused, or the right answers."""
    content = update_runtime_version(lift_state(counting_file).content)
    assert takes(counting_file, f"tflite-{release}") == counter
    assert takes(content, f"tflite-{release}") == lifted


def test_a_file_with_variables(counting_file):
    graph = read_graph(counting_file)
    assert refusals(graph, "litert", counting_file) == ()
    assert refusals(graph, "micro", counting_file) == ()
    (line,) = refusals(graph, "builtin-only", counting_file)
    assert "VAR_HANDLE" in line
    assert "ASSIGN_VARIABLE" in line
    assert not {"HASHTABLE", "HASHTABLE_FIND", "VAR_HANDLE"} & TARGETS["builtin-only"].ops.keys()


def test_versions_count_where_the_bytes_are_given():
    content = file_with(schema.BuiltinOperator.FULLY_CONNECTED, 12)
    (line,) = refusals(read_graph(content), "tflite-2.3", content)
    assert "FULLY_CONNECTED" in line
    assert "12" in line
    assert refusals(read_graph(content), "tflite-2.18", content) == ()
    assert refusals(read_graph(content), "tflite-2.3") == ()


@pytest.mark.parametrize("place", TARGETS)
def test_flex_and_custom_ops_run_nowhere(place):
    for name in ("FlexVarHandleOp", "MyOp"):
        node = Node("only", name, attributes={"custom": True})
        graph = Graph("<bytes>", "tflite", (Function("main", (node,)),))
        (line,) = refusals(graph, place)
        assert name in line


def test_a_release_between_two_is_the_older_one():
    assert find_target("tflite-2.2").ops == find_target("tflite-2.1").ops
    assert find_target("tflite-2.2").id == "tflite-2.2"
    assert not find_target("tflite-2.5").resource_variables
    assert find_target("tflite-2.6.5").resource_variables


@pytest.mark.parametrize("name", ["", "phone", "tflite-", "tflite-9.9", "tflite-1.9", "LITERT"])
def test_what_is_no_target(name):
    with pytest.raises(ValueError, match="no target"):
        find_target(name)


def test_another_format_is_refused(tmp_path):
    (tmp_path / "graph.pb").write_bytes(b"\x0a\x0a\x0a\x01x\x12\x05Const")
    with pytest.raises(ValueError, match=r"a \.tflite file is wanted"):
        refusals(read_graph(tmp_path / "graph.pb"), "litert")


def test_a_lifted_file_says_anew_what_it_needs(counting_file):
    lifted = lift_state(counting_file)
    claim = "the file says itself that it needs release 2.6 or later"
    assert refusals(read_graph(lifted.content), "tflite-2.3", lifted.content) == (claim,)
    content = update_runtime_version(lifted.content)
    assert earliest_release(counting_file) == "2.6"
    assert earliest_release(content) == "1.15"
    assert "min_runtime_version 1.15.0" in read_graph(content).producer
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=content).get_signature_runner()
    answer = run(x=np.ones(4, "float32"), **lifted.start())
    np.testing.assert_array_equal(answer["total"], np.ones(4, "float32"))
    unclaimed = file_with(schema.BuiltinOperator.ADD)
    assert update_runtime_version(unclaimed) == unclaimed


def test_the_table_names_what_was_measured():
    table = json.loads(data_file("runtime_ops.json").read_text(encoding="utf-8"))
    assert len(table["measured"]) >= 20
    assert {release for changes in table["ops"].values() for release in changes} <= set(
        table["measured"]
    )
    # The op codes of families.md: CALL_ONCE came before the variables.
    assert list(table["ops"]["VAR_HANDLE"]) == ["2.6"]
    assert list(table["ops"]["CALL_ONCE"]) == ["2.5"]


def test_the_table_names_what_a_release_brought_changed_or_lost():
    old, new = {"ADD": [1, 2], "TILE": [1, 1]}, {"ADD": [1, 4], "TILE": [1, 1], "RELU": [1, 1]}
    assert runtime_ops.changes({"2.3": old, "2.4": old, "2.5": new, "2.6": old}) == {
        "ADD": {"2.3": [1, 2], "2.5": [1, 4], "2.6": [1, 2]},
        "TILE": {"2.3": [1, 1]},
        "RELU": {"2.5": [1, 1], "2.6": None},
    }


def test_micro_is_what_the_table_says():
    runtime = pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    assert runtime
    from varhandle.sandbox import run_source

    source = (
        "from tflite_micro import runtime\n"
        "try:\n    runtime.Interpreter.from_bytes(content, arena_size=10_000)\n"
        "except Exception:\n    pass\n"
    )
    for name in ("ADD", "SELECT", "SELECT_V2", "TILE", "SCATTER_ND", "GATHER", "ONE_HOT"):
        content = file_with(getattr(schema.BuiltinOperator, name))
        record = run_source(source, inputs={"content": content})
        missing = "Didn't find op" in record.log
        assert missing == (not takes(content, "micro")), name


def test_bytes_that_were_cut_short_meanwhile_are_said_to_be():
    content = file_with(schema.BuiltinOperator.ADD)
    for left in (b"", content[:9]):
        with pytest.raises(ModelFileError, match="no sound"):
            refusals(read_graph(content), "litert", left)


def test_a_runtime_is_asked_for_the_lowest_and_the_highest_version(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'KNOWN {"ADD": [1, 2, 4], "CUMSUM": []}\'\n')
    python.chmod(0o755)
    assert runtime_ops.ask_runtime(str(python)) == {"ADD": [1, 4]}


def test_an_op_without_a_kernel_is_none_of_tensorflow_lite_micro(monkeypatch):
    """It says so, or goes on, and may end its process over a model that lacks all else."""
    logs = {
        "ABS": "Didn't find op for builtin opcode 'ABS'",
        "ADD": "Failed to allocate",
        "SUB": "",
    }

    def run(source, inputs):
        return Record("crashed", log=logs[inputs["content"]])

    monkeypatch.setattr(runtime_ops, "builtin_ops", lambda: {name: name for name in logs})
    monkeypatch.setattr(runtime_ops, "single_op_file", lambda op: op)
    monkeypatch.setattr(runtime_ops, "run_source", run)
    assert runtime_ops.ask_micro() == ["ADD", "SUB"]
