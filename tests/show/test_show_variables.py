import re

from varhandle.graph.model import Access, Graph, Variable
from varhandle.inspection.variables import shape_text
from workbook_lib import show


def test_table_in_text(counter):
    caption, blank, *table = show.variable_table(counter).text().splitlines()
    assert (caption, blank) == ("2 variables, 1 of them assigned", "")
    assert [re.split(" {2,}", line) for line in table if not line.startswith("-")] == [
        ["name", "dtype", "shape", "reads", "assigns", "initialized", "owner"],
        [
            "counter",
            "float32",
            "[]",
            "1 ReadVariableOp (serve)",
            "1 AssignAddVariableOp (serve)",
            "yes",
            "counter",
        ],
        ["w", "float32", "[4, 2]", "1 ReadVariableOp (serve)", "none", "no", "nobody"],
    ]


def test_accesses_are_counted_by_op_with_their_signatures():
    accesses = [
        Access("AssignVariableOp", "a", "f", ("reset",)),
        Access("AssignAddVariableOp", "b", "g", ("serve", "train")),
        Access("AssignAddVariableOp", "c", "g", ("serve",)),
        Access("AssignSubVariableOp", "d", "h"),
    ]
    graph = Graph("m", "saved_model", (), (Variable("v", "int32", (), (), tuple(accesses)),))
    assert (
        "2 AssignAddVariableOp (serve, train); 1 AssignSubVariableOp; 1 AssignVariableOp (reset)"
        in show.variable_table(graph).text()
    )


def test_no_variables(frozen, read_html):
    table = show.variable_table(frozen)
    assert table.text() == "No variables: every weight is a constant."
    assert table.text() in read_html(table.html()).words


def test_a_format_without_owners_has_no_owner_column():
    graph = Graph("m.tflite", "tflite", (), (Variable("v", "float32", None),))
    text = show.variable_table(graph).text()
    assert "owner" not in text
    assert "v     float32  [?...]  none   none     not known" in text


def test_html_is_a_table_with_caption_and_escapes_names(read_html, hostile):
    graph = Graph("m", "saved_model", (), (Variable(hostile, "float32", (None, 2)),))
    page = read_html(show.variable_table(graph).html())
    assert not page.all("script")
    assert hostile in page.words
    assert "1 variable, 0 of them assigned" in page.words
    assert {head["scope"] for head in page.all("th")} == {"col"}


def test_shapes():
    assert [shape_text(shape) for shape in (None, (), (None, 3))] == ["[?...]", "[]", "[?, 3]"]


def many(count):
    """Variables of which the last is assigned, and the one before is read and has no value."""
    plain = [Variable(f"v{i}", "float32", (), initialized=True) for i in range(count - 2)]
    read = (Access("ReadVariableOp", "a", "f", ("s",)),)
    empty = Variable("empty", "float32", (), read, initialized=False)
    state = Variable("state", "float32", (), (), (Access("AssignVariableOp", "a", "f", ("s",)),))
    return Graph("m", "saved_model", (), (*plain, empty, state))


def test_of_many_variables_those_that_matter_are_listed():
    table = show.variable_table(many(500), most=3)
    assert [variable.name for variable in table.variables] == ["state", "empty", "v0"]
    assert len(table.left_out) == 497
    assert "500 variables, 1 of them assigned; 497 of them not listed here" in table.text()
    assert table.html().count("<tr>") == 4


def test_what_nothing_touches_comes_last_even_where_all_are_listed():
    graph = many(5)
    assert show.variable_table(graph).variables == graph.variables
    for most in (5, 6):
        table = show.variable_table(graph, most)
        assert [v.name for v in table.variables] == ["state", "empty", "v0", "v1", "v2"]
        assert "not listed" not in table.text()


def test_a_weight_that_is_read_comes_before_a_copy_without_a_value_that_is_not():
    """As Keras exports a model: three handles for each weight, of which one is read."""
    read = (Access("ReadVariableOp", "a", "f", ("s",)),)
    unread = Variable("copy", "float32", (), initialized=False)
    weight = Variable("weight", "float32", (), read, initialized=True)
    lost = Variable("lost", "float32", (), read, initialized=False)
    table = show.variable_table(Graph("m", "saved_model", (), (unread, weight, lost)), most=2)
    assert [v.name for v in table.variables] == ["lost", "weight"]


def test_of_many_signatures_a_few_are_named():
    reads = (Access("ReadVariableOp", "a", "f", tuple(f"s{i}" for i in range(9))),)
    graph = Graph("m", "saved_model", (), (Variable("v", "float32", (), reads),))
    text = show.variable_table(graph).text()
    assert "1 ReadVariableOp (s0, s1, s2, s3 and 5 more)" in text
    assert "s4" not in text
