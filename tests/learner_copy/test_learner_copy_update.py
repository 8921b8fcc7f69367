"""The learner's copy: what is handed out, and that a newer version never costs them any work."""

import random
import re
import sys

import nbformat
import pytest

from workbook_lib.cli import main
from workbook_lib.lesson import learner_copy
from workbook_lib.lesson.cards import lesson_cards
from workbook_lib.lesson.learner_copy import find_copy, update_copy
from workbook_lib.locations import project_root

LESSON = "01_one.ipynb"
RELOAD = "Where one of these is open in JupyterLab: File > Reload Notebook from Disk."


def stored(*cells):
    """A lesson as it is stored: with the outputs of a run."""
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    notebook.metadata = {"language_info": {"name": "python"}, "workbook": {"title": "One"}}
    return notebook


def code(cell_id, source, *tags):
    shown = nbformat.v4.new_output("stream", name="stdout", text=f"Observed: {cell_id}\n")
    cell = nbformat.v4.new_code_cell(source, id=cell_id, outputs=[shown], execution_count=1)
    cell.metadata = {"tags": list(tags)} if tags else {}
    return cell


def text(cell_id, source):
    return nbformat.v4.new_markdown_cell(source, id=cell_id)


FIRST = (
    text("title", "# One"),
    code("run", "x = 1\nx"),
    code("stub", "y = ...", "exercise"),
    code("last", "print(y)"),
)
SECOND = (
    text("title", "# One, newly told"),
    text("more", "A new text."),
    code("run", "x = 1\nx"),
    code("stub", "y = ...  # write it here", "exercise"),
    code("last", "print(x, y)"),
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A workbook with one lesson."""
    root = tmp_path / "project"
    (root / "notebooks").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data" / "numbers.txt").write_text("1 2 3")
    (root / "docs").mkdir()
    (root / "docs" / "glossary.md").write_text("# Glossary\n\n```{glossary}\nop\n  A step.\n```\n")
    monkeypatch.setattr(learner_copy, "project_root", lambda: root)
    publish(root, FIRST)
    return root


def publish(root, cells, name=LESSON):
    nbformat.write(stored(*cells), root / "notebooks" / name)


@pytest.fixture
def folder(project, tmp_path):
    """Its copy."""
    assert update_copy(tmp_path / "mine") == f"{tmp_path / 'mine'}: your copy of the 1 lessons"
    return tmp_path / "mine"


def work(folder, **sources):
    """Give cells another source, as a learner does, and store a run; return the file's bytes."""
    path = folder / "notebooks" / LESSON
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = sources.pop(cell.id, cell.source)
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="mine\n")]
    nbformat.write(notebook, path)
    return path.read_bytes()


def insert(folder, after, cell):
    path = folder / "notebooks" / LESSON
    notebook = nbformat.read(path, as_version=4)
    place = [c.id for c in notebook.cells].index(after) if after else -1
    notebook.cells.insert(place + 1, cell)
    nbformat.write(notebook, path)


def sources(path):
    return [(cell.id, cell.source) for cell in nbformat.read(path, as_version=4).cells]


def kept_files(folder):
    return sorted((folder / "notebooks").glob("*(my work, *"))


def test_a_lesson_is_handed_out_without_outputs_as_jupyter_writes_it(folder):
    path = folder / "notebooks" / LESSON
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.read_text() == nbformat.writes(notebook) + "\n"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert notebook.metadata.language_info.version == ".".join(map(str, sys.version_info[:3]))
    assert (folder / "data" / "numbers.txt").read_text() == "1 2 3"
    here = [".workbook", "cheat-sheet.md", "data", "drills", "glossary.md", "notebooks"]
    assert sorted(path.name for path in folder.iterdir()) == here


def test_what_a_run_has_shown_is_told_when_it_is_opened(project, folder):
    told = text("told", "It dies.\n\nSo beware.\n\n## Next\n\nGo on.")
    told.metadata = {"tags": ["explanation"]}
    publish(project, [*FIRST, told])
    update_copy(folder)
    (_, source) = sources(folder / "notebooks" / LESSON)[-1]
    folded, after = source.split("</details>")
    assert folded.startswith("<details><summary>What it means</summary>\n\nIt dies.\n\nSo")
    assert after == "\n\n## Next\n\nGo on."


def test_a_copy_has_the_cheat_sheet_and_the_glossary_as_plain_markdown(tmp_path):
    update_copy(tmp_path)
    sheet = (tmp_path / "cheat-sheet.md").read_text()
    for one in lesson_cards():
        assert f"## {one.number} · {one.title}\n" in sheet
        assert f"```python\n{one.card.cure}\n```" in sheet
    terms = (tmp_path / "glossary.md").read_text()
    entries = re.findall(r"^\w.*$", (project_root() / "docs" / "glossary.md").read_text(), re.M)
    assert len(entries) > 20
    for entry in entries:
        assert re.search(rf"^\*\*{re.escape(entry)}:\*\* [A-Z`]", terms, re.M), entry
    assert "{glossary}" not in terms


def test_jupyter_saves_a_lesson_as_it_was_handed_out(tmp_path):
    """What Jupyter's own server makes of each real lesson that is opened and saved."""
    from jupyter_server.services.contents.filemanager import FileContentsManager

    update_copy(tmp_path)
    manager = FileContentsManager(root_dir=str(tmp_path))
    lessons = sorted((tmp_path / "notebooks").glob("*.ipynb"))
    assert len(lessons) == len(list((project_root() / "notebooks").glob("*.ipynb")))
    for path in lessons:
        before = path.read_bytes()
        name = f"notebooks/{path.name}"
        model = manager.get(name)
        manager.save({"type": "notebook", "content": model["content"]}, name)
        assert path.read_bytes() == before, path.name


def test_links_and_pictures_lead_to_files_of_the_copy(tmp_path):
    update_copy(tmp_path)
    seen = set()
    for path in (tmp_path / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for target in re.findall(r"\]\(([^)#\s]+)", cell.source):
                if cell.cell_type == "markdown" and not re.match(r"https?:|attachment:", target):
                    found = (path.parent / target).resolve()
                    assert found.is_file(), (path.name, target)
                    assert found.is_relative_to(tmp_path), (path.name, target)
                    seen.add(found.suffix)
    assert seen >= {".ipynb", ".svg"}


def test_outputs_alone_are_no_newer_version(project, folder):
    publish(project, (*FIRST[:-1], code("last", "print(y)", "nbval-skip")))
    assert update_copy(folder) == f"{LESSON}: the newer version"
    notebook = nbformat.read(project / "notebooks" / LESSON, as_version=4)
    notebook.cells[1].outputs = []
    nbformat.write(notebook, project / "notebooks" / LESSON)
    assert update_copy(folder) == f"{folder}: every lesson is the newest"


def test_what_the_first_screen_shows_is_there_where_its_code_is_folded(project, folder):
    folded = [code(name, "draw()") for name in ("screen", "versions", "machine", "later")]
    first, prints, machine, own = folded
    for cell in folded:
        cell.metadata = {"jupyter": {"source_hidden": True}}
        if cell is not prints:
            drawn = {"text/html": "<b>1</b>", "text/plain": "1"}
            cell.outputs = [nbformat.v4.new_output("execute_result", drawn, execution_count=1)]
    machine.metadata["tags"] = ["nbval-ignore-output"]
    asked = code("ask", "ask()")
    question = {"text/plain": "Predict: 1 or 2?"}
    asked.outputs = [nbformat.v4.new_output("display_data", question)]
    lesson = (first, prints, machine, code("open", "x"), asked, own)
    publish(project, lesson)
    (project / "notebooks" / "pictures").mkdir()
    (project / "notebooks" / "pictures" / "a.svg").write_text("<svg/>")
    update_copy(folder)
    cells = nbformat.read(folder / "notebooks" / LESSON, as_version=4).cells
    assert [cell.id for cell in cells if cell.outputs] == ["screen"]
    assert not any(cell.get("execution_count") for cell in cells), "nothing has been run yet"
    assert (folder / "notebooks" / "pictures" / "a.svg").read_text() == "<svg/>"
    first.outputs[0].data["text/plain"] = "2"
    publish(project, lesson)
    mine = work(folder, open="y")
    assert update_copy(folder, renew=True) == f"{folder}: every lesson is the newest"
    assert (folder / "notebooks" / LESSON).read_bytes() == mine


@pytest.mark.parametrize("renew", [False, True])
def test_what_the_learner_left_alone_is_replaced(project, folder, renew):
    publish(project, SECOND)
    (project / "data" / "numbers.txt").write_text("4")
    said = [f"{LESSON}: the newer version", "data/numbers.txt: the newer version"]
    assert update_copy(folder, renew=renew).splitlines() == said + [RELOAD] * renew
    assert sources(folder / "notebooks" / LESSON) == [(c.id, c.source) for c in SECOND]
    assert not kept_files(folder)
    assert (folder / "data" / "numbers.txt").read_text() == "4"


def test_what_they_changed_is_left_alone_until_they_ask(project, folder):
    mine = work(folder, stub="y = 7")
    assert update_copy(folder, renew=True) == f"{folder}: every lesson is the newest"
    publish(project, SECOND)
    assert "yours, left as it is; `workbook fresh`" in update_copy(folder)
    assert "yours, left as it is" in update_copy(folder), "it is said again at the next start"
    assert (folder / "notebooks" / LESSON).read_bytes() == mine


def test_a_newer_version_holds_their_answers_and_cells_and_their_file_is_beside_it(project, folder):
    insert(folder, "", text("note-0", "My first note."))
    insert(folder, "run", code("note-1", "x + 1"))
    insert(folder, "note-1", code("note-2", "x + 2"))
    insert(folder, "last", text("empty", " "))
    mine = work(folder, run="x = 2\nx", stub="y = 7", last="print('mine')")
    publish(project, SECOND)
    said = update_copy(folder, renew=True)
    (kept,) = kept_files(folder)
    assert kept.read_bytes() == mine
    assert said.splitlines() == [
        f"{LESSON}: the newer version, with 1 answer, 1 changed cell and 3 cells of your own in it;"
        f" your file is now “{kept.name}”",
        RELOAD,
    ]
    assert sources(folder / "notebooks" / LESSON) == [
        ("note-0", "My first note."),
        ("title", "# One, newly told"),
        ("more", "A new text."),
        ("run", "x = 2\nx"),
        ("note-1", "x + 1"),
        ("note-2", "x + 2"),
        ("stub", "y = 7"),
        ("last", "print(x, y)"),  # both have changed it: theirs is in the file beside
    ]
    text_now = (folder / "notebooks" / LESSON).read_text()
    nbformat.validate(nbformat.reads(text_now, as_version=4))
    assert "mine\\n" not in text_now
    assert update_copy(folder, renew=True) == f"{folder}: every lesson is the newest"


def test_a_run_without_a_change_is_kept_as_well(project, folder):
    mine = work(folder)
    publish(project, SECOND)
    said = update_copy(folder, renew=True)
    assert f"{LESSON}: the newer version; your file is now" in said
    assert [path.read_bytes() for path in kept_files(folder)] == [mine]
    assert sources(folder / "notebooks" / LESSON) == [(c.id, c.source) for c in SECOND]


@pytest.mark.parametrize("mine", [b"", b"no JSON", b"[]", b'{"cells": [1]}', b'{"cells": [{}]}'])
def test_a_file_that_is_no_notebook_any_more_is_kept(project, folder, mine):
    (folder / "notebooks" / LESSON).write_bytes(mine)
    publish(project, SECOND)
    assert "nothing of yours could be read" in update_copy(folder, renew=True)
    assert [path.read_bytes() for path in kept_files(folder)] == [mine]


def test_two_versions_of_one_day_are_both_kept(project, folder):
    mine = set()
    for version in (SECOND, FIRST, SECOND):
        mine.add(work(folder, stub=f"y = {len(mine)}"))
        publish(project, version)
        update_copy(folder, renew=True)
    assert {path.read_bytes() for path in kept_files(folder)} == mine
    assert len(mine) == 3


def test_lessons_come_and_go_and_nothing_is_deleted(project, folder):
    publish(project, SECOND, "02_two.ipynb")
    (project / "notebooks" / LESSON).unlink()
    own = folder / "notebooks" / "my own.ipynb"
    own.write_text("mine")
    before = (folder / "notebooks" / LESSON).read_bytes()
    waits = f"{LESSON}: no lesson any more; `workbook fresh` puts it aside"
    assert update_copy(folder).splitlines() == ["02_two.ipynb: new", waits]
    assert update_copy(folder) == waits, "it is said again at the next start"
    aside = f"{LESSON}: no lesson any more; yours is now in “earlier”"
    assert update_copy(folder, renew=True).splitlines() == [aside, RELOAD]
    assert (folder / "notebooks" / "earlier" / LESSON).read_bytes() == before
    assert own.read_text() == "mine"
    assert update_copy(folder) == f"{folder}: every lesson is the newest"
    (folder / "notebooks" / "02_two.ipynb").unlink()
    assert update_copy(folder) == "02_two.ipynb: new"
    publish(project, FIRST)
    update_copy(folder)
    mine = work(folder)
    (project / "notebooks" / LESSON).unlink()
    update_copy(folder, renew=True)
    earlier = {path.read_bytes() for path in (folder / "notebooks" / "earlier").iterdir()}
    assert earlier == {before, mine}


def test_another_python_is_no_newer_version(project, folder, monkeypatch):
    from ipykernel.ipkernel import IPythonKernel

    path = folder / "notebooks" / LESSON
    other = {**IPythonKernel.language_info, "version": "3.99.0"}
    with monkeypatch.context() as patched:
        patched.setattr(IPythonKernel, "language_info", other)
        assert update_copy(folder, renew=True) == f"{folder}: every lesson is the newest"
        assert '"version": "3.99.0"' in path.read_text(), "or it opens with a mark"
    update_copy(folder)
    mine = work(folder, stub="y = 7")
    monkeypatch.setattr(IPythonKernel, "language_info", other)
    assert update_copy(folder, renew=True) == f"{folder}: every lesson is the newest"
    assert path.read_bytes() == mine


@pytest.mark.parametrize("record", [None, b"", b"[]", b'{"notebooks/01_one.ipynb": {"file": "x"}}'])
def test_without_its_record_everything_that_differs_is_theirs(project, folder, record):
    mine = work(folder, stub="y = 7")
    kept = folder / ".workbook" / "handed-out.json"
    kept.unlink() if record is None else kept.write_bytes(record)
    publish(project, SECOND)
    update_copy(folder)
    assert (folder / "notebooks" / LESSON).read_bytes() == mine
    assert "with 1 answer" in update_copy(folder, renew=True)
    assert [path.read_bytes() for path in kept_files(folder)] == [mine]


def test_where_one_file_cannot_be_written_all_are_as_they_were(project, folder):
    mine = work(folder, stub="y = 7")
    publish(project, SECOND)
    (project / "data" / "numbers.txt").write_text("4")
    (folder / "data" / "numbers.txt").unlink()
    (folder / "data" / "numbers.txt").mkdir()
    with pytest.raises(OSError, match=r"numbers\.txt"):
        update_copy(folder, renew=True)
    assert (folder / "notebooks" / LESSON).read_bytes() == mine
    assert not kept_files(folder)
    (folder / "data" / "numbers.txt").rmdir()
    assert "with 1 answer" in update_copy(folder, renew=True)


def test_the_lessons_themselves_are_no_copy(project):
    with pytest.raises(learner_copy.LearnerCopyError, match="name another folder"):
        update_copy(project)
    assert not (project / ".workbook").exists()


def test_whatever_happens_no_update_costs_them_a_file(project, folder):
    """Over months: they work, add cells, delete; lessons change; they update, or begin anew."""
    chance = random.Random(7)
    path = folder / "notebooks" / LESSON
    traces = ("mine", "own-", "y = 1")  # of whatever a learner does here
    carried = 0
    for step in range(1000, 1300):
        act = chance.randrange(7)
        if act == 0 and path.exists():
            work(folder, stub=f"y = {step}")
        elif act == 1 and path.exists():
            insert(folder, "run", code(f"own-{step}", f"step = {step}"))
        elif act == 2:
            publish(project, (*chance.choice([FIRST, SECOND]), text(f"end-{step % 3}", "End.")))
        elif act == 3 and chance.random() < 0.3:
            path.unlink(missing_ok=True)
        before = {file.read_text() for file in path.parent.iterdir()}
        if act == 4:
            update_copy(folder)
        elif act == 5:
            carried += " in it" in update_copy(folder, renew=True)
        elif act == 6 and chance.random() < 0.5:
            main(["fresh", "01", "--folder", str(folder)])
        gone = before - {file.read_text() for file in path.parent.iterdir()}
        assert not [one for one in gone if any(trace in one for trace in traces)]
    assert carried > 3
    assert len(kept_files(folder)) > 6


# The command


def test_the_copy_is_the_one_that_we_are_in_or_the_one_of_make_lab(
    project, folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(folder / "notebooks")
    assert find_copy() == folder
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBOOK_FOLDER", raising=False)
    assert find_copy() == project / "my-workbook"
    monkeypatch.setenv("WORKBOOK_FOLDER", "elsewhere")
    assert str(find_copy()) == "elsewhere"


@pytest.mark.parametrize("name", ["01", "01_one", LESSON, f"notebooks/{LESSON}"])
def test_fresh_with_a_lesson_begins_it_anew(folder, capsys, monkeypatch, name):
    mine = work(folder, stub="y = 7")
    monkeypatch.chdir(folder / "notebooks")
    assert main(["fresh", name]) == 0
    (kept,) = kept_files(folder)
    assert capsys.readouterr().out.splitlines() == [
        f"{folder / 'notebooks' / LESSON}: new; your file is now “{kept.name}”",
        RELOAD,
    ]
    assert kept.read_bytes() == mine
    assert dict(sources(folder / "notebooks" / LESSON))["stub"] == "y = ..."
    main(["fresh", name])
    assert len(kept_files(folder)) == 1, "one that is as it was handed out is nobody's work"


def test_fresh_says_what_it_did_in_a_line_for_each_lesson(project, folder, capsys):
    work(folder, stub="y = 7")
    publish(project, SECOND)
    assert main(["fresh", "--folder", str(folder)]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{LESSON}: the newer version, with 1 answer in it; your file is now")
    assert last == RELOAD


def test_the_edition_learner_is_the_same_copy(project, tmp_path, capsys):
    assert main(["edition", "learner", "--output", str(tmp_path / "out")]) == 0
    assert "your copy of the 1 lessons" in capsys.readouterr().out
    mine = work(tmp_path / "out", stub="y = 7")
    publish(project, SECOND)
    assert main(["edition", "learner", "--output", str(tmp_path / "out")]) == 0
    assert "yours, left as it is" in capsys.readouterr().out
    assert (tmp_path / "out" / "notebooks" / LESSON).read_bytes() == mine


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fresh", "07"], f"there is no lesson 07; there are {LESSON}"),
        (["edition", "learner", "x.ipynb"], "holds every lesson"),
        (["edition", "learner", "--output", "data/numbers.txt"], "numbers.txt"),
        (["fresh", "--folder", "."], "name another folder"),
    ],
)
def test_bad_input_gets_one_line(project, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(project)
    assert main(arguments) != 0
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert said in line
