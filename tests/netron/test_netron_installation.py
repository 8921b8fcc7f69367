"""What an installation lays down, so that Jupyter finds the extension without being told."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbook_lib import netron
from workbook_lib.locations import project_root

NAME = "varhandle-workbook"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy: building leaves files beside the source."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(project_root() / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(project_root() / "workbook_lib", copy / "workbook_lib", ignore=ignored)
    return copy


@pytest.fixture(scope="module", params=["editable", "whole"])
def prefix(request, source, tmp_path_factory):
    """An installation as the Makefile makes it, in a prefix of its own."""
    prefix = tmp_path_factory.mktemp("prefix")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    command += ["--no-warn-script-location", "--prefix", str(prefix)]
    command += ["-e", "."] if request.param == "editable" else ["."]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return prefix


def test_the_server_extension_is_enabled(prefix):
    path = prefix / "etc" / "jupyter" / "jupyter_server_config.d" / "workbook_netron.json"
    enabled = json.loads(path.read_text(encoding="utf-8"))
    assert enabled == {"ServerApp": {"jpserver_extensions": {"workbook_lib.netron": True}}}
    assert netron._jupyter_server_extension_points() == [{"module": "workbook_lib.netron"}]


def test_every_file_of_the_labextension_is_laid_down(prefix):
    (entry,) = netron._jupyter_labextension_paths()
    there = Path(netron.__file__).parent / entry["src"]
    installed = prefix / "share" / "jupyter" / "labextensions" / entry["dest"]
    files = {path.relative_to(there): path.read_bytes() for path in there.rglob("*.*")}
    assert files == {p.relative_to(installed): p.read_bytes() for p in installed.rglob("*.*")}
    about = json.loads((installed / "package.json").read_text(encoding="utf-8"))
    assert about["name"] == entry["dest"] == NAME
    assert (installed / about["jupyterlab"]["_build"]["load"]).is_file()


def test_jupyter_finds_both_in_that_prefix(prefix):
    from jupyter_server.extension.config import ExtensionConfigManager
    from jupyterlab_server.config import get_federated_extensions

    manager = ExtensionConfigManager(read_config_path=[str(prefix / "etc" / "jupyter")])
    assert manager.get_jpserver_extensions() == {"workbook_lib.netron": True}
    folder = prefix / "share" / "jupyter" / "labextensions"
    (found,) = get_federated_extensions([str(folder)]).values()
    assert (found["name"], found["jupyterlab"]["extension"]) == (NAME, True)


def test_warm_kernels_find_what_to_import(prefix):
    from warm_kernels.settings import FILE, read_settings

    laid_down = json.loads((prefix / "etc" / "jupyter" / FILE).read_text("utf-8"))
    assert ["keras", "tensorflow"] in laid_down["preload"]
    assert "tensorflow" in read_settings().modules  # of the installation that runs this


def test_the_version_is_the_packages(source):
    about = json.loads(
        (source / "workbook_lib" / "netron" / "labextension" / "package.json").read_text("utf-8")
    )
    assert f'version = "{about["version"]}"' in (source / "pyproject.toml").read_text("utf-8")


def test_jupyterlab_takes_the_workbooks_settings(prefix):
    from jupyterlab_server.settings_utils import get_settings

    shipped = Path(sys.prefix) / "share" / "jupyter"
    for schema, name, default in (
        ("@jupyterlab/apputils-extension:notification", "fetchNews", "false"),
        ("@jupyter-widgets/jupyterlab-manager:plugin", "saveState", True),
    ):
        found, _ = get_settings(
            str(prefix / "share" / "jupyter" / "lab" / "settings"),
            str(shipped / "lab" / "schemas"),
            str(prefix / "none"),
            schema_name=schema,
            labextensions_path=[str(shipped / "labextensions")],
        )
        assert found["schema"]["properties"][name]["default"] == default
