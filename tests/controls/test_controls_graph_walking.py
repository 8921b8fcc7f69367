"""A walk along the flow of a model: where it can go, what it says there, and what a click does."""

import pytest
from bs4 import BeautifulSoup

from varhandle.display import printable
from varhandle.formats import read_graph
from varhandle.graph import Graph
from varhandle.graph.model import Access, Function, Node, TensorSpec, Variable
from workbook_lib import controls
from workbook_lib.locations import data_path

HOSTILE = "\"]; <script>alert('x')</script>\n\u202e & é"
BACK = {"reads": "read by", "assigns": "assigned by", "takes": "given to"}
BACK |= {"runs after": "runs before"}
BACK |= {back: word for word, back in BACK.items()}


@pytest.fixture(scope="module")
def half_reader():
    return read_graph(data_path("half_reader"))


def chain(count, users=1):
    """A graph of a variable, a read, ``count`` ops in a row, and ``users`` that take the read."""
    nodes = [Node("v", "VarHandleOp"), Node("r", "ReadVariableOp", ("v",), ("v",))]
    before = "r"
    for number in range(count):
        nodes.append(Node(f"n{number}", "Neg", (before,), (before,)))
        before = f"n{number}"
    nodes += [Node(f"u{number}", "Abs", ("r",), ("r",)) for number in range(users)]
    variable = Variable("v", "float32", (), (Access("ReadVariableOp", "r", "main graph"),))
    return graph_of(nodes, variable)


def graph_of(nodes, *variables):
    return Graph("m.pb", "graph_def", (Function("main graph", tuple(nodes)),), variables)


def everywhere(begun):
    return [begun.to(box.id) for box in begun.drawn.boxes]


def test_every_way_leads_back(half_reader):
    found = 0
    for place in everywhere(controls.walk(half_reader)):
        for word, box in place.connections:
            back = {word for word, end in place.to(box.id).connections if end.id == place.here.id}
            assert BACK[word] in back, (place, word, box)
            found += 1
    assert found > 40


def test_the_ways_from_a_variable_are_its_accesses(half_reader):
    for variable in half_reader.variables:
        accesses = {("read by", a.op, a.node) for a in variable.reads}
        accesses |= {("assigned by", a.op, a.node) for a in variable.assigns}
        place = controls.walk(half_reader, variable.name)
        found = {(word, box.node.op, box.node.name) for word, box in place.connections}
        assert found == accesses


def test_a_walk_from_a_handle_to_what_takes_its_value(half_reader):
    begun = controls.walk(half_reader, "memory")
    assert "attribute dtype: float16" in begun.text()
    assert "a value in the file: yes" in begun.text()
    assert "op: VarHandleOp" in begun.text()
    [read] = [box for word, box in begun.connections if word == "read by"]
    on = begun.to(read.id)
    assert f"path: variable memory > {read.name}" in on.text()
    assert "  reads variable memory" in on.text()
    assert repr(on) == f"Walk({read.name}, reads memory)"
    assert on.back().text() == begun.text() == on.back(99).text()
    assert on.at(read.name) is on  # to stand still is no step


def test_a_box_says_which_node_it_is_and_where(half_reader):
    words = "\n".join(place.text() for place in everywhere(controls.walk(half_reader)))
    assert ", in main graph" in words
    assert "__inference" not in words  # nor the counter of its save
    begun = controls.walk(chain(1))
    assert ("node", "v, in main graph") in begun.facts
    assert ("node", "n0, in main graph") in begun.to("n0").facts


def test_a_variable_goes_before_what_else_bears_its_name():
    nodes = (
        Node("v", "VarHandleOp"),
        Node("r", "ReadVariableOp", ("v",), ("v",)),
        *(Node(f"{path}/v", "Const", attributes={"dtype": "int32"}) for path in "ab"),
        Node("s", "AddN", ("a/v", "b/v", "r"), ("a/v", "b/v", "r")),
    )
    variable = Variable("a/v", "float32", (), (Access("ReadVariableOp", "r", "main graph"),))
    assert controls.walk(graph_of(nodes, variable), "a/v").here.kind == "variable"


def test_boxes_of_one_name_are_told_apart_by_their_ids():
    spec = TensorSpec("x", "float32", ())
    inner = Function("f", (Node("c", "Const"), Node("y", "Neg", ("c",), ("c",))), (), ())
    calls = [Node(name, "PartitionedCall", calls=("f",)) for name in ("one", "two")]
    graph = Graph("m", "saved_model", (Function("main graph", tuple(calls), (spec,)), inner))
    with pytest.raises(KeyError, match=r"2 boxes are called 'c'; their ids: \['one/c', 'two/c'\]"):
        controls.walk(graph, "c")
    assert controls.walk(graph, "two/c").path == ("two/c",)


def test_what_is_not_there_is_said(half_reader):
    with pytest.raises(KeyError, match="no box 'weights'; there are: row, memory"):
        controls.walk(half_reader, "weights")
    with pytest.raises(KeyError, match="no signature 'predict'"):
        controls.walk(half_reader, signature="predict")
    with pytest.raises(ValueError, match="nothing to walk along"):
        controls.walk(graph_of([]))


def test_a_large_flow_is_drawn_around_the_walker():
    begun = controls.walk(chain(200))
    middle = begun.at("n100").drawing()
    assert {box.id for box in middle.boxes} >= {"n90", "n100", "n110"}
    assert len(middle.boxes) == 40
    assert "203 boxes are too many to draw: these 40" in begun.at("n100").html()
    assert "▸ here" in begun.at("n100").html(clickable=True)
    assert len(controls.walk(chain(20)).drawing().boxes) == 23


def test_the_ways_on_are_cut_and_counted():
    place = controls.walk(chain(1, users=100)).at("ReadVariableOp")
    assert len(place.connections) == 102
    assert place.text().endswith("and 78 more")
    assert place.text().count("given to Abs") == 22  # 24 with the variable and the first op
    assert "and 78 more" in place.html()


def elements(markup, *names):
    return BeautifulSoup(markup, "html.parser")(names)


def test_hostile_names_are_shown_and_do_nothing():
    nodes = (
        Node(HOSTILE, "VarHandleOp", attributes={"shared_name": HOSTILE, HOSTILE: HOSTILE}),
        Node("r", HOSTILE, (HOSTILE,), (HOSTILE,)),
    )
    variable = Variable(HOSTILE, "float32", (), (Access(HOSTILE, "r", "main graph"),))
    for place in everywhere(controls.walk(graph_of(nodes, variable))):
        for markup in (place.html(), place.html(clickable=True)):
            assert not elements(markup, "script")
        assert "\u202e" not in place.text() + place.html(clickable=True)
        assert len(place.text().splitlines()) < 20


def test_headless_it_is_the_plain_walk_with_its_drawing(half_reader):
    shown = controls.graph_walk(half_reader, "memory")
    assert isinstance(shown, controls.Walk)
    assert not elements(shown.html(), "button", "svg")
    [picture] = elements(shown.html(), "img")
    assert "memory (variable float16 [1, 24])" in picture["alt"]
    assert picture["src"].startswith("data:image/svg+xml")


@pytest.fixture
def widget(watched):
    graph = chain(1)
    nodes = (*graph.functions[0].nodes, Node(HOSTILE, "Neg", ("n0",), ("n0",)))
    return controls.graph_walk(graph_of(nodes, *graph.variables))


def send(widget, **message):
    widget._handle_custom_msg(message, [])


def test_a_press_leads_on_and_back(widget):
    assert widget.page["words"] == "Here: variable v, float32 []."
    send(widget, box="r")
    send(widget, box="n0")
    assert widget.page["words"] == "Here: Neg."
    assert widget.walk.path == ("variable v", "r", "n0")
    send(widget, back=2)
    assert widget.walk.path == ("variable v",)


def test_every_box_can_be_pressed_under_the_id_that_it_bears(widget):
    def pressable():
        return [each for each in elements(widget.page["html"], "g") if "data-box" in each.attrs]

    ids = [each["data-box"] for each in pressable()]
    assert len(ids) == len(widget.walk.drawn.boxes)
    assert printable(HOSTILE, None) in ids
    for id in ids:
        send(widget, box=id)
        [here] = [each for each in pressable() if "aria-current" in each.attrs]
        assert here["data-box"] == id
        assert here["role"] == "button" and here["tabindex"] == "0"


@pytest.mark.parametrize("message", [{}, {"box": "x"}, {"box": 3}, {"box": [1]}, {"back": "1"}])
def test_a_message_that_leads_nowhere_changes_nothing(widget, message):
    before = widget.page
    send(widget, **message)
    assert widget.page == before


@pytest.mark.parametrize("back", [0, -1, 99])
def test_one_cannot_go_back_past_the_beginning(widget, back):
    send(widget, back=back)
    assert widget.walk.path == ("variable v",)
