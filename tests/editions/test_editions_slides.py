"""The slides: what of a notebook a room sees. That nothing is cut off, a browser test says."""

import copy
import html
import json
import re

import nbformat
import pytest

from workbook_lib import lesson
from workbook_lib.editions.slides import LINES, slide_notebook, write
from workbook_lib.lesson.content import prediction_question, quiz_questions
from workbook_lib.runs import all_notebooks
from workbook_lib.show.tracebacks import red_error

every = pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)


def deck_of(*cells):
    """Return slide type, source and outputs of each cell that a notebook's deck holds."""
    made = slide_notebook(nbformat.v4.new_notebook(cells=list(cells)))
    return [(cell.metadata["slideshow"]["slide_type"], cell) for cell in made.cells]


@every
def test_a_deck_holds_the_lesson_and_leaves_the_machinery_out(decks, path):
    deck = (decks.folder / f"{path.stem}.html").read_text(encoding="utf-8")
    for gone in ("lesson.predict(", "lesson.observe(", "Not predicted yet", "Not attempted yet"):
        assert gone not in deck, gone
    assert "Setting up" not in deck
    assert not re.search(r"folded,? (cell|above|below)", deck), "a deck has no folded cell"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    asked = sum("lesson.predict(" in "".join(cell["source"]) for cell in cells)
    solutions = sum("solution" in cell["metadata"].get("tags", ()) for cell in cells)
    assert deck.count("Predict: ") == asked
    assert deck.count("Let everybody choose") == asked  # for the speaker alone
    assert deck.count("<summary>Solution") == solutions
    cards = sum("lesson.card(" in "".join(cell["source"]) for cell in cells)
    assert deck.count("<b>Symptom:</b>") == cards


@every
def test_a_question_and_its_answer_never_share_a_slide(decks, path):
    deck = (decks.folder / f"{path.stem}.html").read_text(encoding="utf-8")
    slides = re.split(r"<section", deck)
    assert sum("Observed: " in slide for slide in slides) == deck.count("Observed: ")
    for slide in slides:
        assert not ("Predict: " in slide and "Observed: " in slide)


def test_decks_fetch_nothing_and_find_reveal_beside_them(decks):
    for path in decks.files:
        page = path.read_text(encoding="utf-8")
        assert not re.search(r"""(src|href)=["'](https?:)?//""", page.replace('<a href="http', ""))
        for script in re.findall(r'<script src="([^"]+)"', page):
            assert (decks.folder / script).is_file()
    assert (decks.folder / "reveal.js" / "dist" / "reveal.css").is_file()


def test_options_and_titles_are_no_markup(tmp_path):
    said = "Predict: <i>?\n  a) <i>\n  b) 2\nHow"
    shown = nbformat.v4.new_output("display_data", {"text/plain": said, "text/html": ""})
    cell = nbformat.v4.new_code_cell("lesson.predict()", outputs=[shown])
    [(_, question), *_] = deck_of(cell)
    assert "<i>" not in question.outputs[0].data["text/html"]
    cells, about = [nbformat.v4.new_markdown_cell("# A")], {"workbook": {"title": "<i>"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=about)
    index, *_ = write({"00_a.ipynb": notebook}, tmp_path)
    assert '<a href="00_a.html">00 · &lt;i&gt;</a>' in index.read_text("utf-8")


def test_an_answer_that_also_prints_keeps_what_it_printed():
    printed = nbformat.v4.new_output("stream", name="stdout", text="18\n")
    said = "Not predicted yet\nObserved: 18.\nA guess."
    shown = nbformat.v4.new_output("execute_result", {"text/plain": said, "text/html": "<b>x</b>"})
    cell = nbformat.v4.new_code_cell(
        'lesson.observe("three_fixes/which-write", 18)', outputs=[printed, shown]
    )
    before = copy.deepcopy(cell)
    [(_, kept), (kind, notes)] = deck_of(cell)
    assert kind == "notes"
    assert notes.source.startswith(prediction_question("three_fixes/which-write").why)
    assert kept.outputs[0].text == "18\n"
    assert "Observed: 18." in kept.outputs[1].data["text/html"]
    assert cell == before, "the notebook itself is left as it was"


def test_set_up_is_its_output_and_a_proof_is_nothing():
    printed = nbformat.v4.new_output("stream", name="stdout", text="ready\n")
    shown, silent, proof = (
        nbformat.v4.new_code_cell(code, outputs=outputs, metadata={"tags": [tag]})
        for code, outputs, tag in (
            ("look()", [printed], "setup"), ("import os", [], "setup"), ("assert 1", [], "proof"),
        )
    )  # fmt: skip
    [(_, cell)] = deck_of(shown, silent, proof)
    assert cell.outputs[0].text == "ready\n"
    assert cell.metadata["transient"] == {"remove_source": True}


def test_what_stands_under_setting_up_is_on_no_slide():
    printed = nbformat.v4.new_output("stream", name="stdout", text="ready\n")
    first, second = (nbformat.v4.new_code_cell(code, outputs=[printed]) for code in ("a", "b"))
    headings = map(nbformat.v4.new_markdown_cell, ("## Setting up\n\nPackages.", "## Run it"))
    setting_up, run_it = headings
    cells = [cell.source for _, cell in deck_of(setting_up, first, run_it, second)]
    assert "b" in cells
    assert not {"a", "Packages."} & set(cells)


def test_of_a_text_of_many_slides_both_ends_are_shown():
    text = "\n".join(f"line {number}" for number in range(100))
    printed = nbformat.v4.new_output("stream", name="stdout", text=text)
    *_, (_, cell) = deck_of(nbformat.v4.new_code_cell("print(message)", outputs=[printed]))
    shown = cell.outputs[0].text.splitlines()
    assert (shown[0], shown[-1], len(shown)) == ("line 0", "line 99", LINES)


def test_a_traceback_fits_on_its_slide_and_keeps_both_ends():
    message = [f"<unknown>:0: note: line {number} {'x' * 200}" for number in range(60)]
    frames = "".join(f'  File "lib.py", line {n}, in f\n    g()\n' for n in range(9))
    text = f'Traceback:\n  File "cell", line 1, in <module>\n    f()\n{frames}'
    shown = red_error(text + "\n".join(message))
    output = nbformat.v4.new_output(
        "execute_result", {"text/plain": shown.text(), "text/html": shown.html()}
    )
    setup = {"tags": ["setup"]}
    [(_, cell)] = deck_of(nbformat.v4.new_code_cell("run()", outputs=[output], metadata=setup))
    markup = cell.outputs[0].data["text/html"]
    folded = re.sub(r"<details>.*?</details>", "", markup, flags=re.DOTALL)
    lines = re.sub(r"<[^>]+>", "", folded).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, map(html.unescape, lines[5:]))) < 100  # below the first of the message
    for end in ("line 0 ", "line 59 "):
        assert any(end in line for line in lines)
    assert "9 more frames" in markup


def test_a_quiz_is_a_slide_and_its_answers_are_the_speakers():
    text = lesson.quiz("the_error").text()
    shown = nbformat.v4.new_output("execute_result", {"text/plain": text, "text/html": "<p>"})
    cell = nbformat.v4.new_code_cell('lesson.quiz("the_error")', outputs=[shown])
    heading = nbformat.v4.new_markdown_cell("## Quiz and card")
    _, (kind, quiz), (_, notes) = deck_of(heading, cell)
    assert kind == "-"
    assert quiz.metadata["transient"] == {"remove_source": True}
    shown_html = quiz.outputs[0].data["text/html"]
    assert "running notebook" not in shown_html
    for number, question in enumerate(quiz_questions("the_error"), start=1):
        assert f"{number}. {question.right}" in notes.source
        assert all(html.escape(option) in shown_html for option in question.options)


def test_what_was_observed_stands_below_what_fills_the_slide():
    said = "Not predicted yet\nObserved: 18.\nA guess."
    shown = nbformat.v4.new_output("execute_result", {"text/plain": said, "text/html": "<b>x</b>"})
    observe = 'lesson.observe("three_fixes/which-write", 18)'
    cells = (
        nbformat.v4.new_code_cell("x = 1\n" * 23),
        nbformat.v4.new_code_cell(observe, outputs=[shown]),
    )
    assert [kind for kind, _ in deck_of(*cells)] == ["subslide", "-", "notes"]


def test_of_one_line_that_draws_a_slide_full_the_drawing_is_enough():
    tall = {"text/plain": "row\n" * 2 * LINES, "text/html": "<table></table>"}
    drawn = nbformat.v4.new_output("execute_result", tall)
    for code, kept in (("show.table()", 1), ("table = make()\ntable", 2)):
        cells = [cell for _, cell in deck_of(nbformat.v4.new_code_cell(code, outputs=[drawn]))]
        assert len(cells) == kept, code
        assert cells[-1].metadata["transient"] == {"remove_source": True}


def test_sections_begin_slides_and_what_does_not_fit_goes_on_to_the_next():
    text = "\n\n".join(f"paragraph {number} " + "word " * 60 for number in range(6))
    kinds = [kind for kind, _ in deck_of(nbformat.v4.new_markdown_cell(f"## One\n\n{text}"))]
    assert kinds[0] == "slide"
    assert kinds.count("subslide") >= 1
    code = "\n\n".join(f"x = {number}\ny = x\nz = y" for number in range(12))
    parts = [cell.source for _, cell in deck_of(nbformat.v4.new_code_cell(code))]
    assert len(parts) > 1
    assert max(len(part.splitlines()) for part in parts) <= LINES
    assert "\n\n".join(parts) == code


def test_a_picture_in_a_text_takes_room():
    texts = ("## One\n\n![a drawing](a.svg)\n\nIts words.", "And then?")
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    code = nbformat.v4.new_code_cell("x = 1\n" * 5)
    assert [kind for kind, _ in deck_of(*cells, code)] == ["slide", "-", "subslide"]


def test_a_heading_within_a_text_begins_the_slide_of_what_comes_below():
    text = "Why it is so.\n\n## The next\n\nIts first words.\n\n### Exercise"
    cells = nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell("x = 1")
    parts = [(kind, cell.source) for kind, cell in deck_of(*cells)]
    assert parts == [
        ("subslide", "Why it is so."),
        ("slide", "## The next\n\nIts first words."),
        ("subslide", "### Exercise"),
        ("-", "x = 1"),
    ]


@every
def test_an_output_brings_no_slide_of_its_own(decks, path):
    """reveal.js takes every <section> for a slide, and skips what stands around one within."""
    deck = (decks.folder / f"{path.stem}.html").read_text(encoding="utf-8")
    depth, deepest = 0, 0
    for tag in re.findall(r"</?section\b", deck):
        depth += 1 if tag == "<section" else -1
        deepest = max(deepest, depth)
    assert deepest == 2


def test_a_question_ends_a_slide_and_shares_none_with_an_answer():
    """It stands below what leads to it; the cell that comes next often prints the answer."""
    asked = "Predict: how many?\n  one\n  two"
    said = "Not predicted yet\nObserved: 18.\nA guess."
    question, answer = (
        nbformat.v4.new_output(kind, {"text/plain": text, "text/html": "<p>"})
        for kind, text in (("display_data", asked), ("execute_result", said))
    )
    observe = 'lesson.observe("three_fixes/which-write", 18)'
    cells = [
        nbformat.v4.new_markdown_cell("## It counts"),
        nbformat.v4.new_code_cell("lesson.predict('how-many')", outputs=[question]),
        nbformat.v4.new_code_cell("print(2)"),
        nbformat.v4.new_code_cell(observe, outputs=[answer]),
        nbformat.v4.new_markdown_cell("Because."),
        nbformat.v4.new_code_cell("lesson.predict('next')", outputs=[question]),
    ]
    kinds = [kind for kind, _ in deck_of(*cells) if kind != "notes"]
    assert kinds == ["slide", "-", "subslide", "-", "-", "subslide"]


def test_a_solution_is_folded_below_its_exercise_and_open_on_a_slide_of_its_own():
    exercise = nbformat.v4.new_markdown_cell("### Exercise")
    for lines, shown in ((3, ("-", False)), (LINES, ("subslide", True))):
        code = "x = 1\n" * lines
        solution = f"<details><summary>Solution</summary>\n\n```python\n{code}```\n\n</details>"
        _, (kind, cell) = deck_of(exercise, nbformat.v4.new_markdown_cell(solution))
        assert (kind, "<details open>" in cell.source) == shown
