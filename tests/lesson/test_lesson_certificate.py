"""The certificate: what counts as everything, and what stands on the page."""

import json
import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from workbook_lib.cli import main
from workbook_lib.lesson import certificate, overview, progress
from workbook_lib.lesson.content import lessons, quiz_questions
from workbook_lib.lesson.drill_catalog import all_drills
from workbook_lib.lesson.outline import read_outlines

QUIZ = next(name for name in lessons() if len(quiz_questions(name)) == 3)
START = datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc)


def write(folder, name, *, predictions=(), exercises=(), quiz=""):
    code = [f'lesson.predict("{id}")' for id in predictions]
    code += [f'lesson.quiz("{quiz}")'] if quiz else []
    cells = [{"cell_type": "code", "source": "\n".join(code), "metadata": {}}]
    for id in exercises:
        about = {"tags": ["exercise"], "workbook": {"exercise": id}}
        cells.append({"cell_type": "code", "source": "def f(): ...", "metadata": about})
    content = {"cells": cells, "metadata": {"workbook": {"title": f"Lesson <{name[:2]}>"}}}
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A learner's copy of two lessons and an appendix, with everything done but the appendix."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (tmp_path / ".workbook").mkdir()
    write(folder, "11_see.ipynb", predictions=("a", "b"), exercises=("x",), quiz=QUIZ)
    write(folder, "21_do.ipynb", exercises=("y", "z"))
    write(folder, "31_read.ipynb")
    write(folder, "91_aside.ipynb", predictions=("c",), exercises=("w",))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / ".workbook" / "progress.jsonl"))
    monkeypatch.setenv("WORKBOOK_FOLDER", str(tmp_path))
    monkeypatch.setattr(progress, "_unsaved", [])
    return tmp_path


def everything():
    """Return the events of all that is required, a minute apart."""
    quiz = read_outlines()[0].quiz
    assert len(quiz) == 3
    return [
        # A prediction that the code then refutes is made all the same.
        *({"event": "prediction", "id": id, "answer": "1"} for id in "ab"),
        {"event": "comparison", "id": "a", "correct": False},
        *({"event": "quiz", "id": id, "answer": "1", "correct": True} for id in quiz),
        *({"event": "exercise", "id": id, "status": "right"} for id in "xyz"),
    ]


def record(copy, events):
    stamped = [
        {**event, "time": (START + timedelta(days=number)).isoformat()}
        for number, event in enumerate(events)
    ]
    file = copy / ".workbook" / "progress.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in stamped))


def plain(page):
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(text.split())


def test_it_is_earned_without_the_appendix_and_the_drills(copy, capsys):
    record(copy, everything())
    assert main(["certificate", "--name", "Ada <b>Lovelace</b>"]) == 0
    page = (copy / "certificate.html").read_text(encoding="utf-8")
    assert str(copy / "certificate.html") in capsys.readouterr().out
    assert "<b>Lovelace" not in page and "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in page
    said = plain(page)
    assert "every quiz question of 2 lessons" in said
    assert "11 Lesson &lt;11&gt; 2 1 3 Dec 6, 2026" in said
    assert "21 Lesson &lt;21&gt; none 2 none Dec 8, 2026" in said
    assert "finished on December 8, 2026" in said
    assert f"0 of {len(all_drills())} drills are right. Appendix: none." in said
    assert "learner's own record" in said and "nobody has signed it" in said


@pytest.mark.parametrize("left_out", range(9))
def test_whatever_is_missing_there_is_none(copy, capsys, left_out):
    events = everything()
    gone = events.pop(left_out)
    record(copy, events)
    if gone["event"] == "comparison":  # a prediction counts as it is made
        assert main(["certificate"]) == 0
        return
    assert main(["certificate"]) == 1
    number = "21" if gone["id"] in "yz" else "11"
    what = {"quiz": "quiz question"}.get(gone["event"], gone["event"])
    assert f"  {number} Lesson <{number}>: 1 {what}\n" in capsys.readouterr().out
    assert not (copy / "certificate.html").exists()


def test_a_quiz_question_that_was_answered_wrongly_last_is_missing(copy):
    events = everything()
    quiz = next(event for event in events if event["event"] == "quiz")
    record(copy, [*events, {**quiz, "correct": False}])
    assert main(["certificate"]) == 1
    record(copy, [*events, {**quiz, "correct": False}, quiz])
    assert main(["certificate"]) == 0


def test_what_is_forgotten_is_missing_again_and_keeps_no_date(copy):
    record(copy, [*everything(), {"event": "reset", "ids": ["y", "z"]}])
    assert main(["certificate"]) == 1
    known = progress.read()
    assert "y" not in known.times and known.times["x"] == START + timedelta(days=6)


def test_the_appendix_and_the_drills_are_named(copy):
    drill = {"event": "exercise", "id": all_drills()[0].id, "status": "right"}
    aside = {"event": "prediction", "id": "c", "answer": "1"}
    record(copy, [*everything(), aside, drill])
    assert main(["certificate"]) == 0
    said = plain((copy / "certificate.html").read_text(encoding="utf-8"))
    assert (
        f"1 of {len(all_drills())} drills are right. Appendix: Lesson &lt;91&gt; (1 of 2)." in said
    )
    assert "finished on December 8, 2026" in said, "what is not required does not move the date"


class _Addresses(HTMLParser):
    found = ()

    def handle_starttag(self, tag, attributes):
        names = ("src", "href", "action", "data", "srcset", "poster")
        self.found += tuple(value for name, value in attributes if name in names)


def test_the_page_asks_nobody_for_anything(copy):
    record(copy, everything())
    page = certificate.read_certificate().html()
    reader = _Addresses()
    reader.feed(page)
    assert reader.found == ()
    assert "url(" not in page and "@import" not in page and "<script" not in page
    assert "default-src 'none'" in page
    assert re.search(r'<label for="name">.*?<input id="name" value="" ', page, re.DOTALL)


def test_the_board_links_to_it_when_all_is_done_and_not_before(copy, monkeypatch):
    record(copy, everything()[:-1])
    assert overview.board().certificate is None
    assert not (copy / "certificate.html").exists()
    record(copy, everything())
    board = overview.board()
    assert '<a href="../certificate.html">your certificate</a>' in board.html()
    assert (copy / "notebooks" / "../certificate.html").is_file()
    assert "certificate.html" in board.text()
    assert board.following.file == "91_aside.ipynb"
    (copy / "certificate.html").unlink()
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    monkeypatch.setattr(progress, "_unsaved", everything())
    assert overview.board().certificate is None, "a headless run leaves nothing behind"
    assert not (copy / "certificate.html").exists()


def test_a_page_that_cannot_be_written_is_one_line(copy, capsys):
    record(copy, everything())
    (copy / "file").write_text("")
    assert main(["certificate", "--output", str(copy / "file" / "page.html")]) != 0
    assert capsys.readouterr().err.count("\n") == 1
    (copy / "certificate.html").mkdir()
    assert overview.board().certificate is None
