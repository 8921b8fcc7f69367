"""The page: what it is built of, and that the Python in it answers as the one here."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from built import built_page
from family_fixtures import specimen_path

from varhandle import browser
from workbook_lib.editions import page
from workbook_lib.locations import project_root

__all__ = ["specimen_path"]

ROOT = project_root()
LOGS = ROOT / "tests/varhandle/families/logs"
PYODIDE = ROOT / "tests/support/in_pyodide.mjs"
#: One of each format, and .tflite files that want another runtime.
MODELS = (
    *("counter_tflite", "flex_tflite", "custom_tflite", "int8_counter_tflite"),
    *("counter_of_two_signatures", "words_in_a_table", "tf1_saved_model"),
    *("unfrozen_graph", "frozen_graph", "mlp_keras", "stateful_gru_h5"),
)


@pytest.fixture(scope="module")
def built():
    return built_page()


def test_the_dtypes_are_those_that_its_litert_has_arrays_for(built):
    source = (built / "litert" / "index.js").read_text("utf-8")
    table = source.partition("var DATATYPES = ")[2].partition("]);")[0]
    assert re.findall(r'dtype: "(\w+)"', table) == list(browser.DTYPES_OF_LITERT_JS)


def in_the_page(built, folder, questions):
    """Ask the Python of the page, whose files are those of a folder."""
    asked, answered = folder / "asked.json", folder / "answered.json"
    asked.write_text(json.dumps(questions))
    command = [
        *page.node_program("node"),
        str(PYODIDE),
        *map(str, (built, folder, asked, answered)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-1000:]
    return json.loads(answered.read_text())


def test_it_answers_as_the_package_here(built, specimen_path, tmp_path, monkeypatch):
    models = []
    for name in MODELS:
        source = Path(specimen_path(name))
        models.append(f"{name}{source.suffix}")
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, tmp_path / models[-1])
    shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "tf1_saved_model")
    (tmp_path / "broken.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    models += ["archive.zip", "broken.tflite", "nothing.pb"]
    questions = [
        *(("explain_log", path.read_text("utf-8")) for path in sorted(LOGS.glob("*.txt"))),
        *(("read_model", name) for name in models),
        ("lift", "counter_tflite.tflite", "lifted.tflite"),
    ]
    monkeypatch.chdir(tmp_path)
    expected = [getattr(browser, name)(*given) for name, *given in questions]
    lifted = written_files()
    answers = in_the_page(built, tmp_path, questions)
    for question, answer, known in zip(questions, answers, expected, strict=True):
        assert answer == known, question[:2]
    assert written_files() == lifted


def written_files():
    """What a lift has written; of the state its values, since each Python zips in its own way."""
    with np.load("lifted.state.npz") as state:
        values = {name: (value.dtype.str, value.tolist()) for name, value in state.items()}
    return Path("lifted.tflite").read_bytes(), values


def test_the_list_has_every_file_and_a_version_of_its_own(built, tmp_path):
    """But those of JupyterLab, which no visitor's browser has to keep."""
    listed = json.loads((built / "files.json").read_text())
    found = {p.relative_to(built).as_posix(): p for p in built.rglob("*") if p.is_file()}
    found.pop("files.json")
    assert listed["files"] == {
        name: path.stat().st_size for name, path in found.items() if not name.startswith("lite/")
    }
    again = tmp_path / "again"
    shutil.copytree(built, again)
    (again / "files.json").unlink()
    page._write_list(again)
    assert json.loads((again / "files.json").read_text()) == listed
    (again / "html_page.css").write_bytes((again / "html_page.css").read_bytes()[::-1])
    (again / "files.json").unlink()
    page._write_list(again)
    assert json.loads((again / "files.json").read_text())["version"] != listed["version"]


def test_what_is_shipped_is_what_the_locks_name(built):
    """Each of npm's packages is pinned by its hash, and the texts of all licenses lie beside."""
    lock = json.loads((ROOT / "docs/page/package-lock.json").read_text())
    wanted = json.loads((ROOT / "docs/page/package.json").read_text())["dependencies"]
    packages = {name.removeprefix("node_modules/"): one for name, one in lock["packages"].items()}
    assert packages.pop("")["dependencies"] == wanted
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
    assert not any("resolved" in one for one in packages.values())
    assert all(packages[name]["version"] == version for name, version in wanted.items())
    with zipfile.ZipFile(built / "python.zip") as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        assert tops == {"varhandle", "google", "flatbuffers", "lazy_loader", "ai_edge_litert"}
        assert not [n for n in archive.namelist() if n.endswith((".so", ".pyc")) or "/tests/" in n]
    notice = (built / "licenses/NOTICE.txt").read_text()
    for name in (*wanted, *page._MODULES):
        assert name.replace("_", "-") in notice.replace("_", "-"), name


def test_the_same_tree_gives_the_same_archive(built, tmp_path):
    page._write_python(tmp_path / "python.zip")
    digests = {
        hashlib.sha256((at / "python.zip").read_bytes()).hexdigest() for at in (built, tmp_path)
    }
    assert len(digests) == 1


def test_no_script_of_it_asks_for_what_is_not_there(built):
    for path in [*built.glob("pyodide/*.mjs"), *built.glob("litert/*.js")]:
        text = path.read_text("utf-8")
        assert "sourceMappingURL" not in text.splitlines()[-1]
        assert '"@litertjs/' not in text


def test_without_npm_it_says_so_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert page.main([str(tmp_path / "page")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("make page: npm is missing")
    assert told.count("\n") == 1
    assert not (tmp_path / "page").exists()


def test_another_hash_than_the_locks_is_refused(tmp_path, monkeypatch, capsys):
    sources = tmp_path / "sources"
    shutil.copytree(ROOT / "docs/page", sources)
    lock = json.loads((sources / "package-lock.json").read_text())
    one = lock["packages"]["node_modules/@litertjs/wasm-utils"]
    one["integrity"] = "sha512-" + "A" * 86 + "=="
    (sources / "package-lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(page, "_sources", lambda: sources)
    assert page.main([str(tmp_path / "page")]) == 1
    assert "EINTEGRITY" in capsys.readouterr().err
