"""Editions of the stored notebooks, made once."""

import pytest
from built import built_edition

from workbook_lib.lesson.learner_copy import update_copy


@pytest.fixture(scope="session")
def site():
    """The site, from the outputs that the notebooks hold."""
    return built_edition("html")


@pytest.fixture(scope="session")
def decks():
    """The slides, from the outputs that the notebooks hold."""
    return built_edition("slides")


@pytest.fixture(scope="session")
def learner_copy(tmp_path_factory):
    """The folder of a learner's copy."""
    folder = tmp_path_factory.mktemp("learner")
    update_copy(folder)
    return folder
