"""Progress files of a class, read together."""

import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from class_of_thirty import write_class

from workbook_lib.lesson.drill_catalog import all_drills
from workbook_lib.lesson.outline import NotebookOutline
from workbook_lib.lesson.progress import ExerciseRecord, fold
from workshop.class_page import render_class
from workshop.classroom import (
    Classroom,
    Learner,
    place_status,
    read_classroom,
    read_learner,
    state_of,
)
from workshop.presence import PRESENCE, read_presence


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (ExerciseRecord(), "untouched"),
        (ExerciseRecord("wrong", attempts=1), "trying"),
        (ExerciseRecord("raised", attempts=2, hints=2), "trying"),
        (ExerciseRecord(hints=1), "trying"),
        (ExerciseRecord("wrong", attempts=3), "stuck"),
        (ExerciseRecord(hints=3), "stuck"),
        (ExerciseRecord(solution_opened=True), "stuck"),
        (ExerciseRecord("right", attempts=9, hints=3, solution_opened=True), "right"),
    ],
)
def test_what_stuck_means(record, state):
    assert state_of(record) == state


def test_each_exercise_counts_its_class(tmp_path):
    exercises = write_class(tmp_path)
    classroom = read_classroom(tmp_path)
    assert len(classroom.learners) == 30
    for number, standing in enumerate(classroom.exercises):
        assert standing.id == exercises[number]
        assert standing.count("right") == max(0, 29 - number)
        state = ("stuck", "trying", "untouched")[number % 3]
        if number < 30:
            assert f"learner-{number:02d}" in standing.learners[state]
        assert sum(standing.count(each) for each in standing.learners) == 30
    assert all(standing.count("stuck") for standing in classroom.worst_first)


def test_most_stuck_first(tmp_path):
    wrong = {"event": "exercise", "status": "wrong"}
    exercises = write_class(tmp_path, size=1)
    for name, which in (("a", 4), ("b", 4), ("c", 2)):
        events = [json.dumps({**wrong, "id": exercises[which]})] * 3
        (tmp_path / f"{name}.jsonl").write_text("\n".join(events))
    classroom = read_classroom(tmp_path)
    assert [standing.id for standing in classroom.worst_first][:2] == [exercises[4], exercises[0]]
    assert classroom.worst_first[0].learners["stuck"] == ["a", "b"]


def test_how_the_class_voted(tmp_path):
    write_class(tmp_path, size=5)
    (standing,) = read_classroom(tmp_path).predictions
    assert (standing.votes, standing.right, standing.compared) == ({"a": 3, "b": 2}, 3, 5)
    event = {"event": "prediction", "id": standing.id, "answer": "b"}
    (tmp_path / "not-compared.jsonl").write_text(json.dumps(event))
    (standing,) = read_classroom(tmp_path).predictions
    assert (standing.votes, standing.right, standing.compared) == ({"a": 3, "b": 3}, 3, 5)


def test_a_damaged_file_costs_its_own_row_and_is_named(tmp_path):
    exercises = write_class(tmp_path, size=3)
    good = (tmp_path / "learner-02.jsonl").read_bytes()
    (tmp_path / "cut.jsonl").write_bytes(good[:10] + b"\n" + good)
    (tmp_path / "picture.jsonl").write_bytes(b"\x89PNG\r\n\x1a\n" * 9)
    (tmp_path / "empty.jsonl").write_bytes(b"")
    classroom = read_classroom(tmp_path)
    assert {learner.name: learner.damage for learner in classroom.learners if learner.damage} == {
        "cut": "1 line cannot be read",
        "picture": "no event in it: no progress file",
        "empty": "no event in it: no progress file",
    }
    cut = next(learner for learner in classroom.learners if learner.name == "cut")
    assert cut.progress.exercise(exercises[0]).best == "right"
    assert "cut: 1 line cannot be read" in classroom.text()


def test_a_folder_for_each_learner(tmp_path):
    write_class(tmp_path, size=1)
    inner = tmp_path / "alice" / ".workbook"
    inner.mkdir(parents=True)
    (tmp_path / "learner-00.jsonl").rename(inner / "progress.jsonl")
    assert [learner.name for learner in read_classroom(tmp_path).learners] == ["alice"]


def test_names_are_shown_safely(tmp_path):
    write_class(tmp_path, size=1)
    (tmp_path / "learner-00.jsonl").rename(tmp_path / "<script>x\x1b[31m.jsonl")
    classroom = read_classroom(tmp_path)
    page = render_class(classroom)
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "\x1b" not in classroom.text() + page


NOON = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
LESSONS = (
    NotebookOutline("11_see.ipynb", "See", "?", 9, ("a", "b"), ("x", "y"), ("q",)),
    NotebookOutline("12_look.ipynb", "Look", "?", 9, ("c",), (), ("r", "s")),
)


def note(*notebooks, age=5.0, **seen):
    """Make a server's note: notebooks as (file, busy, minutes before noon)."""
    every = [
        {"file": file, "busy": busy, "last": (NOON - timedelta(minutes=ago)).isoformat()}
        for file, busy, ago in notebooks
    ]
    known = {
        f"{name}.ipynb": (NOON - timedelta(minutes=ago)).isoformat() for name, ago in seen.items()
    }
    return read_presence(json.dumps({"notebooks": every, "seen": known}).encode(), age)


def a_class(**learners):
    return Classroom(
        [Learner(name, fold(events), presence=there) for name, (events, there) in learners.items()],
        LESSONS,
    )


def words(page, part):
    """Return the cells of each row of a page's table, by the name in the first."""
    table = page.partition(f'id="{part}"')[2].partition("</table>")[0]
    rows = {}
    for row in table.split("<tr>")[2:]:
        cells = [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.split("</t[hd]>", row)
        ]
        rows[cells[0]] = cells[1:]
    return rows


def test_the_page_says_who_is_here_and_in_which_lesson():
    at = (NOON - timedelta(minutes=7)).isoformat()
    done = [
        {"event": "prediction", "id": "a", "answer": "1", "time": at},
        {"event": "exercise", "id": "x", "status": "right", "time": at},
        {"event": "exercise", "id": all_drills()[0].id, "status": "right", "time": at},
        {"event": "quiz", "id": "q", "answer": "1", "correct": False, "time": at},
        {"event": "quiz", "id": "r", "answer": "1", "correct": True, "time": at},
    ]
    classroom = a_class(
        answers=(done, note(("11_see.ipynb", False, 9))),
        runs=([], note(("12_look.ipynb", True, 0), ("diary.ipynb", False, 3))),
        left=([], note(("11_see.ipynb", True, 90), age=3600, **{"11_see": 90})),
        never=([], note(age=10.0**9 + 1)),
    )
    page = render_class(classroom, NOON)
    rows = words(page, "who")
    assert rows["answers"][:7] == ["open", "11 See", "7 min ago", "1", "1", "2", "1"]
    assert rows["runs"][:3] == ["open", "12 Look, running; another notebook", ""]
    assert rows["left"][:2] == ["closed", ""]
    assert rows["never"][:3] == ["not used", "", ""]
    assert "diary" not in page
    figures = re.findall(r"<b>(\d+)</b>(.*?)</li>", page)
    assert figures == [
        ("4", "learners"),
        ("2", "places open"),
        ("2", "in a lesson"),
        ("1", "running a cell"),
        ("0", "stuck"),
    ]


def test_a_lesson_that_was_run_to_its_end_is_not_like_one_that_was_never_opened():
    there = note(**{"11_see": 30})
    rows = words(render_class(a_class(runs=([], there), never=([], note())), NOON), "lessons")
    assert rows["runs"][:2] == ["0/5", "·"]
    assert rows["never"][:2] == ["·", "·"]
    classroom = a_class(runs=([], there))
    assert classroom.as_dict()["learners"][0]["begun"] == ["11"]
    assert classroom.text().splitlines()[-1].endswith(" 11")


@pytest.mark.parametrize(
    ("age", "place"), [(0, "open"), (44, "open"), (46, "closed"), (-3600, "not used")]
)
def test_a_note_grows_old_and_one_from_the_future_is_none(age, place):
    assert place_status(Learner("x", fold([]), presence=note(age=age, **{"11_see": 1}))) == place


def test_a_handed_in_file_says_nothing_of_a_place(tmp_path):
    write_class(tmp_path, size=2)
    page = render_class(read_classroom(tmp_path))
    assert "places open" not in page
    assert "Who has done what" in page


def test_a_home_in_which_lessons_were_only_opened_is_a_learner(tmp_path):
    write_class(tmp_path, size=1)
    (tmp_path / "bea" / PRESENCE.parent).mkdir(parents=True)
    seen = {"00_start_here.ipynb": NOON.isoformat()}
    (tmp_path / "bea" / PRESENCE).write_text(json.dumps({"notebooks": [], "seen": seen}))
    learners = read_classroom(tmp_path).learners
    assert [learner.name for learner in learners] == ["bea", "learner-00"]
    assert learners[0].last == NOON and not learners[0].damage


def test_what_somebody_wrote_is_not_on_the_page():
    events = [
        {"event": "prediction", "id": "a", "answer": "an option"},
        {"event": "reason", "id": "a", "sentence": "what ada thinks"},
    ]
    content = "\n".join(json.dumps(event) for event in events).encode()
    learner = read_learner("ada", content)
    assert learner.progress.reasons
    page = render_class(Classroom([learner], LESSONS), NOON)
    assert "what ada thinks" not in page
    assert "an option" in page
