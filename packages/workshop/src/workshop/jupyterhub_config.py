"""What the hub of a workshop is told. ``launcher`` starts it, and has settled the rest before."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from workshop.authenticator import WorkshopAuthenticator
from workshop.class_service import NAME, PREFIX
from workshop.hub_folder import FIRST_PAGE, GIVE_BACK, INSTRUCTOR, VARIABLE, HubFolder
from workshop.mount_view import service_sandbox
from workshop.spawner import ParticipantSpawner, start_zygote

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it there
folder = HubFolder.of_this_process()
config = folder.config
settings = config.settings


def first_page(handler: Any) -> str:
    """Say where somebody comes who has signed in."""
    user = handler.current_user
    return PREFIX if user and user.admin else ""


c.JupyterHub.default_url = first_page
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{config.hub_port}"
c.JupyterHub.db_url = f"sqlite:///{folder.state / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(folder.state / "cookie_secret")
# A class comes in all at once: whoever is turned away meets an error, and not a queue.
c.JupyterHub.concurrent_spawn_limit = settings.places + 1
c.JupyterHub.active_server_limit = settings.places + 1  # and the instructor
c.JupyterHub.template_vars = {
    "announcement_login": "Choose a name and a password, and type the workshop's code. "
    "The name is yours from then on: come back with the same password.",
    "announcement_home": f'<a href="/hub{GIVE_BACK}">Give my place back</a>: '
    "for whoever leaves for good, or wants another name.",
}
c.JupyterHub.template_paths = [str(Path(__file__).with_name("templates"))]

# The hub may die and come back: servers, and the proxy with its routes, go on without it.
c.JupyterHub.cleanup_servers = False
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{config.proxy_port}"
c.ConfigurableHTTPProxy.auth_token = folder.secrets["proxy"]

c.JupyterHub.authenticator_class = WorkshopAuthenticator
c.Authenticator.allow_all = True  # whom the authenticator lets in
c.Authenticator.admin_users = {INSTRUCTOR}

c.JupyterHub.spawner_class = ParticipantSpawner
c.Spawner.default_url = FIRST_PAGE
c.Spawner.mem_limit = settings.memory_bytes
c.Spawner.cpu_limit = settings.cpus or None
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300
# Sockets in a folder of the participant's, not ports: whoever can connect to a kernel's port
# hears what it says.
c.Spawner.args = ["--KernelManager.transport=ipc"]

python = [sys.executable, "-m"]
times = [f"--timeout={settings.idle_seconds:g}", f"--cull-every={settings.cull_seconds:g}"]
environment = {"HOME": str(folder.state)}
c.JupyterHub.services = [
    {
        "name": "culler",
        "command": service_sandbox(folder, config, 0).command(
            [*python, "jupyterhub_idle_culler", *times]
        ),
        "environment": environment,
        "cwd": "/",
    },
    {
        "name": NAME,
        "url": f"http://127.0.0.1:{config.class_port}",
        "command": [*python, "workshop.class_service", str(os.getpid())],
        "environment": {**environment, VARIABLE: str(folder.folder)},
        "cwd": "/",
        "oauth_no_confirm": True,
    },
]
c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "services": ["culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
]

start_zygote(logging.getLogger(__name__))  # while the first participant types a name
