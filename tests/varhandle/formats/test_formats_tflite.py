"""TensorFlow Lite files against the interpreter's own account of them."""

import subprocess
import sys

import pytest

from varhandle.formats import read_graph, tflite_reader
from varhandle.graph import ModelFileError


@pytest.fixture
def interpreters(tflite_files):
    from ai_edge_litert.interpreter import Interpreter

    return {name: Interpreter(str(path)) for name, path in tflite_files.items()}


def _ops(accesses):
    return sorted(access.op for access in accesses)


@pytest.mark.parametrize("name", ["counter", "keras_saved", "keras_exported", "control_flow"])
def test_the_first_subgraph_is_the_interpreters(tflite_files, interpreters, name):
    interpreter = interpreters[name]
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    expected = []
    for op in interpreter._get_ops_details():
        if op["op_name"] != "DELEGATE":
            inputs = tuple(tensors[i]["name"] if i >= 0 else "" for i in op["inputs"])
            expected.append((op["op_name"], inputs))
    main = read_graph(tflite_files[name]).functions[0]
    assert [(node.op, node.inputs) for node in main.nodes] == expected
    assert [(s.name, s.shape) for s in main.inputs] == [
        (d["name"], tuple(n if n >= 0 else None for n in d["shape_signature"]))
        for d in interpreter.get_input_details()
    ]
    assert [s.dtype for s in main.outputs] == [
        d["dtype"].__name__ for d in interpreter.get_output_details()
    ]


def test_signatures_are_the_interpreters(tflite_files, interpreters):
    for name, path in tflite_files.items():
        found = {
            s.name: {"inputs": {i.name for i in s.inputs}, "outputs": {o.name for o in s.outputs}}
            for s in read_graph(path).signatures
        }
        expected = interpreters[name].get_signature_list()
        assert found == {
            key: {kind: set(names) for kind, names in lists.items()}
            for key, lists in expected.items()
        }


def test_state_is_set_once_and_then_read_and_assigned(tflite_files):
    graph = read_graph(tflite_files["counter"])
    (counter,) = graph.variables
    assert (counter.name, counter.dtype, counter.shape) == ("counter", "float32", ())
    assert counter.initialized is True
    assert [(a.function, a.signatures) for a in counter.assigns] == [("step", ("step",))]
    assert [a.signatures for a in counter.reads] == [("peek",), ("step",), ("step",)]
    assert graph.producer == "MLIR Converted, min_runtime_version 2.6.0"


def test_variables_that_nothing_sets_are_not_initialized(tflite_files):
    graph = read_graph(tflite_files["keras_saved"])
    assert len(graph.variables) == 8
    assert {v.initialized for v in graph.variables} == {False}
    assert all(_ops(v.reads) == ["READ_VARIABLE"] and not v.assigns for v in graph.variables)
    assert graph.variable("classifier/first/kernel").shape == (4, 3)


def test_folded_variables_are_gone(tflite_files):
    assert read_graph(tflite_files["keras_exported"]).variables == ()


def test_flex_variables_are_followed_into_branches(tflite_files):
    graph = read_graph(tflite_files["control_flow"])
    variables = {v.name: v for v in graph.variables}
    assert set(variables) == {"a", "b", "embedding", "half"}
    assert (variables["half"].dtype, variables["half"].shape) == ("float16", (1,))
    assert {v.initialized for v in graph.variables} == {True}
    assert _ops(variables["a"].assigns) == ["FlexAssignVariableOp"]
    assert _ops(variables["b"].assigns) == ["FlexAssignVariableOp"]
    assert "FlexResourceStridedSliceAssign" in _ops(variables["embedding"].assigns)
    # one read each in a branch of FlexCase that only the wrapped TensorFlow op names
    assert any("switch_case" in access.function for access in variables["b"].reads)
    assert all(node.attributes["custom"] for node in graph.nodes if node.op.startswith("Flex"))


def test_attributes_are_the_schemas(tflite_files):
    graph = read_graph(tflite_files["counter"])
    handle = next(node for node in graph.nodes if node.op == "VAR_HANDLE")
    assert handle.attributes == {"container": "", "shared_name": "counter"}
    once = next(node for node in graph.nodes if node.op == "CALL_ONCE")
    assert once.attributes == {"init_subgraph_index": 2}
    assert once.calls == (graph.functions[2].name,)


def test_a_growing_variable_has_an_unknown_dimension(tf):
    class Buffer(tf.Module):
        def __init__(self):
            super().__init__()
            self.rows = tf.Variable(tf.zeros([0, 3]), shape=[None, 3], name="rows")

        @tf.function(input_signature=[tf.TensorSpec([1, 3])])
        def push(self, x):
            self.rows.assign(tf.concat([self.rows, x], 0))
            return self.rows.read_value()

    buffer = Buffer()
    function = buffer.push.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], buffer)
    graph = read_graph(converter.convert())
    shapes = {node.op: node.attributes["value"].shape for node in graph.functions[0].nodes[2:]}
    assert shapes == {"ASSIGN_VARIABLE": (1, 3), "READ_VARIABLE": (0, 3)}
    assert graph.variable("rows").shape == (None, 3)


def test_bytes_and_file_are_the_same(tflite_files):
    path = tflite_files["counter"]
    file, memory = read_graph(path), read_graph(path.read_bytes())
    assert (file.functions, file.variables) == (memory.functions, memory.variables)
    assert memory.source == "<bytes>"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_gigabyte_is_not_loaded(tflite_files, tmp_path):
    path = tmp_path / "large.tflite"
    path.write_bytes(tflite_files["counter"].read_bytes())
    with path.open("r+b") as file:
        file.truncate(2**30)
    code = (
        "import sys; from varhandle.formats import read_graph;"
        "assert len(read_graph(sys.argv[1]).variables) == 1;"
        "print(open('/proc/self/status').read())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    (peak,) = (line.split() for line in run.stdout.splitlines() if line.startswith("VmHWM"))
    assert int(peak[1]) < 200 * 1024  # kilobytes


def test_a_length_beyond_the_file_ends_at_once(tflite_files):
    from ai_edge_litert import schema_py_generated as schema

    data = bytearray(tflite_files["counter"].read_bytes())
    subgraph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    table = subgraph._tab
    at = table.Vector(table.Offset(10)) - 4  # the length of the vector of operators
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(ModelFileError, match="more items than it has bytes"):
        read_graph(bytes(data))


@pytest.mark.parametrize("number", [-7, 1000])
@pytest.mark.parametrize("of", ["Inputs", "Outputs"])
def test_a_graph_of_tensors_that_there_are_not(tflite_files, number, of):
    from ai_edge_litert import schema_py_generated as schema

    data = bytearray(tflite_files["keras_saved"].read_bytes())
    subgraph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    table = subgraph._tab
    at = table.Vector(table.Offset({"Inputs": 6, "Outputs": 8}[of]))
    assert data[at : at + 4] == getattr(subgraph, of)(0).to_bytes(4, "little")
    data[at : at + 4] = number.to_bytes(4, "little", signed=True)
    with pytest.raises(ModelFileError, match="damaged or cut short"):
        read_graph(bytes(data))
    data[at : at + 4] = (-1).to_bytes(4, "little", signed=True)  # one that is left out
    read_graph(bytes(data))
    if of == "Inputs":
        left = list(tflite_reader.input_tensors(bytes(data), ""))
        assert len(left) == subgraph.InputsLength() - 1


def test_a_table_that_is_listed_many_times_is_counted_as_often(tflite_files):
    """An operator takes sixteen bytes at least; a vector of offsets to one of them takes four."""
    from ai_edge_litert import schema_py_generated as schema

    data = tflite_files["counter"].read_bytes()
    subgraph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    table = subgraph._tab
    field = table.Pos + table.Offset(10)
    operator = table.Indirect(table.Vector(table.Offset(10)))
    start, count = len(data) + -len(data) % 4, len(data) // 8
    vector = bytearray(count.to_bytes(4, "little"))
    for at in range(start + 4, start + 4 + 4 * count, 4):
        vector += ((operator - at) % 2**32).to_bytes(4, "little")
    made = bytearray(data + bytes(start - len(data)) + vector)
    made[field : field + 4] = (start - field).to_bytes(4, "little")
    with pytest.raises(ModelFileError, match="damaged"):
        read_graph(bytes(made))
