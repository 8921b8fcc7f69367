"""Editions of the stored notebooks, made once."""

import pytest

from workbook_lib.editions import make_edition
from workbook_lib.lesson.learner_copy import update_copy
from workbook_lib.runs import all_notebooks


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, from the outputs that the notebooks hold."""
    made = make_edition("html", all_notebooks(), tmp_path_factory.mktemp("site"), run=False)
    assert made.ok
    return made


@pytest.fixture(scope="session")
def decks(tmp_path_factory):
    """The slides, from the outputs that the notebooks hold."""
    made = make_edition("slides", all_notebooks(), tmp_path_factory.mktemp("slides"), run=False)
    assert made.ok
    return made


@pytest.fixture(scope="session")
def learner_copy(tmp_path_factory):
    """The folder of a learner's copy."""
    folder = tmp_path_factory.mktemp("learner")
    update_copy(folder)
    return folder
