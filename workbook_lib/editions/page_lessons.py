"""Notebooks as files, beside the page: the lessons that need no TensorFlow, run in the browser.

``docs/page/lessons/`` holds the notebooks. JupyterLite is the one installed here, held to
``requirements/site.lock``. Its kernel is fetched for the build alone, held to ``kernel.lock``:
where it is installed, JupyterLab loads its extension and fails. What Python imports there comes
from PyPI, held to ``wheels.lock``; the tool itself is the page's archive, as a wheel, and
ipywidgets that of ``requirements/lab.lock``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import nbformat

from varhandle.errors import VarhandleError
from workbook_lib.locations import project_root

LOCK = "wheels.lock"
KERNEL_LOCK = "kernel.lock"
_KERNEL = "@jupyterlite/pyodide-kernel-extension"
_PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
_WIDGETS = "@jupyter-widgets/jupyterlab-manager"
_PREDICTIONS = "predictions.py"
_PYTHON = "3.14"
"""The Python of pyodide, for which the wheels are chosen."""


class LessonsError(VarhandleError):
    """The lessons cannot be built; the message says why, in one line."""


def lessons_folder() -> Path:
    """Return where the notebooks are, and the lock of what they run on."""
    return project_root() / "docs" / "page" / "lessons"


def build_lessons(page: Path, folder: Path) -> None:
    """Build them in a folder that is not there yet, beside a page that is built.

    Raises ``LessonsError``: the wheels cannot be had, or JupyterLite does not build.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch)
        _copy_contents(page, source / "contents")
        _fetch_wheels(LOCK, source / "pypi")
        kernel = _unpack_kernel(source / "kernel")
        _copy_pyodide(page, source / "static" / "pyodide", source / "pypi")
        _write_settings(source, kernel, folder)
        build = [sys.executable, "-m", "jupyterlite_core", "build"]
        _run(build, source, "JupyterLite says", PYTHONPATH=str(kernel))


def _copy_contents(page: Path, folder: Path) -> None:
    """Copy the notebooks without their outputs, which would give the answers away."""
    shutil.copytree(page / "examples", folder / "examples")
    lessons = folder / "lessons"
    lessons.mkdir()
    shutil.copyfile(lessons_folder() / _PREDICTIONS, lessons / _PREDICTIONS)
    for path in sorted(lessons_folder().glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        nbformat.write(notebook, lessons / path.name)


def _fetch_wheels(name: str, folder: Path) -> None:
    """Let pip fetch what a lock names: wheels of Python alone, checked against the hashes."""
    lock = str(lessons_folder() / name)
    suits = ["--implementation=py", "--abi=none", "--platform=any", f"--python-version={_PYTHON}"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    wanted = ["--no-deps", "--only-binary=:all:", "--require-hashes", f"--requirement={lock}"]
    _run([*pip, *suits, *wanted, f"--dest={folder}"], folder.parent, f"pip, about {name}, says")


def _unpack_kernel(folder: Path) -> Path:
    """Return the folder from which JupyterLite's build can import its kernel."""
    folder.mkdir()
    _fetch_wheels(KERNEL_LOCK, folder / "wheels")
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "packages")
    return folder / "packages"


def _copy_pyodide(page: Path, folder: Path, wheels: Path) -> None:
    """Copy the page's pyodide; its own list of packages would be those of a server elsewhere."""
    folder.mkdir(parents=True)
    for name in _PYODIDE:
        shutil.copyfile(page / "pyodide" / name, folder / name)
    (fetched,) = wheels.glob("micropip-*.whl")
    micropip = fetched.rename(folder / fetched.name)
    tool = folder / f"varhandle-{version('varhandle')}-py3-none-any.whl"
    with zipfile.ZipFile(page / "python.zip") as source:
        _write_wheel({info.filename: source.read(info) for info in source.infolist()}, tool)
    widgets = folder / f"ipywidgets-{version('ipywidgets')}-py3-none-any.whl"
    _write_wheel(_python_files("ipywidgets"), widgets)
    listed = json.loads((page / "pyodide" / "pyodide-lock.json").read_text("utf-8"))
    packages = {path.name.split("-")[0]: _package(path) for path in (micropip, tool, widgets)}
    text = json.dumps({"info": listed["info"], "packages": packages})
    (folder / "pyodide-lock.json").write_text(text, "utf-8")


def _python_files(package: str) -> dict[str, bytes]:
    """Return the modules of an installed package, without its tests."""
    found = [
        one for one in files(package) or () if one.suffix == ".py" and "tests" not in one.parts
    ]
    return {one.as_posix(): Path(str(one.locate())).read_bytes() for one in found}


def _write_wheel(written: dict[str, bytes], wheel: Path) -> None:
    """Make a wheel of Python files that need nothing that is not loaded with them."""
    name, number, *_ = wheel.name.split("-")
    told = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as target:
        written = written | {
            f"{name}-{number}.dist-info/{one}": text.encode() for one, text in told.items()
        }
        lines = "".join(
            f"{path},{_digest(content)},{len(content)}\n" for path, content in written.items()
        )
        record = f"{name}-{number}.dist-info/RECORD"
        written[record] = f"{lines}{record},,\n".encode()
        for path, content in written.items():
            target.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def _package(wheel: Path) -> dict[str, Any]:
    """Describe a wheel as the list of pyodide does."""
    name, number, *_ = wheel.name.split("-")
    return {
        "depends": [],
        "file_name": wheel.name,
        "imports": [name],
        "install_dir": "site",
        "name": name,
        "package_type": "package",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "unvendored_tests": False,
        "version": number,
    }


def _write_settings(source: Path, kernel: Path, folder: Path) -> None:
    (extension,) = kernel.glob(f"*.data/data/share/jupyter/labextensions/{_KERNEL}")
    build = {
        "apps": ["notebooks", "tree"],
        "contents": ["contents"],
        "federated_extensions": [str(extension), str(_installed_extension(_WIDGETS))],
        "ignore_sys_prefix": ["federated_extensions"],
        "no_sourcemaps": True,
        "output_dir": str(folder.resolve()),
    }
    options = {
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"packages": ["varhandle", "ipywidgets"]},
    }
    page = {"litePluginSettings": {f"{_KERNEL}:kernel": options}}
    for name, settings in (
        ("jupyter_lite_config.json", {"LiteBuildConfig": build}),
        ("jupyter-lite.json", {"jupyter-lite-schema-version": 0, "jupyter-config-data": page}),
    ):
        (source / name).write_text(json.dumps(settings), "utf-8")


def _installed_extension(name: str) -> Path:
    found = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / name
    if not found.is_dir():
        raise LessonsError(f"there is no {found}: install requirements/lab.lock")
    return found


def _run(command: list[str], folder: Path, whose: str, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LessonsError(f"{whose}: {' '.join((done.stderr or done.stdout).split())[-500:]}")
