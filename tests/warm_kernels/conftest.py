"""Kernels that these tests start and end, through jupyter_client and nothing of ours."""

import contextlib
import os

import pytest
from jupyter_client.manager import KernelManager

from warm_kernels import fork_server


class Started:
    """A kernel with its client."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    @property
    def pid(self):
        return self.manager.provisioner.pid

    @property
    def is_warm(self):
        return type(self.manager.provisioner.process).__name__ == "ForkedProcess"

    def run(self, code, timeout=120):
        """Run code; return what it prints, and the name of its error at the end."""
        said = []

        def hear(message):
            content = message["content"]
            said.append(content.get("text", "") + content.get("ename", ""))

        # After an error the kernel puts off for a moment whatever comes in.
        aborted = True
        while aborted:
            reply = self.client.execute_interactive(code, output_hook=hear, timeout=timeout)
            aborted = reply["content"]["status"] == "aborted"
        return "".join(said).strip()


@contextlib.contextmanager
def run_kernel(name, **options):
    """Start a kernel by the name of its kernelspec; end it afterwards."""
    manager = KernelManager(kernel_name=name)
    manager.start_kernel(**options)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield Started(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(autouse=True, scope="package")
def fresh_server():
    """Other tests of this process may have started one that has less."""
    fork_server.SERVER.stop()


@pytest.fixture(autouse=True)
def as_on_a_learners_machine(monkeypatch):
    """Without the log level that the tests are run with: it asks for a cold kernel."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    # pytest's own; a kernel must not depend on them.
    for name in list(os.environ):
        if name.startswith("PYTEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def start():
    """``start(name, **options)``: a kernel that ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda name="python3", **options: stack.enter_context(run_kernel(name, **options))


@pytest.fixture(params=["python3", "python3-cold"])
def kernel(request, start):
    """A kernel, warm and ordinary."""
    found = start(request.param)
    assert found.is_warm == (request.param == "python3")
    return found


@pytest.fixture
def started():
    """``with started() as kernel``: a warm kernel that ends with the block."""
    return lambda: run_kernel("python3")
