"""A Jupyter Server with Netron, as a hub starts one."""

import pytest
from jupyter_servers import BASE_URL, started_server

from workbook_lib.netron.tickets import VARIABLE, TicketFolder


@pytest.fixture(scope="session")
def start_jupyter(tmp_path_factory):
    """Start servers: ``start_jupyter(*options)``; they end with the tests."""
    started = []

    def start(*options):
        home = tmp_path_factory.mktemp("home")
        server = started_server(home, "workbook_lib.netron", "workbook/netron/", *options)
        started.append(server)
        (folder,) = server.runtime.glob("workbook-netron-*")
        server.tickets = TicketFolder(folder, BASE_URL)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def jupyter(start_jupyter):
    return start_jupyter()


@pytest.fixture
def kernel_of(monkeypatch):
    """Make this process look like a kernel that a server has started: ``kernel_of(server)``."""

    def become(server):
        monkeypatch.setenv(VARIABLE, str(server.tickets.path))
        monkeypatch.setenv("JPY_PARENT_PID", str(server.process.pid))

    return become
