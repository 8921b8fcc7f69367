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
Asked = namedtuple("Asked", "question options observed run")
"""A question, its options, the line that answers it, and how each output in between begins."""


def words_of(text):
    """Return the words of a text, without marks that typesetting changes."""
    return " ".join(re.findall(r"\w+", html.unescape(re.sub(r"<[^>]+>", " ", text))))


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
            elif question and "check" not in cell["metadata"].get("tags", ()):
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
    asks = next(
        (n for n, cell in enumerate(cells) if "lesson.predict(" in "".join(cell["source"])), 0
    )
    assert not [cell["id"] for cell in cells[asks:] if cell.get("outputs")]
    assert not [cell["id"] for cell in cells[asks:] if cell.get("execution_count")]
    opening = [cell for cell in cells[:asks] if cell.get("outputs")]
    assert all(cell["metadata"]["jupyter"]["source_hidden"] for cell in opening)
    for state in notebook["metadata"]["widgets"].values():
        assert not state["state"]
    for cell in notebook["cells"]:
        if "solution" in cell["metadata"].get("tags", ()):
            assert re.fullmatch(r"<details>.*</details>", "".join(cell["source"]), re.DOTALL)


@every
def test_a_slide_with_a_question_holds_nothing_else(decks, path):
    page = BeautifulSoup((decks.folder / f"{path.stem}.html").read_text("utf-8"), "html.parser")
    slides = [slide for slide in page.find_all("section") if not slide.find("section")]
    for hidden in page.select("aside.notes, style, script"):
        hidden.decompose()
    texts = [words_of(str(slide)) for slide in slides]
    asked_before = -1
    for asked in predictions(path):
        question, observed = words_of(asked.question), words_of(asked.observed)
        place = next(n for n, text in enumerate(texts) if n > asked_before and question in text)
        alone = words_of("\n".join([asked.question, *asked.options]))
        assert texts[place].removeprefix("?").strip() == alone
        answer = next(n for n, text in enumerate(texts) if n > asked_before and observed in text)
        assert answer > place
        for output in asked.run:
            assert not any(output in text for text in texts[asked_before + 1 : place + 1]), output
        asked_before = place


@every
def test_on_the_site_what_was_observed_is_folded(site, path):
    page = BeautifulSoup(
        (site.folder / f"lessons/{path.stem}.html").read_text("utf-8"), "html.parser"
    )
    for hidden in page.select("style, script"):
        hidden.decompose()
    folds = page.select("details")
    assert not [fold for fold in folds if fold.has_attr("open")]
    folded = words_of(" ".join(str(fold) for fold in folds))
    for fold in folds:
        fold.decompose()
    in_sight = words_of(str(page))
    for asked in predictions(path):
        assert words_of(asked.question) in in_sight
        assert words_of(asked.observed) in folded
        assert words_of(asked.observed) not in in_sight
        for output in asked.run:
            assert output in folded, output
            assert output not in in_sight, output
