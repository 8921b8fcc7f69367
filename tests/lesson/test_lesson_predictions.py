"""Predictions: given, kept, compared with what the code shows."""

import json

import pytest

from varhandle.display import TONES
from workbook_lib import lesson
from workbook_lib.lesson import progress

OPTIONS = ["at model.add", "in converter.convert()", "nowhere"]


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(path))
    monkeypatch.setattr(progress, "_unsaved", [])
    return path


def predict():
    return lesson.predict("demo/stop", "Where does it stop?", OPTIONS)


def test_the_text_without_an_answer_is_always_the_same():
    assert predict().text() == (
        "Predict: Where does it stop?\n"
        "  a) at model.add\n"
        "  b) in converter.convert()\n"
        "  c) nowhere\n"
        "Choose it in the running notebook, "
        'or call `.answer("a")` on this prediction in a new cell.'
    )
    bundle = predict()._repr_mimebundle_()
    assert bundle == predict()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_backticks_mark_code_in_the_drawn_form_only():
    asked = lesson.predict("demo/code", "Is `a < b` kept by `f`?", ["`yes`", "no"])
    assert asked.text().startswith("Predict: Is `a < b` kept by `f`?\n  a) `yes`")
    drawn = asked.html()
    assert "Is <code>a &lt; b</code> kept by <code>f</code>?" in drawn
    assert "a) <code>yes</code>" in drawn
    assert "`" not in drawn


def test_an_odd_backtick_does_not_reach_into_the_next_line():
    drawn = lesson.predict("demo/odd", "What is a ` in a shell?", ["a `", "b"]).html()
    assert drawn.count("<code>") == 1  # the one in how to answer
    assert "What is a ` in a shell?" in drawn


@pytest.mark.parametrize("choice", ["b", "B", " b ", "in converter.convert()"])
def test_a_letter_or_the_text_of_an_option_is_an_answer(choice):
    stop = predict()
    assert "Noted: in converter.convert()" in stop.answer(choice).text()
    assert stop.answered == "in converter.convert()"


def test_an_option_that_is_a_letter_wins_over_the_letter():
    prediction = lesson.predict("demo/letters", "Which?", ["b", "a"])
    prediction.answer("a")
    assert prediction.answered == "a"


@pytest.mark.parametrize("choice", ["d", "", "somewhere", "model.add", 0, None])
def test_any_other_answer_names_the_options(choice):
    with pytest.raises(ValueError, match=r"a\) at model.add; b\) in converter.convert\(\); c\)"):
        predict().answer(choice)


@pytest.mark.parametrize("options", [[], ["one"], ["a", "b", "a"], [str(n) for n in range(27)]])
def test_options_are_two_to_26_and_distinct(options):
    with pytest.raises(ValueError, match="2 to 26 options"):
        lesson.predict("demo/options", "Which?", options)


def test_comparing_without_a_prediction_says_so_and_records_nothing(log):
    comparison = predict().compare("nowhere")
    assert comparison.correct is None
    assert comparison.text().startswith("Not predicted yet\nObserved: nowhere.")
    assert not log.exists()


def test_comparing_says_as_predicted_or_otherwise(log):
    stop = predict()
    stop.answer("c")
    assert stop.compare("nowhere").text().startswith("As you predicted")
    assert progress.read().predictions["demo/stop"].correct is True
    otherwise = stop.compare("at model.add")
    assert otherwise.text().splitlines() == [
        "Otherwise than you predicted",
        "You expected: nowhere.",
        "Observed: at model.add.",
        "Which of your assumptions was wrong?",
    ]
    assert progress.read().predictions["demo/stop"].correct is False
    assert repr(otherwise) == "Comparison(Otherwise than you predicted)"


def test_numbers_can_be_options():
    prediction = lesson.predict("demo/number", "How many?", [1, 2])
    prediction.answer("b")
    assert prediction.compare(2).correct is True


def test_observing_what_is_no_option_is_an_error_of_the_notebook():
    with pytest.raises(ValueError, match="demo/stop: observed 'elsewhere'"):
        predict().compare("elsewhere")


def test_an_answer_is_restored_until_it_is_reset():
    predict().answer("a")
    assert predict().answered == "at model.add"
    assert "Your answer: at model.add." in predict().text()
    progress.record("reset", ids=["demo/stop"])
    assert predict().answered is None


def test_an_answer_to_options_that_are_gone_is_not_restored():
    predict().answer("a")
    assert lesson.predict("demo/stop", "Where?", ["here", "there"]).answered is None


def test_a_headless_run_does_not_see_the_learners_answer(monkeypatch):
    predict().answer("a")
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    assert predict().answered is None


def test_progress_that_cannot_be_kept_is_said_in_the_note_and_the_comparison(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "file" / "progress.jsonl"))
    stop = predict()
    assert "not kept" in stop.answer("a").text()
    assert "not kept" in stop.compare("at model.add").text()


def test_question_and_options_are_escaped():
    html = lesson.predict("demo/html", "Is a < b?", ["<b>", "&"]).html()
    assert "Is a &lt; b?" in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


class Notebook:
    """Stands for the IPython shell of a kernel, and notes what is displayed."""

    kernel = object()

    def __init__(self):
        self.bundles = []

    def display(self, bundle, **_):
        self.bundles.append(bundle)
        return self

    update = display


@pytest.fixture
def notebook(monkeypatch):
    import IPython
    import IPython.display

    shell = Notebook()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", shell.display)
    return shell


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
    stop.compare("nowhere")
    assert len(notebook.bundles) == 1  # no answer yet, so that it can still be given
    stop.answer("a")
    stop.compare("nowhere")
    assert set(notebook.bundles[1]) == {"text/plain", "text/html"}
    assert "Your answer: at model.add." in notebook.bundles[1]["text/html"]


@pytest.mark.parametrize(
    ("observed", "word", "tone"),
    [("at model.add", "As observed.", "right"), ("nowhere", "Observed otherwise", "wrong")],
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


def test_no_buttons_where_nobody_can_click(notebook, monkeypatch):
    import sys

    with monkeypatch.context() as without:
        without.setitem(sys.modules, "ipywidgets", None)
        assert predict()._buttons() is None
    with monkeypatch.context() as without:
        without.delattr(Notebook, "kernel")
        assert predict()._buttons() is None
    assert predict()._buttons() is not None
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    assert predict()._buttons() is None
    predict()._ipython_display_()
    assert set(notebook.bundles[0]) == {"text/plain", "text/html"}
