"""Every prediction in every edition: its answer is never read before the question, or beside it.

What a question, its answer and the run between them look like is read from the stored notebooks;
where they stand, from the files of an edition. Of the solved edition, ``test_editions_solved`` says
that it has no outputs but those of its checks. Nor may an earlier lesson tell an answer, or what
stands above the question: ``TELLS`` has the words that would.
"""

import functools
import html
import json
import re
from collections import namedtuple

import pytest
from bs4 import BeautifulSoup

from workbook_lib.lesson.content import prediction_question
from workbook_lib.runs import all_notebooks

every = pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
_MACHINERY = "style, script, aside.notes"  # what no reader of a page sees
_ASKS = r'lesson\.predict\(\s*"([^"]+)"'
_OBSERVES = r'lesson\.observe\(\s*"([^"]+)"'
Asked = namedtuple("Asked", "id question options observed run")
"""A question, its options, the line that answers it, and how each output in between begins."""

# For each prediction, words that tell its answer. The lesson has them below the question: else they
# would no longer be what tells.
TELLS = {
    "start_here/first-prediction": "weights take 4 000|a file of 5 kB",
    "the_error/which-fails": "(read|add) in float(16|32) converts|(constant|read).* may be float16",
    "three_fixes/which-write": "custom ops (let|give) .*file|unresolved custom op",
    "compare_the_answers/silent": "all agree: False|memory that nobody",
    "what_a_handle_is/same-name": "with one name lead to one|handles of one name",
    "whose_variable_is_it/how-many": "12 variables|twelve|six others",
    "freeze/weights-to-zero": "a copy of its own|no longer reads",
    "still_assigned/which-mode": "inference is the default",
    "four_doors/keras-door": "Keras allow|export .*(Flex|SELECT_TF_OPS)|FlexVarHandleOp",
    "weights_that_vanish/keras-owner": "wrong an owner",
    "signatures/look-alone": "all the signatures that you convert|signatures .*decide",
    "run_it/five-images": "runner resizes|resizes by itself|buffer is larger",
    "scale_and_zero_point/full-ink": "zero point 128|scale 1 255",
    "a_model_that_loses/one-layer": "loses about 0",
    "how_fast/adding": "2048 with the flag|computes in float32",
    "keep_a_state/reset-all-variables": "the file itself marks as variable|goes on to 9",
    "lift_the_state/called-twice": "keeps nothing from call",
    "state_in_int8/thousand": "stops changing|step is nearly 4|less than half a step",
    "train_on_the_device/relu": "ReluGrad",
    "find_the_op/layers": "every layer behind",
    "the_memory_of_an_lstm/second-answer": "only the one with stateful",
    "the_article/where-it-stops": "stops at model add|before there is a converter",
    "the_article/without-set-weights": "With or without it",
    "releases/older-helps": "Up to 2 15",
    "tensorflow_1/unfrozen": "from unset memory|no session.* (garbage|unset)"
    "|nothing that gives the variable a value",
    "formats_side_by_side/left-in-the-file": "calls .*is read and assigned|total and calls",
    "a_strangers_file/first-call": "SIGSEGV",
    "calibration/blank-images": "far too narrow",
    "integers_in_and_out/cast": "once cast 0|ink below 1 0 becomes 0",
    "newer_than_the_runtime/where": "looks up a kernel for every op",
}


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
                [name] = re.findall(_OBSERVES, "".join(cell["source"]))
                found.append(Asked(name, question[0], options, observed[0], run))
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


@functools.cache
def the_way():
    """Return each line that a learner reads or makes, from notebook 00 on, and where it stands.

    That is the text, the code and what it shows, the rows of a chooser among it, and the model
    answers.
    """
    lines = []
    for path in all_notebooks():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            texts = [source, *map(plain, cell.get("outputs", ()))]
            texts += [prediction_question(id).why for id in re.findall(_OBSERVES, source)]
            for line in "\n".join(texts).splitlines():
                if not re.match(r" +[a-d]\) ", line):  # an option tells nothing
                    lines.append((path, re.findall(_ASKS, source), words_of(line)))
    return lines


def before_and_after(path, question_id):
    """Return what is read before a question, and what is read below it in its own lesson."""
    way = the_way()
    places = [n for n, (here, asked, _) in enumerate(way) if here == path and question_id in asked]
    below = [line for here, _, line in way[places[-1] + 1 :] if here == path]
    return [line for _, _, line in way[: places[0]]], below


@every
def test_nothing_on_the_way_to_a_question_tells_its_answer(path):
    for asked in predictions(path):
        before, below = before_and_after(path, asked.id)
        tells = re.compile(TELLS[asked.id])
        assert any(map(tells.search, below)), f"{asked.id}: these words tell nothing"
        assert not list(filter(tells.search, before)), asked.id
        answer = words_of(asked.observed.removeprefix("Observed: "))
        if len(answer.split()) >= 4:
            assert not [line for line in before if holds(line, answer)], asked.id


def test_what_a_chooser_lists_is_on_the_way():
    """It once told the answer of lesson 12: a file with Flex ops, which the interpreter refuses."""
    [row] = [line for here, _, line in the_way() if "interpreter will not load it" in line]
    assert "SELECT_TF_OPS" in row
    assert before_and_after(all_notebooks()[2], "three_fixes/which-write")[0].count(row) == 1
