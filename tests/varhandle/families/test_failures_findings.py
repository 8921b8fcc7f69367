"""The static rules, on every model of the zoo and on graphs made by hand."""

import pytest
import zoo

from varhandle.conversion.converter import convert
from varhandle.diagnosis import diagnose
from varhandle.facts.variable_updates import CONVERTED_UPDATES
from varhandle.families.catalog import find
from varhandle.families.findings import inference_signature
from varhandle.formats import read_graph
from varhandle.graph import Access, Function, Graph, Node, Signature, TensorSpec, Variable


def ids(found, *severities):
    wanted = severities or ("error", "warning")
    return tuple(sorted(finding.id for finding in found if finding.severity in wanted))


def concerned(found):
    return tuple(sorted({name for f in found if f.severity != "info" for name in f.variables}))


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_every_model_of_the_zoo_is_read_rightly(specimen_path, name):
    wanted = zoo.ZOO[name]
    found = diagnose(specimen_path(name), static=True)
    assert found.proof is None
    if wanted.seen:
        assert found.verdict == wanted.verdict
        assert ids(found.findings, "info") == tuple(sorted(wanted.infos))
    else:
        assert found.verdict in ("convertible", "ready"), "an alarm that nothing in the file gives"
    assert ids(found.findings) == tuple(sorted(wanted.families))
    assert concerned(found.findings) == wanted.variables


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_every_finding_speaks_of_this_model(specimen_path, name):
    for finding in diagnose(specimen_path(name), static=True).findings:
        assert finding.message.endswith(".")
        assert finding.fix
        for variable in finding.variables[:3]:
            assert variable in finding.message


def test_the_zoo_shows_every_family_that_a_model_can_show():
    shown = {name for one in zoo.ZOO.values() for name in (*one.families, *one.infos)}
    assert shown == {
        *("constant-folding-failed", "flex-variable", "freezer-lost-variable"),
        *("frozen-but-assigned", "gather-from-frozen-table", "keras3-export"),
        *("micro-needs-store", "not-immutable", "other-resource", "quantised-state"),
        *("runtime-too-old", "shared-or-dynamic-state", "unfrozen-graph"),
        *("uninitialised-variable", "unsupported-variable-dtype", "unsupported-variable-update"),
    }


# Which signature.


def with_signatures(**assigned):
    """A graph with a variable for each signature and variable that it assigns."""
    names = sorted({name for variables in assigned.values() for name in variables})
    variables = tuple(
        Variable(
            name,
            "float32",
            (1,),
            assigns=tuple(
                Access("AssignVariableOp", "assign", f"f_{signature}", (signature,))
                for signature, written in assigned.items()
                if name in written
            ),
            initialized=True,
        )
        for name in names
    )
    functions = tuple(Function(f"f_{signature}", ()) for signature in assigned)
    signatures = tuple(Signature(name, f"f_{name}", (), ()) for name in sorted(assigned))
    main = Function("main graph", ())
    return Graph("m", "saved_model", (main, *functions), variables, signatures)


@pytest.mark.parametrize(
    ("assigned", "chosen"),
    [
        ({"step": "ab"}, "step"),
        ({"serving_default": "abc", "peek": ""}, "serving_default"),
        ({"train": "abc", "infer": "a", "reset": "ab"}, "infer"),
        ({"apply": "ab", "peek": "a"}, "peek"),  # not the first by name
        ({"b": "x", "a": "x"}, "a"),
        ({}, None),
    ],
)
def test_the_signature_for_inference_is_chosen(assigned, chosen):
    assert inference_signature(with_signatures(**assigned)) == chosen


def test_a_signature_that_is_not_there_is_refused():
    with pytest.raises(KeyError, match="no signature 'run'; there are: step"):
        inference_signature(with_signatures(step="a"), "run")


def test_another_signature_is_diagnosed_when_it_is_asked_for(specimen_path):
    graph = read_graph(specimen_path("trainer_and_server"))
    (other,) = (f for f in find(graph) if f.severity == "warning")
    assert "Only signature train does that" in other.message
    assert "signature_keys=['serving_default']" in other.fix
    (own,) = (f for f in find(graph, "train") if f.severity == "error")
    assert own.id == other.id == "unsupported-variable-update"


def test_keras_exports_two_names_of_one_signature_and_that_is_no_shared_state(specimen_path):
    assert len(read_graph(specimen_path("cnn_exported")).signatures) == 2
    assert find(read_graph(specimen_path("cnn_exported"))) == ()


# What the converter takes: measured again.


def test_the_updates_that_are_called_convertible_convert(tf, tmp_path):
    raw = tf.raw_ops
    module = tf.Module()
    for name in "vabc":
        setattr(module, name, tf.Variable(tf.ones([4, 2]), name=name))
    v, a, b, c = (getattr(module, name).handle for name in "vabc")
    rates = {"lr": 0.1, "momentum": 0.9}
    root = {"lr": 0.1, "rho": 0.9, "momentum": 0.9, "epsilon": 1e-7}
    betas = {"beta1_power": 0.9, "beta2_power": 0.9, "beta1": 0.9, "beta2": 0.9, "epsilon": 1e-7}

    def step(x):
        some = {"resource": v, "indices": [1], "updates": x[:1]}
        raw.ResourceApplyAdagrad(var=v, accum=a, lr=0.1, grad=x)
        raw.ResourceApplyAdagradV2(var=v, accum=a, lr=0.1, epsilon=1e-7, grad=x)
        raw.ResourceApplyAdam(var=v, m=a, v=b, lr=0.1, grad=x, **betas)
        raw.ResourceApplyCenteredRMSProp(var=v, mg=a, ms=b, mom=c, grad=x, **root)
        raw.ResourceApplyGradientDescent(var=v, alpha=0.1, delta=x)
        raw.ResourceApplyKerasMomentum(var=v, accum=a, grad=x, **rates)
        raw.ResourceApplyMomentum(var=v, accum=a, grad=x, **rates)
        raw.ResourceApplyRMSProp(var=v, ms=a, mom=b, grad=x, **root)
        raw.ResourceScatterAdd(**some)
        raw.ResourceScatterUpdate(**some)
        raw.AssignVariableOp(resource=v, value=x)
        raw.AssignAddVariableOp(resource=v, value=x)
        raw.AssignSubVariableOp(resource=v, value=x)
        return {"y": module.v.read_value()}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4, 2)])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    graph = read_graph(path)
    assigns = {access.op for variable in graph.variables for access in variable.assigns}
    assert assigns == CONVERTED_UPDATES
    assert ids(find(graph)) == ()
    assert convert(path).content


@pytest.mark.parametrize("op", ["Sub", "Mul", "Max", "NdAdd"])
def test_the_updates_that_are_called_unsupported_stop_the_converter(tf, tmp_path, op):
    def step(module, x):
        first = "ref" if op.startswith("Nd") else "resource"
        at = [[1]] if op.startswith("Nd") else [1]
        scatter = getattr(tf.raw_ops, f"ResourceScatter{op}")
        scatter(**{first: module.v.handle, "indices": at, "updates": x[:1]})
        return {"y": module.v.read_value()}

    path = zoo.save_step(tf, tmp_path, {"v": tf.Variable(tf.ones([4]), name="v")}, step)
    assert ids(find(read_graph(path)), "error") == ("unsupported-variable-update",)
    assert f"tf.ResourceScatter{op}" in convert(path).failing_ops


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_the_other_dtypes_that_are_called_unsupported_stop_the_converter(tf, tmp_path, dtype):
    path = zoo.total_of(dtype)(tf, tmp_path)
    (finding,) = (f for f in find(read_graph(path)) if f.severity == "error")
    assert finding.id == "unsupported-variable-dtype"
    assert not convert(path).content


def test_the_dtypes_that_are_not_called_unsupported_convert(tf, tmp_path):
    dtypes = ["float32", "float64", "int8", "uint8", "int32", "int64", "bool", "complex64"]
    variables = {f"v_{d}": tf.Variable(tf.zeros([4], d), name=f"v_{d}") for d in dtypes}

    def step(module, x):
        for dtype in dtypes:
            getattr(module, f"v_{dtype}").assign(tf.cast(x, dtype))
        return {"y": module.v_float32 + tf.cast(module.v_int8, tf.float32)}

    path = zoo.save_step(tf, tmp_path, variables, step)
    assert ids(find(read_graph(path))) == ()
    assert convert(path).content


# .tflite files made by hand.


def file_of(*nodes, initialized=False, signatures=("run",), dtypes=("float32", "float32")):
    """A file whose variable ``v`` is touched by ``nodes``: ``"read"`` and ``"assign"`` in order."""
    ops, reads, assigns = [Node("VAR_HANDLE#0", "VAR_HANDLE")], [], []
    for number, what in enumerate(nodes, start=1):
        op = {"read": "READ_VARIABLE", "assign": "ASSIGN_VARIABLE"}[what]
        value = TensorSpec("t", dtypes[what == "assign"], (4,))
        ops.append(Node(f"{op}#{number}", op, attributes={"value": value}))
        access = Access(op, f"{op}#{number}", "main", signatures[:1])
        (reads if what == "read" else assigns).append(access)
    variable = Variable("v", "float32", (4,), tuple(reads), tuple(assigns), initialized)
    named = tuple(Signature(name, "main", (), ()) for name in signatures)
    return Graph("m.tflite", "tflite", (Function("main", tuple(ops)),), (variable,), named)


@pytest.mark.parametrize(
    ("graph", "families"),
    [
        (file_of("read"), ("uninitialised-variable",)),
        (file_of("read", "assign"), ("uninitialised-variable",)),
        (file_of("assign", "read"), ()),
        (file_of("read", "assign", initialized=True), ()),
        (file_of("assign"), ()),
    ],
)
def test_a_variable_of_a_file_needs_a_value_before_it_is_read(graph, families):
    assert ids(find(graph), "error") == families


def test_a_state_of_two_dtypes_is_refused_by_the_interpreter():
    graph = file_of("read", "assign", initialized=True, dtypes=("int8", "float32"))
    (finding,) = (f for f in find(graph) if f.severity == "error")
    assert finding.id == "quantised-state"
    assert "float32 in one place and int8 in another" in finding.message


def test_a_sum_in_float_is_no_quantized_state(specimen_path):
    assert ids(find(read_graph(specimen_path("counter_tflite")))) == ()


@pytest.mark.parametrize(
    ("op", "attributes", "seen"),
    [
        ("SVDF", {}, True),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", {}, True),
        ("LSTM", {"kernel_type": 0}, True),
        ("LSTM", {"kernel_type": 1}, False),  # BASIC: its state comes in and goes out
        ("FULLY_CONNECTED", {}, False),
    ],
)
def test_a_state_of_the_older_kind_is_seen_by_its_op(op, attributes, seen):
    main = Function("main", (Node(f"{op}#0", op, attributes=attributes),))
    found = find(Graph("m.tflite", "tflite", (main,)))
    assert [f.id for f in found] == ["shared-or-dynamic-state"] * seen
    assert any("not stateful" in f.message for f in found) == ("SEQUENCE" in op)


def branching(*, assigned=False, condition="StatelessIf"):
    """A model whose variable is read in a function that a branch calls."""
    read = Access("ReadVariableOp", "read", "inner", ("s",))
    assign = Access("AssignVariableOp", "assign", "f", ("s",))
    functions = (
        Function("main graph", ()),
        Function("f", (Node("cond", condition, calls=("then", "otherwise")),)),
        Function("then", (Node("call", "PartitionedCall", calls=("inner", "then")),)),
        Function("otherwise", ()),
        Function("inner", (Node("read", "ReadVariableOp"),)),
    )
    v = Variable("v", "float32", (1,), (read,), (assign,) if assigned else (), True)
    return Graph("m", "saved_model", functions, (v,), (Signature("s", "f", (), ()),))


@pytest.mark.parametrize(
    ("graph", "seen"),
    [
        (branching(), True),
        (branching(condition="If"), True),
        (branching(condition="PartitionedCall"), False),
        (branching(assigned=True), False),
    ],
)
def test_a_read_in_a_branch_is_followed_through_calls(graph, seen):
    assert ("freezer-lost-variable" in ids(find(graph), "info")) == seen


# Names are the author's choice.

HOSTILE = "v'\"\n\x1b[31m<script>alert(1)</script>\u202e"


def hostile_graph():
    assign = Access("AssignVariableOp", HOSTILE, "f", (HOSTILE,))
    other = Access(f"Resource{HOSTILE}", HOSTILE, "f", (HOSTILE,))
    half = Variable(HOSTILE, "float16", (4,), (), (assign,), True, HOSTILE)
    odd = Variable(HOSTILE + "2", f"float32{HOSTILE}", None, (), (other,), True, HOSTILE)
    grown = Variable(HOSTILE + "3", f"float32{HOSTILE}", (None,), (assign,), (assign,), False, None)
    functions = Function("main graph", ()), Function("f", ())
    signatures = (Signature(HOSTILE, "f", (), ()), Signature("z", "f", (), ()))
    source = f"/tmp/{HOSTILE}"
    return Graph(source, "saved_model", functions, (half, odd, grown), signatures, HOSTILE)


@pytest.mark.parametrize("signature", [HOSTILE, "z"])
def test_nothing_of_a_name_reaches_terminal_page_or_code_as_it_is(signature):
    found = diagnose(hostile_graph(), static=True, signature=signature)
    assert len(found.findings) >= 3
    for text in (found.text(), repr(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>" not in found.html()
    assert "\x1b" not in found.html()
    for finding in found.findings:
        if "import tensorflow" in finding.fix:
            compile(finding.fix, "fix", "exec")
            assert not [line for line in finding.fix.splitlines() if line.startswith("alert")]


def test_a_dtype_out_of_a_flex_op_is_a_name_too():
    access = Access("FlexReadVariableOp", "n", "main", ())
    variable = Variable("v", HOSTILE, None, (access,), (), True)
    functions = (Function("main", (Node("n", "FlexReadVariableOp"),)),)
    (finding,) = find(Graph("m.tflite", "tflite", functions, (variable,)))
    assert finding.id == "flex-variable"
    assert "\x1b" not in finding.message + finding.fix


# Size and depth.


def chain(functions, nodes):
    """A SavedModel whose functions call each other in a row, each with a row of nodes."""
    made = []
    for number in range(functions):
        row = [Node("n0", "Neg", ("x",), ("x",))]
        row += [Node(f"n{i}", "Neg", (f"n{i - 1}",), (f"n{i - 1}",)) for i in range(1, nodes)]
        if number + 1 < functions:
            row.append(Node("call", "PartitionedCall", calls=(f"f{number + 1}",)))
        made.append(Function(f"f{number}", tuple(row)))
    variable = Variable("v", "float32", (1,), (Access("ReadVariableOp", "n0", "f0", ("s",)),))
    signature = Signature("s", "f0", (), ())
    return Graph("m", "saved_model", tuple(made), (variable,), (signature,))


@pytest.mark.parametrize(("functions", "nodes"), [(1, 100_000), (10_000, 5)])
def test_a_long_and_a_deep_graph_are_read_without_recursion(functions, nodes):
    assert find(chain(functions, nodes)) == ()


def test_the_zoo_is_made_of_what_it_says(specimen_path):
    """The zoo's own claim, by TensorFlow's word: the lost value is not the one that is read."""
    graph = read_graph(specimen_path("keras_saved"))
    lost = [v for v in graph.variables if v.reads and not v.initialized]
    assert [v.owner for v in lost] == [None, None]
