"""The grid of releases, and what the measured matrix says of one model, beside that matrix."""

import pytest

from varhandle.diagnosis import diagnose
from varhandle.matrix import version_matrix
from workbook_lib import show
from workbook_lib.locations import data_path
from workbook_lib.show.versions import ReleaseTable


def entry(version, python, **results):
    """What a release did with each case; one that did nothing could not be installed."""
    answers = {
        case: dict(zip(("outcome", "label"), it, strict=True)) for case, it in results.items()
    }
    return {"version": version, "python": python, "installed": bool(answers), "results": answers}


IMMUTABLE = ("error", "is not immutable")
MATRIX = {
    "cases": [
        {"id": "counter", "title": "a counter"},
        {"id": "keras", "title": "Keras <b>"},
        {"id": "counter", "title": "the same, not drawn", "drawn": False},
    ],
    "versions": [
        entry("2.4.4", "3.8", counter=IMMUTABLE, keras=("works", "")),
        entry("2.5.3", "3.8", counter=IMMUTABLE, keras=("crash", 'LLVM "ERROR"')),
        entry("2.6.5", "3.9"),
        entry("2.21.0", "3.11", counter=("wrong", "NaN"), keras=("refused", "")),
    ],
}


def test_matrix_in_text():
    assert show.version_grid(MATRIX).text() == (
        "What each TensorFlow release does: 2 cases, one column a release\n"
        "\n"
        "W  works: converts, and the answer is right\n"
        "E  error: an error, at the latest from the converter\n"
        "R  refused: converts, but the interpreter refuses\n"
        "G  garbage: converts and runs, but the answer is wrong\n"
        "C  crash: the process dies\n"
        "-  not run: release not installed, or case not tried on it\n"
        "\n"
        "case       2.4.4  2.5.3  2.6.5  2.21.0\n"
        "---------  -----  -----  -----  ------\n"
        "a counter  E      E      -      G\n"
        "Keras <b>  W      C      -      R\n"
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
    spoken = {mark.get("aria-label") for mark in page.all("strong")}
    words = {"error", "works", "crash", "garbage", "refused", "not run"}
    assert spoken - {None} == words  # of the grid; the legend says its words beside the marks
    markup = show.version_grid(MATRIX).html()
    assert all(markup.index(word) < markup.index("<table") for word in words)
    assert [head["scope"] for head in page.all("th")] == ["col"] * 5 + ["row"] * 2
    assert "overflow-x: auto" in page.all("div")[0]["style"]


def test_matrix_refuses_an_unknown_outcome():
    data = {**MATRIX, "versions": [entry("2.4", "3.8", counter=("fine", ""))]}
    with pytest.raises(
        ValueError, match=r"TensorFlow 2\.4, case counter: outcome 'fine' is not one of"
    ):
        show.version_grid(data)


COLUMNS = [one for one in version_matrix.load()["versions"] if one.get("installed")]


@pytest.fixture(scope="module")
def half_reader():
    return diagnose(data_path("half_reader"), static=True)


def test_a_model_that_fails_everywhere_has_no_release_to_go_to(half_reader):
    table = show.release_table(half_reader)
    assert table.measured == tuple(one["version"] for one in COLUMNS)
    assert table.escapes == ()
    assert {finding for finding, _, _ in table.rows} == {"unsupported-variable-dtype"}
    assert table.conclusion == (
        f"None of the {len(COLUMNS)} measured releases, {table.measured[0]} to "
        f"{table.measured[-1]}, gets round it."
    )


def test_only_programs_of_the_model_s_own_dtype_are_named(half_reader):
    assert all("float16" in title for _, title, _ in show.release_table(half_reader).rows)


def test_a_model_without_fault_is_told_that_it_works(tf, running_total, save_module):
    table = show.release_table(diagnose(save_module(running_total()), static=True))
    assert not table.wrong
    assert table.conclusion.startswith(f"All of it works on {table.measured[-1]}; ")
    assert table.rows


def test_what_was_not_measured_is_not_made_up(tmp_path, tf):
    class Plain(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, "x")])
        def __call__(self, x):
            return {"y": x + 1.0}

    module = Plain()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.__call__)
    table = show.release_table(diagnose(tmp_path / "m", static=True))
    assert table.rows == ()
    assert table.text() == table.conclusion
    assert "nothing was measured" in table.conclusion
    assert table.conclusion in table.html()


def test_releases_in_a_row_are_a_span():
    measured = ("1.15.5", "2.0.4", "2.1.4", "2.2.3", "2.3.4")
    table = ReleaseTable((("a", "b", "c"),), measured, ("1.15.5", "2.0.4", "2.2.3"), True)
    assert table.conclusion == (
        "Of 5 measured releases, none of it was seen on 1.15.5 to 2.0.4, 2.2.3."
    )
    assert repr(table) == f"ReleaseTable({table.conclusion})"


def test_it_reads_as_a_table(half_reader):
    table = show.release_table(half_reader)
    assert table.text().splitlines()[0].split("  ")[0] == "finding"
    assert table.text().endswith(table.conclusion)
    assert table.html().count("<tr>") == len(table.rows) + 1
