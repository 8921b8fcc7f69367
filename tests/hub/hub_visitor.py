"""Somebody at a hub: a browser's cookies and forms, and what JupyterLab asks a server for."""

import json
import re
import time
import uuid
from urllib.parse import urlsplit

import requests
import websocket

PATIENCE = 90  # seconds; nothing here is timed


def wait_until(true, what):
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)
    return found


class Visitor:
    def __init__(self, address, name):
        self.address, self.name = address.rstrip("/"), name
        self.session = requests.Session()

    def get(self, path, **options):
        return self.session.get(f"{self.address}{path}", timeout=PATIENCE, **options)

    def sign_in(self, code, password):
        """Fill in the form; return the answer, after its redirects."""
        form = self.get("/hub/login")
        # The login leads on to the server, which may not have started: that comes later.
        return self.session.post(
            f"{self.address}/hub/login?next=/hub/home",
            data={
                "_xsrf": xsrf_in(form.text),
                "username": self.name,
                "password": password,
                "otp": code,
            },
            timeout=PATIENCE,
        )

    def _ask(self, method, url, **options):
        xsrf = next((c.value for c in self._cookies_for(url) if c.name == "_xsrf"), "")
        headers = {"X-XSRFToken": xsrf, "Referer": f"{self.address}/hub/home"}
        return self.session.request(method, url, headers=headers, timeout=PATIENCE, **options)

    def _cookies_for(self, url):
        path = urlsplit(url).path
        fitting = [c for c in self.session.cookies if path.startswith(c.path)]
        return sorted(fitting, key=lambda cookie: -len(cookie.path))

    def start_server(self):
        if self.is_ready():
            self.get(f"/user/{self.name}/lab")
            return
        answer = wait_until(self._ask_for_a_server, f"{self.name}'s last server has ended")[0]
        assert answer.status_code in (201, 202), answer.text
        wait_until(self.is_ready, f"{self.name}'s server")
        self.get(f"/user/{self.name}/lab")  # the server's own login

    def _ask_for_a_server(self):
        answer = self._ask("POST", f"{self.address}/hub/api/users/{self.name}/server")
        return None if "pending stop" in answer.text else [answer]

    def is_ready(self):
        answer = self._ask("GET", f"{self.address}/hub/api/users/{self.name}")
        servers = answer.json().get("servers", {})
        return servers.get("", {}).get("ready", False)

    def api(self, method, path, of=None, **options):
        url = f"{self.address}/user/{of or self.name}/{path}"
        return self._ask(method, url, **options)

    def names_in(self, folder):
        answer = self.api("GET", f"api/contents/{folder}")
        assert answer.status_code == 200, answer.text
        return sorted(entry["name"] for entry in answer.json()["content"])

    def kernel(self, **options):
        return Kernel(self, **options)


class Kernel:
    """A kernel of a visitor's server, and the connection to it."""

    def __init__(self, visitor, name="python3"):
        self.visitor = visitor
        path = {"path": f"notebooks/{uuid.uuid4().hex}.ipynb"}
        answer = visitor.api(
            "POST",
            "api/sessions",
            json={**path, "name": "", "type": "notebook", "kernel": {"name": name}},
        )
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["kernel"]["id"]
        url = f"{visitor.address}/user/{visitor.name}/api/kernels/{self.id}/channels"
        cookies = {c.name: c.value for c in reversed(visitor._cookies_for(urlsplit(url).path))}
        self._socket = websocket.create_connection(
            url.replace("http", "ws", 1),
            cookie="; ".join(f"{name}={value}" for name, value in cookies.items()),
            origin=visitor.address,
            timeout=PATIENCE,
        )

    def send(self, code):
        number = uuid.uuid4().hex
        self._socket.send(
            json.dumps(
                {
                    "header": {
                        "msg_id": number,
                        "msg_type": "execute_request",
                        "username": "",
                        "session": self.id,
                        "date": "",
                        "version": "5.3",
                    },
                    "parent_header": {},
                    "metadata": {},
                    "content": {"code": code, "silent": False, "store_history": False},
                    "channel": "shell",
                    "buffers": [],
                }
            )
        )
        return number

    def run(self, code):
        """Run code; return what it printed, or the name of what it raised, or ``dead``."""
        number, printed, raised = self.send(code), [], None
        to_come = {"execute_reply", "idle"}  # on two channels, in either order
        while to_come:
            message = json.loads(self._socket.recv())
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] in ("restarting", "dead"):
                return "dead"
            if message.get("parent_header", {}).get("msg_id") != number:
                continue
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "execute_reply":
                to_come.discard(kind)
                raised = content.get("ename")
            elif kind == "status":
                to_come.discard(content["execution_state"])
        return raised or "".join(printed).strip()

    def close(self):
        self._socket.close()
        self.visitor.api("DELETE", f"api/kernels/{self.id}")


def xsrf_in(page):
    return re.search(r'name="_xsrf" value="([^"]+)"', page)[1]
