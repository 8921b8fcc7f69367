"""The exercises of notebook 02: the stub, the solution and typical mistakes."""

import pytest
from notebook_cells import load

import varhandle
from workbook_lib.editions.solved import solution_code

NEEDED_CELLS = (
    "parameters",
    "imports",
    "running-total",
    "handle",
    "classifier",
    "by-library",
    "walk-from-a-handle",
    "access",
    "service",
)
EXERCISES = {
    "inspect/find-handles": "check-find-handles",
    "inspect/assigned-by": "check-assigned-by",
    "inspect/read-but-never-set": "check-never-set",
}


@pytest.fixture(scope="session")
def notebook():
    return load("02_inspect_the_graph.ipynb")


@pytest.fixture(scope="session")
def sources(notebook):
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


@pytest.fixture(scope="session")
def notebook_names(sources):
    """Return what the notebook's own cells define before an exercise is attempted."""
    names = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varhandle, "silence_native_log", lambda: None)
        for cell in NEEDED_CELLS:
            exec(compile(sources[cell], f"cell {cell}", "exec"), names)
    return names


@pytest.fixture
def outcome(notebook_names, sources, monkeypatch):
    """Return a function that runs an answer in the notebook, then the notebook's check of it."""
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")

    def run(exercise_id, answer):
        names = dict(notebook_names)
        exec(compile(answer, "the learner's cell", "exec"), names)
        return eval(sources[EXERCISES[exercise_id]], names)

    return run


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_an_untouched_stub_is_not_attempted(exercise_id, notebook, outcome):
    [stub] = [
        "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["metadata"].get("workbook", {}).get("exercise") == exercise_id
        and "exercise" in cell["metadata"]["tags"]
    ]

    assert outcome(exercise_id, stub).status == "not attempted"


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_the_solution_is_right(exercise_id, notebook, outcome):
    answered = outcome(exercise_id, solution_code(notebook, exercise_id))

    assert answered.status == "right", answered.advice
    assert answered.advice


def handles(nodes="graph_def.node", name="shared_name", dtype="name", shape=".as_list()", op=""):
    """Write a find_handles that goes about it in some other way than the solution."""
    key = {
        "shared_name": 'node.attr["shared_name"].s.decode()',
        "bytes": 'node.attr["shared_name"].s',
        "node": "node.name",
    }[name]
    kind = {
        "name": 'tf.as_dtype(node.attr["dtype"].type).name',
        "number": 'node.attr["dtype"].type',
        "dtype": 'tf.as_dtype(node.attr["dtype"].type)',
        "of the output": '"resource"',
        "fixed": '"float32"',
    }[dtype]
    return f"""
def find_handles(graph_def):
    nodes = list({nodes})
    return {{
        {key}: ({kind}, tf.TensorShape(node.attr["shape"].shape){shape})
        for node in nodes
        if node.op{op or ' == "VarHandleOp"'}
    }}
"""


EVERY_NODE = "graph_def.node) + [n for f in graph_def.library.function for n in f.node_def]  # ("


@pytest.mark.parametrize(
    ("answer", "status", "telling"),
    [
        pytest.param(handles(), "wrong", "inside a function", id="only the main graph"),
        pytest.param(
            handles(EVERY_NODE, name="node"), "wrong", "name of the node", id="the node's name"
        ),
        pytest.param(handles(EVERY_NODE, name="bytes"), "wrong", "bytes", id="bytes"),
        pytest.param(handles(EVERY_NODE, dtype="number"), "wrong", "a number", id="dtype number"),
        pytest.param(
            handles(EVERY_NODE, dtype="of the output"),
            "wrong",
            "not of the dtype `resource`",
            id="the dtype of the handle",
        ),
        pytest.param(
            handles(EVERY_NODE, shape=".rank"), "wrong", "The shape of", id="rank for a shape"
        ),
        pytest.param(
            handles(EVERY_NODE, op=' == "VarHandleOP"'), "wrong", "letter by letter", id="misspelt"
        ),
        pytest.param(
            handles(EVERY_NODE, op='.endswith("Op")'), "raised", "TypeError", id="too many ops"
        ),
        pytest.param(
            handles(EVERY_NODE, name="node", op=' in ("VarHandleOp", "Placeholder")'),
            "wrong",
            "belong to no handle",
            id="inputs as well",
        ),
        pytest.param(
            handles("graph_def.node[:20]"), "wrong", "are missing", id="part of the graph"
        ),
        pytest.param(
            handles("classifier_graph_def.node"),
            "wrong",
            "that it is given",
            id="the global instead of the argument",
        ),
        pytest.param(
            "def find_handles(graph_def):\n    return [n.name for n in graph_def.node]",
            "wrong",
            "a dictionary",
            id="a list",
        ),
        pytest.param(
            "def find_handles(graph_def):\n    {n.name for n in graph_def.node}",
            "wrong",
            "`return`",
            id="no return",
        ),
        pytest.param(
            "def find_handles(graph_def):\n    return {n.shared_name: 1 for n in graph_def.node}",
            "raised",
            "AttributeError",
            id="an attribute of the proto as an attribute of Python",
        ),
        pytest.param(
            handles(EVERY_NODE, dtype="fixed"), "wrong", "not for another", id="a fixed dtype"
        ),
        pytest.param(
            handles(EVERY_NODE, dtype="dtype", shape=""), "right", "value", id="TensorFlow's types"
        ),
    ],
)
def test_find_handles_advises(answer, status, telling, outcome):
    answered = outcome("inspect/find-handles", answer)

    assert (answered.status, telling in answered.advice) == (status, True), answered.advice


def assigned(condition, result="v.name", graph="graph"):
    """Write an assigned_by with some other condition than the solution's."""
    return (
        "def assigned_by(graph, signature):\n"
        f"    return [{result} for v in {graph}.variables if {condition}]\n"
    )


FROM_SIGNATURE = "any(signature in access.signatures for access in v.assigns)"


@pytest.mark.parametrize(
    ("answer", "status", "telling"),
    [
        pytest.param(assigned("v.assigns"), "wrong", "another signature", id="any signature"),
        pytest.param(
            assigned(FROM_SIGNATURE.replace("assigns", "reads")),
            "wrong",
            "which it reads and never assigns",
            id="reads",
        ),
        pytest.param(
            assigned("any(a.signatures == signature for a in v.assigns)"),
            "wrong",
            "what as its `signatures`",
            id="a tuple compared with a text",
        ),
        pytest.param(
            assigned(
                'any(a.op == "AssignVariableOp" and signature in a.signatures for a in v.assigns)'
            ),
            "wrong",
            "as its `op`",
            id="one op only",
        ),
        pytest.param(
            assigned("v.assigns and signature in v.assigns[0].signatures"),
            "wrong",
            "Every entry",
            id="only the first assign",
        ),
        pytest.param(
            assigned(FROM_SIGNATURE, result="v"), "wrong", "their names", id="the variables"
        ),
        pytest.param(
            assigned(FROM_SIGNATURE, graph="total_graph"),
            "wrong",
            "not for another",
            id="the global instead of the argument",
        ),
        pytest.param(
            'def assigned_by(graph, signature):\n    return "total"', "wrong", "a set", id="text"
        ),
        pytest.param(
            assigned("signature in v.assigns.signatures"),
            "raised",
            "AttributeError",
            id="an attribute of the tuple",
        ),
        pytest.param(assigned(FROM_SIGNATURE), "right", "assign_add", id="a list of names"),
    ],
)
def test_assigned_by_advises(answer, status, telling, outcome):
    answered = outcome("inspect/assigned-by", answer)

    assert (answered.status, telling in answered.advice) == (status, True), answered.advice


def never_set(condition, result="v.name"):
    """Write a read_but_never_set with some other condition than the solution's."""
    return (
        "def read_but_never_set(graph):\n"
        f"    return {{{result} for v in graph.variables if {condition}}}\n"
    )


@pytest.mark.parametrize(
    ("answer", "status", "telling"),
    [
        pytest.param(
            never_set("not v.initialized"), "wrong", "does anything read it", id="forgets the reads"
        ),
        pytest.param(never_set("v.reads"), "wrong", "has its value", id="forgets the value"),
        pytest.param(
            never_set("not v.reads and not v.initialized"),
            "wrong",
            "does anything read it",
            id="a read turned round",
        ),
        pytest.param(
            never_set('v.reads == "none" and v.initialized == "no"'),
            "wrong",
            "you miss 6",
            id="the words of the table",
        ),
        pytest.param(
            never_set("v.reads and not v.initialized", result="v.owner"),
            "wrong",
            "Return the names",
            id="the owner in place of the name",
        ),
        pytest.param(
            never_set("v.reads and not v.initialised"),
            "raised",
            "initialised",
            id="the other spelling",
        ),
        pytest.param(
            never_set("v.reads and not v.initialized"), "wrong", "cannot say", id="None as no value"
        ),
        pytest.param(
            never_set("v.reads and not v.owner"), "wrong", "has its value", id="owner for value"
        ),
        pytest.param(
            never_set("v.reads and not v.owner and v.initialized is False"),
            "wrong",
            "has an owner",
            id="only what nobody owns",
        ),
        pytest.param(
            never_set("len(graph.variables) == 12 and v.reads"), "wrong", "you miss", id="a count"
        ),
        pytest.param(
            never_set("v.reads and v.initialized == False"), "right", "6 variables", id="equals"
        ),
    ],
)
def test_read_but_never_set_advises(answer, status, telling, outcome):
    answered = outcome("inspect/read-but-never-set", answer)

    assert (answered.status, telling in answered.advice) == (status, True), answered.advice


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_hints_go_in_steps_and_do_not_hold_the_solution(exercise_id, notebook, notebook_names):
    name = EXERCISES[exercise_id]
    check = {
        "check-find-handles": notebook_names["check"].find_handles,
        "check-assigned-by": notebook_names["check"].assigned_by,
        "check-never-set": notebook_names["check"].read_but_never_set,
    }[name]

    assert check.id == exercise_id
    assert len(check.hints) == 3
    solution = solution_code(notebook, exercise_id)
    assert not any(solution in hint for hint in check.hints)
