"""What the tests of this room share: each case runs once."""

import functools

import pytest
import zoo

from varhandle.reproduction import reproduce


@pytest.fixture(scope="session")
def reproduced():
    """Bring a failure about, or return what it did when it was brought about before."""
    return functools.cache(reproduce)


@pytest.fixture(scope="session")
def specimen_path(tf, tmp_path_factory):
    """Make a model of the zoo, or return where it was made before."""
    return functools.cache(lambda name: zoo.make(name, tmp_path_factory.mktemp(name)))
