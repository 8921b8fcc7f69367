"""A participant's home, and what root reads in it."""

import json
import os
import shutil

import pytest

from workbook_lib.lesson.learner_copy import update_copy
from workbook_lib.locations import project_root
from workshop.homes import PROGRESS, collect_records, make_home, make_scratch
from workshop.hub_folder import USER_NUMBERS, HubFolder, WorkshopError
from workshop.presence import PRESENCE, Presence

ROOT = project_root()
EVENT = json.dumps({"event": "hint", "id": "x", "number": 1}) + "\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
FIRST = 1_900_000_000


@pytest.fixture
def home(hub_folder):
    number = hub_folder.number("ada", FIRST)
    make_home(hub_folder.homes / "ada", number)
    return hub_folder.homes / "ada"


@as_root
def test_a_home_is_the_participants_and_closed(home):
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_uid for path in (home, *home.rglob("*"))} == {FIRST + 1}
    names = {path.name for path in (home / "notebooks").glob("*.ipynb")}
    assert names == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert (home / "data" / "digits.npz").exists()


@as_root
def test_a_home_is_the_copy_that_everybody_gets(home, tmp_path):
    update_copy(tmp_path / "copy")
    files = [path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("*.*")]
    assert len(files) > 10
    for name in filter(lambda name: (home / name).is_file(), files):
        assert (home / name).read_bytes() == (tmp_path / "copy" / name).read_bytes(), name
    assert {path.relative_to(home) for path in home.rglob("*.*")} == set(files)


@as_root
def test_a_home_that_is_there_is_left_alone(home):
    notebook = home / "notebooks" / "00_start_here.ipynb"
    notebook.write_text("mine")
    make_home(home, FIRST + 1)
    assert notebook.read_text() == "mine"


@as_root
def test_a_start_that_was_cut_short_leaves_no_half_home(hub_folder):
    half = hub_folder.homes / ".ada.fresh"
    half.mkdir()
    (half / "rest").touch()
    make_home(hub_folder.homes / "ada", FIRST + 1)
    assert not half.exists()
    assert not (hub_folder.homes / "ada" / "rest").exists()


def test_everybody_gets_a_number_of_their_own_and_keeps_it(hub_folder):
    numbers = [hub_folder.number(name, FIRST) for name in ("ada", "bob", "ada")]
    assert numbers == [FIRST + 1, FIRST + 2, FIRST + 1]
    assert HubFolder(hub_folder.folder).number("bob", FIRST) == FIRST + 2


@as_root
def test_progress_is_collected_under_its_name(hub_folder, home):
    (home / PROGRESS).write_text(EVENT)
    os.chown(home / PROGRESS, FIRST + 1, FIRST + 1)
    hub_folder.number("bob", FIRST)
    hub_folder.write("passwords", {"ada": "x", "cyd": "x"})
    found = collect_records(hub_folder, FIRST)
    progress = {name: record.progress for name, record in found.items()}
    assert progress == {"ada": EVENT.encode(), "bob": b"", "cyd": b""}
    assert hub_folder.known_number("cyd", FIRST) is None, "to look is not to give out"


@as_root
@pytest.mark.parametrize("trick", ["link", "folder", "foreign", "pipe", "hard link"])
def test_nothing_but_an_own_file_is_read(hub_folder, home, tmp_path, trick):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / PROGRESS.name).write_text(EVENT)
    progress = home / PROGRESS
    if trick == "link":
        progress.symlink_to(secret / PROGRESS.name)
    elif trick == "folder":
        shutil.rmtree(progress.parent)
        progress.parent.symlink_to(secret)
    elif trick == "pipe":
        os.mkfifo(progress)
        os.chown(progress, FIRST + 1, FIRST + 1)
    elif trick == "hard link":
        os.link(secret / PROGRESS.name, progress)
    else:
        progress.write_text(EVENT)
        os.chown(progress, FIRST + 2, FIRST + 2)
    assert collect_records(hub_folder, FIRST)["ada"].progress == b""


@as_root
def test_a_note_that_is_a_link_is_not_read(hub_folder, home, tmp_path):
    note = {"notebooks": [], "seen": {"00_start_here.ipynb": "2026-11-30T10:00:00+00:00"}}
    (home / PRESENCE).write_text(json.dumps(note))
    os.chown(home / PRESENCE, FIRST + 1, FIRST + 1)
    assert collect_records(hub_folder, FIRST)["ada"].presence.is_open
    (home / PRESENCE).rename(tmp_path / "note")
    (home / PRESENCE).symlink_to(tmp_path / "note")
    assert collect_records(hub_folder, FIRST)["ada"].presence == Presence()


def test_a_name_that_is_given_back_leaves_nothing_to_whoever_takes_it(hub_folder):
    for turn in (1, 2):
        number = hub_folder.number("ada", FIRST)
        hub_folder.write("passwords", {"ada": "x", "bob": "y"})
        home = hub_folder.homes / "ada"
        home.mkdir()
        (home / "mine").write_text(f"{turn}")
        assert hub_folder.participants() == {"ada", "bob"}
        hub_folder.release("ada")
        assert hub_folder.participants() == {"bob"}
        assert hub_folder.read("passwords") == {"bob": "y"}
        assert not home.exists()
        assert (hub_folder.given_back / f"ada-{turn}" / "mine").read_text() == f"{turn}"
        assert hub_folder.number("ada", FIRST) > number
        hub_folder.release("ada")
    assert hub_folder.given_back.stat().st_mode & 0o777 == 0o700


def test_user_numbers_come_to_an_end_and_none_is_given_twice(hub_folder):
    numbers = []
    with pytest.raises(WorkshopError, match="another folder"):
        for _ in range(USER_NUMBERS + 1):
            numbers.append(hub_folder.number("ada", FIRST))
            hub_folder.release("ada")
    assert len(set(numbers)) == len(numbers) == USER_NUMBERS - 2
    assert max(numbers) < FIRST + USER_NUMBERS - 1, "the last of the block is for a try"


@as_root
def test_a_folder_that_somebody_else_made_is_not_taken(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "made")
    (tmp_path / "another's").mkdir(mode=0o700)
    os.chown(tmp_path / "another's", FIRST + 1, FIRST + 1)
    for folder in list(tmp_path.iterdir()):
        with pytest.raises(PermissionError):
            make_scratch(folder, FIRST)
    make_scratch(tmp_path / "own", FIRST)
    make_scratch(tmp_path / "own", FIRST)
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "own").stat().st_uid == FIRST
