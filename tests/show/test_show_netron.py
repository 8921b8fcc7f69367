import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from workbook_lib import show
from workbook_lib.graph.model import ModelFileError
from workbook_lib.show.netron_server import quiet_page


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
    index = (
        '<meta name="version" content="9"><meta name="date" content="d"><script src="i"></script>'
    )
    page = quiet_page(index, "data/x", '"><script>alert(1)</script>')
    assert "<script>alert" not in page


def test_an_unknown_page_is_refused():
    with pytest.raises(ValueError, match="has no"):
        quiet_page("<html></html>", "data/x", "x")
