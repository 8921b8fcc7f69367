"""The extension in a real Jupyter Server, below a base URL and behind a token."""

import os
from urllib.parse import quote

import pytest

from workbook_lib.netron.tickets import TicketFolder


@pytest.fixture
def model(tmp_path):
    (tmp_path / "my model.tflite").write_bytes(b"TFL3 bytes")
    return tmp_path / "my model.tflite"


@pytest.fixture(scope="session")
def rooted(jupyter):
    """Models under the server's root, and what must not be shown."""
    root = jupyter.root
    (root / "models").mkdir()
    (root / "models" / "né w.tflite").write_bytes(b"under the root")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "m.tflite").write_bytes(b"hidden")
    (root / ".m.tflite").write_bytes(b"hidden")
    (root.parent / "outside.tflite").write_bytes(b"outside")
    (root / "link.tflite").symlink_to(root.parent / "outside.tflite")
    (root / "inner.tflite").symlink_to(root / "models" / "né w.tflite")
    (root / "saved" / "variables").mkdir(parents=True)
    (root / "saved" / "saved_model.pb").write_bytes(b"pb")
    (root / "empty").mkdir()
    return jupyter


def ticket_name(ticket):
    return ticket.url.partition("=")[2]


def test_a_kernels_ticket_shows_its_model(jupyter, kernel_of, model):
    kernel_of(jupyter)
    folder = TicketFolder.of_this_kernel()
    assert folder == jupyter.tickets
    assert folder.base_url == "/user/ada/"
    ticket = folder.write(model)
    page = jupyter.get(ticket.url)
    assert page.status == 200
    file = f"../ticket/{ticket_name(ticket)}/my%20model.tflite"
    assert f'<meta name="file" content="{file}">'.encode() in page.body
    assert jupyter.get(ticket.probe).status == 204
    answer = jupyter.get(f"ticket/{ticket_name(ticket)}/my%20model.tflite?cb=1")
    assert (answer.status, answer.body) == (200, b"TFL3 bytes")
    for beside in ("other", "../my%20model.tflite", "%2e%2e/x", "a%00b"):
        assert jupyter.get(f"ticket/{ticket_name(ticket)}/{beside}").status == 404
    ticket.close()
    assert jupyter.get(ticket.url).status == jupyter.get(ticket.probe).status == 404


def test_a_model_larger_than_a_chunk_comes_whole(jupyter, model):
    content = os.urandom((1 << 21) + 17)
    model.write_bytes(content)
    ticket = jupyter.tickets.write(model)
    answer = jupyter.get(f"ticket/{ticket_name(ticket)}/my%20model.tflite")
    assert answer.body == content
    assert answer.headers["Content-Length"] == str(len(content))


def test_two_saved_models_side_by_side(jupyter, tmp_path):
    tickets = []
    for name in ("one", "two"):
        (tmp_path / name / "variables").mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").write_text(f"pb {name}")
        (tmp_path / name / "variables" / "variables.index").write_text(f"index {name}")
        tickets.append(jupyter.tickets.write(tmp_path / name))
    for ticket, name in zip(tickets, ("one", "two"), strict=True):
        below = f"ticket/{ticket_name(ticket)}"
        assert jupyter.get(f"{below}/saved_model.pb").body == f"pb {name}".encode()
        assert jupyter.get(f"{below}/variables/variables.index").body == f"index {name}".encode()


@pytest.mark.parametrize("name", ["a" * 22, "server.json", "..%2Fserver.json", "x", "%00"])
def test_a_wrong_ticket_is_not_found(jupyter, name):
    assert jupyter.get(f"page/?ticket={name}").status == 404
    assert jupyter.get(f"ticket/{name}/").status == 404


@pytest.mark.parametrize("path", ["models/né w.tflite", "saved", "saved/saved_model.pb", "/saved/"])
def test_a_model_under_the_root_is_shown(rooted, path):
    page = rooted.get(f"page/?path={quote(path)}")
    assert page.status == 200
    path = path.strip("/")
    main = "saved/saved_model.pb" if path == "saved" else path
    assert f'<meta name="file" content="../../../files/{quote(main)}">'.encode() in page.body
    assert rooted.get(f"/user/ada/files/{quote(main)}").status == 200


OUTSIDE = ("../outside.tflite", "models/../../outside.tflite", "/etc/passwd")
HIDDEN = (".m.tflite", ".hidden/m.tflite")
NO_MODEL = ("nothing.tflite", "empty", "", "a\0b", "a" * 300)


@pytest.mark.parametrize("path", [*OUTSIDE, *HIDDEN, *NO_MODEL])
def test_what_jupyter_hides_is_not_found(rooted, path):
    assert rooted.get(f"page/?path={quote(path, safe='')}").status == 404


@pytest.mark.parametrize("name", ["link.tflite", "inner.tflite"])
def test_a_link_is_what_it_is_to_jupyter_itself(rooted, name):
    """The page opens nothing: the model comes from Jupyter's own files/, or does not."""
    page = rooted.get(f"page/?path={name}")
    assert f'<meta name="file" content="../../../files/{name}">'.encode() in page.body
    assert b"outside" not in page.body
    if name == "inner.tflite":
        assert rooted.get(f"/user/ada/files/{name}").body == b"under the root"


def test_nothing_without_a_login_which_a_ticket_is_not(rooted, model):
    ticket = rooted.tickets.write(model)
    unticketed = ("page/?path=saved", "page/index.js", f"ticket/{'a' * 22}/")
    for path in (*unticketed, ticket.url, ticket.probe, f"{ticket.probe}my%20model.tflite"):
        answer = rooted.get(path, token=None)
        assert answer.status == 302
        assert answer.headers["Location"].startswith("/user/ada/login?next=")
        assert rooted.get(path, token="wrong").status in (302, 403)


def test_nobody_without_the_right_to_read_contents(start_jupyter, model, tmp_path, monkeypatch):
    (tmp_path / "rights.py").write_text(
        "from jupyter_server.auth.authorizer import Authorizer\n"
        "class NoContents(Authorizer):\n"
        "    def is_authorized(self, handler, user, action, resource):\n"
        "        return (action, resource) != ('read', 'contents')\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    server = start_jupyter("--ServerApp.authorizer_class=rights.NoContents")
    ticket = server.tickets.write(model)
    for path in (ticket.url, ticket.probe, "page/index.js", "page/quiet.js"):
        assert server.get(path).status == 403


def test_the_page_may_ask_its_own_server_alone(jupyter, model):
    headers = jupyter.get(jupyter.tickets.write(model).url).headers
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == policy["script-src"] == policy["frame-ancestors"] == "'self'"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_who_may_frame_the_page_is_the_servers_word(start_jupyter, model):
    headers = {"Content-Security-Policy": "frame-ancestors 'self' https://course.example"}
    server = start_jupyter(f"--ServerApp.tornado_settings={{'headers': {headers}}}")
    policy = server.get(server.tickets.write(model).url).headers["Content-Security-Policy"]
    assert policy.endswith("; frame-ancestors 'self' https://course.example")
    assert policy.startswith("default-src 'none'")


def test_netrons_own_files(jupyter):
    script = jupyter.get("page/index.js")
    assert (script.status, script.headers["Content-Type"]) == (200, "text/javascript")
    assert b"consent" in jupyter.get("page/quiet.js").body
    again = jupyter.get("page/index.js", **{"If-None-Match": script.headers["Etag"]})
    assert again.status == 304
    for other in ("server.py", "__init__.py", "nothing.js", "..%2Fsetup.js", "index.html.js"):
        assert jupyter.get(f"page/{other}").status == 404


def test_the_dark_form(jupyter, model):
    url = jupyter.tickets.write(model).url
    assert b"theme=dark" not in jupyter.get(url).body
    page = jupyter.get(f"{url}&theme=dark").body
    assert b'href="grapher.css?theme=dark"' in page
    assert b"prefers-color-scheme" not in page
    assert b"prefers-color-scheme" not in jupyter.get("page/grapher.css?theme=dark").body
    assert b"prefers-color-scheme" in jupyter.get("page/grapher.css").body


def test_the_folder_goes_with_the_server(start_jupyter):
    server = start_jupyter()
    assert server.tickets.path.is_dir()
    server.process.terminate()
    server.process.wait(timeout=30)
    assert not server.tickets.path.exists()
