"""The learner's copy of the lessons: made, and brought up to date without losing their work.

A copy is a folder with ``notebooks/``, ``drills/`` and ``data/``, the cheat sheet and the glossary.
It notes what was handed out in
``.workbook/handed-out.json``, so that a file which the learner has changed is told from one that is
as it was.
Outputs are not handed out: they would answer what the lesson is about to ask. Only a folded cell
that draws something before the first question keeps its output, since nothing else of it shows.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_all
from varhandle.display import counted, join_all, join_words
from varhandle.errors import VarhandleError
from workbook_lib.lesson.cards import cheat_sheet_text
from workbook_lib.lesson.drill_catalog import PAGE, all_drills, page_of_drills
from workbook_lib.lesson.observations import EXPLANATION, folded_explanation, opening_cells
from workbook_lib.lesson.progress import working_copy
from workbook_lib.locations import project_root

Notebook = dict[str, Any]

_RECORD = Path(".workbook", "handed-out.json")
_NO_WIDGETS = {
    "application/vnd.jupyter.widget-state+json": {
        "state": {},
        "version_major": 2,
        "version_minor": 0,
    }
}
_RELOAD = "Where one of these is open in JupyterLab: File > Reload Notebook from Disk."


class LearnerCopyError(VarhandleError, ValueError):
    """No copy can be made there, or there is no such lesson."""


@dataclass(frozen=True)
class _Version:
    """A file as it is handed out, in digests."""

    file: str
    lesson: str  # the same without outputs, and what a notebook says of the Python here
    cells: Mapping[str, str]  # a notebook's: cell id -> the cell's source


@dataclass(frozen=True)
class _Original:
    """A file to be handed out."""

    content: bytes
    version: _Version
    notebook: Notebook | None = None


def learner_form(notebook: Notebook) -> Notebook:
    """Return a lesson without what answers it, with the metadata that JupyterLab would give it.

    Proofs are left out: they hold asserts, for those who maintain the lesson. A text that tells
    what a run has shown is folded: who chooses an answer sees the cells below the question.
    Where what the kernel says of itself is missing, JupyterLab adds it, and marks the notebook as
    changed as soon as it opens. The state of widgets is what our setting ``saveState`` adds.
    """
    from ipykernel.ipkernel import IPythonKernel

    made = copy.deepcopy(notebook)
    made["metadata"]["language_info"] = IPythonKernel.language_info
    made["metadata"]["widgets"] = _NO_WIDGETS
    opening = opening_cells(notebook)
    made["cells"] = [c for c in made["cells"] if "proof" not in c["metadata"].get("tags", ())]
    for cell in made["cells"]:
        if EXPLANATION in cell["metadata"].get("tags", ()):
            cell["source"] = folded_explanation(_source(cell)).splitlines(keepends=True)
        kept = cell["outputs"] if cell["id"] in opening else []
        _clear(cell)
        for output in kept:
            if "execution_count" in output:
                output["execution_count"] = None
            cell["outputs"].append(output)
    return made


def notebook_bytes(notebook: Notebook) -> bytes:
    """Return a notebook's file as Jupyter saves it, byte for byte."""
    return f"{json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)}\n".encode()


def find_copy() -> Path:
    """Return the copy that the working folder is in, or else the one that ``make lab`` opens."""
    here = working_copy()
    if (here / _RECORD).is_file():
        return here
    return Path(os.environ.get("WORKBOOK_FOLDER") or project_root() / "my-workbook")


def update_copy(folder: Path, *, renew: bool = False) -> str:
    """Make a copy, or bring it up to date; return a line for each lesson where something happened.

    What is as it was handed out is replaced. A lesson that was changed stays; or, with ``renew``, a
    newer version takes its place, with the learner's answers and cells in it, and their file is
    kept beside it; a lesson that there is no more is put aside. Raises ``LearnerCopyError``: the
    folder holds the lessons themselves. Raises ``OSError``: a file cannot be read or written; then
    none of them is.
    """
    record, originals = _read_record(folder), dict(_originals())
    is_new, said, files = not record, [], {}
    for name, original in originals.items():
        path, known = folder / name, record.get(name)
        label = name.removeprefix("notebooks/")
        is_newer = known is None or known.lesson != original.version.lesson
        mine = _changed_file(path, original, known)
        if mine is None:
            record[name] = original.version
            files[path] = original.content
            if not is_new and (is_newer or not path.exists()):
                said.append(f"{label}: {'the newer version' if path.exists() else 'new'}")
        elif is_newer and renew:
            record[name] = original.version
            files[path], carried = _with_work_of(mine, original, known)
            kept = _free_name(path)
            files[kept] = mine
            said.append(f"{label}: the newer version{carried}; your file is now “{kept.name}”")
        elif is_newer:
            said.append(f"{label}: yours, left as it is; `workbook fresh` gets the newer one")
    said += _put_aside(folder, record, record.keys() - originals.keys(), renew)
    _write(folder, files, record)
    if is_new:
        lessons = sum(original.notebook is not None for original in originals.values())
        said.insert(0, f"{folder}: your copy of the {lessons} lessons")
    elif said and renew:
        said.append(_RELOAD)
    return "\n".join(said) or f"{folder}: every lesson is the newest"


def renew_lesson(folder: Path, lesson: str) -> str:
    """Hand a lesson out anew; keep the learner's file beside it. Return a line that says so.

    Raises as :func:`update_copy` does, and ``LearnerCopyError`` for what is no lesson.
    """
    originals = {Path(name).name: (name, it) for name, it in _originals() if it.notebook}
    wanted = Path(lesson).name
    file = next((f for f in originals if wanted in (f, f.removesuffix(".ipynb"), f[:2])), None)
    if file is None:
        raise LearnerCopyError(f"there is no lesson {lesson}; there are {join_all(originals)}")
    name, original = originals[file]
    path, record = folder / name, _read_record(folder)
    mine = _changed_file(path, original, record.get(name))
    record[name], files, said = original.version, {path: original.content}, f"{path}: new"
    if mine is not None:
        kept = _free_name(path)
        files[kept] = mine
        said += f"; your file is now “{kept.name}”\n{_RELOAD}"
    _write(folder, files, record)
    return said


def _originals() -> Iterator[tuple[str, _Original]]:
    """Yield what is handed out, by its path in a copy."""
    root = project_root()
    lessons = set((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    files = [path for part in ("notebooks", "data") for path in sorted((root / part).rglob("*"))]
    for path in files:
        name = path.relative_to(root)
        is_hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
        if is_hidden or not path.is_file() or (path.suffix == ".ipynb" and path not in lessons):
            continue
        content = path.read_bytes()
        notebook = None
        version = _Version(_digest(content), _digest(content), {})
        if path in lessons:
            notebook = learner_form(json.loads(content))
            content = notebook_bytes(notebook)
            cells = {cell["id"]: _digest(_source(cell).encode()) for cell in notebook["cells"]}
            version = _Version(_digest(content), _lesson_digest(notebook), cells)
        yield name.as_posix(), _Original(content, version, notebook)
    texts = {f"drills/{drill.name}.py": drill.variants["broken"] for drill in all_drills()}
    texts["cheat-sheet.md"] = cheat_sheet_text(root / "notebooks")
    texts["glossary.md"] = _glossary(root)
    for file, text in texts.items():
        content = text.encode()
        yield file, _Original(content, _Version(_digest(content), _digest(content), {}))
    page = learner_form(json.loads(page_of_drills().read_bytes()))
    content = notebook_bytes(page)
    version = _Version(_digest(content), _lesson_digest(page), {})
    yield f"drills/{PAGE}", _Original(content, version)


def _glossary(root: Path) -> str:
    """Return the glossary of the site as plain Markdown, which JupyterLab shows."""
    text = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    title, _, entries = text.partition("```{glossary}\n")
    return title + re.sub(r"^(\S.*)\n  ", r"**\1:** ", entries.replace("```\n", ""), flags=re.M)


def _lesson_digest(notebook: Notebook) -> str:
    told = copy.deepcopy([notebook["metadata"].get("workbook"), *notebook["cells"]])
    for cell in told[1:]:
        _clear(cell)
    return _digest(json.dumps(told, sort_keys=True).encode())


def _put_aside(
    folder: Path, record: dict[str, _Version], names: Iterable[str], renew: bool
) -> Iterator[str]:
    """Move lessons that there are no more into a folder of their own; yield a line for each."""
    for name in sorted(names):
        path = folder / name
        if path.suffix == ".ipynb" and path.exists():
            if not renew:
                yield f"{path.name}: no lesson any more; `workbook fresh` puts it aside"
                continue
            aside = path.parent / "earlier" / path.name
            aside.parent.mkdir(exist_ok=True)
            path.rename(_free_name(aside) if aside.exists() else aside)
            yield f"{path.name}: no lesson any more; yours is now in “{aside.parent.name}”"
        del record[name]


def _changed_file(path: Path, original: _Original, known: _Version | None) -> bytes | None:
    """Return the file if the learner has changed it."""
    if not path.exists():
        return None
    mine = path.read_bytes()
    handed_out = {original.version.file, known.file if known else ""}
    return None if _digest(mine) in handed_out else mine


def _with_work_of(mine: bytes, original: _Original, known: _Version | None) -> tuple[bytes, str]:
    """Put a learner's work into a newer version of a file; say what was put there.

    That is each answer to an exercise, each cell of their own, at its place, and each other cell
    that they changed and the newer version did not.
    """
    if original.notebook is None:
        return original.content, ""
    handed_out = known.cells if known else {}
    made = copy.deepcopy(original.notebook)
    cells = {cell["id"]: cell for cell in made["cells"]}
    added, last = defaultdict(list), ""
    counts = {"answer": 0, "changed cell": 0, "cell of your own": 0}
    try:
        for cell in json.loads(mine)["cells"]:
            name, source = cell["id"], _source(cell)
            if name not in cells:
                if name not in handed_out and source.strip():
                    _clear(cell)
                    added[last].append(cell)
                    counts["cell of your own"] += 1
                continue
            last, theirs = name, cells[name]
            is_answer = "exercise" in theirs["metadata"].get("tags", ())
            is_same = _digest(_source(theirs).encode()) == handed_out.get(name)
            is_mine = _digest(source.encode()) != handed_out.get(name) and source != _source(theirs)
            if is_mine and (is_answer or is_same) and cell["cell_type"] == theirs["cell_type"]:
                theirs["source"] = source.splitlines(keepends=True)
                _clear(theirs)
                counts["answer" if is_answer else "changed cell"] += 1
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return original.content, " (nothing of yours could be read)"
    made["cells"] = [*added[""], *(one for c in made["cells"] for one in (c, *added[c["id"]]))]
    plurals = {"cell of your own": "cells of your own"}
    put = [counted(n, what, plurals.get(what, "")) for what, n in counts.items() if n]
    return notebook_bytes(made), f", with {join_words(put)} in it" if put else ""


def _free_name(path: Path) -> Path:
    """Return a name for a learner's file beside a newer one, with the day of its last save."""
    day = time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
    marks = (f"my work, {day}", *(f"my work, {day}, {number}" for number in range(2, 1000)))
    names = (path.with_name(f"{path.stem} ({mark}){path.suffix}") for mark in marks)
    return next(name for name in names if not name.exists())


def _read_record(folder: Path) -> dict[str, _Version]:
    if (folder / "notebooks").resolve() == project_root() / "notebooks":
        raise LearnerCopyError(
            f"{folder}: the lessons that copies are made of; name another folder"
        )
    try:
        kept = json.loads((folder / _RECORD).read_bytes())
        return {name: _Version(**version) for name, version in kept.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}  # then what differs from today's lessons is the learner's


def _write(folder: Path, files: Mapping[Path, bytes], record: Mapping[str, _Version]) -> None:
    kept = {name: asdict(version) for name, version in record.items()}
    every = {**files, folder / _RECORD: json.dumps(kept, indent=1).encode()}
    changed = {
        path: content
        for path, content in every.items()
        if not path.is_file() or path.read_bytes() != content
    }
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_all(changed)


def _clear(cell: dict[str, Any]) -> None:
    if cell["cell_type"] == "code":
        cell["outputs"], cell["execution_count"] = [], None


def _source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
