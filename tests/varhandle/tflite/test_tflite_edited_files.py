"""Lifting by hand-made files: what is cleaned, what is kept, what is refused, what is damaged."""

import copy
import pickle
import re

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from stateful_modules import Carrier, convert, modules, runners
from zoo import delay_line_file

from varhandle.evaluate.session import Session
from varhandle.formats import read_graph
from varhandle.graph import ModelFileError
from varhandle.tflite.externalize_state import lift_state
from varhandle.tflite.flatbuffer import compact, pack, unpack
from varhandle.tflite.variable_values import CannotLiftError


def converted(name):
    return pytest.fixture(lambda tf: convert(tf, getattr(modules(tf), name)()), scope="module")


leaky, shared, branch, nested = map(converted, ("Leaky", "Shared", "Branch", "Nested"))


def op_number(model, name, custom=None):
    """Return the number of an op code, which is added to the model."""
    number = getattr(schema.BuiltinOperator, name)
    code = schema.OperatorCodeT(min(number, 127), custom, 1, number)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def operators(model, name):
    """Yield subgraph and operator of each op of a name."""
    wanted = getattr(schema.BuiltinOperator, name)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            if model.operatorCodes[operator.opcodeIndex].builtinCode == wanted:
                yield subgraph, operator


def edited(content, edit):
    """Return a file with an edit of its objects."""
    model = unpack(content, "test")
    edit(model)
    return pack(model)


def used_tensors(subgraph):
    used = {*subgraph.inputs, *subgraph.outputs}
    for operator in subgraph.operators:
        used.update(operator.inputs)
        used.update(operator.outputs)
    return used - {-1}


@pytest.mark.parametrize("name", ["leaky", "shared", "branch", "nested"])
def test_nothing_dead_is_left(name, request):
    """ai-edge-quantizer 0.10 dies on dead tensors of dtype resource, and goes by tensors' names."""
    model = unpack(lift_state(request.getfixturevalue(name)).content, "test")
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    assert len({tensor.name for tensor in tensors}) == len(tensors)
    assert schema.TensorType.RESOURCE not in {tensor.type for tensor in tensors}
    for subgraph in model.subgraphs:
        assert used_tensors(subgraph) == set(range(len(subgraph.tensors)))
    ops = [operator for subgraph in model.subgraphs for operator in subgraph.operators]
    assert {op.opcodeIndex for op in ops} == set(range(len(model.operatorCodes)))
    buffers = {tensor.buffer for tensor in tensors} | {entry.buffer for entry in model.metadata}
    assert buffers | {0} == set(range(len(model.buffers)))
    assert model.buffers[0].data is None
    graph = read_graph(pack(model))
    reached = [f.name for s in graph.signatures for f in graph.reachable(s.function)]
    assert {function.name for function in graph.functions} == set(reached)


def test_an_op_that_only_a_dropped_assign_needed_is_gone(tf):
    class Overwritten(tf.Module):
        signatures = ("step",)

        def __init__(self):
            super().__init__()
            self.v = tf.Variable(0.0, name="v")

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def step(self, x):
            self.v.assign(tf.sin(x))
            self.v.assign(tf.cos(x))
            return {"y": x + 1.0}

    content = convert(tf, Overwritten())
    assert read_graph(content).op_counts()["SIN"] == 1
    lifted = lift_state(content)
    assert read_graph(lifted.content).op_counts() == {"COS": 1, "ADD": 1}
    assert lifted.inputs["step"] == ()


def test_an_op_of_which_nobody_can_say_what_it_does_stays(leaky):
    def add_custom(model):
        main = model.subgraphs[0]
        logger = schema.OperatorT(op_number(model, "CUSTOM", "Log"), [0], [len(main.tensors)])
        main.tensors.append(copy.copy(main.tensors[0]))
        main.operators.append(logger)

    assert read_graph(lift_state(edited(leaky, add_custom)).content).op_counts()["Log"] == 1


def test_an_op_that_shares_an_older_kind_of_state_stays():
    """Nobody uses the first op's output, and yet it pushes an input into the state of both."""

    def push_twice(model):
        main = model.subgraphs[0]
        (op,) = main.operators
        main.tensors.append(copy.copy(main.tensors[op.outputs[0]]))
        main.operators = [copy.copy(op), op]
        main.operators[0].outputs = [len(main.tensors) - 1]

    twice = edited(delay_line_file(), push_twice)
    kept = pack(compact(unpack(twice, "test"), [0]))
    call = np.ones([1, 1], "float32")
    for content in (twice, kept):
        session = Session(content)
        assert [session(call)["y"].item() for _ in range(2)] == [2.0, 4.0]


def test_a_length_beyond_the_file_ends_at_once(leaky):
    data = bytearray(leaky)
    table = schema.Model.GetRootAs(data, 0).Subgraphs(0)._tab
    at = table.Vector(table.Offset(10)) - 4  # the length of the vector of operators
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(ModelFileError, match="more items than it has bytes"):
        lift_state(bytes(data))


def test_weights_are_aligned_and_metadata_kept(leaky):
    """schema.fbs: ``data:[ubyte] (force_align: 16)``, on which kernels of small devices rely."""
    lifted = lift_state(leaky).content
    model = schema.Model.GetRootAs(lifted, 0)
    filled = [i for i in range(model.BuffersLength()) if model.Buffers(i).DataLength()]
    assert len(filled) > 2
    for i in filled:
        table = model.Buffers(i)._tab
        assert table.Vector(table.Offset(4)) % 16 == 0
    before, after = (
        {e.name: bytes(m.buffers[e.buffer].data) for e in m.metadata}
        for m in (unpack(leaky, "test"), unpack(lifted, "test"))
    )
    assert after == before
    assert b"min_runtime_version" in after
    assert read_graph(lifted).producer.startswith("MLIR Converted. State lifted")


def test_a_file_without_variables_is_returned_as_it_is(leaky):
    once = lift_state(leaky)
    again = lift_state(once.content)
    assert again.content == once.content
    assert again.variables == ()
    assert again.initial_state == {}
    assert again.inputs == again.outputs == {"step": ()}
    assert "unchanged" in again.text()
    with pytest.raises(ValueError, match="no variable 'level'"):
        lift_state(once.content, initial_values={"level": 0})


def test_a_state_inside_an_op_is_told(leaky):
    def edit(model):
        model.subgraphs[0].tensors[1].isVariable = True

    lifted = lift_state(edited(leaky, edit))
    assert "1 tensor of ops that keep a state of their own" in lifted.note
    assert lifted.note in lifted.text()


def test_what_no_signature_assigns_becomes_a_constant(shared):
    model = unpack(shared, "test")
    (peek,) = (s for s in model.signatureDefs if s.signatureKey == b"peek")
    only_peek = pack(compact(model, [peek.subgraphIndex], [peek]))
    assert len(read_graph(only_peek).variables) == 2
    lifted = lift_state(only_peek)
    assert (lifted.inputs, lifted.outputs, lifted.initial_state) == ({"peek": ()}, {"peek": ()}, {})
    assert {v.variable: v.name for v in lifted.variables} == {"count": None, "level": None}
    assert "2 variables never assigned" in lifted.text()
    answer = runners(lifted.content)["peek"]()
    np.testing.assert_array_equal(answer["level"], np.float32([1, 2, 3]))
    assert answer["n"] == 5


def without_initializer(content):
    """Return the file that Keras 3 and tf.saved_model.save make: CALL_ONCE is missing."""

    def edit(model):
        for subgraph, operator in list(operators(model, "CALL_ONCE")):
            subgraph.operators = [op for op in subgraph.operators if op is not operator]

    return edited(content, edit)


def test_a_variable_that_nothing_initializes_is_refused_and_can_be_given(leaky):
    with pytest.raises(CannotLiftError, match="nothing in the file initializes the variable level"):
        lift_state(without_initializer(leaky))
    values = np.float32([[1, 2, 3, 4]])
    given = lift_state(without_initializer(leaky), initial_values={"level": values})
    np.testing.assert_array_equal(given.initial_state["level"], values)
    assert lift_state(leaky, initial_values={"level": values}).content == given.content
    with pytest.raises(ValueError, match="read-only"):
        given.initial_state["level"][:] = 0
    given.start()["level"][:] = 0  # a copy, to keep and to change
    np.testing.assert_array_equal(given.initial_state["level"], values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"Level": 0}, "no variable 'Level'; there are: level"),
        ({"level": np.zeros([4], "float32")}, r"shape \[1, 4\], and not \[4\]"),
        ({"level": np.zeros([1, 4], "complex64")}, "level takes float32, and not complex64"),
    ],
)
def test_an_initial_value_that_does_not_fit_is_refused(leaky, values, message):
    with pytest.raises(ValueError, match=message):
        lift_state(leaky, initial_values=values)


def test_what_is_only_assigned_needs_no_first_value(shared):
    model = unpack(shared, "test")
    (load,) = (s for s in model.signatureDefs if s.signatureKey == b"load")
    lifted = lift_state(without_initializer(pack(compact(model, [load.subgraphIndex], [load]))))
    assert lifted.inputs == {"load": ()}
    assert lifted.outputs == {"load": ("level",)}
    assert lifted.initial_state == {}
    assert lifted.variables[0].initial is None


def test_a_main_graph_without_a_signature(leaky):
    def edit(model):
        model.signatureDefs = None

    lifted = lift_state(edited(leaky, edit))
    assert lifted.inputs == lifted.outputs == {"serving_default": ("level",)}
    interpreter = Interpreter(model_content=lifted.content)
    _, level = interpreter.get_input_details()
    assert level["name"] == "serving_default_level:0"  # the state stands last, as Lifted says


def test_a_main_graph_beside_signatures_that_has_none(shared):
    model = unpack(shared, "test")
    kept = [s for s in model.signatureDefs if s.subgraphIndex != 0]
    assert kept
    model.signatureDefs = kept
    lifted = lift_state(pack(model))
    assert "" in lifted.inputs
    assert "(main)" in lifted.text()


def test_an_answer_that_is_the_state_itself_has_a_name_of_its_own(counting_file):
    """Without signatures both would go by the name of the one tensor."""
    model = unpack(counting_file, "test")
    model.signatureDefs = None
    lifted = lift_state(pack(model))
    runner = Interpreter(model_content=lifted.content).get_signature_runner()
    (answer,) = set(runner.get_output_details()) - {"total"}
    (own,) = set(runner.get_input_details()) - {"total"}
    lift, told = lifted.start(), []
    for _ in range(3):
        got = runner(**{own: np.ones(4, "float32")}, **lift)
        lift = {"total": got["total"]}
        told.append(got[answer][0])
    assert told == [1.0, 2.0, 3.0]


def carried_alike(content, lifted):
    """Call a file and what was lifted out of it: the answers are the same."""
    stateful, carried = runners(content)["step"], Carrier(lifted)
    for x in np.float32([1, -2, 3, -4, 5]):
        expected, got = stateful(x=x), carried("step", x=x)
        assert {k: float(v) for k, v in got.items()} == {k: float(v) for k, v in expected.items()}
    return carried


def test_a_subgraph_that_is_called_with_two_variables_is_written_twice(branch):
    """Both branches run one subgraph; a second IF runs it on another variable."""

    def edit(model):
        ((main, first),) = operators(model, "IF")
        then = model.subgraphs[first.builtinOptions.thenSubgraphIndex]
        assert [then.tensors[t].type for t in then.inputs].count(schema.TensorType.RESOURCE) == 3
        second = schema.OperatorT(
            first.opcodeIndex,
            [first.inputs[0], *(first.inputs[i] for i in swapped(main, first))],
            [len(main.tensors) + i for i in range(len(first.outputs))],
            first.builtinOptionsType,
            first.builtinOptions,
        )
        main.tensors += [main.tensors[t] for t in first.outputs]
        main.operators.insert(main.operators.index(first) + 1, second)

    def swapped(main, operator):
        """Positions of the inputs, those of ``up`` and ``down`` exchanged."""
        names = [main.tensors[t].name for t in operator.inputs]
        order = list(range(1, len(names)))
        i, j = (order.index(names.index(name)) for name in (b"up", b"down"))
        order[i], order[j] = order[j], order[i]
        return order

    content = edited(branch, edit)
    lifted = lift_state(content)
    assert read_graph(lifted.content).op_counts()["IF"] == 2
    carried = carried_alike(content, lifted)
    assert float(carried.state["up"]) == float(carried.state["down"]) == 3.0


def test_a_branch_that_makes_its_handle_itself(branch):
    def edit(model):
        ((main, operator),) = operators(model, "IF")
        outer = next(
            op for op in main.operators if getattr(op.builtinOptions, "sharedName", None) == b"last"
        )
        called = model.subgraphs[operator.builtinOptions.elseSubgraphIndex]
        argument = called.inputs[operator.inputs.tolist().index(outer.outputs[0]) - 1]
        called.tensors.append(called.tensors[argument])
        own = len(called.tensors) - 1
        for inner in called.operators:
            inner.inputs = [own if t == argument else t for t in inner.inputs]
        called.operators.insert(
            0,
            schema.OperatorT(
                outer.opcodeIndex, [], [own], outer.builtinOptionsType, outer.builtinOptions
            ),
        )

    content = edited(branch, edit)
    carried = carried_alike(content, lift_state(content))
    assert float(carried.state["last_state"]) == -4.0


def test_two_signatures_of_one_graph(leaky):
    def edit(model):
        (step,) = model.signatureDefs
        again = schema.SignatureDefT(step.inputs, step.outputs, b"again", step.subgraphIndex)
        model.signatureDefs.append(again)

    lifted = lift_state(edited(leaky, edit))
    assert lifted.inputs == lifted.outputs == {"again": ("level",), "step": ("level",)}
    assert len(read_graph(lifted.content).functions) == 1
    carried, other = Carrier(lifted), Carrier(lift_state(leaky))
    for value, name in ((1, "again"), (2, "step"), (3, "again")):
        call = np.full([1, 4], value, "float32")
        np.testing.assert_array_equal(carried(name, x=call)["y"], other("step", x=call)["y"])


REFUSALS = []


def refused(name, words):
    """Register an edit of a file after which it cannot be lifted, and the words of the refusal."""

    def register(edit):
        REFUSALS.append(pytest.param(name, edit, words, id=edit.__name__))
        return edit

    return register


@refused("leaky", "the op Peculiar takes the variable level")
def another_op_on_a_handle(model):
    handle = next(op.outputs[0] for _, op in operators(model, "VAR_HANDLE"))
    number = op_number(model, "CUSTOM", b"Peculiar")
    model.subgraphs[0].operators.append(schema.OperatorT(number, [handle], []))


@refused("leaky", "STABLEHLO_COMPOSITE takes the variable level")
def a_call_into_a_graph_with_variables(model):
    """A composite runs a subgraph as well, which touches the variable by its own handle."""
    main = model.subgraphs[0]
    model.subgraphs.append(schema.SubGraphT([], [], [], [], b"caller"))
    caller = model.subgraphs[-1]
    options = schema.StableHLOCompositeOptionsT("odd", 0)
    number = op_number(model, "STABLEHLO_COMPOSITE")
    call = schema.OperatorT(number, list(main.inputs), list(main.outputs))
    call.builtinOptions2Type = schema.BuiltinOptions2.StableHLOCompositeOptions
    call.builtinOptions2 = options
    caller.tensors, caller.inputs, caller.outputs = main.tensors, main.inputs, main.outputs
    caller.operators = [call]
    model.signatureDefs[0].subgraphIndex = len(model.subgraphs) - 1


@pytest.mark.parametrize(
    ("name", "op"), [("flex_tflite", "FlexVarHandleOp"), ("custom_tflite", "VarHandleOp")]
)
def test_a_variable_of_tensorflows_own_kernels_is_refused(specimen_path, name, op):
    with pytest.raises(CannotLiftError, match=f"the op {op} keeps a variable"):
        lift_state(specimen_path(name).read_bytes())


@refused("leaky", "level is of dtype int4, which NumPy lacks")
def a_variable_of_a_dtype_that_numpy_lacks(model):
    for name, side, place in (
        ("READ_VARIABLE", "outputs", 0),
        ("ASSIGN_VARIABLE", "inputs", 1),
    ):
        for subgraph, operator in operators(model, name):
            value = subgraph.tensors[getattr(operator, side)[place]]
            value.type = schema.TensorType.INT4


@refused("leaky", "two containers hold a variable")
def a_variable_of_the_same_name_in_another_container(model):
    main, handle = next(operators(model, "VAR_HANDLE"))
    main.tensors.append(copy.copy(main.tensors[handle.outputs[0]]))
    second = copy.deepcopy(handle)
    second.builtinOptions.container, second.outputs = "other", [len(main.tensors) - 1]
    main.operators.insert(0, second)
    for subgraph, operator in operators(model, "ASSIGN_VARIABLE"):
        if subgraph is main:
            operator.inputs = [*second.outputs, operator.inputs[1]]


@refused("leaky", "handle that no VAR_HANDLE of this file makes")
def a_handle_from_outside(model):
    main = model.subgraphs[0]
    (_, handle) = next(operators(model, "VAR_HANDLE"))
    main.operators = [op for op in main.operators if op is not handle]
    main.inputs = [*main.inputs, handle.outputs[0]]


@refused("branch", "IF decides at run time which variable")
def a_choice_between_handles(model):
    ((main, operator),) = operators(model, "IF")
    handles = [t for t in main.tensors if t.type == schema.TensorType.RESOURCE]
    main.tensors.append(handles[0])
    operator.outputs = [*operator.outputs, len(main.tensors) - 1]
    for number, position in (
        (operator.builtinOptions.thenSubgraphIndex, 0),
        (operator.builtinOptions.elseSubgraphIndex, -1),
    ):
        called = model.subgraphs[number]
        taken = [t for t in called.inputs if called.tensors[t].type == handles[0].type]
        called.outputs = [*called.outputs, taken[position]]


@refused("branch", "calls itself")
def a_graph_that_calls_itself(model):
    ((_, operator),) = operators(model, "IF")
    called = model.subgraphs[operator.builtinOptions.thenSubgraphIndex]
    condition = len(called.tensors)
    called.tensors.append(schema.TensorT([], schema.TensorType.BOOL, 0, b"condition"))
    inner = schema.OperatorT(operator.opcodeIndex, [condition, *called.inputs], [])
    inner.builtinOptionsType, inner.builtinOptions = 92, operator.builtinOptions
    inner.outputs = list(called.outputs)
    called.operators.append(inner)


def test_two_scales_of_one_variable_are_refused(leaky):
    """The variable copies bytes; with another scale they would be other numbers."""

    def quantized(scale):
        def edit(model):
            for name, side, place, one in (
                ("READ_VARIABLE", "outputs", 0, scale),
                ("ASSIGN_VARIABLE", "inputs", 1, 0.5),
            ):
                for subgraph, operator in operators(model, name):
                    tensor = subgraph.tensors[getattr(operator, side)[place]]
                    tensor.quantization = schema.QuantizationParametersT(
                        scale=[one], zeroPoint=[0], quantizedDimension=0
                    )

        return edited(leaky, edit)

    lifted = lift_state(quantized(0.5))
    assert lifted.inputs["step"] == ("level",)
    (level,) = (
        t for t in unpack(lifted.content, "test").subgraphs[0].tensors if b"level" in t.name
    )
    assert list(level.quantization.scale) == [0.5]
    with pytest.raises(CannotLiftError, match="level is quantized, and what is read"):
        lift_state(quantized(0.25))


@refused("leaky", "initializes the variable level after it was used")
def a_late_initializer(model):
    ((main, once),) = operators(model, "CALL_ONCE")
    main.operators = [op for op in main.operators if op is not once] + [once]


@refused("leaky", "two subgraphs initialize the variable level")
def two_initializers_of_one_variable(model):
    """Each would run once, and which came last would depend on who calls first."""
    ((main, once),) = operators(model, "CALL_ONCE")
    model.subgraphs.append(model.subgraphs[once.builtinOptions.initSubgraphIndex])
    options = schema.CallOnceOptionsT(len(model.subgraphs) - 1)
    second = schema.OperatorT(once.opcodeIndex, [], [], once.builtinOptionsType, options)
    main.operators.insert(0, second)


@refused("leaky", r"initial value of level cannot be computed: .*Unheard")
def an_initializer_that_cannot_run(model):
    ((_, once),) = operators(model, "CALL_ONCE")
    init = model.subgraphs[once.builtinOptions.initSubgraphIndex]
    assign = init.operators[-1]
    value = assign.inputs[1]
    init.tensors.append(init.tensors[value])
    made = len(init.tensors) - 1
    number = op_number(model, "CUSTOM", b"Unheard")
    init.operators.insert(0, schema.OperatorT(number, [value], [made]))
    assign.inputs = [assign.inputs[0], made]


@pytest.mark.parametrize(("name", "edit", "words"), REFUSALS)
def test_an_edited_file_is_refused(request, name, edit, words):
    with pytest.raises(CannotLiftError, match=words) as caught:
        lift_state(edited(request.getfixturevalue(name), edit))
    assert len(str(caught.value).splitlines()) == 1
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_path_is_not_bytes(tmp_path):
    with pytest.raises(TypeError, match="takes a file's bytes, and not"):
        lift_state(tmp_path / "model.tflite")


def test_numbers_that_refer_to_nothing_are_found(leaky):
    def tensor(model):
        model.subgraphs[0].operators[-1].inputs = [len(model.subgraphs[0].tensors), 0]

    def buffer(model):
        model.subgraphs[0].tensors[0].buffer = len(model.buffers)

    def subgraph(model):
        options = next(operators(model, "CALL_ONCE"))[1].builtinOptions
        options.initSubgraphIndex = len(model.subgraphs)

    def code(model):
        model.subgraphs[0].operators[-1].opcodeIndex = len(model.operatorCodes)

    def options(model):
        next(operators(model, "VAR_HANDLE"))[1].builtinOptions = None
        next(operators(model, "VAR_HANDLE"))[1].builtinOptionsType = 0

    def count(model):
        next(operators(model, "ASSIGN_VARIABLE"))[1].inputs = [0]

    for edit in (tensor, buffer, subgraph, code, options, count):
        with pytest.raises(ModelFileError, match="damaged"):
            lift_state(edited(leaky, edit))


def test_damage_is_told_and_never_a_traceback(leaky, nested, monkeypatch):
    """Bytes changed at random, and files cut short, by a fixed seed."""

    class NoChild:
        ok, message = False, "not run here"

    monkeypatch.setattr("varhandle.sandbox.run_isolated", lambda *_, **__: NoChild)
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(600):
        damaged = bytearray((leaky, nested)[trial % 2])
        if trial % 5 == 0:
            del damaged[rng.integers(8, len(damaged)) :]
        for at in rng.integers(8, len(damaged) - 4, size=rng.integers(1, 5)):
            value = rng.choice([0, 1, 255, 2**31 - 1, 2**32 - 1, len(damaged)])
            damaged[at : at + 4] = int(value).to_bytes(4, "little")
        try:
            lift_state(bytes(damaged))
            outcomes.add("lifted")
        except (ModelFileError, CannotLiftError) as error:
            assert len(str(error).splitlines()) == 1
            outcomes.add(type(error).__name__)
    assert outcomes == {"lifted", "ModelFileError", "CannotLiftError"}


def test_how_it_shows_itself(shared):
    lifted = lift_state(shared)
    assert len(repr(lifted).splitlines()) == 1
    assert "count, level_state" in repr(lifted)
    table = lifted.text().splitlines()
    assert re.search(r"level +level_state +float32 +\[3\] +1, 2, 3 +peek, step", table[-1])
    assert "load, reset, step" in table[-1]
    assert "<table>" in lifted.html()
    assert "level_state" in lifted.html()
    assert set(lifted._repr_mimebundle_()) == {"text/plain", "text/html"}
