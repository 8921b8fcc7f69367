"""Every prediction in every edition: its answer is never read before the question, or beside it.

What a question, its answer and the run between them look like is read from the stored notebooks;
where they stand, from the files of an edition. Of the solved edition, ``test_editions_solved`` says
that it has no outputs but those of its checks.
"""

import html
import json
import re
from collections import namedtuple

import pytest
from bs4 import BeautifulSoup

from workbook_lib.runs import all_notebooks

every = pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
_MACHINERY = "style, script, aside.notes"  # what no reader of a page sees
Asked = namedtuple("Asked", "question options observed run")
"""A question, its options, the line that answers it, and how each output in between begins."""


def words_of(text):
    """Return the words of a text, without marks that typesetting changes."""
    return " ".join(re.findall(r"\w+", html.unescape(re.sub(r"<[^>]+>", " ", text))))


def holds(text, words):
    return f" {words} " in f" {text} "


def plain(output):
    return "".join(output.get("data", {}).get("text/plain", output.get("text", "")))


def begins_with(output):
    """Return the first words of what an edition in HTML shows of an output."""
    shown = "".join(output.get("data", {}).get("text/html", plain(output)))
    return " ".join(words_of(re.sub(r"<style.*?</style>", "", shown, flags=re.DOTALL)).split()[:12])


def predictions(path):
    found, run, question = [], [], None
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            lines = plain(output).splitlines()
            observed = [line for line in lines if line.startswith("Observed: ")]
            if lines and lines[0].startswith("Predict: "):
                question, run = lines, []
            elif observed and question:
                options = [line for line in question if line.startswith("  ")]
                found.append(Asked(question[0], options, observed[0], run))
                question = None
            elif question and not {"check", "proof"} & set(cell["metadata"].get("tags", ())):
                run.append(begins_with(output))
    return found


def test_predictions_are_found():
    assert sum(len(predictions(path)) for path in all_notebooks()) >= 25
    assert sum(len(asked.run) for path in all_notebooks() for asked in predictions(path)) >= 20


@every
def test_a_learners_copy_shows_nothing_that_a_run_would(learner_copy, path):
    stored = (learner_copy / "notebooks" / path.name).read_text(encoding="utf-8")
    notebook = json.loads(stored)
    assert "Observed: " not in stored
    cells = notebook["cells"]
    asks = [n for n, cell in enumerate(cells) if "lesson.predict(" in "".join(cell["source"])]
    later = cells[asks[0] :] if asks else cells
    assert not [cell["id"] for cell in later if cell.get("outputs") or cell.get("execution_count")]
    opening = [cell for cell in cells if cell.get("outputs")]
    assert all(cell["metadata"]["jupyter"]["source_hidden"] for cell in opening)
    for state in notebook["metadata"]["widgets"].values():
        assert not state["state"]
    for cell in notebook["cells"]:
        if "solution" in cell["metadata"].get("tags", ()):
            assert re.fullmatch(r"<details>.*</details>", "".join(cell["source"]), re.DOTALL)


def page_of(path):
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for hidden in page.select(_MACHINERY):
        hidden.decompose()
    return page


@every
def test_a_learners_copy_has_no_proofs_and_keeps_the_rest(learner_copy, path):
    lesson = json.loads(path.read_text(encoding="utf-8"))
    theirs = json.loads((learner_copy / "notebooks" / path.name).read_text(encoding="utf-8"))
    proofs = [c["id"] for c in lesson["cells"] if "proof" in c["metadata"].get("tags", ())]
    kept = [cell["id"] for cell in theirs["cells"]]
    assert [cell["id"] for cell in lesson["cells"] if cell["id"] not in proofs] == kept
    for cell in theirs["cells"]:
        is_code = cell["cell_type"] == "code"
        assert not (is_code and re.search(r"^\s*assert\b", "".join(cell["source"]), re.MULTILINE))


@every
def test_a_question_is_the_last_thing_on_its_slide(decks, path):
    page = page_of(decks.folder / f"{path.stem}.html")
    slides = [slide for slide in page.find_all("section") if not slide.find("section")]
    texts = [words_of(str(slide)) for slide in slides]
    before = 0
    for asked in predictions(path):
        places = range(before, len(texts))
        place = next(n for n in places if holds(texts[n], words_of(asked.question)))
        assert texts[place].endswith(words_of("\n".join([asked.question, *asked.options])))
        answered = next(n for n in places if holds(texts[n], words_of(asked.observed)))
        assert answered > place
        early = " ".join(texts[before : place + 1])
        assert not [output for output in asked.run if holds(early, output)]
        before = place + 1


@every
def test_on_the_site_what_was_observed_is_folded(site, path):
    page = page_of(site.folder / f"lessons/{path.stem}.html").find("article")
    folds = page.select("details:not([open])")
    folded = words_of(" ".join(str(fold) for fold in folds))
    for fold in folds:
        fold.decompose()
    in_sight = words_of(str(page))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = words_of(" ".join("".join(cell["source"]) for cell in cells))  # it may print a literal
    for asked in predictions(path):
        assert holds(in_sight, words_of(asked.question))
        for answer in (words_of(asked.observed), *asked.run):
            assert holds(folded, answer), answer
            assert holds(code, answer) or not holds(in_sight, answer), answer
