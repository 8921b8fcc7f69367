"""Predictions: given, kept, compared with what the code shows."""

import json

import numpy as np
import pytest

from varhandle.display import TONES
from varhandle.sandbox import Record
from workbook_lib import lesson
from workbook_lib.lesson import predictions, progress
from workbook_lib.lesson.content import Question
from workbook_lib.lesson.predictions import Prediction

OPTIONS = {"add": "at model.add", "convert": "in converter.convert()", None: "nowhere"}
WHY = "The shapes of `kernel` do not fit."
STORED = "the_article/where-it-stops"


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(path))
    monkeypatch.setattr(progress, "_unsaved", [])
    return path


def ask(text, options, name="demo/any"):
    return Prediction(Question(name, text, dict(enumerate(options)), WHY))


def predict(options=OPTIONS):
    return Prediction(Question("demo/stop", "Where does it stop?", options, WHY))


def test_the_text_without_an_answer_is_always_the_same():
    assert predict().text() == (
        "Predict: Where does it stop?\n"
        "  a) at model.add\n"
        "  b) in converter.convert()\n"
        "  c) nowhere\n"
        "Choose it in the running notebook, "
        'or call `lesson.predict("demo/stop").answer("a")` in a new cell.'
    )
    bundle = predict()._repr_mimebundle_()
    assert bundle == predict()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_backticks_mark_code_in_the_drawn_form_only():
    asked = ask("Is `a < b` kept by `f`?", ["`yes`", "no"])
    assert asked.text().startswith("Predict: Is `a < b` kept by `f`?\n  a) `yes`")
    drawn = asked.html()
    assert "Is <code>a &lt; b</code> kept by <code>f</code>?" in drawn
    assert "a) <code>yes</code>" in drawn
    assert "`" not in drawn


def test_an_odd_backtick_does_not_reach_into_the_next_line():
    drawn = ask("What is a ` in a shell?", ["a `", "b"]).html()
    assert drawn.count("<code>") == 1  # the one in how to answer
    assert "What is a ` in a shell?" in drawn


@pytest.mark.parametrize("choice", ["b", "B", " b ", "in converter.convert()"])
def test_a_letter_or_the_text_of_an_option_is_an_answer(choice):
    stop = predict()
    assert "Noted: in converter.convert()" in stop.answer(choice).text()
    assert stop.answered == "in converter.convert()"


def test_an_option_that_is_a_letter_wins_over_the_letter():
    prediction = ask("Which?", ["b", "a"])
    prediction.answer("a")
    assert prediction.answered == "a"


@pytest.mark.parametrize("choice", ["d", "", "somewhere", "model.add", 0, None])
def test_any_other_answer_names_the_options(choice):
    with pytest.raises(ValueError, match=r"a\) at model.add; b\) in converter.convert\(\); c\)"):
        predict().answer(choice)


@pytest.mark.parametrize("options", [[], ["one"], ["a", "b", "a"], [str(n) for n in range(27)]])
def test_options_are_two_to_26_and_distinct(options):
    with pytest.raises(ValueError, match="2 to 26 options"):
        ask("Which?", options)


def test_comparing_without_a_prediction_says_so_and_records_nothing(log):
    comparison = predict().compare(None)
    assert comparison.correct is None
    assert comparison.text().startswith("Not predicted yet\nObserved: nowhere.")
    assert not log.exists()


def test_comparing_says_as_predicted_or_otherwise(log):
    stop = predict()
    stop.answer("c")
    assert stop.compare(None).text().startswith("As you predicted")
    assert progress.read().predictions["demo/stop"].correct is True
    otherwise = stop.compare("add")
    assert otherwise.text().splitlines() == [
        "Otherwise than you predicted",
        "You expected: nowhere.",
        "Observed: at model.add.",
        "Which of your assumptions was wrong?",
    ]
    assert progress.read().predictions["demo/stop"].correct is False
    assert repr(otherwise) == "Comparison(Otherwise than you predicted)"


def test_observing_what_is_no_option_is_an_error_of_the_notebook():
    with pytest.raises(ValueError, match="demo/stop: observed 'elsewhere', and the options are"):
        predict().compare("elsewhere")


def test_a_key_is_found_by_its_value_whatever_made_it():
    asked = Question("demo/count", "?", {0: "none", 1: "one"}, WHY, key_of=len)
    assert asked.observed(["a"]) == "one"
    asked = Question("demo/flag", "?", {True: "yes", False: "no"}, WHY)
    assert [asked.observed(np.bool_(flag)) for flag in (True, False)] == ["yes", "no"]
    asked = Question("demo/number", "?", {9: "9", None: "refused"}, WHY)
    assert [asked.observed(seen) for seen in (np.float32(9), None)] == ["9", "refused"]


def test_a_question_is_found_by_its_id_and_observed_by_it():
    asked = lesson.predict(STORED)
    asked.answer("b")
    shown = lesson.observe(STORED, Record("raised", line="model.add("))
    assert "Otherwise" in shown.title
    assert "Observed: at model.add." in shown.text()
    assert "Observed otherwise" in asked.text()


def test_what_was_predicted_before_a_restart_is_compared(monkeypatch):
    lesson.predict(STORED).answer("a")
    monkeypatch.setattr(predictions, "_shown", {})
    assert lesson.observe(STORED, Record("raised", line="model.add(")).correct is True


@pytest.mark.parametrize("name", ["the_article/no-such", "no-such/lesson", "nothing", ""])
def test_an_id_that_nobody_asks_names_those_there_are(name):
    with pytest.raises(ValueError, match="there are"):
        lesson.predict(name)


def test_an_answer_is_restored_until_it_is_reset():
    predict().answer("a")
    assert predict().answered == "at model.add"
    assert "Your answer: at model.add." in predict().text()
    progress.record("reset", ids=["demo/stop"])
    assert predict().answered is None


def test_an_answer_to_options_that_are_gone_is_not_restored():
    predict().answer("a")
    assert predict({1: "here", 2: "there"}).answered is None


def test_a_headless_run_does_not_see_the_learners_answer(monkeypatch):
    predict().answer("a")
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    assert predict().answered is None


def test_progress_that_cannot_be_kept_is_said_in_the_note_and_the_comparison(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "file" / "progress.jsonl"))
    stop = predict()
    assert "not kept" in stop.answer("a").text()
    assert "not kept" in stop.compare("add").text()


def test_question_and_options_are_escaped():
    html = ask("Is a < b?", ["<b>", "&"]).html()
    assert "Is a &lt; b?" in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def radio_buttons(box):
    return next(child for child in box.children if type(child).__name__ == "RadioButtons")


def test_a_notebook_shows_buttons_and_the_plain_forms_in_one_bundle(notebook):
    stop = predict()
    stop._ipython_display_()
    view = "application/vnd.jupyter.widget-view+json"
    assert set(notebook.bundles[0]) == {"text/plain", "text/html", view}
    assert notebook.bundles[0]["text/plain"] == stop.text()


def test_a_click_answers_is_recorded_and_is_noted_in_place(notebook, log):
    stop = predict()
    box = stop._buttons()
    assert {"workbook-prediction", "workbook-controls"} <= set(box._dom_classes)
    buttons = radio_buttons(box)
    assert buttons.index is None
    assert buttons.tooltip == "Where does it stop?"
    buttons.index = 1
    assert stop.answered == "in converter.convert()"
    assert json.loads(log.read_text())["answer"] == "in converter.convert()"
    assert "Noted: in converter.convert()" in box.children[2].value
    assert radio_buttons(predict()._buttons()).index == 1


def test_buttons_give_way_to_the_plain_form_once_an_answer_is_compared(notebook):
    stop = predict()
    stop._ipython_display_()
    stop.compare(None)
    assert len(notebook.bundles) == 1  # no answer yet, so that it can still be given
    stop.answer("a")
    stop.compare(None)
    assert set(notebook.bundles[1]) == {"text/plain", "text/html"}
    assert "Your answer: at model.add." in notebook.bundles[1]["text/html"]


@pytest.mark.parametrize(
    ("observed", "word", "tone"),
    [("add", "As observed.", "right"), (None, "Observed otherwise", "wrong")],
)
def test_the_outcome_is_said_where_the_answer_was_given(notebook, observed, word, tone):
    stop = predict()
    stop._ipython_display_()
    stop.answer("a")
    stop.compare(observed)
    shown = notebook.bundles[1]
    assert word in shown["text/plain"]
    assert TONES[tone][1] in shown["text/html"]
    stop.answer("b")  # another answer is open again
    assert word not in stop.text()


VIEW = "application/vnd.jupyter.widget-view+json"


def parts(comparison):
    ask, sentence, line, answer, *_ = comparison.control()[1].children
    return ask, sentence, line.children[0], answer


def test_the_model_answer_comes_after_a_sentence_of_ones_own_which_is_kept(notebook, log):
    stop = predict()
    stop.answer("a")
    comparison = stop.compare("add")
    above, _, text = comparison.control()
    ask, sentence, show, answer = parts(comparison)
    assert ask.value == text == "Can you say why, in one sentence?"
    assert "in one sentence" not in above.text(), "it is asked once"
    show.click()
    assert "a sentence of your own first" in answer.value
    assert not progress.read().reasons
    assert "shapes" not in above.text() + answer.value
    sentence.value = "  <b>Shapes</b>,\n I think. "
    show.click()
    assert "The shapes of <code>kernel</code> do not fit." in answer.value
    assert "&lt;b&gt;Shapes&lt;/b&gt;, I think." in answer.value
    assert progress.read().reasons == {"demo/stop": "<b>Shapes</b>, I think."}
    _, sentence, _, answer = parts(stop.compare("add"))
    assert sentence.value == "<b>Shapes</b>, I think."
    assert "do not fit" in answer.value


def test_what_was_observed_outlives_the_kernel_that_the_box_needs(notebook):
    stop = predict()
    stop.answer("a")
    stop.compare("add")._ipython_display_()
    above, box = notebook.bundles
    assert "As you predicted" in above["text/html"]
    assert VIEW not in above
    assert VIEW in box
    assert box["text/plain"] == "Can you say why, in one sentence?"


@pytest.mark.parametrize(
    ("answer", "asked"), [("a", "say why"), ("b", "Which of your assumptions"), (None, "say why")]
)
def test_what_is_asked_fits_the_outcome(notebook, answer, asked):
    stop = predict()
    if answer:
        stop.answer(answer)
    assert asked in parts(stop.compare("add"))[0].value


def test_the_model_answer_is_in_no_plain_form(notebook):
    stop = predict()
    stop.answer("a")
    for form in (stop.compare("add").text(), stop.compare("add").html(), stop.html()):
        assert "do not fit" not in form


def test_no_buttons_where_nobody_can_click(notebook, monkeypatch):
    import sys

    def forms():
        stop = predict()
        stop._ipython_display_()
        shown = VIEW in notebook.bundles[-1]
        try:
            stop.compare("add")._ipython_display_()
        except NotImplementedError:  # so IPython asks for the plain forms
            return [shown, False]
        return [shown, VIEW in notebook.bundles[-1]]

    with monkeypatch.context() as without:
        without.setitem(sys.modules, "ipywidgets", None)
        assert forms() == [False, False]
    with monkeypatch.context() as without:
        without.delattr(type(notebook), "kernel")
        assert forms() == [False, False]
    assert forms() == [True, True]
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    assert forms() == [False, False]
