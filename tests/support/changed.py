"""The tests of what changed: ``make check`` runs them.

What changed is what differs from the last commit or, where nothing does, what that commit brought.
The tests of a file are those that import it: the one that is named for it comes first, then the
nearest, and as many as fit into the time that a check may take, going by how long each took the
last time. The rest is named.
"""

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "tests/support", *sorted(ROOT.glob("packages/*/src")), ROOT]
SECONDS = float(os.environ.get("CHECK_SECONDS", "50"))  # of all workers together
UNKNOWN = 5.0  # seconds, of a file that has not run here yet
DURATIONS = ROOT / ".pytest_cache" / "durations.json"


def main() -> int:
    changed = changed_files()
    tests, left = choose(distances(changed), changed)
    notebooks = [name for name in changed if name.endswith(".ipynb") and (ROOT / name).exists()]
    print(f"{len(changed)} files changed: {len(tests)} test files, {len(notebooks)} notebooks.")
    if left:
        print("For make unit: " + " ".join(left))
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "not browser", *sys.argv[1:]]
    code = run([*pytest, *tests]) if tests else 0
    if not code and notebooks:
        code = run([*pytest, "--nbval", "--nbval-kernel-name", "python3", *notebooks])
    return code


def run(command: list[str]) -> int:
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return 0 if code == 5 else code  # 5: a file with browser tests alone


def changed_files() -> list[str]:
    edited = git("diff", "--name-only", "HEAD") + git("ls-files", "--others", "--exclude-standard")
    return sorted(set(edited or git("diff", "--name-only", "HEAD~1")))


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def choose(steps: dict[str, int], changed: list[str]) -> tuple[list[str], list[str]]:
    """The test files that fit into the time, and those that do not."""
    took = known_seconds()
    endings = tuple(f"_{topic(path)}" for path in changed)

    def order(name: str) -> tuple[bool, int, float]:
        return not Path(name).stem.endswith(endings), steps[name], took.get(name, UNKNOWN)

    chosen, left, seconds = [], [], 0.0
    for name in sorted(steps, key=order):
        seconds += took.get(name, UNKNOWN)
        (chosen if seconds <= SECONDS or name in changed else left).append(name)
    return chosen, left


def topic(path: str) -> str:
    """What a module or a notebook is called, and the end of its test's name."""
    return Path(path).stem.lstrip("0123456789_")


def known_seconds() -> dict[str, float]:
    """How long each test file took the last time."""
    return json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}


def distances(changed: list[str]) -> dict[str, int]:
    """How many imports each test file is away from what changed."""
    users = defaultdict(set)
    for path in git("ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.pyi"):
        if (ROOT / path).exists():
            for used in imported_files(ROOT / path):
                users[used].add(ROOT / path)
    steps = dict.fromkeys((each for path in changed for each in modules_of(ROOT / path)), 0)
    frontier = list(steps)
    while frontier:
        found = sorted({user for path in frontier for user in users[path]} - steps.keys())
        steps.update((user, steps[frontier[0]] + 1) for user in found)
        frontier = found
    return {
        str(path.relative_to(ROOT)): number
        for path, number in steps.items()
        if path.name.startswith("test_") and path.exists() and path.parent.name != "browser"
    }


def modules_of(path: Path) -> list[Path]:
    """The Python files that stand for a changed one: for a template, those beside or above it.

    What lies in no package, as the Makefile does, is tested by tests/project; a notebook, by the
    test of its lesson as well.
    """
    if path.suffix == ".py":
        return [path]
    for folder in path.parents:
        if folder in (*SOURCES, ROOT / "packages", *SOURCES[0].parents):
            break
        if beside := sorted(folder.glob("*.py")):
            return beside
    own = [ROOT / "tests" / "lesson" / f"test_{topic(path.name)}.py"]
    return [*filter(Path.exists, own), *sorted((ROOT / "tests/project").glob("test_*.py"))]


def imported_files(path: Path) -> set[Path]:
    """What a file imports; a test, also the conftest.py of its folder and of those above."""
    found = {each / "conftest.py" for each in path.parents if each.is_relative_to(ROOT / "tests")}
    for module, name in imported_names(path):
        found |= {home(module, name), home(module, "")}
    return {each for each in found if each is not None} - {path}


@cache
def imported_names(path: Path) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(absolute(path, node), alias.name) for alias in node.names]
    return found


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    source = next(each for each in SOURCES if path.is_relative_to(each))
    parts = path.relative_to(source).parts[: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


@cache
def home(module: str, name: str) -> Path | None:
    """The file of a module or, with a name, the one in which its package says the name is made."""
    if name and (own := home(f"{module}.{name}", "")):
        return own
    for source in SOURCES:
        place = source.joinpath(*module.split("."))
        for file in (place / "__init__.pyi", place / "__init__.py", place.with_suffix(".py")):
            if file.exists():
                again = (pair for pair in imported_names(file) if name and pair[1] == name)
                pair = next(again, None)
                return home(*pair) if pair and file.stem == "__init__" else file.with_suffix(".py")
    return None


if __name__ == "__main__":
    sys.exit(main())
