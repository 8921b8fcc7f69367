"""What an installation of the tool lays down, so that Jupyter finds it without being told."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_server.extension.config import ExtensionConfigManager
from jupyterlab_server.config import get_federated_extensions

from varhandle import jupyter
from workbook_lib.locations import project_root


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """An installation from the source, in a prefix of its own."""
    source, prefix = (tmp_path_factory.mktemp(name) for name in ("source", "prefix"))
    ignored = shutil.ignore_patterns("__pycache__")
    package = project_root() / "packages" / "varhandle"
    shutil.copytree(package, source, ignore=ignored, dirs_exist_ok=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    command += ["--no-warn-script-location", "--prefix", str(prefix), "."]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return prefix


def test_the_server_part_is_enabled(prefix):
    manager = ExtensionConfigManager(read_config_path=[str(prefix / "etc" / "jupyter")])
    assert manager.get_jpserver_extensions() == {"varhandle.jupyter": True}
    assert jupyter._jupyter_server_extension_points() == [{"module": "varhandle.jupyter"}]


def test_jupyterlab_finds_every_file_of_its_part(prefix):
    folder = prefix / "share" / "jupyter" / "labextensions"
    (found,) = get_federated_extensions([str(folder)]).values()
    (entry,) = jupyter._jupyter_labextension_paths()
    assert found["name"] == entry["dest"] == "varhandle"
    there = Path(jupyter.__file__).parent / entry["src"]
    files = {path.relative_to(there): path.read_bytes() for path in there.rglob("*.*")}
    installed = folder / entry["dest"]
    assert files == {p.relative_to(installed): p.read_bytes() for p in installed.rglob("*.*")}
    assert (installed / found["jupyterlab"]["_build"]["load"]).is_file()


def test_the_version_is_the_packages(prefix):
    about = prefix / "share/jupyter/labextensions/varhandle/package.json"
    version = json.loads(about.read_text("utf-8"))["version"]
    text = (project_root() / "packages/varhandle/pyproject.toml").read_text("utf-8")
    assert f'version = "{version}"' in text
