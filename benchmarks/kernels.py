"""What a warm kernel costs beside an ordinary one: time until it is ready, and memory."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator

import psutil
from jupyter_client.manager import KernelManager

from benchmarks.figures import Chapter, Figure
from warm_kernels import fork_server

WARM, COLD = "python3", "python3-cold"
RUNS = 5
MORE = 4  # kernels beyond the first one
_IMPORT = "import tensorflow as tf"
_CONVERT = """
import keras, tensorflow as tf
model = keras.Sequential([keras.Input([4]), keras.layers.Dense(2)])
model.compile(loss="mse")
model.fit(tf.zeros([1, 4]), tf.zeros([1, 2]), verbose=0)
function = tf.function(model).get_concrete_function(tf.TensorSpec([1, 4]))
assert tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()
"""


def measure_start() -> Chapter:
    """Time kernels from the request to the answer of the cell that imports TensorFlow."""
    _must_start_cold_without_a_parent()
    started = time.perf_counter()
    with _kernel(WARM):
        first = time.perf_counter() - started
    taken: dict[str, list[float]] = {WARM: [], COLD: []}
    for _ in range(RUNS):
        for name, seconds in taken.items():
            started = time.perf_counter()
            with _kernel(name):
                seconds.append(time.perf_counter() - started)
    warm, cold = (1000 * statistics.median(taken[name]) for name in (WARM, COLD))
    what = "an ordinary kernel that does"
    return Chapter(
        "Warm kernels",
        f"From the request for a kernel to the answer of `{_IMPORT}`, {RUNS} times in turns. The "
        "first one waits for the parent; JupyterLab starts that before anybody opens a notebook.",
        "python -m benchmarks kernels",
        (
            Figure("a warm kernel has TensorFlow imported", warm, what, cold, "ratio < 0.1"),
            Figure("the first one, with its parent", 1000 * first, what, cold),
        ),
    )


def measure_memory() -> Chapter:
    """Compare what one kernel more holds in memory."""
    _must_start_cold_without_a_parent()
    figures = []
    for what, code, aim in (
        ("TensorFlow imported", _IMPORT, "ratio < 0.5"),
        ("a Keras model trained and converted", _CONVERT, "ratio < 0.5"),
    ):
        warm, cold = (_one_more(name, code) for name in (WARM, COLD))
        figures.append(
            Figure(f"{what}: memory of a warm kernel", warm, "memory of an ordinary one", cold, aim)
        )
    return Chapter(
        "Memory of kernels",
        f"What each of {MORE} kernels beyond the first adds to the proportional set size of all "
        "processes, the warm parent and the kernels' own fork servers included.",
        "python -m benchmarks kernel-memory",
        tuple(figures),
        unit="MB",
    )


def _must_start_cold_without_a_parent() -> None:
    if not fork_server.can_fork_for(os.environ):
        raise RuntimeError("kernels are not forked here: see WARM_KERNELS in the README")


@contextlib.contextmanager
def _kernel(name: str, code: str = _IMPORT) -> Iterator[None]:
    """Start a kernel, and run a cell in it; end it afterwards."""
    manager = KernelManager(kernel_name=name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        # Without jupyter_client's wait_for_ready, which listens for a fifth of a second longer.
        request = client.execute(code)
        while (reply := client.get_shell_msg(timeout=120))["parent_header"]["msg_id"] != request:
            pass
        if reply["content"]["status"] != "ok":
            raise RuntimeError(str(reply["content"]))
        forked = type(getattr(manager.provisioner, "process", None)).__name__ == "ForkedProcess"
        if forked != (name == WARM):
            raise RuntimeError(f"{name}: {'forked' if forked else 'not forked'}")
        yield
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _one_more(name: str, code: str) -> float:
    """Return the megabytes that a kernel beyond the first adds."""
    with contextlib.ExitStack() as kernels:
        if name == WARM:
            fork_server.SERVER.start()
        kernels.enter_context(_kernel(name, code))
        with_one = _held()
        for _ in range(MORE):
            kernels.enter_context(_kernel(name, code))
        return (_held() - with_one) / MORE


def _held() -> float:
    """Return the proportional set size of all processes below this one, in megabytes."""
    children = psutil.Process().children(recursive=True)
    return sum(child.memory_full_info().pss for child in children) / 1e6
