"""Rules that every notebook keeps: each is a small function whose message says the fix."""

import json
import re

import pytest

from workbook_lib.lesson.content import prediction_question, quiz_questions
from workbook_lib.lesson.observations import EXPLANATION
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.solutions import solution_code
from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks

NOTEBOOKS = all_notebooks()
LESSONS = [
    path for path in NOTEBOOKS if path.stem[0] in "123" and "your_own_model" not in path.stem
]
"""Not the way in, and not the report on a model, which others read as well: nobody is asked
anything there. An appendix (9x) may be without an exercise."""
APPENDICES = [path for path in NOTEBOOKS if path.stem[0] == "9"]
CLOSED = LESSONS + APPENDICES
"""What ends with a quiz and a card."""
EXCUSED = {"nbval-ignore-output", "nbval-skip"}
RAW = {"message-end", "files"}
"""Cells that show a message of TensorFlow in full."""
FOLDED = {"setup", "question", "proof"}
"""Cells that a learner need not read; their output is shown. A proof holds asserts, for those who
maintain the notebooks."""


def cells(path, kind=None):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if kind in (None, cell["cell_type"])]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return set(cell["metadata"].get("tags", []))


def is_folded(cell):
    return "solution" in tags(cell) or cell["metadata"].get("jupyter", {}).get("source_hidden")


def quizzes(path):
    """The questions of the quiz that a notebook shows."""
    code = "\n".join(source(cell) for cell in cells(path, "code"))
    names = re.findall(r'lesson\.quiz\("(\w+)"\)', code)
    return [question for name in names for question in quiz_questions(name)]


def outline(path):
    return next(entry for entry in read_outlines() if entry.file == path.name)


every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
closed = pytest.mark.parametrize("path", CLOSED, ids=lambda path: path.stem)


def test_the_folder_holds_the_notebooks_and_nothing_else():
    files = {path.name for path in (project_root() / "notebooks").iterdir() if path.is_file()}
    assert files == {path.name for path in NOTEBOOKS}


def opening(path):
    """Return the text above the first section."""
    texts = [source(cell) for cell in cells(path, "markdown")]
    first = next(number for number, text in enumerate(texts) if text.startswith("## "))
    return "\n".join(texts[:first])


def minutes_of(path):
    """The minutes that a first-time reader takes, by what is to be read and done.

    100 words and 10 lines of code a minute, half a minute a picture or table, a minute and a half a
    prediction with its reason, a minute a question of the quiz, and for an exercise three minutes
    (two attempts and what they are told) and one more for each line that is to be written.
    The figures are fitted to 31 notebooks that were worked through as first-time readers would:
    this is within 3 minutes of what was counted in 20 of them, and 0.5 too low as a mean.
    """
    found = outline(path)
    doing = 1.5 * len(found.predictions) + len(quizzes(path))
    doing += sum(3 + lines for lines in lines_to_write(path))
    return words_read(path) / 100 + lines_in_sight(path) / 10 + outputs_read(path) + doing


def words_read(path):
    """The words of the text and of the questions with their options."""
    predictions = map(prediction_question, outline(path).predictions)
    asked = [(one.text, *one.options.values()) for one in predictions]
    asked += [(one.text, *one.options) for one in quizzes(path)]
    return prose_words(path) + sum(len(" ".join(texts).split()) for texts in asked)


def outputs_read(path):
    """Minutes for what the cells show: half a minute a picture or table, 10 lines of text a minute.

    What is longer than 8 lines is looked over, not read.
    """
    minutes = 0.0
    for cell in cells(path, "code"):
        if tags(cell) & {"question", "exercise", "check"} or "lesson.card(" in source(cell):
            continue
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = "".join(output.get("text", data.get("text/plain", "")))
            drawn = "text/html" in data or "image/svg+xml" in data
            minutes += 0.5 if drawn else min(8, len(re.findall(r"\S.*", text))) / 10
    return minutes


def lines_to_write(path):
    """For each exercise, how many lines of its solution its stub does not have."""
    return [len(lines) for _, lines in answers(path)]


def answers(path):
    """For each exercise, the cells above it and the lines of its solution that its stub lacks."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for place, cell in enumerate(notebook["cells"]):
        if "exercise" in tags(cell):
            solution = solution_code(notebook, cell["metadata"]["workbook"]["exercise"])
            wanted = set(solution.splitlines()) - set(source(cell).splitlines()) - {""}
            yield notebook["cells"][:place], wanted


def prose_words(path):
    texts = [source(cell) for cell in cells(path, "markdown") if not is_folded(cell)]
    return sum(len(text.split()) for text in texts)


def lines_in_sight(path):
    """Lines of code that a learner is to read; a stub is written, and a check is a click."""
    seen = [cell for cell in cells(path, "code") if not is_folded(cell)]
    read = [cell for cell in seen if not tags(cell) & {"exercise", "check"}]
    return sum(len(source(cell).splitlines()) for cell in read)


@every
def test_opens_with_question_ability_needs_and_minutes(path):
    first = opening(path)
    assert first.startswith(f"# {path.stem[:2]} · ")
    for part in ("**The question.**", "**You will be able to**", "**You need**", "**Minutes:**"):
        assert part in first, f"the opening lacks {part}"


@every
def test_closes_with_its_card_and_what_comes_next(path):
    *_, before, last = cells(path)
    assert "**Next:**" in source(last)
    if path in CLOSED:
        assert source(last).startswith("**Next:**")
        assert source(before) == f'lesson.card("{outline(path).name}")'


@every
def test_the_minutes_are_those_of_what_is_read_and_done(path):
    said = int(re.search(r"\*\*Minutes:\*\* (\d+)", opening(path))[1])
    assert said == outline(path).minutes
    assert abs(said - round(minutes_of(path), 2)) <= 0.5, f"{minutes_of(path):.2f} minutes"


@lesson
def test_a_lesson_is_one_idea_in_10_to_15_minutes(path):
    found = outline(path)
    assert 10 <= found.minutes <= 15
    assert 300 <= words_read(path) <= 500
    assert lines_in_sight(path) <= 120
    assert len(cells(path, "code")) <= 25
    assert found.predictions
    assert found.exercises


@pytest.mark.parametrize("path", APPENDICES, ids=lambda path: path.stem)
def test_an_appendix_is_short(path):
    assert minutes_of(path) <= 15


@closed
def test_a_lesson_ends_with_its_quiz_and_its_card(path):
    code = [source(cell) for cell in cells(path, "code")]
    name = outline(path).name
    assert code[-2:] == [f'lesson.quiz("{name}")', f'lesson.card("{name}")']
    assert len(outline(path).quiz) == 3


@every
def test_a_question_is_one_line_and_is_compared_with_what_was_seen(path):
    found, code = outline(path), cells(path, "code")
    asked = [cell for cell in code if re.search(r"\blesson\.(predict|quiz)\(", source(cell))]
    assert [cell for cell in code if "question" in tags(cell)] == asked
    for cell in asked:
        line = source(cell).removeprefix("from workbook_lib import lesson\n\n")
        assert re.fullmatch(r'lesson\.(predict|quiz)\("[\w/-]+"\)', line), cell["id"]
    observed = [cell for cell in code if "lesson.observe(" in source(cell)]
    ids = [re.search(r'^lesson\.observe\("([^"]+)", .+\)\Z', source(c), re.M) for c in observed]
    assert all(ids), "what is observed is the last line of its cell"
    assert [match[1] for match in ids] == list(found.predictions)
    for cell in observed:
        assert len(source(cell).splitlines()) <= 2, cell["id"]
        assert not re.search(r"[{}]|\bif\b|frozenset", source(cell)), cell["id"]


@every
def test_what_a_learner_need_not_read_is_folded_and_nothing_else(path):
    for cell in cells(path):
        folded = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        assert folded == bool(tags(cell) & FOLDED), cell["id"]
        assert len(tags(cell) & FOLDED) <= 1, cell["id"]


@every
def test_set_up_is_told_from_what_is_taught(path):
    """Our own library is imported, the start-up log silenced and a magic loaded in set-up alone."""
    plumbing = r"^(from workbook_lib|import workbook_lib|silence_native_log\(\)|%load_ext)"
    for cell in cells(path, "code"):
        if re.search(plumbing, source(cell), re.M):
            isolated = source(cell).startswith("%%isolated")  # it has a process of its own
            assert tags(cell) & {"setup", "question", "check"} or isolated, cell["id"]


@every
def test_an_assert_stands_in_a_proof_and_a_proof_shows_nothing(path):
    for cell in cells(path, "code"):
        asserts = re.search(r"^\s*assert\b", source(cell), re.MULTILINE)
        assert bool(asserts) == ("proof" in tags(cell)), cell["id"]
        assert not (asserts and cell["outputs"]), cell["id"]


@every
def test_every_exercise_has_stub_check_and_solution_in_this_order(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    roles = [
        (role, cell)
        for cell in notebook["cells"]
        for role in ("exercise", "check", "solution")
        if role in tags(cell)
    ]
    assert [role for role, _ in roles] == ["exercise", "check", "solution"] * (len(roles) // 3)
    for _, cell in roles[::3]:
        exercise_id = cell["metadata"]["workbook"]["exercise"]
        assert "..." in source(cell), f"{exercise_id}: the stub shows where to write with ..."
        assert solution_code(notebook, exercise_id)


@every
def test_the_line_to_write_stands_nowhere_above(path):
    """Neither in code nor in text; a name or a call as short as ``step(x)`` may."""
    for above, lines in answers(path):
        shown = re.sub(r"\s+", "", "\n".join(source(cell) for cell in above))
        for line in lines:
            value = re.sub(r"\s+", "", re.split(r"^\s*(?:return|[\w.]+ =) ", line)[-1])
            stands_above = value in shown
            assert len(value) <= 16 or not stands_above, line


@every
def test_headings_go_down_one_step_at_a_time(path):
    level = 0
    for cell in cells(path, "markdown"):
        for heading in re.findall(r"^(#+) ", source(cell), re.MULTILINE):
            assert len(heading) <= level + 1, source(cell)[:60]
            level = len(heading)


@every
def test_cell_ids_are_words(path):
    ids = [cell["id"] for cell in cells(path)]
    assert len(set(ids)) == len(ids)
    for cell_id in ids:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", cell_id), cell_id
        assert not re.fullmatch(r"[0-9a-f]{8}", cell_id), f"{cell_id} is a random id"


@every
def test_pictures_have_alt_text(path):
    for cell in cells(path):
        text = source(cell) + json.dumps(cell.get("outputs", []))
        assert not re.search(r"!\[\]\(", text)
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r"\balt=\\?\"[^\"\\]+", tag), tag[:80]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert "image/png" not in data, "draw pictures through show, which gives them alt text"


@every
def test_links_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)\)", source(cell)):
            assert "://" in target or (path.parent / target).exists(), target


@every
def test_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    machine = r"/home/\w|/root\b|/Users/\w|/tmp/\w|[A-Z]:\\\\|127\.0\.0\.1:\d"
    assert not re.findall(machine, text)


@every
def test_the_voice(path):
    for cell in cells(path, "markdown"):
        prose = re.sub(r"```.*?```|`[^`]*`|!\[", "", source(cell), flags=re.DOTALL)
        assert "!" not in prose.replace("<!--", ""), source(cell)[:80]
        assert not re.search(r"\b(simply|just|obviously|easy)\b", prose, re.IGNORECASE), prose[:80]


@every
def test_no_stored_error_and_no_noise_on_stderr(path):
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            assert output["output_type"] != "error", cell["id"]
            assert output.get("name") != "stderr", cell["id"]


@every
def test_what_is_printed_is_not_broken_within_a_word(path):
    """JupyterLab breaks a longer line where it ends, in a window of 1280 pixels."""
    long = [
        f"{cell['id']}: {line}"
        for cell in cells(path, "code")
        if cell["id"] not in RAW
        for output in cell["outputs"]
        for line in "".join(output.get("text", "")).splitlines()
        if len(line) > 106
    ]
    assert long == []


def test_excused_cells_say_why_and_stay_under_a_fifth():
    code = [(path, cell) for path in NOTEBOOKS for cell in cells(path, "code")]
    excused = [(path, cell) for path, cell in code if tags(cell) & EXCUSED]
    for path, cell in excused:
        reason = cell["metadata"].get("workbook", {}).get("reason", "")
        assert len(reason.split()) >= 4, f"{path.name}, {cell['id']}: say why in workbook.reason"
    assert len(excused) < len(code) / 5
    for path in NOTEBOOKS:
        own = cells(path, "code")
        assert sum(bool(tags(cell) & EXCUSED) for cell in own) < len(own) / 5, path.name


@every
def test_an_explanation_stands_below_what_was_observed(path):
    below = False
    for cell in cells(path):
        if "lesson.predict(" in source(cell):
            below = False
        if EXPLANATION in tags(cell):
            assert below, cell["id"]
            assert cell["cell_type"] == "markdown"
            assert not source(cell).startswith("#"), "nothing of it would be folded"
        below = below or "lesson.observe(" in source(cell)


@every
def test_tags_are_known(path):
    known = {"parameters", "exercise", "check", "solution", EXPLANATION, *FOLDED, *EXCUSED}
    assert set().union(*(tags(cell) for cell in cells(path))) <= known


@every
def test_the_readme_links_it(path):
    text = (project_root() / "README.md").read_text(encoding="utf-8")
    assert f"(notebooks/{path.name})" in text
