"""The importer of TensorFlow 2.3 to 2.6 (and 2.18), which refuses a variable that is written."""

from family_checks import case_test, fix_of, run

from varhandle.families.catalog import family
from varhandle.formats import read_graph

FAMILY = family("not-immutable")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"float32-state": "works"})


def test_a_state_is_converted_as_it_is(specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fix = fix_of(specimen_path("counter"), "not-immutable")
    assert fix.startswith("# TensorFlow 2.9 and later")
    run(fix)
    assert read_graph("model.tflite").variable("counter").initialized
