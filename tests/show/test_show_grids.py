import pytest

from workbook_lib import show

MATRIX = {
    "cases": [{"id": "counter", "title": "a counter"}, {"id": "keras", "title": "Keras <b>"}],
    "versions": [
        {
            "version": "2.4.4",
            "python": "3.8",
            "installed": True,
            "results": {
                "counter": {"outcome": "error", "label": "is not immutable"},
                "keras": {"outcome": "works", "label": ""},
            },
        },
        {
            "version": "2.5.3",
            "python": "3.8",
            "installed": True,
            "results": {
                "counter": {"outcome": "error", "label": "is not immutable"},
                "keras": {"outcome": "crash", "label": 'LLVM "ERROR"'},
            },
        },
        {"version": "2.6.5", "python": "3.9", "installed": False, "results": {}},
        {
            "version": "2.21.0",
            "python": "3.11",
            "installed": True,
            "results": {
                "counter": {"outcome": "wrong", "label": "NaN"},
                "keras": {"outcome": "refused", "label": ""},
            },
        },
    ],
}

CLAIMS = [
    {
        "id": "float16",
        "claim": "float16 halves the <file>",
        "verdict": "holds",
        "since": "2.3",
        "proof": {"notebook": "05_quantize", "cell": "size"},
        "note": "",
    },
    {
        "id": "flex",
        "claim": "SELECT_TF_OPS mends it",
        "verdict": "does not hold",
        "since": "2.19",
        "proof": {"notebook": "01_reproduce_the_failure.ipynb", "cell": "flex"},
        "note": "no delegate",
    },
]


def test_matrix_in_text():
    assert show.version_grid(MATRIX).text() == (
        "What each TensorFlow release does: 2 cases, one column a release\n"
        "\n"
        "case       2.4.4  2.5.3  2.6.5  2.21.0\n"
        "---------  -----  -----  -----  ------\n"
        "a counter  E      E      -      G\n"
        "Keras <b>  W      C      -      R\n"
        "\n"
        "W  works: converts, and the answer is right\n"
        "E  error: an error, at the latest from the converter\n"
        "R  refused: converts, but the interpreter refuses\n"
        "G  garbage: converts and runs, but the answer is wrong\n"
        "C  crash: the process dies\n"
        "-  not run: release not installed, or case not tried on it\n"
        "\n"
        "a counter\n"
        "  2.4.4 to 2.5.3: error, is not immutable\n"
        "  2.6.5: not run\n"
        "  2.21.0: garbage, NaN\n"
        "Keras <b>\n"
        "  2.4.4: works\n"
        '  2.5.3: crash, LLVM "ERROR"\n'
        "  2.6.5: not run\n"
        "  2.21.0: refused"
    )


def test_matrix_in_html_says_every_outcome_in_words(read_html):
    page = read_html(show.version_grid(MATRIX).html())
    assert [cell["title"] for cell in page.all("td")][5] == 'LLVM "ERROR"'
    assert len(page.all("td")) == 8
    spoken = {mark["aria-label"] for mark in page.all("strong")}
    assert spoken == {"error", "works", "crash", "garbage", "refused", "not run"}
    assert [head["scope"] for head in page.all("th")] == ["col"] * 5 + ["row"] * 2
    assert "overflow-x: auto" in page.all("div")[0]["style"]


def test_matrix_refuses_an_unknown_outcome():
    data = {
        "cases": [{"id": "a", "title": "a"}],
        "versions": [{"version": "2.4", "results": {"a": {"outcome": "fine"}}}],
    }
    with pytest.raises(ValueError, match=r"TensorFlow 2\.4, case a: outcome 'fine' is not one of"):
        show.version_grid(data)


def test_claims_in_text():
    assert show.claims_table(CLAIMS).text() == (
        "2 claims (holds: 1, holds in part: 0, does not hold: 1)\n"
        "\n"
        "claim                      verdict        since  proof                          note\n"
        "-------------------------  -------------  -----  -----------------------------"
        "  -----------\n"
        "float16 halves the <file>  holds          2.3    05_quantize#size\n"
        "SELECT_TF_OPS mends it     does not hold  2.19   01_reproduce_the_failure#flex"
        "  no delegate"
    )


def test_claims_link_to_the_cell_that_proves_them(read_html):
    page = read_html(show.claims_table(CLAIMS).html())
    assert [link["href"] for link in page.all("a")] == [
        "05_quantize.ipynb#cell-id=size",
        "01_reproduce_the_failure.ipynb#cell-id=flex",
    ]
    assert "float16 halves the <file>" in page.words
    assert "01: flex" in page.words


def test_claims_refuse_an_unknown_verdict():
    with pytest.raises(ValueError, match="verdict 'maybe'"):
        show.claims_table([{**CLAIMS[0], "verdict": "maybe"}])


def test_side_by_side_in_text(frozen):
    both = show.side_by_side(
        {
            "before": show.op_histogram({"nodes": {}}),
            "after <1>": show.variable_table(frozen),
        }
    )
    assert both.text() == (
        "before\n======\nOp counts: 0 nodes; variable ops: none\n\n"
        "after <1>\n=========\nNo variables: every weight is a constant."
    )


def test_side_by_side_in_html_wraps(frozen, read_html):
    page = read_html(show.side_by_side({"<b>": show.variable_table(frozen)}).html())
    assert "flex-wrap: wrap" in page.all("div")[0]["style"]
    assert not page.all("b")
    assert "No variables: every weight is a constant." in page.words
