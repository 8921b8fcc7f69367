"""A workshop's folder, and what is chosen for it."""

import asyncio
import contextvars
import os
import socket
import time
from dataclasses import asdict

import pytest

from workshop.hub_folder import SHORTEST_PASSWORD, HubConfig, HubFolder, HubSettings
from workshop.launcher import free_port


def test_codes_are_made_once_and_are_for_one_user_alone(hub_folder):
    codes = dict(hub_folder.secrets)
    assert len(set(codes.values())) == len(codes) == 3
    assert HubFolder(hub_folder.folder).secrets == codes
    file = hub_folder.state / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert hub_folder.state.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in hub_folder.state.iterdir()] == ["secrets.json"]


def test_workshops_have_different_codes(hub_folder, tmp_path):
    other = HubFolder(tmp_path / "other")
    other.make()
    assert not set(other.secrets.values()) & set(hub_folder.secrets.values())


def test_a_code_has_no_letter_that_is_taken_for_another(hub_folder):
    for name in ("workshop code", "instructor code"):
        assert not set(hub_folder.secrets[name]) & set("il1o0")
    assert len(hub_folder.secrets["workshop code"].replace("-", "")) == 8


def test_a_folder_that_was_open_is_shut(hub_folder):
    hub_folder.state.chmod(0o755)
    hub_folder.homes.chmod(0o777)
    hub_folder.make()
    assert hub_folder.state.stat().st_mode & 0o777 == 0o700
    assert hub_folder.homes.stat().st_mode & 0o777 == 0o711


@pytest.fixture
def authenticator(hub_folder, monkeypatch):
    pytest.importorskip("jupyterhub")
    from workshop.authenticator import WorkshopAuthenticator

    monkeypatch.setenv("WORKBOOK_HUB", str(hub_folder.folder))
    config = HubConfig(HubSettings(places=2), 1, 2, 3, 20_000, False, None)
    hub_folder.write("started", asdict(config))
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


def test_there_are_as_many_places_as_the_instructor_says(hub_folder, authenticator):
    code = hub_folder.secrets["workshop code"]
    names, password = ["ada", "bob", "cyd", "ada"], "x" * SHORTEST_PASSWORD
    answers = [sign_in(authenticator, name, password, code)[0] for name in names]
    assert answers[:2] + answers[3:] == ["ada", "bob", "ada"]
    assert "All places of this workshop are taken" in answers[2]
    assert sign_in(authenticator, "dan", password[1:], code)[0].startswith("Choose a password")


@pytest.mark.parametrize(
    ("taken", "names"),
    [
        ("rene", ["René", "r-e-n-e", "r\u0435ne"]),  # the last is Cyrillic in part
        ("bob", ["b0b", "b o b", "\uff42.\uff4f.\uff42"]),
        ("anna1", ["annal", "ANNA-1"]),
        ("søren", ["soren", "s0ren"]),
        ("marnie", ["mamie"]),
        ("instructor", ["instruct0r", "in-structor", "instru\u0441tor"]),
    ],
)
def test_a_name_like_one_that_is_taken_is_refused(hub_folder, authenticator, taken, names):
    code = hub_folder.secrets["workshop code"]
    if taken != "instructor":
        assert sign_in(authenticator, taken, "their own", code)[0] == taken
    for name in names:
        # Whoever knows the other's password does not get in by a look-alike either.
        answer, seconds = sign_in(authenticator, name, "their own", code)
        assert f"is easily taken for “{taken}”" in answer
        assert seconds >= 0.5
    assert hub_folder.read("passwords").keys() <= {taken}


def test_names_that_differ_for_a_reader_are_two_names(hub_folder, authenticator):
    hub_folder.write("started", asdict(HubConfig(HubSettings(), 1, 2, 3, 20_000, False, None)))
    code = hub_folder.secrets["workshop code"]
    names = ["anna", "hanna", "tim", "tom", "iris", "boris", "team-1", "team-2", "李", "季", "кира"]
    assert [sign_in(authenticator, name, "their own", code)[0] for name in names] == names


def test_who_has_a_name_comes_in_with_it_however_it_is_typed(hub_folder, authenticator):
    code = hub_folder.secrets["workshop code"]
    for typed in ("Ada Lovelace", "ada-lovelace", " ADA  LOVELACE ", "ada.lovelace"):
        assert sign_in(authenticator, typed, "their own", code)[0] == "ada-lovelace"


@pytest.mark.parametrize("name", ["a/b", "../eve", "eve\0", "", " - ", "x" * 33])
def test_what_is_no_name_is_refused(hub_folder, authenticator, name):
    code = hub_folder.secrets["workshop code"]
    assert sign_in(authenticator, name, "their own", code)[0].startswith("A name has letters")
    assert hub_folder.read("passwords") == {}


def test_trying_one_code_after_the_other_is_slow(hub_folder, authenticator):
    assert (
        sign_in(authenticator, "ada", "their own", hub_folder.secrets["workshop code"])[0] == "ada"
    )
    for name, password, code in (
        ("eve", "a password", "aaaa-bbbb"),
        ("eve", "a password", hub_folder.secrets["workshop code"][:4]),
        ("eve", "a password", ""),
        ("ada", "another one", hub_folder.secrets["workshop code"]),
        ("instructor", "a password", ""),
    ):
        answer, seconds = sign_in(authenticator, name, password, code)
        assert answer != name
        assert seconds >= 0.5


def test_tries_for_one_name_come_one_after_the_other(hub_folder, authenticator, monkeypatch):
    """However many come at once: a password is guessed no faster in parallel."""
    from tornado.web import HTTPError

    hub_folder.write("passwords", {"ada": "00:ff", "bob": "00:ff"})
    code = hub_folder.secrets["workshop code"]
    current, running, most, real_sleep = contextvars.ContextVar("name"), {}, {}, asyncio.sleep

    async def pause(_):
        name = current.get()
        running[name] = running.get(name, 0) + 1
        most[name] = max(most.get(name, 0), running[name])
        for _ in range(10):
            await real_sleep(0)
        running[name] -= 1

    async def attempt(name):
        current.set(name)
        with pytest.raises(HTTPError):
            await authenticator.authenticate(None, {"username": name, "password": "x", "otp": code})

    async def all_at_once():
        names = ["ada", "bob", "instructor"] * 8
        await asyncio.gather(*(asyncio.create_task(attempt(name)) for name in names))

    monkeypatch.setattr(asyncio, "sleep", pause)
    asyncio.run(all_at_once())
    assert most == {"ada": 1, "bob": 1, "instructor": 1}


def test_what_is_written_is_whole_or_not_there(hub_folder, monkeypatch):
    hub_folder.write("passwords", {"ada": "x"})

    def no_space(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        hub_folder.write("passwords", {"ada": "x", "bob": "y"})
    assert hub_folder.read("passwords") == {"ada": "x"}
    assert [path.name for path in hub_folder.state.iterdir()] == ["passwords.json"]


def test_the_next_port_is_taken_where_one_is_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port, 50) < port + 50
        with pytest.raises(OSError, match="in use"):
            free_port("127.0.0.1", port)
