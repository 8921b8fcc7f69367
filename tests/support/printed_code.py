"""Code and commands that the tool prints: where its source holds them, and which test ran them.

A piece is what one string of the source holds: its lines of code together; each line of code in a
comment; each call or command inside a sentence. ``printed_code.json`` has the test that runs a
piece. A test runs printed text by ``family_checks.run`` and ``run_command``, or says by ``ran``
that it has run it; it fails where it no longer runs what it stands for, and the guard
(``test_families_fixes_printed.py``) where a piece has no test. ``RECORD_PRINTED=1 pytest TEST``
notes the pieces that a test runs.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "packages/varhandle/src/varhandle"
REGISTRY = ROOT / "tests/varhandle/families/printed_code.json"
# Programs for a child process or an old release, drawings, reprs, what a CI runner reads: nobody is
# told to paste them.
NOT_PRINTED = {
    *(
        "divergence/side_by_side.py",
        "facts/graph_ops.py",
        "matrix/runtime_ops.py",
        "families/log_text.py",
    ),
    *(
        "divergence/side_by_side.py",
        "families/log_patterns.py",
        "families/log_index.py",
        "reproduction.py",
        "sweep/ci_report.py",
    ),
}
PATTERNS = ("Pattern", "re.", "phrase", "case")

HOLE = "…"  # what is filled in for a model
_OF_A_LOG = re.compile(r"^loc\(|\(\?|\\[wdb]|\[\^|\.\*")
_NESTED = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_CALL = re.compile(rf"[A-Za-z_{HOLE}][\w.{HOLE}]*\w{{2}}{_NESTED}(?:\.\w+{_NESTED})*")
_VALUE = r"'[^']*'|\"[^\"]*\"|[^\s()]+"
_ARGUMENT = (
    rf"(?:--?[A-Za-z][\w-]*(?:[= ](?:{_VALUE}))?|\"[^\"]*\"|'[^']*'|{HOLE}+|[A-Z]+(?:\.\w+)?"
    rf"|[\w.-]*[./=<>_{HOLE}][\w./=<>*{HOLE}-]*)"
)
_COMMAND = re.compile(
    r"\b(?:cp|mkdir) [^()]+"
    rf"|(?:[A-Z_]+=\w+ )?(?:pip install(?: [\w.=-]+)?|varhandle [a-z]+|python(?: -m)? [\w.]+"
    rf"|(?:(?<=\()|(?<=: )|(?<=run ))[a-z]\w+(?= -))(?: {_ARGUMENT})+"
    rf"|(?:pip install|varhandle) [\w-]+"
    rf"|(?<![\w-])--[a-z][\w-]+(?: (?:[A-Z]+[.\w]*|{HOLE}))?"
)


def pieces_of(text: str) -> Iterator[str]:
    """Yield the pieces of a printed text."""
    lines, others = [], []
    for line in text.split("\n"):
        bare = line.strip()
        if _is_code(bare):
            lines.append(bare)
        elif bare.startswith("#") and _is_code(bare.lstrip("# ")):
            others.append(bare.lstrip("# "))
        else:
            others += [found[0].rstrip(" .,;:") for found in _COMMAND.finditer(bare)]
            others += [found[0] for found in _CALL.finditer(_COMMAND.sub("", bare))]
    if lines:
        yield "\n".join(lines)
    yield from (piece for piece in others if not piece.endswith(("(s)", "()")))


def _is_code(line: str) -> bool:
    """Tell a line of Python (a part of a statement, too), of C++ or of a shell."""
    if not re.search(r"\w{3}", line.replace(HOLE, "")):
        return False
    shell = re.match(r"(?:[A-Z_]+=\w+ )?(?:pip install|varhandle \w+ |python )", line)
    return bool(shell or re.search(r"[=)].*;$|\w\(.*\{$", line)) or _is_python(line)


def _is_python(line: str) -> bool:
    named = line.replace(HOLE, "hole_")
    for whole in (named, f"{named}\n pass", f"f({named})"):
        try:
            (statement,) = ast.parse(whole).body
        except (SyntaxError, ValueError):
            continue
        if isinstance(statement, ast.Assign) and " = " not in line:
            continue
        if whole.startswith("f(") and not re.search(r"\w=.*[,(]|,.*\w=|\w\(", line):
            return False
        if isinstance(statement, ast.Expr):
            calls = any(isinstance(node, ast.Call) for node in ast.walk(statement))
            return calls and not re.search(r"\w \(", line)
        return not isinstance(statement, ast.AnnAssign | ast.Pass)
    return False


@cache
def pieces() -> dict[str, tuple[str, ...]]:
    """Return the pieces of each file of the tool."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if "tests" not in path.parts and name not in NOT_PRINTED:
            tree = ast.parse(path.read_text())
            mine = [piece for text in _strings(tree) for piece in pieces_of(text)]
            found[name] = tuple(dict.fromkeys(mine))
    return {name: mine for name, mine in found.items() if mine}


def _strings(node: ast.AST) -> Iterator[str]:
    """Yield the strings of a module that may be printed, with holes where something is put in."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(PATTERNS):
        return
    if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__str__"):
        return
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else HOLE for v in node.values)
        yield from _unless_of_a_log("".join(map(str, parts)))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = re.sub(r"\{\w+(?:![rs])?(?::[\w. ]+)?\}", HOLE, node.value)
        yield from _unless_of_a_log(text.replace("{{", "{").replace("}}", "}"))  # a template
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not is_docstring and not (
            isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
        ):
            yield from _strings(child)


def _unless_of_a_log(text: str) -> Iterator[str]:
    if not _OF_A_LOG.search(text) and not re.fullmatch(r"--[\w-]+", text):
        yield text


def _plain(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def is_in(piece: str, text: str) -> bool:
    """Tell whether a text that was run has all lines of a piece, in their order."""
    plain = re.sub(r"\b[A-Z]{4,}\b", HOLE, _plain(piece))  # MODEL, FOLDER: the reader's own
    lines = (".*?".join(map(re.escape, line.split(HOLE))) for line in plain.split("\n"))
    return re.search("(?s:.*?)".join(lines), text) is not None


_texts: list[str] = []


def ran(text: str) -> None:
    """Note that the test that is running has run a printed text; its comments were not run."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    _texts.append(_plain("\n".join(lines)))


def registry() -> dict[str, dict[str, str]]:
    """Return the test of each piece, by file."""
    return json.loads(REGISTRY.read_text()) if REGISTRY.exists() else {}


@cache
def _by_test() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, mine in registry().items():
        for piece, test in mine.items():
            found.setdefault(test, []).append((name, piece))
    return found


def hold_to_registry(test: str) -> Iterator[None]:
    """Around a test: fail where it does not run the pieces that it stands for."""
    _texts.clear()
    yield
    if os.environ.get("RECORD_PRINTED"):
        _record(test)
        return
    lost = [one for one in _by_test().get(test, ()) if not any(is_in(one[1], t) for t in _texts)]
    assert not lost, f"this test stood for printed code that it does not run: {lost}"


def _record(test: str) -> None:
    told = {name: {p: t for p, t in mine.items() if t != test} for name, mine in registry().items()}
    for name, mine in pieces().items():
        for piece in mine:
            if any(is_in(piece, text) for text in _texts):
                told.setdefault(name, {})[piece] = test
    kept = {
        name: {piece: told[name][piece] for piece in mine if piece in told.get(name, {})}
        for name, mine in pieces().items()
    }
    kept = {name: mine for name, mine in kept.items() if mine}
    REGISTRY.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def missing() -> list[tuple[str, str]]:
    """Return the pieces that no test runs."""
    told = registry()
    return [
        (name, piece)
        for name, mine in pieces().items()
        for piece in mine
        if not told.get(name, {}).get(piece)
    ]


if __name__ == "__main__":
    for file, piece in missing():
        print(f"{file}: {piece!r}")
