"""The library is a house: a room uses only rooms below it, and each name has one home."""

import ast
import re

import pytest

from workbook_lib.locations import project_root

ROOT = project_root()
LIBRARY = ROOT / "workbook_lib"

#: From the bottom floor up. ``__init__`` is the front door, which may open any room.
ORDER = (
    "rendering",
    "locations",
    "whole_files",
    "environment",
    "waiting",
    "graph",
    "warm",
    "isolated",
    "samples",
    "device",
    "failures",
    "lesson",
    "netron",
    "show",
    "controls",
    "runs",
    "hub",
    "editions",
    "cli",
)
FILES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")
DOCUMENTED = (
    "controls",
    "editions",
    "graph",
    "hub",
    "samples",
    "lesson",
    "netron",
    "show",
    "warm",
)  # rooms whose docstrings are held to the rule


def room_of(path):
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imported_rooms(tree):
    """Yield the room of each import of the library, wherever in the module it stands."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            if package == "workbook_lib" and not room.startswith("__"):
                yield room


def above(room, tree):
    """Return the rooms that a module may not import, and does."""
    allowed = ORDER[: ORDER.index(room) + 1]
    return sorted({found for found in imported_rooms(tree) if found not in allowed})


def test_the_order_names_every_room():
    assert {room_of(path) for path in FILES} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_a_room_uses_only_rooms_below_it(path):
    found = above(room_of(path), ast.parse(path.read_text(encoding="utf-8")))
    assert not found, f"{room_of(path)} is below {', '.join(found)}"


@pytest.mark.parametrize(
    "source",
    [
        "from workbook_lib.samples import data_path",
        "from workbook_lib import lesson",
        "import workbook_lib.show.flow",
        "def f():\n    from workbook_lib.runs.execute import run_notebooks",
    ],
)
def test_an_import_upwards_is_seen(source):
    assert above("graph", ast.parse(source))
    assert not above("cli", ast.parse(source))


def test_the_readme_lists_the_rooms_in_this_order():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, changing = readme.partition("## Changing it")
    listed = re.findall(r"^    (\w+)(?:/|\.py) +\S", changing, re.MULTILINE)
    assert tuple(reversed(listed)) == ORDER


def test_a_class_of_the_lesson_and_of_the_pictures_is_called_so_only_once():
    homes = {}
    for path in FILES:
        if room_of(path) in ("lesson", "show"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(path.name)
    assert "Outcome" in homes
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def public_functions(body):
    """Yield public functions, and public methods of public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def lacking(function):
    """Return the sections that a function's docstring needs, and does not have."""
    taken = function.args
    arguments = {arg.arg for arg in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)}
    doc = ast.get_docstring(function) or ""
    if not arguments - {"self", "cls"}:  # one line says what it returns
        return []
    returns = function.returns is not None and ast.unparse(function.returns) != "None"
    return [
        part
        for part, needed in (("Args:", True), ("Returns:", returns))
        if needed and part not in doc.replace("Yields:", "Returns:")
    ]


@pytest.mark.parametrize("room", DOCUMENTED)
def test_public_functions_say_what_they_take_and_give(room):
    functions = [
        (path.name, function)
        for path in sorted((LIBRARY / room).glob("*.py"))
        for function in public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
    ]
    assert functions
    found = [f"{file}: {f.name}: {lacking(f)}" for file, f in functions if lacking(f)]
    assert not found, "\n".join(found)
