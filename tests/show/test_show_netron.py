import gc
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from workbook_lib import show
from workbook_lib.graph.model import ModelFileError
from workbook_lib.show.netron_server import NetronServer, find_file, quiet_page
from workbook_lib.show.netron_view import NetronView

INDEX = '<meta name="version" content="9"><meta name="date" content="d"><script src="i"></script>'


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read(), response.headers


@pytest.fixture
def view(tmp_path):
    model = tmp_path / "my model.tflite"
    model.write_bytes(b"TFL3 bytes")
    (tmp_path / "secret.txt").write_text("beside the model")
    view = show.netron(model)
    yield view
    view.close()


def test_page_reports_nothing_and_does_not_expire(view):
    page, headers = get(view.url)
    text = page.decode()
    assert '<meta name="version" content="0.0.0">' in text
    assert f'<meta name="date" content="{time.strftime("%Y-", time.gmtime())}' in text
    assert text.index("no-cookies.js") < text.index("index.js")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy


def test_serves_the_model_and_nothing_beside_it(view):
    assert get(f"{view.url}data/my%20model.tflite")[0] == b"TFL3 bytes"
    assert b"window" in get(f"{view.url}index.js")[0]
    for path in (
        "data/secret.txt",
        "data/../secret.txt",
        "data/%2e%2e/x",
        "../server.py",
        "server.py",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(view.url + path)


@pytest.mark.parametrize("name", ["a%00b.js", f"{'a' * 300}.js", "data/%00"])
def test_a_name_that_no_file_can_have_is_not_found(view, name):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(view.url + name)


def test_find_file_returns_none_for_such_a_name(tmp_path):
    assert find_file(tmp_path, "a\0b.js") is None
    assert find_file(tmp_path, "a" * 300) is None


def provoke_fault(port):
    """Send an address that Python refuses to split; wait until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET http://[ HTTP/1.0\r\n\r\n")
        assert client.recv(1) == b""


def test_faults_do_not_fill_a_pipe_and_block_the_server(view):
    """Each would write a traceback, and a pipe holds some 43 of them."""
    for _ in range(100):
        provoke_fault(urlsplit(view.url).port)
    assert get(view.url)


def test_a_fault_in_the_server_is_silent(tmp_path, capfd):
    (tmp_path / "index.html").write_text(INDEX)
    with NetronServer(tmp_path, tmp_path) as server:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            server.handle_error(None, ("127.0.0.1", 1))
    assert capfd.readouterr() == ("", "")


def test_what_the_server_says_when_it_cannot_start_is_passed_on(tmp_path):
    (tmp_path / "index.html").write_text("<html></html>")
    with pytest.raises(RuntimeError, match=r"did not start: ValueError: this Netron's index\.html"):
        NetronView(tmp_path / "m.tflite", tmp_path)


def test_a_view_that_is_dropped_ends_its_server(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"x")
    view = show.netron(tmp_path / "m.tflite")
    url = view.url
    assert get(url)
    del view
    gc.collect()
    with pytest.raises(urllib.error.URLError):
        get(url)


def test_the_main_file_may_be_a_link_out_of_the_folder(tmp_path):
    blobs, model = tmp_path / "blobs", tmp_path / "model"
    blobs.mkdir()
    (blobs / "b1").write_bytes(b"pb")
    (blobs / "b2").write_bytes(b"beside")
    model.mkdir()
    (model / "saved_model.pb").symlink_to(blobs / "b1")
    (model / "other.pb").symlink_to(blobs / "b2")
    (model / "m.tflite").symlink_to(blobs / "b1")
    folder, file = show.netron(model), show.netron(model / "m.tflite")
    try:
        assert get(f"{folder.url}data/saved_model.pb")[0] == b"pb"
        assert get(f"{file.url}data/m.tflite")[0] == b"pb"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{folder.url}data/other.pb")
    finally:
        folder.close()
        file.close()


def test_nothing_without_the_secret_prefix(view):
    parts = urlsplit(view.url)
    assert parts.hostname == "127.0.0.1"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"http://{parts.netloc}/")


def test_forms(view, read_html):
    assert view.text() == (
        "Netron: my model.tflite\n"
        "Your own machine serves this page, to itself alone; nothing is sent anywhere else.\n"
        "It stays empty where the kernel runs on another machine than the browser "
        "(JupyterHub, Binder).\n"
        "To stop it, call .close() on this result; it also stops with the kernel."
    )
    assert repr(view) == "NetronView(my model.tflite, open)"
    page = read_html(view.html())
    assert page.all("iframe")[0]["src"] == page.all("a")[0]["href"] == view.url
    assert page.all("iframe")[0]["title"] == "Netron: the graph of my model.tflite"


def test_close(view, read_html):
    view.close()
    view.close()
    assert view.text() == "Netron: my model.tflite, closed."
    assert not read_html(view.html()).all("iframe")
    with pytest.raises(urllib.error.URLError):
        get(view.url)


def test_two_models_at_once(tmp_path):
    views = []
    for name in ("a.tflite", "b.tflite"):
        (tmp_path / name).write_text(name)
        views.append(show.netron(tmp_path / name))
    try:
        assert [get(f"{each.url}data/{each.model.name}")[0] for each in views] == [
            b"a.tflite",
            b"b.tflite",
        ]
    finally:
        for each in views:
            each.close()


def test_saved_model_folder(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"pb")
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    view = show.netron(tmp_path)
    try:
        assert b'content="data/saved_model.pb"' in get(view.url)[0]
        assert get(f"{view.url}data/variables/variables.index")[0] == b"index"
    finally:
        view.close()


def test_ends_with_the_process_that_started_it(tmp_path):
    model = tmp_path / "m.tflite"
    model.write_bytes(b"x")
    code = f"from workbook_lib import show; import os, time; v = show.netron({str(model)!r}); "
    code += "print(v.url, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        url = parent.stdout.readline().strip()
        assert get(url)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    with pytest.raises(OSError):  # refused, or reset half way
        while time.monotonic() < deadline:
            get(url)
            time.sleep(0.1)


def test_missing_model_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"nothing\.tflite: there is no such file"):
        show.netron(tmp_path / "nothing.tflite")
    with pytest.raises(ModelFileError, match=re.escape(f"{tmp_path}: a folder without")):
        show.netron(tmp_path)


def test_name_is_escaped_in_the_page():
    page = quiet_page(INDEX, "data/x", '"><script>alert(1)</script>')
    assert "<script>alert" not in page


def test_an_unknown_page_is_refused():
    with pytest.raises(ValueError, match="has no"):
        quiet_page("<html></html>", "data/x", "x")
