"""The lessons of the page: executed here, and what JupyterLite is built of."""

import hashlib
import json
import re
import shutil
import zipfile
from importlib import metadata
from itertools import pairwise

import nbformat
import pytest
from built import built_page
from nbclient import NotebookClient

from workbook_lib.editions import page_lessons
from workbook_lib.locations import project_root

ROOT = project_root()
NOTEBOOKS = sorted(page_lessons.lessons_folder().glob("*.ipynb"))
LOCK = page_lessons.lessons_folder() / page_lessons.LOCK


@pytest.fixture(scope="module")
def lite():
    return built_page() / "lite"


def said(cell):
    """What a cell prints and shows, but for the numbers of its runs."""
    return [
        {key: value for key, value in output.items() if key != "execution_count"}
        for output in cell.get("outputs", ())
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_prints_what_is_stored(path, tmp_path):
    shutil.copytree(ROOT / "docs/page/examples", tmp_path / "examples")
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    shutil.copy(path.with_name("predictions.py"), lessons)
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(lessons)}}
    NotebookClient(fresh, resources=resources, coalesce_streams=True).execute()
    for before, now in zip(stored.cells, fresh.cells, strict=True):
        if not before.id.startswith("predict-"):  # a control has another number each time
            assert said(now) == said(before), before.id
    assert {one.name for one in lessons.iterdir()} <= {"predictions.py", "__pycache__"}


def code_of(notebook):
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_solution_is_right_and_the_stub_is_not(path, tmp_path, monkeypatch, capsys):
    (tmp_path / "lessons").mkdir()
    shutil.copytree(ROOT / "docs/page/examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "lessons")
    monkeypatch.syspath_prepend(path.parent)
    notebook = nbformat.read(path, as_version=4)
    solution = next(cell.source for cell in notebook.cells if cell.id == "solution")
    names = {}
    for name, source in code_of(notebook).items():
        exec(source, names)
        if name == "stub":
            exec(re.search(r"```python\n(.*?)```", solution, re.DOTALL)[1], names)
        if name == "check":
            assert capsys.readouterr().out.endswith("That is right.\n")
    stored = next(cell for cell in notebook.cells if cell.id == "check")
    assert stored.outputs[0].text == "Not yet.\n"


def test_every_question_is_asked_once_and_below_its_words(monkeypatch):
    monkeypatch.syspath_prepend(page_lessons.lessons_folder())
    from predictions import _QUESTIONS

    asked = []
    for path in NOTEBOOKS:
        for before, cell in pairwise(nbformat.read(path, as_version=4).cells):
            wanted = before.source.startswith("**Predict.**") and before.source.endswith("?")
            assert wanted == cell.id.startswith("predict-")
            if wanted:
                assert not cell.outputs
                asked += re.findall(r'predict\("([a-z-]+)"\)', cell.source)
    assert asked == list(_QUESTIONS)


@pytest.mark.parametrize("place", range(3))
def test_the_reason_is_told_to_whoever_has_chosen(place, monkeypatch):
    monkeypatch.syspath_prepend(page_lessons.lessons_folder())
    from predictions import _QUESTIONS, predict

    for name, (options, why) in _QUESTIONS.items():
        choice, told, _ = predict(name).children
        assert told.value == "" and choice.value is None
        assert choice.options == tuple(sorted(options))
        choice.index = place
        assert choice.disabled and why in told.value
        assert ("That is right." in told.value) == (choice.value == options[0])
    assert len({sorted(options).index(options[0]) for options, _ in _QUESTIONS.values()}) > 1


def test_the_page_links_to_every_lesson(lite):
    linked = re.findall(
        r'href="lite/notebooks/index\.html\?path=([^"]+)"', (lite.parent / "index.html").read_text()
    )
    assert linked == [f"lessons/{path.name}" for path in NOTEBOOKS]
    assert (lite / "notebooks/index.html").exists()
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        given = nbformat.read(lite / "files/lessons" / path.name, as_version=4).cells
        assert [cell.source for cell in given] == [cell.source for cell in cells]
        assert not [cell for cell in given if cell.get("outputs") or cell.get("execution_count")]
    for path in (ROOT / "docs/page/examples").iterdir():
        assert (lite / "files/examples" / path.name).read_bytes() == path.read_bytes()
    assert not (lite.parent / "lessons").exists()


def test_it_imports_the_wheels_of_the_lock_and_of_nowhere_else(lite):
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    hashes = set(re.findall(r"sha256:([0-9a-f]{64})", LOCK.read_text()))
    wheels = [*(lite / "pypi").glob("*.whl"), *(lite / "static/pyodide").glob("micropip-*.whl")]
    assert len(wheels) == len(pinned)
    for wheel in wheels:
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() in hashes
        assert wheel.name.endswith("-none-any.whl")
    told = json.loads((lite / "jupyter-lite.json").read_text())["jupyter-config-data"]
    (kernel,) = told["litePluginSettings"].values()
    assert kernel["disablePyPIFallback"] is True
    assert all(url.startswith("./") for url in [kernel["pyodideUrl"], *kernel["pipliteUrls"]])
    extensions = {one["name"] for one in told["federated_extensions"]}
    assert extensions == {page_lessons._KERNEL, page_lessons._WIDGETS}


def test_the_tool_there_is_that_of_the_page(lite):
    folder = lite / "static/pyodide"
    listed = json.loads((folder / "pyodide-lock.json").read_text())["packages"]
    assert set(listed) == {"ipywidgets", "micropip", "varhandle"}
    assert listed["ipywidgets"]["version"] == metadata.version("ipywidgets")
    for one in listed.values():
        content = (folder / one["file_name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"]
    with (
        zipfile.ZipFile(folder / listed["varhandle"]["file_name"]) as wheel,
        zipfile.ZipFile(lite.parent / "python.zip") as archive,
    ):
        ours = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
        assert ours == {name: archive.read(name) for name in archive.namelist()}


def test_a_wheel_with_another_hash_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "lessons"
    folder.mkdir()
    one = re.search(r"^comm==\S+", LOCK.read_text(), re.MULTILINE)[0]
    (folder / page_lessons.LOCK).write_text(f"{one} --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(page_lessons, "lessons_folder", lambda: folder)
    with pytest.raises(page_lessons.LessonsError, match=page_lessons.LOCK) as raised:
        page_lessons._fetch_wheels(page_lessons.LOCK, tmp_path / "pypi")
    assert "HASH" in str(raised.value).upper()
