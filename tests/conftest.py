"""What all tests share: TensorFlow imported once, models built once, progress kept nowhere."""

import json
import os
import signal
import tempfile
from collections import Counter

import pytest
from changed import DURATIONS, known_seconds
from family_fixtures import printed_code_is_run, runs_are_remembered, tf
from hypothesis import HealthCheck, settings

__all__ = ["printed_code_is_run", "runs_are_remembered", "tf"]

os.environ["WORKBOOK_PROGRESS"] = "off"
# As at a terminal: a job in the background has it ignored, and what it starts never sees a Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Fuzzing takes the same examples every time, watches no clock, and leaves nothing in the checkout.
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{tempfile.gettempdir()}/workbook-hypothesis"
settings.register_profile(
    "workbook",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("workbook")

UNKNOWN_TEST = 0.3  # seconds of a test whose file has not run here yet
seconds = Counter()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Give all workers the same times: another run may end, and note its own, while they start."""
    node.workerinput["seconds"] = known_seconds()


def pytest_collection_modifyitems(config, items):
    """The longest files come first: at the end no worker is left alone with one of them."""
    took = getattr(config, "workerinput", {}).get("seconds") or known_seconds()
    files = [item.nodeid.partition("::")[0] for item in items]
    guess = {name: UNKNOWN_TEST * count for name, count in Counter(files).items()}
    places = sorted(
        range(len(items)), key=lambda n: (-took.get(files[n], guess[files[n]]), files[n], n)
    )
    items[:] = [items[place] for place in places]


def pytest_runtest_logreport(report):
    seconds[report.nodeid.partition("::")[0]] += report.duration


def pytest_sessionfinish(session):
    """Note how long each file took, for `make check` and for the order of the next run."""
    if hasattr(session.config, "workerinput") or not DURATIONS.parent.is_dir():
        return
    rounded = {name: round(took, 1) for name, took in seconds.items()}
    DURATIONS.write_text(json.dumps(known_seconds() | rounded))


@pytest.fixture(scope="session")
def running_total(tf):
    """A module class that adds up in a variable: ``running_total(dtype)`` makes a fresh one."""

    class RunningTotal(tf.Module):
        def __init__(self, dtype="float32"):
            self.total = tf.Variable(tf.zeros([4], dtype), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            self.total.assign(self.total + tf.cast(x, self.total.dtype))
            return tf.cast(self.total, tf.float32)

    return RunningTotal


@pytest.fixture(scope="session")
def save_module(tf, tmp_path_factory):
    def save(module):
        folder = tmp_path_factory.mktemp("saved_model")
        signature = module.__call__.get_concrete_function()
        tf.saved_model.save(module, str(folder), signatures=signature)
        return folder

    return save


@pytest.fixture(scope="session")
def counting_file(tf, running_total, save_module):
    """A .tflite file that keeps a running total."""
    folder = save_module(running_total())
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
