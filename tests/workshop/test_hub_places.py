"""Places at a hub: who is seen to be in one, and how one is given back."""

import json
import re
import threading

import pytest
import requests

from benchmarks.participant import wait_until
from tests.workshop.conftest import at_work
from workbook_lib.lesson.outline import read_outlines
from workshop.hub_folder import GIVE_BACK
from workshop.presence import PRESENCE
from workshop.user_numbers import processes_of

LESSON = read_outlines()[-1]


@pytest.fixture(scope="module")
def instructor(hub):
    visitor = hub.visitor("instructor")
    visitor.sign_in("", hub.code("instructor code"))
    return visitor


def row_of(instructor, name):
    """Return the words of somebody's row in the table of who is here."""
    page = instructor.get("/services/class/").text
    table = page.partition('id="who"')[2].partition("</table>")[0]
    rows = [row for row in table.split("<tr>") if f">{name}</th>" in row]
    return " ".join(re.sub(r"<[^>]+>", " ", rows[0]).split()) if rows else ""


def press(visitor, name=""):
    """Open the page, and press its button."""
    page = visitor.get(f"/hub{GIVE_BACK}{f'?name={name}' if name else ''}")
    hidden = dict(re.findall(r'name="(_xsrf|name)" value="([^"]+)"', page.text))
    if page.status_code != 200:
        return page
    return visitor.session.post(f"{visitor.address}/hub{GIVE_BACK}", data=hidden, timeout=120)


def test_who_runs_a_lesson_is_seen_and_nothing_needs_to_be_answered(hub, ada, instructor):
    assert not (hub.folder.homes / "ada" / ".workbook" / "progress.jsonl").exists()
    lesson = ada.kernel(LESSON.file)
    label = f"{LESSON.number} {LESSON.title}"
    wait_until(lambda: label in row_of(instructor, "ada"), "the lesson is seen")
    assert row_of(instructor, "ada").startswith("ada open ")
    assert "another notebook" in row_of(instructor, "ada"), "the name of one's own is not told"
    go = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)"
    runs = threading.Thread(target=lesson.run, args=(go,))
    runs.start()
    try:
        wait_until(lambda: f"{label}, running" in row_of(instructor, "ada"), "a cell is seen")
    finally:
        ada.work.run("open('go', 'w').close()")
        runs.join()
    wait_until(lambda: ", running" not in row_of(instructor, "ada"), "its end is seen")
    lesson.close()
    wait_until(lambda: label not in row_of(instructor, "ada"), "the kernel's end is seen")
    grid = instructor.get("/services/class/").text.partition('id="lessons"')[2]
    assert f'title="ada, {LESSON.number}: ' in grid
    assert "opened" in re.search(rf'title="ada, {LESSON.number}: ([^"]*)"', grid)[1]
    assert "not opened" in re.search(r'title="ada, 00: ([^"]*)"', grid)[1]


def test_who_has_only_signed_in_has_a_place_and_has_not_used_it(hub, instructor):
    hub.visitor("cyd").sign_in(hub.code(), "cyd's own")
    assert row_of(instructor, "cyd").startswith("cyd not used")


def test_a_server_that_has_ended_is_a_closed_place(hub, bob, instructor):
    wait_until(lambda: row_of(instructor, "bob").startswith("bob open"), "bob is here")
    bob.ask("DELETE", f"{hub.address}/hub/api/users/bob/server")
    wait_until(lambda: row_of(instructor, "bob").startswith("bob closed"), "bob has gone")


def test_what_a_participant_notes_is_only_believed_as_far_as_it_goes(hub, ada, instructor):
    """The note is theirs to write: it can name no lesson that there is not, and breaks no page."""
    note = {"notebooks": [{"file": "<b>x</b>", "busy": True, "last": "now"}], "seen": {}}
    work = ada.kernel()  # one that is not used for a minute is cut off
    for content in (json.dumps(note), "[1]", "{" * 9000, "\0"):
        work.run(f"open('../{PRESENCE}', 'w').write({content!r})")
        assert (hub.folder.homes / "ada" / PRESENCE).read_text() == content
        page = instructor.get("/services/class/")
        assert page.status_code == 200
        assert "<b>x</b>" not in page.text


def test_a_look_alike_of_a_taken_name_is_refused_with_the_reason(hub, ada):
    for name in ("\u0430da", "a d a", "Adá"):
        answer = hub.visitor(name).sign_in(hub.code(), "a password")
        assert answer.status_code == 403
        assert "is easily taken for" in answer.text
    assert hub.folder.read("passwords").keys() <= {"ada", "bob", "cyd"}


def test_nobody_gives_anothers_place_back(hub, ada, bob):
    assert bob.get(f"/hub{GIVE_BACK}?name=ada").status_code == 403
    page = bob.get(f"/hub{GIVE_BACK}").text
    fields = {"_xsrf": re.search(r'name="_xsrf" value="([^"]+)"', page)[1], "name": "ada"}
    address = f"{hub.address}/hub{GIVE_BACK}"
    assert bob.session.post(address, data=fields, timeout=30).status_code == 403
    assert bob.session.post(address, data={"name": "bob"}, timeout=30).status_code == 403, "XSRF"
    assert "/hub/login" in requests.get(address, timeout=30).url
    assert {"ada", "bob"} <= hub.folder.read("passwords").keys()


def test_a_place_is_given_back_by_whoever_has_it(hub, ada, instructor):
    assert f"/hub{GIVE_BACK}" in ada.get("/hub/home").text
    work = ada.kernel()
    work.run("open('mine.txt', 'w').write('what ada wrote')")
    token = work.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
    number = (hub.folder.homes / "ada").stat().st_uid
    assert list(processes_of(range(number, number + 1)))

    done = press(ada)
    assert "Your place is given back" in done.text
    assert not list(processes_of(range(number, number + 1)))
    assert not (hub.folder.homes / "ada").exists()
    kept = hub.folder.given_back / "ada-1" / "notebooks" / "mine.txt"
    assert kept.read_text() == "what ada wrote"
    assert row_of(instructor, "ada") == ""
    assert "/hub/login" in ada.get("/hub/home").url

    # Somebody else takes the name: with their own password, number and home.
    other = at_work(hub, "ada")
    assert other.work.run("import os; print(os.getuid())") != str(number)
    assert "mine.txt" not in other.names_in("notebooks")
    assert "/hub/login" in ada.get("/hub/home").url, "an old cookie opens nothing"
    headers = {"Authorization": f"token {token}"}
    old = requests.get(f"{hub.address}/user/ada/api/contents", headers=headers, timeout=30)
    assert old.status_code == 403, "nor does an old token"


@pytest.mark.parametrize("door", ["the class page", "the hub's list of users"])
def test_the_instructor_gives_a_place_back(hub, instructor, door):
    if door == "the class page":
        name = "bob"
        assert f'href="/hub{GIVE_BACK}?name=bob"' in instructor.get("/services/class/").text
        assert "The place of bob is given back" in press(instructor, name).text
    else:
        name = "cyd"
        instructor.get("/hub/admin")
        answer = instructor.ask("DELETE", f"{hub.address}/hub/api/users/{name}")
        assert answer.status_code == 204
    assert name not in hub.folder.read("passwords")
    assert row_of(instructor, name) == ""
    assert press(instructor, name).status_code == 404


def test_the_instructors_own_place_stays(hub, instructor):
    assert press(instructor).status_code == 400
    assert hub.visitor("instructor").sign_in("", hub.code("instructor code")).status_code == 200
