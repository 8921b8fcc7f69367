"""The exercise of notebook 00: typical mistakes, each with its advice."""

from importlib import metadata

import pytest
from notebook_cells import assert_says

from workbook_lib.lesson.checks import start_here
from workbook_lib.lesson.content import start_here as content


@pytest.mark.parametrize(
    ("answer", "told"),
    [("2.4.0", "row"), ("2", "row"), (2.21, "quotation marks"), (["2.21.0"], "list")],
)
def test_versions_that_are_not_installed(answer, told):
    outcome = start_here.tensorflow_version(answer)
    assert_says(outcome, told)
    assert metadata.version("tensorflow") not in outcome.advice


@pytest.mark.parametrize("written", ["{0}", " {0} ", "{1}"], ids=["whole", "spaces", "release"])
def test_the_version_and_its_release_are_right(written):
    installed = metadata.version("tensorflow")
    answer = written.format(installed, installed.rpartition(".")[0])
    assert start_here.tensorflow_version(answer).status == "right"


@pytest.mark.parametrize(("size", "option"), [(900, "under"), (5008, "4 to 8"), (40_000, "over")])
def test_what_a_file_holds_is_read_off_its_size(size, option):
    assert content.PREDICTIONS[0].observed(size).startswith(option)


@pytest.mark.parametrize("written", ["v{}", "TensorFlow {}", "tensorflow=={}"])
def test_a_version_among_other_words_is_to_stand_alone(written):
    answer = written.format(metadata.version("tensorflow"))
    assert_says(start_here.tensorflow_version(answer), "Write it alone")
