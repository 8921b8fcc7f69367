import gc
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

import pytest

from workbook_lib.netron.own_server import OwnServer


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read(), response.headers


@pytest.fixture
def server(tmp_path):
    model = tmp_path / "my model.tflite"
    model.write_bytes(b"TFL3 bytes")
    (tmp_path / "secret.txt").write_text("beside the model")
    server = OwnServer(model)
    yield server
    server.close()


def test_page_reports_nothing_and_may_ask_nobody_else(server):
    page, headers = get(server.url)
    assert '<meta name="version" content="0.0.0">' in page.decode()
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "connect-src 'self';" in headers["Content-Security-Policy"]


def test_serves_the_model_and_nothing_beside_it(server):
    assert get(f"{server.url}data/my%20model.tflite")[0] == b"TFL3 bytes"
    assert b"window" in get(f"{server.url}index.js")[0]
    assert b"consent" in get(f"{server.url}quiet.js")[0]
    beside = ("data/secret.txt", "data/../secret.txt", "data/%2e%2e/x", "data/%00")
    for path in (*beside, "../server.py", "server.py", "a%00b.js"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(server.url + path)


def provoke_fault(port):
    """Send an address that Python refuses to split; wait until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET http://[ HTTP/1.0\r\n\r\n")
        assert client.recv(1) == b""


def test_a_fault_is_silent_and_stops_nothing(server, capfd):
    for _ in range(3):
        provoke_fault(urlsplit(server.url).port)
    assert get(server.url)
    assert capfd.readouterr() == ("", "")


def test_nothing_without_the_secret_prefix(server):
    parts = urlsplit(server.url)
    assert parts.hostname == "127.0.0.1"
    for path in ("/", "data/my%20model.tflite"):  # the second is no address, and may still be sent
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as client:
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert b" 404 " in client.makefile("rb").readline()


@pytest.mark.parametrize("drop", [False, True])
def test_a_server_that_is_closed_or_dropped_ends(tmp_path, drop):
    (tmp_path / "m.tflite").write_bytes(b"x")
    server = OwnServer(tmp_path / "m.tflite")
    url = server.url
    assert get(url)
    if drop:
        del server
        gc.collect()
    else:
        server.close()
        server.close()
        assert server.closed
    with pytest.raises(urllib.error.URLError):
        get(url)


def test_two_models_at_once(tmp_path):
    servers = []
    for name in ("a.tflite", "b.tflite"):
        (tmp_path / name).write_text(name)
        servers.append(OwnServer(tmp_path / name))
    try:
        assert [
            get(f"{server.url}data/{name}")[0]
            for server, name in zip(servers, ("a.tflite", "b.tflite"), strict=True)
        ] == [b"a.tflite", b"b.tflite"]
    finally:
        for server in servers:
            server.close()


def test_saved_model_folder(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"pb")
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    server = OwnServer(tmp_path)
    try:
        assert b'content="data/saved_model.pb"' in get(server.url)[0]
        assert get(f"{server.url}data/variables/variables.index")[0] == b"index"
    finally:
        server.close()


def test_ends_with_the_process_that_started_it(tmp_path):
    model = tmp_path / "m.tflite"
    model.write_bytes(b"x")
    code = "from pathlib import Path; from workbook_lib.netron.own_server import OwnServer; "
    code += f"import time; s = OwnServer(Path({str(model)!r})); "
    code += "print(s.url, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        url = parent.stdout.readline().strip()
        assert get(url)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    with pytest.raises((OSError, HTTPException)):  # refused, or cut off half way
        while time.monotonic() < deadline:
            get(url)
            time.sleep(0.1)
