"""A hub of one's own settings: told not to fork, and one whose port somebody takes meanwhile."""

import os
import socket
from contextlib import closing

import pytest
import requests

from tests.workshop.conftest import a_hub, at_work, server_of
from warm_kernels.fork_server import SWITCH
from workshop import launcher
from workshop.hub_folder import HubSettings


def test_without_forks_a_server_and_its_kernels_start_for_themselves(tmp_path):
    hub = a_hub(tmp_path, **{SWITCH: "off"})
    try:
        ada = at_work(hub, "ada")
        assert any("jupyterhub-singleuser" in part for part in server_of(ada).cmdline())
        assert ada.work.run("import psutil; print(psutil.Process().cmdline()[2])") == (
            "ipykernel_launcher"
        )
        assert ada.work.run("import os; print(os.getuid())") != "0"
    finally:
        hub.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can keep participants apart")
def test_a_port_that_somebody_takes_before_the_proxy_is_left_to_them(hub_folder, monkeypatch):
    """Two hubs that start at once find the same port free; one of them then has it."""
    pytest.importorskip("jupyterhub")
    find = launcher.free_port
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        first = [taken]
        monkeypatch.setattr(
            launcher, "free_port", lambda *asked: first.pop() if first else find(*asked)
        )
        settings = HubSettings(ip="127.0.0.1", port=taken)
        with closing(launcher.Workshop(hub_folder, settings)) as workshop:
            port = workshop.config.settings.port
            assert taken < port < taken + 50
            assert hub_folder.config.settings.port == port
            assert f":{port}/" in workshop.address
            assert requests.get(f"{workshop.address}hub/login", timeout=60).status_code == 200
