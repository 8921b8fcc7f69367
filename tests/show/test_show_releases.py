"""What the measured matrix says of one model, beside the matrix itself."""

import json

import pytest
from workbook_lib.show.releases import ReleaseTable

from varhandle.diagnosis import diagnose
from varhandle.facts.data_files import data_file
from workbook_lib import show
from workbook_lib.locations import data_path

MATRIX = json.loads(data_file("version_matrix.json").read_text(encoding="utf-8"))
COLUMNS = [one for one in MATRIX["versions"] if one.get("installed")]


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
