import os
import signal
import stat
import subprocess
import sys

import pytest

from workbook_lib.netron import tickets
from workbook_lib.netron.tickets import VARIABLE, TicketFolder


@pytest.fixture
def folder(tmp_path):
    return TicketFolder.make(tmp_path / "runtime", "/user/ada/")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"TFL3")
    return tmp_path / "m.tflite"


def name_of(ticket):
    return ticket.url.partition("=")[2]


def shown(folder, name, relative=""):
    """What a server reads of the model of a ticket."""
    opened = folder.open(name, relative)
    if opened is None:
        return None
    with opened[1] as file:
        return opened[0], file.read()


def test_a_ticket_shows_its_model_and_nothing_beside_it(folder, model):
    (model.parent / "other").write_text("beside")
    name = name_of(folder.write(model))
    assert shown(folder, name) == shown(folder, name, "m.tflite") == ("m.tflite", b"TFL3")
    assert shown(folder, name, "other") is None
    assert shown(folder, name, "../m.tflite") is None


def test_it_is_below_the_base_url_and_nobody_else_can_read_it(folder, model):
    written = folder.write(model)
    assert written.url == f"/user/ada/workbook/netron/page/?ticket={name_of(written)}"
    assert written.probe == f"/user/ada/workbook/netron/ticket/{name_of(written)}/"
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder.path / name_of(written)).stat().st_mode) == 0o600


def test_one_that_others_can_write_is_not_taken(folder, model):
    written = folder.write(model)
    (folder.path / name_of(written)).chmod(0o620)
    assert shown(folder, name_of(written)) is None


def test_another_users_is_not_taken(folder, model, monkeypatch):
    written = folder.write(model)
    monkeypatch.setattr(tickets.os, "geteuid", lambda: os.getuid() + 1)
    assert shown(folder, name_of(written)) is None


def test_a_link_is_not_taken(folder, model, tmp_path):
    written = folder.write(model)
    (folder.path / name_of(written)).replace(tmp_path / "elsewhere")
    (folder.path / name_of(written)).symlink_to(tmp_path / "elsewhere")
    assert shown(folder, name_of(written)) is None


@pytest.mark.parametrize("name", ["", "..", "server.json", "a" * 22, "../" + "a" * 19, "é" * 22])
def test_a_wrong_name_is_no_ticket(folder, name):
    assert shown(folder, name) is None


def test_a_ticket_of_another_folder_is_not_reached_by_a_path(folder, model, tmp_path):
    other = TicketFolder.make(tmp_path / "runtime", "/user/ada/").write(model)
    path = next(folder.path.parent.glob(f"*/{name_of(other)}"))
    assert shown(folder, f"../{path.parent.name}/{path.name}") is None


def test_a_pipe_in_its_place_does_not_make_the_server_wait(folder):
    os.mkfifo(folder.path / ("a" * 22), 0o600)
    assert shown(folder, "a" * 22) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": 1, "stamp": 2}'])
def test_a_damaged_one_is_no_ticket(folder, model, content):
    written = folder.write(model)
    (folder.path / name_of(written)).write_bytes(content)
    assert shown(folder, name_of(written)) is None


def test_close_ends_it(folder, model):
    written = folder.write(model)
    written.close()
    written.close()
    assert written.closed
    assert shown(folder, name_of(written)) is None


def test_it_ends_with_the_kernel_even_if_that_is_killed(folder, model):
    code = "import sys, time; from pathlib import Path; "
    code += "from workbook_lib.netron.tickets import TicketFolder; "
    code += f"t = TicketFolder(Path({str(folder.path)!r}), '/').write(Path({str(model)!r})); "
    code += "print(t.url, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as kernel:
        name = kernel.stdout.readline().strip().partition("=")[2]
        assert shown(folder, name)
        os.kill(kernel.pid, signal.SIGKILL)
        kernel.wait()
    assert shown(folder, name) is None
    assert not (folder.path / name).exists()


def test_it_never_shows_another_model_of_the_same_path(folder, model):
    name = name_of(folder.write(model))
    model.with_name("new").write_bytes(b"TFL4")
    model.with_name("new").replace(model)
    assert shown(folder, name) is None
    model.unlink()
    assert shown(folder, name) is None


def test_without_a_model_there_is_no_ticket(folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        folder.write(tmp_path / "nothing.tflite")
    assert [path.name for path in folder.path.iterdir()] == ["server.json"]


def test_where_there_are_no_locks_there_is_no_ticket(folder, model, monkeypatch):
    def refuse(descriptor):
        raise OSError("no locks available")

    monkeypatch.setattr(tickets, "_lock", refuse)
    with pytest.raises(OSError, match="no locks"):
        folder.write(model)
    assert [path.name for path in folder.path.iterdir()] == ["server.json"]


def test_a_kernel_finds_the_folder_of_its_server(folder, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(folder.path))
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    assert TicketFolder.of_this_kernel() == folder


def test_a_kernel_of_another_program_does_not(folder, monkeypatch):
    """Papermill in a terminal of JupyterLab: the variable is there, the parent is papermill."""
    monkeypatch.setenv(VARIABLE, str(folder.path))
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert TicketFolder.of_this_kernel() is None
    monkeypatch.delenv("JPY_PARENT_PID")
    assert TicketFolder.of_this_kernel() is None


@pytest.mark.parametrize("value", ["", ".", "/nonexistent", "a\0b"])
def test_a_variable_that_leads_nowhere_is_no_folder(value, monkeypatch):
    monkeypatch.setattr(tickets.os, "environ", {VARIABLE: value, "JPY_PARENT_PID": "1"})
    assert TicketFolder.of_this_kernel() is None


def test_a_folder_that_others_can_enter_is_not_taken(folder, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(folder.path))
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    folder.path.chmod(0o750)
    assert TicketFolder.of_this_kernel() is None
