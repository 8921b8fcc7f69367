"""The site: every page is there, answers are folded, pictures have words, nothing is fetched."""

import html
import json
import re
from html.parser import HTMLParser

import pytest

from varhandle.families.catalog import FAMILIES
from workbook_lib.lesson.cards import lesson_cards
from workbook_lib.lesson.content import lessons, prediction_questions
from workbook_lib.runs import all_notebooks

every = pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
_FETCHES = re.compile(r"""(?:src|srcset)=["'](https?:)?//|<link [^>]*href=["'](https?:)?//""")


class Folded(HTMLParser):
    """The text of a page inside and outside of folded parts, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.depth, self.folded, self.open, self.alts = 0, "", "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.depth += tag == "details"
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))

    def handle_endtag(self, tag):
        self.depth -= tag == "details"

    def handle_data(self, data):
        if self.depth:
            self.folded += data
        else:
            self.open += data


def text_of(site, name):
    return (site.folder / name).read_text(encoding="utf-8")


def words_of(text):
    """Return the words of a page or a sentence, without marks that typesetting changes."""
    return " ".join(re.findall(r"\w+", html.unescape(re.sub(r"<[^>]+>", "", text))))


def test_every_family_has_a_page_that_the_index_leads_to(site):
    index = text_of(site, "families/index.html")
    assert len(FAMILIES) >= 16
    for family in FAMILIES:
        assert f'href="{family.id}.html"' in index
        assert words_of(family.cause) in words_of(text_of(site, f"families/{family.id}.html"))


def test_the_references_are_there(site):
    commands = text_of(site, "commands.html")
    for verb in ("diagnose", "explain", "cure", "inspect", "lift", "sweep", "matrix"):
        assert re.search(rf"<h2>(workbook|varhandle) {verb}", commands), verb
    python = text_of(site, "python.html")
    for name in ("read_graph", "diagnose", "explain", "cure", "check_parity", "lift_state"):
        assert f'id="varhandle.{name}"' in python, name
    assert "A small tensor of dtype" in text_of(site, "glossary.html")
    assert "make hub" in words_of(text_of(site, "workshop.html"))
    assert "Contributing" in text_of(site, "contributing.html")


def test_no_page_fetches_anything_from_elsewhere(site):
    pages = list(site.folder.rglob("*.html"))
    assert len(pages) > len(all_notebooks()) + len(FAMILIES)
    for page in pages:
        assert not _FETCHES.search(page.read_text(encoding="utf-8")), page.name
    for style in site.folder.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import [\"']https?", style.read_text()), (
            style
        )


@every
def test_answers_and_solutions_are_folded(site, path):
    page = Folded(text_of(site, f"lessons/{path.stem}.html"))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    asked = sum("lesson.predict(" in "".join(cell["source"]) for cell in cells)
    assert page.open.count("Predict: ") == asked
    assert page.folded.count("Observed: ") == asked
    assert "Observed: " not in page.open
    for machinery in ("lesson.observe(", "silence_native_log()", "Not attempted yet"):
        assert machinery not in page.open
    assert "\nassert " not in page.open + page.folded
    for cell in cells:
        if "explanation" in cell["metadata"].get("tags", ()):
            told, *_ = "".join(cell["source"]).split("\n\n")
            words = words_of(re.sub(r"\]\([^)]*\)", "]", told))
            assert (words in words_of(page.folded), words in words_of(page.open)) == (True, False)
    for call in ("lesson.predict(", "lesson.quiz("):  # nor how to answer in a new cell
        assert call not in page.open + page.folded


@every
def test_what_a_notebook_printed_is_on_its_page(site, path):
    page = html.unescape(text_of(site, f"lessons/{path.stem}.html"))
    printed = [
        "".join(output["text"]).split("\n")[0]
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
    assert [line for line in printed if line not in page] == []


@every
def test_a_picture_says_what_it_shows(site, path):
    for alt in Folded(text_of(site, f"lessons/{path.stem}.html")).alts:
        assert alt is not None
        assert not alt.endswith((".png", ".svg"))


def test_links_between_lessons_lead_to_pages(site):
    for path in all_notebooks():
        page = text_of(site, f"lessons/{path.stem}.html")
        for link in re.findall(r'href="([^"#]+\.(?:html|ipynb))', page):
            if not link.startswith("http"):
                assert (site.folder / "lessons" / link).resolve().is_file(), (path.name, link)


def test_the_cheat_sheet_is_a_page_and_a_sheet_of_paper(site):
    page = text_of(site, "cheat_sheet.html")
    for one in lesson_cards():
        for words in (one.card.symptom, one.card.cause, one.card.cure):
            assert words_of(words) in words_of(page)
    [sheet] = site.folder.rglob("cheat-sheet.pdf")
    assert f'href="{sheet.relative_to(site.folder).as_posix()}"' in page


def test_every_prediction_has_its_debrief(site):
    page = words_of(text_of(site, "debriefs.html"))
    for name in lessons():
        for question in prediction_questions(name):
            for words in (question.text, question.why, question.debrief):
                assert words_of(words) in page, question.id
