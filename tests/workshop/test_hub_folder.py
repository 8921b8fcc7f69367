"""A room's folder, and what is chosen for it."""

import asyncio
import os
import socket
import time
from dataclasses import asdict

import pytest

from workshop.hub_folder import HubConfig, HubFolder, HubSettings, free_port


@pytest.fixture
def room(tmp_path):
    made = HubFolder(tmp_path / "room")
    made.make()
    return made


def test_codes_are_made_once_and_are_for_one_user_alone(room):
    codes = dict(room.secrets)
    assert len(set(codes.values())) == len(codes) == 5
    assert HubFolder(room.folder).secrets == codes
    file = room.state / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert room.state.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in room.state.iterdir()] == ["secrets.json"]


def test_rooms_have_different_codes(room, tmp_path):
    other = HubFolder(tmp_path / "other")
    other.make()
    assert not set(other.secrets.values()) & set(room.secrets.values())


def test_a_code_has_no_letter_that_is_taken_for_another(room):
    for name in ("room code", "instructor code"):
        assert not set(room.secrets[name]) & set("il1o0")
    assert len(room.secrets["room code"].replace("-", "")) == 8


def test_a_folder_that_was_open_is_shut(room):
    room.state.chmod(0o755)
    room.homes.chmod(0o777)
    room.make()
    assert room.state.stat().st_mode & 0o777 == 0o700
    assert room.homes.stat().st_mode & 0o777 == 0o711


@pytest.fixture
def authenticator(room, monkeypatch):
    pytest.importorskip("jupyterhub")
    from workshop.authenticator import WorkshopAuthenticator

    monkeypatch.setenv("WORKBOOK_HUB", str(room.folder))
    config = HubConfig(HubSettings(places=2), 1, 2, 3, 20_000, False, None)
    room.write("started", asdict(config))
    return WorkshopAuthenticator()


def sign_in(authenticator, name, password, code):
    """Return who somebody is, or why not; and how many seconds the answer took."""
    from tornado.web import HTTPError

    started = time.monotonic()
    form = {"username": name, "password": password, "otp": code}
    try:
        answer = asyncio.run(authenticator.authenticate(None, form))["name"]
    except HTTPError as error:
        answer = error.log_message
    return answer, time.monotonic() - started


def test_there_are_as_many_places_as_the_instructor_says(room, authenticator):
    code = room.secrets["room code"]
    names = ["ada", "bob", "cyd", "ada"]
    answers = [sign_in(authenticator, name, "their own", code)[0] for name in names]
    assert answers[:2] + answers[3:] == ["ada", "bob", "ada"]
    assert "All places of this room are taken" in answers[2]
    assert sign_in(authenticator, "dan", "short", code)[0].startswith("Choose a password")


def test_trying_one_code_after_the_other_is_slow(room, authenticator):
    assert sign_in(authenticator, "ada", "their own", room.secrets["room code"])[0] == "ada"
    for name, password, code in (
        ("eve", "a password", "aaaa-bbbb"),
        ("ada", "another one", room.secrets["room code"]),
        ("instructor", "a password", ""),
    ):
        answer, seconds = sign_in(authenticator, name, password, code)
        assert answer != name
        assert seconds >= 0.5


def test_what_is_written_is_whole_or_not_there(room, monkeypatch):
    room.write("passwords", {"ada": "x"})

    def no_space(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        room.write("passwords", {"ada": "x", "bob": "y"})
    assert room.read("passwords") == {"ada": "x"}
    assert [path.name for path in room.state.iterdir()] == ["passwords.json"]


def test_the_next_port_is_taken_where_one_is_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port, 50) < port + 50
        with pytest.raises(OSError, match="in use"):
            free_port("127.0.0.1", port)
