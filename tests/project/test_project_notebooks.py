"""Rules that every notebook keeps: each is a small function whose message says the fix."""

import json
import re

import pytest

from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.questions import prediction_question, quiz_questions
from workbook_lib.lesson.solutions import solution_code
from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks

NOTEBOOKS = all_notebooks()
LESSONS = NOTEBOOKS[1:-1]
"""The first is the way in. The last is a report on a model, which others read as well: nobody is
asked anything there."""
EXCUSED = {"nbval-ignore-output", "nbval-skip"}
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


def test_the_folder_holds_the_notebooks_and_nothing_else():
    files = {path.name for path in (project_root() / "notebooks").iterdir() if path.is_file()}
    assert files == {path.name for path in NOTEBOOKS}


def opening(path):
    """Return the text above the first section."""
    texts = [source(cell) for cell in cells(path, "markdown")]
    first = next(number for number, text in enumerate(texts) if text.startswith("## "))
    return "\n".join(texts[:first])


@every
def test_opens_with_question_ability_needs_and_minutes(path):
    first = opening(path)
    assert first.startswith(f"# {path.stem[:2]} · ")
    for part in ("**The question.**", "**You will be able to**", "**You need**", "**Minutes:**"):
        assert part in first, f"the opening lacks {part}"


@every
def test_closes_with_key_points_and_what_comes_next(path):
    last = source(cells(path)[-1])
    assert last.startswith("## Key points")
    assert "**Next:**" in last


@every
def test_the_opening_says_the_minutes_of_the_metadata(path):
    said = re.search(r"\*\*Minutes:\*\* (\d+) to read, (\d+) to do", opening(path))
    found = outline(path)
    assert (int(said[1]), int(said[2])) == (found.read_minutes, found.do_minutes)


@every
def test_the_minutes_are_those_of_its_words_and_tasks(path):
    """Prose at 200 words a minute; a line of code as five words, as few read every sign of it.

    Three minutes an exercise, half a minute a question. What is folded is not counted.
    """
    found = outline(path)
    asked = [
        (one.text, *one.options.values()) for one in map(prediction_question, found.predictions)
    ]
    asked += [(one.text, *one.options) for one in quizzes(path)]
    words = sum(len(" ".join(texts).split()) for texts in asked)
    seen = [cell for cell in cells(path) if not is_folded(cell)]
    words += sum(len(source(c).split()) for c in seen if c["cell_type"] == "markdown")
    lines = sum(len(source(c).splitlines()) for c in seen if c["cell_type"] == "code")
    reading = (words + 5 * lines) / 200
    doing = 3 * len(found.exercises) + 0.5 * len(asked)
    assert abs(found.read_minutes - reading) <= 1.5, f"{reading:.1f} minutes to read"
    assert abs(found.do_minutes - doing) <= 1.5, f"{doing:.1f} minutes to do"


@lesson
def test_a_lesson_has_three_predictions_and_two_exercises_in_15_to_25_minutes(path):
    found = outline(path)
    assert 15 <= found.read_minutes + found.do_minutes <= 25
    assert len(found.predictions) >= 3
    assert len(found.exercises) >= 2


@lesson
def test_a_lesson_ends_with_its_quiz(path):
    *_, quiz, closing = cells(path)
    assert re.fullmatch(r'lesson\.quiz\("\w+"\)', source(quiz))
    assert source(closing).startswith("## Key points")
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
def test_tags_are_known(path):
    known = {"parameters", "exercise", "check", "solution", *FOLDED, *EXCUSED}
    assert set().union(*(tags(cell) for cell in cells(path))) <= known


@every
def test_the_readme_lists_it_with_its_question_and_minutes(path):
    found = outline(path)
    row = (
        f"| {found.number} | [{path.stem[3:]}](notebooks/{path.name}) | {found.question} "
        f"| {found.read_minutes} + {found.do_minutes} |"
    )
    assert row in (project_root() / "README.md").read_text(encoding="utf-8")
