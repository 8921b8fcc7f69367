"""Progress files of a class, read together."""

import json

import pytest
from class_of_thirty import write_class

from workbook_lib.lesson.progress import ExerciseRecord
from workshop.classroom import read_classroom, state_of


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
    assert "<script>" not in classroom.html()
    assert "\x1b" not in classroom.text() + classroom.html()
