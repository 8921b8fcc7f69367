"""The slides: what of a notebook a room sees. That nothing overflows, a browser test says."""

import base64
import hashlib
import json
import re

import nbformat
import pytest
from site_rules import Page, faults

from workbook_lib.editions.slides import policy, slide_notebook
from workbook_lib.runs import all_notebooks

every = pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)


def test_the_decks_keep_the_rules_of_the_site(decks):
    assert faults(decks.folder, scripts=1) == []


def test_the_policy_lets_a_page_run_its_own_script_and_no_other(decks):
    for path in decks.files:
        page = Page(path.read_text(encoding="utf-8"))
        if path.name == "index.html":
            assert "script-src" not in page.policy
            continue
        digest = hashlib.sha256(page.scripts[0].encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in page.policy
        assert "unsafe-inline" not in page.policy.partition("script-src")[2]
    assert policy("a") != policy("b")


@every
def test_a_deck_holds_the_prose_and_leaves_the_machinery_out(decks, path):
    deck = (decks.folder / f"{path.stem}.html").read_text(encoding="utf-8")
    for gone in ("lesson.predict(", ".compare(", "in the running notebook", "Not predicted yet"):
        assert gone not in deck, gone
    assert "Not attempted yet" not in deck
    assert "Setting up" not in deck
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    asked = sum("lesson.predict(" in "".join(cell["source"]) for cell in cells)
    assert deck.count("Predict: ") == asked
    assert deck.count("Observed: ") == asked
    assert "Key points" in deck
    assert deck.count("<summary>Solution") == sum(
        "solution" in cell["metadata"].get("tags", ()) for cell in cells
    )


def test_a_comparison_that_also_prints_keeps_what_it_printed():
    printed = nbformat.v4.new_output("stream", name="stdout", text="18\n")
    said = "Not predicted yet\nObserved: 18.\nA guess."
    shown = nbformat.v4.new_output("execute_result", {"text/plain": said, "text/html": "<b>x</b>"})
    cell = nbformat.v4.new_code_cell("guess.compare(18)", outputs=[printed, shown])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    [kept] = slide_notebook(notebook).cells
    assert kept.outputs[0].text == "18\n"
    assert "Observed: 18." in kept.outputs[1].data["text/html"]
    assert cell.outputs[1].data["text/html"] == "<b>x</b>", "the notebook itself is left as it was"


def test_without_its_script_a_deck_is_a_page_to_read(decks):
    for path in decks.files[1:]:
        text = path.read_text(encoding="utf-8")
        assert re.search(r'<nav [^>]*class="controls" hidden="">', text) or "hidden" in text
        assert 'class="slide' not in text
