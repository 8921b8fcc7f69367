"""The questions of every lesson, as data; the functions that read an answer off a run; the quiz."""

import ast
import re
import subprocess
import sys

import pytest

import varhandle
from workbook_lib import lesson
from workbook_lib.lesson import progress
from workbook_lib.lesson.content import (
    card_of,
    lessons,
    nearest,
    prediction_question,
    prediction_questions,
    quiz_questions,
)
from workbook_lib.lesson.links import OFFICIAL_PAGES
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.predictions import Prediction
from workbook_lib.locations import project_root

ASKED = [question for name in lessons() for question in prediction_questions(name)]
QUIZZES = [question for name in lessons() for question in quiz_questions(name)]
every_prediction = pytest.mark.parametrize("question", ASKED, ids=lambda question: question.id)
every_quiz = pytest.mark.parametrize("question", QUIZZES, ids=lambda question: question.id)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))
    monkeypatch.setattr(progress, "_unsaved", [])


def test_the_notebooks_ask_every_question_and_no_other():
    outlines = read_outlines()
    assert sorted(id for one in outlines for id in one.predictions) == sorted(
        question.id for question in ASKED
    )
    assert sorted(id for one in outlines for id in one.quiz) == sorted(
        question.id for question in QUIZZES
    )


@every_prediction
def test_a_prediction_can_be_asked_and_has_a_model_answer_of_a_few_sentences(question):
    assert prediction_question(question.id) is question
    assert Prediction(question).options
    assert 12 <= len(question.why.split()) <= 60, question.why
    assert question.why.endswith(".")


@every_quiz
def test_a_quiz_question_has_one_right_option_and_a_reason_for_each(question):
    assert question.right in question.options
    assert 3 <= len(question.options) <= 4
    for reason in question.options.values():
        assert len(reason.split()) >= 4
        assert reason.endswith(".")


def test_a_quiz_has_three_questions_and_the_right_option_is_not_always_in_one_place():
    for name in lessons():
        questions = quiz_questions(name)
        assert len(questions) in (0, 3)
        places = {list(one.options).index(one.right) for one in questions}
        assert len(places) == len(questions), name


def test_ids_are_there_once_and_begin_as_their_lesson():
    ids = [question.id for question in (*ASKED, *QUIZZES)]
    assert len(set(ids)) == len(ids)
    for name in lessons():
        for question in (*prediction_questions(name), *quiz_questions(name)):
            assert question.id.startswith(f"{name}/")


RECUT = [one for one in read_outlines() if one.file[0] in "1239" and one.name in lessons()]
every_lesson = pytest.mark.parametrize("found", RECUT, ids=lambda found: found.name)


@every_lesson
def test_a_prediction_has_a_debrief_for_whoever_teaches(found):
    for question in prediction_questions(found.name):
        assert len(question.debrief.split()) >= 12, question.id
        assert question.debrief.endswith((".", "?"))


@every_prediction
def test_a_debrief_counts_nobody(question):
    """Nobody has counted who chooses what. Known is why a wrong answer tempts."""
    counts = r"\b(Many|Most|Few|Some|Others|Everybody|Nobody|Nearly (all|everybody))\b"
    assert not re.search(counts, question.debrief), question.debrief


@every_lesson
def test_a_card_is_short_and_its_cure_is_run_by_the_tests_of_its_lesson(found):
    card = card_of(found.name)
    if card is None:
        assert not found.exercises, "a lesson has a card"
        return
    for sentence in (card.symptom, card.cause):
        assert len(sentence.split()) <= 30
        assert sentence.endswith(".")
    assert card.pages
    tests = (project_root() / "tests" / "lesson" / f"test_{found.name}.py").read_text()
    lines = range(len(card.cure.splitlines()))
    assert _lines_run(tests, found.name, lines) == set(lines)


def _lines_run(tests, name, lines):
    """The lines of a cure that tests run: all of them, or those of ``lines=slice(…)``."""
    calls = [node for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Call)]
    run = set()
    for call in calls:
        if ast.unparse(call.func) == "run_cure" and ast.literal_eval(call.args[0]) == name:
            given = {word.arg: word.value for word in call.keywords}
            cut = ast.unparse(given["lines"]) if "lines" in given else "slice(None)"
            bounds = ast.literal_eval(cut.removeprefix("slice(").removesuffix(")") + ",")
            run |= set(lines[slice(*bounds)])
    return run


@every_lesson
def test_the_cure_of_a_card_is_three_lines_of_plain_tensorflow(found):
    card = card_of(found.name)
    if card is None:
        return
    assert 1 <= len(card.cure.splitlines()) <= 3
    wide = [line for line in card.cure.splitlines() if len(line) > 96]
    assert wide == [], "a window of 1280 pixels breaks it"
    nodes = [*ast.walk(ast.parse(card.cure))]
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert not any(isinstance(node, ast.Import) for node in nodes)
    assert {node.module.partition(".")[0] for node in imports} <= {"tensorflow", "ai_edge_litert"}
    own = {alias.asname or alias.name for node in imports for alias in node.names}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    assert not (used - own) & {"varhandle", *varhandle.__all__}


def test_the_right_option_of_a_quiz_is_not_told_by_its_length():
    """Taking the longest option, or the shortest, of every question is no better than guessing."""
    right = {"longest": 0, "shortest": 0}
    for question in QUIZZES:
        lengths = sorted(question.options, key=len)
        right["longest"] += lengths[-1] == question.right
        right["shortest"] += lengths[0] == question.right
    assert max(right.values()) <= 0.4 * len(QUIZZES), right


def test_a_card_is_shown_with_its_pages_as_links():
    card = lesson.card("the_error")
    title, address = card.pages[0]
    assert card.text().startswith(f"Symptom: {card.card.symptom}\nCause: {card.card.cause}\nCure:")
    assert f"  {title}: {address}" in card.text()
    assert f'<a href="{address}" target="_blank" rel="noopener">{title}</a>' in card.html()
    with pytest.raises(ValueError, match="no lesson 'nowhere'"):
        lesson.card("nowhere")


def test_every_official_page_is_used_and_is_on_a_site_of_the_makers():
    used = {key for name in lessons() if (card := card_of(name)) for key in card.pages}
    assert used == set(OFFICIAL_PAGES)
    addresses = [address for _, address in OFFICIAL_PAGES.values()]
    assert len(set(addresses)) == len(addresses)
    github = r"github\.com/(tensorflow|google-ai-edge)"
    sites = rf"(ai\.google\.dev/edge|www\.tensorflow\.org|keras\.io|{github})"
    for title, address in OFFICIAL_PAGES.values():
        assert re.fullmatch(rf"https://{sites}/[\w/.#-]+", address), address
        assert title[0].isupper(), title


def test_reading_all_questions_imports_nothing_heavy():
    code = (
        "import sys\nfrom workbook_lib.lesson.content import lessons, quiz_questions\n"
        "[quiz_questions(name) for name in lessons()]\n"
        "print(*sorted({'tensorflow', 'numpy', 'IPython', 'ipywidgets'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


@pytest.mark.parametrize(
    ("seen", "function", "key"),
    [
        (43.0, nearest(40, 100, 255), 40),
        (250.0, nearest(40, 100, 255), 255),
    ],
)  # fmt: skip
def test_what_a_run_left_behind_is_read_as_a_key(seen, function, key):
    assert function(seen) == key


def test_the_text_of_a_quiz_has_its_options_and_no_reason():
    quiz = lesson.quiz("the_error")
    assert quiz.text().startswith("Quiz on this lesson\n1. A Keras model has 5 variables")
    assert '`lesson.quiz("the_error").answer(1, "a")`' in quiz.text()
    for question in quiz.questions:
        for option, reason in question.options.items():
            assert option in quiz.text()
            assert reason not in quiz.text() + quiz.html()
    assert set(quiz._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert repr(quiz) == "Quiz(the_error: 3 questions)"


def test_a_wrong_option_gives_its_reason_and_the_right_one_all_of_them():
    quiz, first = lesson.quiz("the_error"), quiz_questions("the_error")[0]
    wrong = quiz.answer(1, "a").text()
    assert wrong.startswith("Not this one\nThe numbers are in it")
    assert first.options[first.right] not in wrong
    right = quiz.answer(1, "b").text()
    assert right.startswith("Right\n")
    assert all(reason in right for reason in first.options.values())
    assert progress.read().quizzes[first.id] == progress.QuizRecord(first.right, True)


@pytest.mark.parametrize(("number", "choice"), [(0, "a"), (4, "a"), (1, "z"), (1, "")])
def test_what_is_no_question_or_option_is_refused(number, choice):
    with pytest.raises(ValueError, match=r"1 to 3|letters a, b, c"):
        lesson.quiz("the_error").answer(number, choice)


def test_a_quiz_that_nobody_wrote_names_those_there_are():
    with pytest.raises(ValueError, match=r"there are .*three_fixes"):
        lesson.quiz("no such")


def test_a_click_on_an_option_is_answered_below_it_and_kept(notebook):
    def radio(box):
        return next(child for child in box.children if type(child).__name__ == "RadioButtons")

    quiz = lesson.quiz("the_error")
    assert "application/vnd.jupyter.widget-view+json" in quiz._repr_mimebundle_()
    first, second, *_ = quiz.control().children
    assert radio(first).index is None
    radio(first).index = 0
    assert "Not this one" in first.children[-1].value
    radio(first).index = 1
    assert "Right" in first.children[-1].value
    assert "Right" not in second.children[-1].value
    again = lesson.quiz("the_error").control().children[0]
    assert radio(again).index == 1
    assert "Right" in again.children[-1].value
