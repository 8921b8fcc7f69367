import pytest

from varhandle.graph import variable_role
from workbook_lib import show


def test_ops_are_marked_as_the_readers_sort_them():
    counts = {"ScatterNdUpdate": 1, "ResourceCountUpTo": 1, "ApplyAdam": 1, "ScatterNd": 1}
    roles = {row.op: row.role for row in show.op_histogram({"nodes": counts}).rows}
    assert roles == {op: variable_role(op) or "" for op in counts}
    assert list(roles.values()) == ["assign", "assign", "assign", ""]


def test_one_graph_in_text():
    counts = {"MatMul": 1, "Identity": 4, "ReadVariableOp": 2, "VarHandleOp": 2, "AddV2": 1}
    assert show.op_histogram({"nodes": counts}).text() == (
        "Op counts: 10 nodes; variable ops: VarHandleOp, ReadVariableOp\n"
        "\n"
        "op              variable  nodes\n"
        "--------------  --------  -----  ------------------------\n"
        "VarHandleOp     handle        2  ############\n"
        "ReadVariableOp  read          2  ############\n"
        "Identity                      4  ########################\n"
        "AddV2                         1  ######\n"
        "MatMul                        1  ######"
    )


def test_before_and_after_in_text(counter, frozen):
    assert show.op_histogram({"before": counter, "after": frozen}, most=3).text() == (
        "Op counts: before 14 nodes, after 3 nodes; "
        "variable ops: VarHandleOp, ReadVariableOp, AssignAddVariableOp\n"
        "\n"
        "op                       variable  before  after  change\n"
        "-----------------------  --------  ------  -----  ------\n"
        "VarHandleOp              handle         2      0  gone\n"
        "ReadVariableOp           read           2      0  gone\n"
        "AssignAddVariableOp      assign         1      0  gone\n"
        "Identity                                2      0  gone\n"
        "StatefulPartitionedCall                 2      0  gone\n"
        "AddV2                                   1      0  gone\n"
        "(4 other ops)                           4      3  -1"
    )


def test_new_op():
    histogram = show.op_histogram({"a": {"Mul": 1}, "b": {"Mul": 3, "Add": 1}})
    assert {row.op: row.change for row in histogram.rows} == {"Mul": "+2", "Add": "new"}


def test_one_op_left_over_keeps_its_name():
    histogram = show.op_histogram({"nodes": {"A": 3, "B": 2, "C": 1}}, most=2)
    assert [row.op for row in histogram.rows] == ["A", "B", "C"]


def test_ops_counted_together_do_not_stretch_the_bars():
    counts = {"A": 4, **{f"op{i}": 1 for i in range(50)}}
    assert f"A{' ' * 29}4  {'#' * 24}\n" in show.op_histogram({"nodes": counts}, most=1).text()


def test_html_marks_variable_ops_escapes_ops_and_has_proportional_bars(read_html, hostile):
    counts = {"ReadVariableOp": 1, hostile: 4}
    page = read_html(show.op_histogram({"nodes": counts}).html())
    assert "◆\xa0ReadVariableOp" in page.words
    assert not page.all("script") and hostile in page.words
    assert ["width: 25%" in bar["style"] for bar in page.all("div")] == [True, False]
    assert len(page.all("caption")) == 1
    assert all("scope" in head for head in page.all("th"))


@pytest.mark.parametrize("counts", [{}, {"Add": 0}])
def test_nothing_to_count(counts, read_html):
    histogram = show.op_histogram({"nodes": counts})
    assert histogram.text().startswith("Op counts: 0 nodes; variable ops: none")
    read_html(histogram.html())
    read_html(show.op_histogram({"nodes": {**counts, "B": 1}}, most=0).html())
