"""A hub that is told not to fork: servers and kernels import for themselves, and work as well."""

from tests.workshop.conftest import a_hub, at_work, server_of
from warm_kernels.fork_server import SWITCH


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
