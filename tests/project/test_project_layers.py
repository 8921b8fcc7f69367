"""The house: in each package a part uses only parts below it, and each name has one home."""

import ast
import builtins
from collections import defaultdict

import pytest

from workbook_lib.locations import project_root

ROOT = project_root()
FOLDERS = {
    "varhandle": ROOT / "packages/varhandle/src/varhandle",
    "warm_kernels": ROOT / "packages/warm-kernels/src/warm_kernels",
    "workshop": ROOT / "packages/workshop/src/workshop",
    "workbook_lib": ROOT / "workbook_lib",
}
#: Which of our packages a package may use beside itself.
USES = {
    "varhandle": (),
    "warm_kernels": (),
    "workshop": ("varhandle", "warm_kernels", "workbook_lib"),
    "workbook_lib": ("varhandle", "warm_kernels"),
}
#: The parts of a package, from the bottom up; those of one line do not use each other.
LAYERS = {
    "varhandle": (
        "errors",
        "display atomic_write progress_bar extras",
        "html_page",
        "graph",
        "facts",
        "sandbox",
        "formats",
        "inspection model_folder",
        "tflite",
        "savedmodel",
        "conversion",
        "evaluate",
        "families",
        "verdict_rules reproduction installation",
        "matrix explanation",
        "divergence",
        "diagnosis",
        "sarif lift",
        "repair",
        "verdict_file",
        "sweep mcp_server browser",
        "cli",
        "jupyter",
    ),
    "workbook_lib": (
        "locations",
        "environment isolated samples older_keras",
        "machine_check",
        "lesson",
        "netron",
        "show",
        "controls",
        "runs",
        "editions",
        "cli",
    ),
}


#: Functions that several modules have for one purpose, or that are called by their module's name.
SHARED = {"main", "load", "register", "run", "serve", "write"}


def modules(package):
    folder = FOLDERS[package]
    every = (path for path in folder.rglob("*.py") if path != folder / "__init__.py")
    return sorted(path for path in every if "tests" not in path.relative_to(folder).parts)


def part_of(path, package):
    return path.relative_to(FOLDERS[package]).parts[0].removesuffix(".py")


def imports(tree):
    """Yield the dotted name of each import of ours, wherever in the module it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in FOLDERS)


def upward(package, part, tree):
    """Return the imports of a module that its package, or its layer, does not allow."""
    floor_of = {
        name: floor for floor, line in enumerate(LAYERS.get(package, ())) for name in line.split()
    }
    found = set()
    for name in imports(tree):
        other, _, rest = name.partition(".")
        inner = rest.partition(".")[0]
        if other != package:
            allowed = other in USES[package]
        elif not floor_of or inner not in floor_of:
            allowed = True
        else:
            allowed = inner == part or floor_of[inner] < floor_of[part]
        if not allowed:
            found.add(name)
    return sorted(found)


@pytest.mark.parametrize("package", LAYERS)
def test_the_layers_name_every_part(package):
    named = {name for line in LAYERS[package] for name in line.split()}
    assert {part_of(path, package) for path in modules(package)} == named


@pytest.mark.parametrize("package", FOLDERS)
def test_a_module_uses_only_what_is_below_it(package):
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in modules(package)
        if (names := upward(package, part_of(path, package), ast.parse(path.read_text("utf-8"))))
    }
    assert not found


@pytest.mark.parametrize(
    ("package", "part", "source"),
    [
        ("workbook_lib", "samples", "from workbook_lib import lesson"),
        ("workbook_lib", "lesson", "import workbook_lib.show.layout"),
        ("workbook_lib", "show", "def f():\n    from workbook_lib.runs import run_notebooks"),
        ("varhandle", "graph", "from varhandle import diagnosis"),
        ("varhandle", "repair", "from workbook_lib.locations import data_path"),
        ("warm_kernels", "kernel", "from varhandle import sandbox"),
    ],
)
def test_an_import_upwards_is_seen(package, part, source):
    assert upward(package, part, ast.parse(source))


def public(kind, packages=tuple(FOLDERS)):
    """Yield module and name of each public definition of a kind, at the top of a module."""
    for package in packages:
        for path in modules(package):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, kind) and not node.name.startswith("_"):
                    yield path, node.name


def test_no_module_is_also_a_function():
    functions = public((ast.FunctionDef, ast.ClassDef))
    assert not [path.relative_to(ROOT).as_posix() for path, name in functions if name == path.stem]


@pytest.mark.parametrize(
    "packages", [("varhandle", "workbook_lib"), ("warm_kernels",), ("workshop",)]
)
def test_a_public_class_or_function_has_a_name_of_its_own(packages):
    homes = defaultdict(list)
    for path, name in public((ast.ClassDef, ast.FunctionDef), packages):
        if name not in SHARED and path.parent.name not in {"checks", "content"}:  # of lessons
            homes[name].append(path.relative_to(ROOT).as_posix())
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}


#: Old releases run this one without varhandle (``test_the_script_stands_alone``).
STANDS_ALONE = "families/harness.py"


def test_whatever_is_raised_on_purpose_has_one_base():
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for package in FOLDERS
        for path in modules(package)
        if not path.as_posix().endswith(STANDS_ALONE)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    raised = {
        name
        for name, above in bases.items()
        if any(hasattr(builtins, base) and base.endswith(("Error", "Exception")) for base in above)
    } - {"VarhandleError", *LEARNERS}
    own = {"VarhandleError"}
    while more := {name for name, above in bases.items() if above & own} - own:
        own |= more
    assert not sorted(raised - own)


#: What a learner's answer is found to be, which the lessons raise among themselves.
LEARNERS = {"Wrong", "NotAttempted", "LearnerRaised"}
