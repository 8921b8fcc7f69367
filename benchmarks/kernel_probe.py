"""``python kernel_probe.py start|memory RUNS``: measure the kernels of this Python's environment.

It is a program of its own, and imports nothing of the workbook's, so that the environment of any
checkout can run it. It prints its figures as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator

import psutil
from jupyter_client.manager import KernelManager

WARM, COLD = "python3", "python3-cold"
_IMPORT = "import tensorflow as tf"
_CONVERT = """
import keras, tensorflow as tf
model = keras.Sequential([keras.Input([4]), keras.layers.Dense(2)])
model.compile(loss="mse")
model.fit(tf.zeros([1, 4]), tf.zeros([1, 2]), verbose=0)
function = tf.function(model).get_concrete_function(tf.TensorSpec([1, 4]))
assert tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()
"""


@contextlib.contextmanager
def kernel(name: str, code: str = _IMPORT) -> Iterator[None]:
    """Start a kernel, and run a cell in it; end it afterwards."""
    manager = KernelManager(kernel_name=name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        # Without jupyter_client's wait_for_ready, which listens for a fifth of a second longer.
        request = client.execute(code, user_expressions={"parent": "__import__('os').getppid()"})
        while (reply := client.get_shell_msg(timeout=120))["parent_header"]["msg_id"] != request:
            pass
        if reply["content"]["status"] != "ok":
            raise RuntimeError(str(reply["content"]))
        parent = reply["content"]["user_expressions"]["parent"]["data"]["text/plain"]
        forked = int(parent) != os.getpid()
        if forked != (name == WARM):
            raise RuntimeError(f"{name}: {'forked' if forked else 'not forked'}")
        yield
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def start(runs: int) -> dict[str, list[float]]:
    """Return milliseconds from the request for a kernel to the answer of its first cell."""
    taken: dict[str, list[float]] = {"first": [], WARM: [], COLD: []}
    for name, kind in [("first", WARM), *[(WARM, WARM), (COLD, COLD)] * runs]:
        started = time.perf_counter()
        with kernel(kind):
            taken[name].append(1000 * (time.perf_counter() - started))
    return taken


def memory(more: int) -> dict[str, list[float]]:
    """Return the megabytes that each of some kernels beyond the first adds."""
    added: dict[str, list[float]] = {}
    for what, code in (("import", _IMPORT), ("convert", _CONVERT)):
        for name in (WARM, COLD):
            figures = added[f"{name} {what}"] = []
            with contextlib.ExitStack() as kernels:
                kernels.enter_context(kernel(name, code))
                before = _held()
                for _ in range(more):
                    kernels.enter_context(kernel(name, code))
                    after = _held()
                    figures.append(after - before)
                    before = after
    return added


def _held() -> float:
    """Return the proportional set size of all processes below this one, in megabytes."""
    children = psutil.Process().children(recursive=True)
    return sum(child.memory_full_info().pss for child in children) / 1e6


if __name__ == "__main__":
    measured = {"start": start, "memory": memory}[sys.argv[1]]
    print(json.dumps(measured(int(sys.argv[2]))))
