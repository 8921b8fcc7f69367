"""A room's folder, and what is chosen for it."""

import os
import socket

import pytest

from workshop.hub_folder import HubFolder, free_port


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
