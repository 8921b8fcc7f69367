import re

from workbook_lib import show
from workbook_lib.graph.model import Access, Graph, Variable
from workbook_lib.show.variables import shape_text


def test_table_in_text(counter):
    caption, blank, *table = show.variable_table(counter).text().splitlines()
    assert (caption, blank) == ("2 variables, 1 of them assigned", "")
    assert [re.split(" {2,}", line) for line in table if not line.startswith("-")] == [
        ["name", "dtype", "shape", "reads", "assigns", "initialised", "owner"],
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
