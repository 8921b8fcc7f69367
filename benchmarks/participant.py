"""Somebody at a hub: a browser's cookies and forms, and what JupyterLab asks a server for.

The load test and the hub's tests share it.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import websocket
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session

Found = TypeVar("Found")
PATIENCE = 90.0
"""Seconds to wait for anything."""


def wait_until(true: Callable[[], Found], what: str, seconds: float = PATIENCE) -> Found:
    """Ask until the answer counts as true."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)
    return found


class Visitor:
    """Somebody with a browser of their own, who waits ``patience`` seconds for anything."""

    def __init__(self, address: str, name: str, patience: float = PATIENCE) -> None:
        self.address, self.name, self.patience = address.rstrip("/"), name, patience
        self.session = requests.Session()

    def get(self, path: str) -> requests.Response:
        """Open a page below the hub's address."""
        return self.session.get(f"{self.address}{path}", timeout=self.patience)

    def sign_in(self, code: str, password: str) -> requests.Response:
        """Fill in the form; return the answer, after its redirects."""
        form = self.get("/hub/login").text
        hidden = re.search(r'name="_xsrf" value="([^"]+)"', form)
        assert hidden, form
        fields = {"username": self.name, "password": password, "otp": code, "_xsrf": hidden[1]}
        # The login leads on to the server, which may not have started: that comes later.
        login = f"{self.address}/hub/login?next=/hub/home"
        return self.session.post(login, data=fields, timeout=self.patience)

    def ask(self, method: str, url: str, **options: Any) -> requests.Response:
        """Ask for an address, as a page of the same site does."""
        xsrf = next((c.value for c in self.cookies_for(url) if c.name == "_xsrf"), "")
        headers = {"X-XSRFToken": xsrf, "Referer": f"{self.address}/hub/home"}
        return self.session.request(method, url, headers=headers, timeout=self.patience, **options)

    def cookies_for(self, url: str) -> list[Any]:
        """Return the cookies that a browser sends there, the closest first."""
        path = urlsplit(url).path
        fitting = [c for c in self.session.cookies if path.startswith(c.path)]
        return sorted(fitting, key=lambda cookie: -len(cookie.path))

    def start_server(self) -> None:
        """Ask for a server of one's own, and wait until it answers."""
        if not self.is_ready():
            (answer,) = wait_until(self._ask_for_a_server, f"{self.name}'s last server has ended")
            assert answer.status_code in (201, 202), answer.text
            wait_until(self.is_ready, f"{self.name}'s server", self.patience)
        self.get(f"/user/{self.name}/lab")  # the server's own login

    def _ask_for_a_server(self) -> list[requests.Response]:
        answer = self.ask("POST", f"{self.address}/hub/api/users/{self.name}/server")
        return [] if "pending stop" in answer.text else [answer]

    def is_ready(self) -> bool:
        """Whether the hub says that one's server answers."""
        answer = self.ask("GET", f"{self.address}/hub/api/users/{self.name}")
        servers = answer.json().get("servers", {})
        return bool(servers.get("", {}).get("ready", False))

    def api(
        self, method: str, path: str, of: str | None = None, **options: Any
    ) -> requests.Response:
        """Ask one's own server, or somebody else's."""
        url = f"{self.address}/user/{of or self.name}/{path}"
        return self.ask(method, url, **options)

    def names_in(self, folder: str) -> list[str]:
        """Return what the file browser shows."""
        answer = self.api("GET", f"api/contents/{folder}")
        assert answer.status_code == 200, answer.text
        return sorted(entry["name"] for entry in answer.json()["content"])

    def kernel(self, notebook: str = "") -> Kernel:
        """Start a kernel."""
        return Kernel(self, notebook)


@dataclass(frozen=True)
class Said:
    """What a cell came to."""

    printed: str  # what it wrote
    raised: str = ""  # the name of the error that ended it; empty if none did
    message: str = ""  # what that error says


class Kernel:
    """A kernel of a visitor's server, and the connection to it."""

    def __init__(self, visitor: Visitor, notebook: str = "") -> None:
        self.visitor = visitor
        self._messages = Session()
        answer = visitor.api(
            "POST",
            "api/sessions",
            json={
                "path": f"notebooks/{notebook or uuid.uuid4().hex + '.ipynb'}",
                "name": "",
                "type": "notebook",
                "kernel": {"name": "python3"},
            },
        )
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["kernel"]["id"]
        url = f"{visitor.address}/user/{visitor.name}/api/kernels/{self.id}/channels"
        cookies = {c.name: c.value for c in reversed(visitor.cookies_for(url))}
        self._socket = websocket.create_connection(
            url.replace("http", "ws", 1),
            cookie="; ".join(f"{name}={value}" for name, value in cookies.items()),
            origin=visitor.address,
            timeout=self.visitor.patience,
        )

    def run(self, code: str) -> str:
        """Run code; return what it printed, or the name of what it raised, or ``dead``."""
        said = self.execute(code)
        return said.raised or said.printed.strip()

    def execute(self, code: str) -> Said:
        """Run code, and wait for its end."""
        asked = {"code": code, "silent": False, "store_history": False}
        request = {**self._messages.msg("execute_request", asked), "channel": "shell"}
        self._socket.send(json.dumps(request, default=json_default))
        printed: list[str] = []
        error = ("", "")
        to_come = {"execute_reply", "idle"}  # on two channels, in either order
        while to_come:
            message = json.loads(self._socket.recv())
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] in ("restarting", "dead"):
                return Said("".join(printed), "dead")
            if message.get("parent_header", {}).get("msg_id") != request["msg_id"]:
                continue
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "execute_reply":
                to_come.discard(kind)
                error = content.get("ename", ""), content.get("evalue", "")
            elif kind == "status":
                to_come.discard(content["execution_state"])
        return Said("".join(printed), *error)

    def close(self) -> None:
        """Shut it down."""
        self._socket.close()
        self.visitor.api("DELETE", f"api/kernels/{self.id}")
