"""Fixtures of the failure families' tests, beside the families and here."""

import functools
import gc

import pytest
import zoo
from printed_code import hold_to_registry
from remembered_runs import remember_runs

from varhandle.reproduction import reproduce


@pytest.fixture(autouse=True)
def printed_code_is_run(request):
    yield from hold_to_registry(request.node.nodeid)


@pytest.fixture(scope="session", autouse=True)
def runs_are_remembered():
    with pytest.MonkeyPatch.context() as patch:
        remember_runs(patch)
        yield


@pytest.fixture(scope="session")
def tf():
    # It counts at the import. A child, or a kernel, that found it would be another than a user's.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow

    tensorflow.get_logger().setLevel("ERROR")
    tensorflow.keras.utils.disable_interactive_logging()
    gc.freeze()  # what it brings stays: no collection has to go through it again
    return tensorflow


_once = functools.cache(reproduce)
_made = {}


@pytest.fixture(scope="session")
def reproduced():
    """Bring a failure about, or return what it did when it was brought about before."""
    return _once


@pytest.fixture(scope="session")
def specimen_path(tf, tmp_path_factory):
    """Make a model of the zoo, or return where it was made before."""

    def path(name):
        if name not in _made:
            _made[name] = zoo.make(name, tmp_path_factory.mktemp(name))
        return _made[name]

    return path
