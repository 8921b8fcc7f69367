"""Lifted state: answers equal to the stateful file's and to TensorFlow's, step by step."""

import io
import zipfile

import numpy as np
import pytest
from stateful_modules import Carrier, convert, modules, runners

from varhandle.evaluate.parity import check_parity, file_answers
from varhandle.evaluate.session import Session
from varhandle.formats import read_graph
from varhandle.sandbox import run_isolated
from varhandle.tflite.externalize_state import lift_state
from varhandle.tflite.variable_values import CannotLiftError

STEPS = 50
VARIABLE_OPS = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}


@pytest.fixture(scope="module")
def made(tf):
    return modules(tf)


@pytest.fixture(scope="module")
def file(tf, made):
    """Convert each module once: ``file("Recurrent")``, ``file("Recurrent in int8")``."""
    files = {}

    def dynamic_range(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def get(name):
        if name not in files:
            module = getattr(made, name.split()[0])()
            files[name] = convert(tf, module, dynamic_range if "int8" in name else None)
        return files[name]

    return get


def random_inputs(runner, rng):
    """Draw an input of each name, of the dtype and shape that the file asks for."""

    def draw(detail):
        dtype = np.dtype(detail["dtype"])
        if dtype.kind == "i":
            return rng.integers(0, 5, detail["shape"]).astype(dtype)
        if dtype.kind == "f":
            return rng.standard_normal(detail["shape"]).astype(dtype)
        return rng.choice([b"a", b"b", b"c"], size=detail["shape"])

    return {name: draw(detail) for name, detail in runner.get_input_details().items()}


def assert_same_steps(content, lifted, reference=None, delegates=True, tolerance=None):
    """Compare over ``STEPS`` calls: with the stateful file bit by bit, then with TensorFlow."""
    stateful, carried = runners(content, delegates), Carrier(lifted, delegates)
    rng = np.random.default_rng(1)
    for step in range(STEPS):
        name = list(stateful)[rng.integers(len(stateful))]
        inputs = random_inputs(stateful[name], rng)
        expected, got = stateful[name](**inputs), carried(name, **inputs)
        assert set(got) == set(expected)
        for output, value in expected.items():
            assert value.dtype == got[output].dtype
            assert np.array_equal(value, got[output], equal_nan=True), (step, name, output)
        if reference is not None:
            truth = getattr(reference, name)(**inputs)
            for output, value in truth.items():
                np.testing.assert_allclose(
                    got[output], value.numpy(), rtol=tolerance or 0, atol=tolerance or 0
                )


def count_variable_ops(content):
    counts = read_graph(content).op_counts()
    return {op: counts[op] for op in VARIABLE_OPS if counts[op]}


@pytest.mark.parametrize("delegates", [True, False], ids=["default-delegates", "plain-kernels"])
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("Leaky", 1e-5),
        ("Recurrent", 1e-5),
        ("Recurrent in int8", 0.1),  # its weights are not quite TensorFlow's
        ("Wide", None),
        ("Several", None),
        ("Shared", None),
        ("Nested", 1e-5),
        ("Branch", 1e-5),
        ("Rotating", None),
    ],
)
def test_fifty_steps_are_equal(file, made, name, tolerance, delegates):
    content = file(name)
    assert count_variable_ops(content)
    lifted = lift_state(content)
    assert count_variable_ops(lifted.content) == {}
    assert read_graph(lifted.content).variables == ()
    reference = getattr(made, name.split()[0])()
    assert_same_steps(content, lifted, reference, delegates, tolerance)


def test_a_signature_takes_and_gives_only_what_it_touches(file):
    lifted = lift_state(file("Shared"))
    assert lifted.inputs == {
        "step": ("count", "level_state"),
        "reset": (),
        "peek": ("count", "level_state"),
        "load": (),
    }
    assert lifted.outputs == {
        "step": ("count", "level_state"),
        "reset": ("count", "level_state"),
        "peek": (),
        "load": ("level_state",),
    }
    signatures = {s.name: s for s in read_graph(lifted.content).signatures}
    assert [i.name for i in signatures["step"].inputs] == ["x", "count", "level_state"]
    assert [o.name for o in signatures["step"].outputs] == ["y", "count", "level_state"]
    assert [i.name for i in signatures["reset"].inputs] == []
    assert [o.name for o in signatures["reset"].outputs] == ["done", "count", "level_state"]
    assert [i.name for i in signatures["peek"].inputs] == ["count", "level_state"]
    # peek has an output of its own that is called level: hence the name of the state
    assert [o.name for o in signatures["peek"].outputs] == ["level", "n"]


def test_what_is_assigned_before_it_is_read_is_no_input(file):
    lifted = lift_state(file("Several"))
    assert lifted.inputs == {"step": ("a_state", "b", "n")}
    assert lifted.outputs == {"step": ("a_state", "b", "c", "n")}
    assert set(lifted.initial_state) == {"a_state", "b", "c", "n"}


def test_the_initial_state_is_the_variables_first_value(file):
    lifted = lift_state(file("Shared"))
    assert lifted.initial_state["count"] == 5
    assert lifted.initial_state["count"].dtype == np.int64
    np.testing.assert_array_equal(lifted.initial_state["level_state"], np.float32([1, 2, 3]))


def test_names_are_made_so_that_python_can_spell_them(tf):
    class Named(tf.Module):
        signatures = ("step",)

        def __init__(self):
            super().__init__()
            self.values = [
                tf.Variable(float(i), name=name)
                for i, name in enumerate(["cell/h", "cell_h", "x", "y"])
            ]

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def step(self, x):
            for value in self.values:
                value.assign_add(x)
            return {"y": tf.add_n(self.values)}

    lifted = lift_state(convert(tf, Named()))
    names = {variable.variable: variable.name for variable in lifted.variables}
    assert names == {"cell/h": "cell_h", "cell_h": "cell_h_state", "x": "x_state", "y": "y_state"}
    assert {name: float(value) for name, value in lifted.initial_state.items()} == {
        "cell_h": 0.0,
        "cell_h_state": 1.0,
        "x_state": 2.0,
        "y_state": 3.0,
    }


def test_an_initial_value_that_has_to_be_computed(tf, made):
    """Float16 weights are stored as such, and CALL_ONCE makes them float32 again."""

    def half(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    content = convert(tf, made.Stored(), half)
    once = [
        f for f in read_graph(content).functions if "ASSIGN_VARIABLE" in {n.op for n in f.nodes}
    ]
    assert any(node.op == "DEQUANTIZE" for function in once for node in function.nodes)
    lifted = lift_state(content)
    expected = made.Stored().first.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(lifted.initial_state["v"], expected)
    assert_same_steps(content, lifted)


def test_buffers_that_lie_behind_the_flatbuffer_are_brought_inside(tf, made):
    def offsets(converter):
        converter._experimental_use_buffer_offset = True

    content = convert(tf, made.Stored(), offsets)
    lifted = lift_state(content)
    np.testing.assert_array_equal(lifted.initial_state["v"], made.Stored().first)
    assert_same_steps(content, lifted, made.Stored(), tolerance=1e-5)


def test_a_hash_table_stays_and_still_works(file):
    content = file("Table")
    lifted = lift_state(content)
    counts = count_variable_ops(lifted.content)
    assert counts == {"CALL_ONCE": 1}  # it fills the table
    assert read_graph(lifted.content).op_counts()["HASHTABLE_IMPORT"] == 1
    assert_same_steps(content, lifted)
    carried = Carrier(lifted)
    assert carried("step", word=np.array([b"b"]))["y"] == 27


def test_a_growing_variable_is_cured(file, made):
    content = file("Growing")
    calls = [np.full([1, 3], value, "float32") for value in range(1, 5)]
    module = made.Growing()
    assert not check_parity(module.push, content, calls).passed
    lifted = lift_state(content)
    assert "rows" in lifted.note
    module, carried = made.Growing(), Carrier(lifted)
    opened = carried.runners["push"].get_input_details()["rows_state"]
    assert opened["shape"].tolist() == list(lifted.initial_state["rows_state"].shape)
    assert opened["shape_signature"].tolist() == [-1, 3]
    for call in calls:
        got, expected = carried("push", x=call), module.push(call)
        np.testing.assert_array_equal(got["rows"], expected["rows"].numpy())
        np.testing.assert_array_equal(got["sum"], expected["sum"].numpy())
    assert carried.state["rows_state"].shape == (6, 3)


def test_one_that_starts_empty_is_refused(tf, made):
    """The converter has dropped the concatenation; the interpreter dies on what is left."""
    content = convert(tf, made.Growing(0))
    assert "CONCATENATION" not in read_graph(content).op_counts()
    call = {"x": np.ones([1, 3], "float32")}
    record = run_isolated(
        file_answers, content, [call], None, "default delegates", tensorflow=False
    )
    assert not record.ok
    with pytest.raises(CannotLiftError, match="rows starts empty and grows"):
        lift_state(content)


def test_a_condition_that_assigns_is_refused(file):
    with pytest.raises(CannotLiftError, match="condition of WHILE assigns the variable tries"):
        lift_state(file("ConditionAssigns"))


def test_a_stateful_keras_layer(tf):
    cell = tf.keras.layers.GRU(4, stateful=True)
    model = tf.keras.Sequential([tf.keras.Input((1, 3), batch_size=1), cell])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    lifted = lift_state(content)
    (name,) = lifted.initial_state
    assert name.endswith("rnn_state")
    (signature,) = lifted.inputs
    assert_same_steps(content, lifted)
    assert count_variable_ops(lifted.content) == {}
    carried, rng = Carrier(lifted), np.random.default_rng(0)
    (x,) = set(carried.runners[signature].get_input_details()) - {name}
    for _ in range(5):
        row = rng.standard_normal((1, 1, 3)).astype("float32")
        (got,) = carried(signature, **{x: row}).values()
        np.testing.assert_allclose(got, model(row).numpy(), atol=1e-5)


def test_each_output_has_a_tensor_of_its_own(tf, counting_file):
    """A running total is an answer and the state: ``CompiledModel`` would leave one unwritten."""
    from ai_edge_litert.compiled_model import CompiledModel

    lifted = lift_state(counting_file)
    main = read_graph(lifted.content).functions[0]
    outputs = [spec.name for spec in main.outputs]
    assert len(set(outputs)) == len(outputs) == 2
    assert not {spec.name for spec in main.inputs} & set(outputs)
    model = CompiledModel.from_buffer(lifted.content)
    (sides,) = model.get_signature_list().values()
    taken = dict(zip(sides["inputs"], model.create_input_buffers(0), strict=True))
    given = dict(zip(sides["outputs"], model.create_output_buffers(0), strict=True))
    taken["x"].write(np.full(4, 2, "float32"))
    taken["total"].write(np.full(4, 40, "float32"))
    model.run_by_index(0, list(taken.values()), list(given.values()))
    assert [buffer.read(4, np.float32).tolist() for buffer in given.values()] == [[42] * 4] * 2


def test_what_is_attached_to_a_file_stays_with_it(counting_file, tmp_path):
    """Labels and metadata lie in a zip archive behind the file."""
    attached = io.BytesIO(counting_file)
    with zipfile.ZipFile(attached, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    lifted = lift_state(attached.getvalue()).content
    assert Session(lifted)
    with zipfile.ZipFile(io.BytesIO(lifted)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
    assert lift_state(counting_file).content == lifted[: len(lift_state(counting_file).content)]
    cut = attached.getvalue().replace(b"PK\x03\x04", b"PK\x03\x05")
    assert lift_state(cut).content == lift_state(counting_file).content
