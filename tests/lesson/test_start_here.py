"""The exercise of notebook 00: typical mistakes, each with its advice."""

from importlib import metadata

import pytest
from notebook_cells import assert_says

from workbook_lib.lesson.checks import start_here


@pytest.mark.parametrize(
    ("answer", "told"), [("2.4.0", "row"), (2.21, "quotation marks"), (["2.21.0"], "list")]
)
def test_versions_that_are_not_installed(answer, told):
    outcome = start_here.tensorflow_version(answer)
    assert_says(outcome, told)
    assert metadata.version("tensorflow") not in outcome.advice
