"""The event log: nothing is lost, nothing in it can stop a lesson."""

import json
import multiprocessing
import os
import re
import sys
from pathlib import Path

import pytest

from workbook_lib import lesson
from workbook_lib.lesson import progress
from workbook_lib.locations import project_root


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "progress.jsonl"
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(path))
    monkeypatch.setattr(progress, "_unsaved", [])
    return path


def test_events_fold_into_the_best_status_and_counts(log):
    for status in ("raised", "right", "wrong"):
        progress.record("exercise", id="a/b", status=status)
    progress.record("hint", id="a/b", number=2)
    progress.record("hint", id="a/b", number=1)
    progress.record("solution", id="a/c")
    progress.record("exercise", id="a/c", status="wrong")
    known = progress.read()
    assert known.exercise("a/b") == progress.ExerciseRecord("right", 3, 2, False)
    assert known.exercise("a/c") == progress.ExerciseRecord("wrong", 1, solution_opened=True)
    assert known.exercise("never/touched") == progress.ExerciseRecord()


def test_a_new_answer_forgets_the_old_comparison(log):
    progress.record("prediction", id="p", answer="x")
    progress.record("comparison", id="p", correct=False)
    assert progress.read().predictions["p"] == progress.PredictionRecord("x", False)
    progress.record("prediction", id="p", answer="y")
    assert progress.read().predictions["p"] == progress.PredictionRecord("y", None)


def test_sentences_and_quiz_answers_are_kept_and_the_last_one_counts(log):
    for sentence in ("first", "last"):
        progress.record("reason", id="p", sentence=sentence)
        progress.record("prediction", id="p", answer="x")
    for answer, correct in (("a", False), ("b", True)):
        progress.record("quiz", id="q", answer=answer, correct=correct)
    known = progress.read()
    assert known.reasons == {"p": "last"}
    assert known.quizzes == {"q": progress.QuizRecord("b", True)}
    progress.record("reset", ids=["p", "q"])
    assert progress.read() == progress.Progress()


def test_a_file_of_the_first_release_is_read(log):
    log.parent.mkdir()
    log.write_text(
        '{"event": "prediction", "id": "the_article/where-it-stops", "answer": "at model.add"}\n'
        '{"event": "comparison", "id": "the_article/where-it-stops", "correct": true}\n'
        '{"event": "exercise", "id": "a/b", "status": "right"}\n'
    )
    known = progress.read()
    stop = progress.PredictionRecord("at model.add", True)
    assert known.predictions == {"the_article/where-it-stops": stop}
    assert lesson.predict("the_article/where-it-stops").answered == "at model.add"
    assert known.exercise("a/b").best == "right"


def test_a_reset_forgets_its_ids_only_and_destroys_nothing(log):
    progress.record("exercise", id="a/b", status="right")
    progress.record("exercise", id="c/d", status="right")
    progress.record("prediction", id="a/p", answer="x")
    before = log.read_text()
    progress.record("reset", ids=["a/b", "a/p"])
    known = progress.read()
    assert set(known.exercises) == {"c/d"}
    assert not known.predictions
    assert log.read_text().startswith(before)


def test_nothing_but_the_stamp_of_an_event_asks_what_time_it_is():
    """A clock may jump: every wait and every length of time goes by one that does not."""
    asks = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(")
    found = {
        path.name: len(asks.findall(path.read_text(encoding="utf-8")))
        for path in (project_root() / "workbook_lib").rglob("*.py")
    }
    assert {name: count for name, count in found.items() if count} == {"progress.py": 1}


def test_the_order_in_the_file_decides_and_not_the_clock(log):
    log.parent.mkdir()
    events = [
        {"event": "prediction", "id": "p", "answer": "first", "time": "2099-01-01T00:00:00"},
        {"event": "prediction", "id": "p", "answer": "last", "time": "1970-01-01T00:00:00"},
    ]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert progress.read().predictions["p"].answer == "last"


@pytest.mark.parametrize(
    "garbage",
    [
        b'{"event": "exercise", "id": "a", "sta',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b"[" * 100_000,
        b'{"event": "exercise", "id": ["a"], "status": "right"}',
        b'{"event": "exercise", "id": "a", "status": "splendid"}',
        b'{"event": "hint", "id": "a", "number": "many"}',
        b'{"event": "comparison", "id": "unknown", "correct": true}',
        b'{"event": "reason", "id": "p"}',
        b'{"event": "quiz", "id": ["q"], "answer": "a", "correct": true}',
        b'{"event": "reset"}',
        b'{"event": "reset", "ids": [["a"]]}',
        b'{"event": "of a later version", "id": "a"}',
    ],
)
def test_garbage_is_passed_over_and_the_next_event_starts_a_line(log, garbage):
    progress.record("exercise", id="before", status="right")
    with log.open("ab") as stream:
        stream.write(garbage)
    progress.record("exercise", id="after", status="right")
    assert set(progress.read().exercises) == {"before", "after"}


def test_each_event_is_a_line_of_its_own_without_names_or_machine_facts(log):
    progress.record("exercise", id="a", status="right")
    progress.record("exercise", id="a", status="right")
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    assert set(json.loads(lines[0])) == {"event", "id", "status", "time"}
    assert log.stat().st_mode & 0o077 == 0  # it is nobody else's business


def _write_many(path, name, count):
    os.environ["WORKBOOK_PROGRESS"] = str(path)
    for number in range(count):
        progress.record("exercise", id=f"{name}/{number}", status="right", padding="x" * 200)


def test_processes_that_write_at_once_lose_nothing(log):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(log, name, 400)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(progress.read().exercises) == 1200
    assert all(json.loads(line) for line in log.read_text().splitlines() if line)


def test_a_place_that_cannot_be_written_costs_one_line_of_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "file" / "progress.jsonl"))
    monkeypatch.setattr(progress, "_unsaved", [])
    warning = progress.record("exercise", id="a", status="right")
    assert warning.startswith("Your progress is not kept")
    assert len(warning.splitlines()) == 1
    assert progress.read().exercise("a").best == "right"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only: a device that is full")
def test_a_full_disk_costs_one_line_of_warning(monkeypatch):
    monkeypatch.setenv("WORKBOOK_PROGRESS", "/dev/full")
    monkeypatch.setattr(progress, "_unsaved", [])
    assert "not kept" in progress.record("exercise", id="a", status="right")


def test_a_disk_that_has_room_for_half_an_event_keeps_none(log):
    resource = pytest.importorskip("resource")
    progress.record("exercise", id="a", status="right")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 10, hard))
    try:
        assert "the disk is full" in progress.record("exercise", id="b", status="right")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert progress.read().exercise("b").best == "right"


def test_off_keeps_events_in_memory_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "off").write_text('{"event": "solution", "id": "b"}')
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    monkeypatch.setattr(progress, "_unsaved", [])
    assert not progress.read().exercises
    assert progress.record("exercise", id="a", status="right") == ""
    assert progress.read().exercise("a").best == "right"
    assert not (tmp_path / ".workbook").exists()


def test_off_does_not_read_the_learners_file(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / ".workbook").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.delenv("WORKBOOK_PROGRESS", raising=False)
    monkeypatch.setattr(progress, "_unsaved", [])
    progress.record("prediction", id="p", answer="x")
    assert (tmp_path / ".workbook" / "progress.jsonl").is_file()
    assert progress.read().predictions
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    assert not progress.read().predictions


def test_without_a_project_around_it_the_package_or_the_working_folder_is_used(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    package_parent = Path(progress.__file__).resolve().parents[2]
    expected = package_parent if (package_parent / "notebooks").is_dir() else tmp_path
    assert progress.working_copy() == expected
    monkeypatch.setattr(progress, "__file__", str(tmp_path / "site" / "a" / "b" / "progress.py"))
    assert progress.working_copy() == tmp_path


def test_importing_a_lesson_loads_nothing_heavy():
    import subprocess

    code = (
        "import sys, workbook_lib.lesson\n"
        "heavy = {'tensorflow', 'IPython', 'ipywidgets', 'matplotlib', 'numpy'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    root = Path(progress.__file__).parents[2]
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=root)
    assert loaded.strip() == ""
