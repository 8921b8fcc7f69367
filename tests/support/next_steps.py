"""What is a next step in a text that refuses something, and which texts the tool refuses with.

The rule: the reader is told what to do. So a refusal has a command or a line of code; or
a clause that begins with a verb of ``VERBS`` ("give …"); or what is valid ("there are: …", "takes
…, and not …").

``refusals`` finds the texts by the source; ``hold_to_steps`` looks at what a command prints. A text
is followed to where it is written: through constants, local names, and functions of the tool. Where
a function is handed a part of it, each of its callers is asked. What only running can show is a
hole, and a hole is no step: a text that is somebody else's gets its step where it is taken over.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from printed_code import HOLE, SOURCE, pieces_of

from varhandle.cli import commands, program
from varhandle.diagnosis import Diagnosis
from varhandle.explanation import Explanation
from varhandle.repair.refusal import NoCureError
from varhandle.repair.run import RepairResult

if TYPE_CHECKING:
    import pytest

VERBS = (
    "bring|calibrate|call|change|check|choose|close|compute|convert|copy|cure|cut out|"
    "depend|download|dump|export|free|give|install|keep|leave|lift|load|look|make|move|"
    "name|pack|pass|put|quantize|remove|rename|run|save|say|send|split|start|store|take|"
    "train|try|unpack|use|wait|write"
)
_TOLD = re.compile(
    rf"(?:^|\n(?:# )?|[:;.,?] (?:or |and |then )*|\()(?:{VERBS})\b(?! (?:is|are|was|has)\b)"
    r"|\bthere (?:are|is): |, only \S|\btakes? .+, and not |\bwanted\b|\bmust (?:be|end|have)\b",
    re.IGNORECASE | re.DOTALL,
)
STEP = "\N{BLACK RIGHT-POINTING TRIANGLE}"  # in the place of a text that has a step already
_MOST = 60


@cache
def has_step(text: str) -> bool:
    """Tell whether a printed text says what to do."""
    if STEP in text or _TOLD.search(text):
        return True
    may_be_code = re.search(r"[(=]|\bpip |\bvarhandle ", text)
    return may_be_code is not None and any(not p.startswith("--") for p in pieces_of(text))


@dataclass(eq=False)
class _Module:
    name: str
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    outer: dict[ast.AST, ast.AST] = field(default_factory=dict)


def _module(path: Path, source: str) -> _Module:
    parts = path.with_suffix("").parts
    module = _Module(".".join(parts).removesuffix(".__init__"), ast.parse(source))
    for node in ast.walk(module.tree):
        module.outer.update((child, node) for child in ast.iter_child_nodes(node))
        if isinstance(node, ast.FunctionDef):
            module.functions[node.name] = node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("varhandle"):
            home = (node.module or "").removeprefix("varhandle").lstrip(".")
            module.imported |= {a.asname or a.name: (home, a.name) for a in node.names}
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            module.constants[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            module.constants[node.target.id] = node.value
    return module


@cache
def modules() -> dict[str, _Module]:
    """Return the modules of the tool by name."""
    paths = sorted(path for path in SOURCE.rglob("*.py") if "tests" not in path.parts)
    made = (_module(path.relative_to(SOURCE), path.read_text()) for path in paths)
    return {module.name: module for module in made}


@cache
def error_classes() -> frozenset[str]:
    """Return the names of ``VarhandleError`` and its subclasses, but for what is internal.

    What is made of that is looked at; so it is with a private one.
    """
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"VarhandleError"}
    del bases["InternalError"]
    while more := {name for name, mine in bases.items() if mine & found} - found:
        found |= more
    return frozenset(name for name in found if not name.startswith("_"))


_BUILTIN = frozenset({"ValueError", "KeyError", "TypeError", "IndexError"})
_PASSING = frozenset(
    {"str", "printable", "one_line", "inert", "next", "iter", "tuple", "list", "filter"}
)
_METHODS = frozenset(
    {"format", "replace", "rstrip", "strip", "lstrip", "capitalize", "removeprefix", "partition"}
    | {"pop"}
)
_SAYS_IT = frozenset({"fix", "other"})
"""Attributes that hold steps: of a finding, and of a diagnosis. Tests hold both to it."""


_known: dict[tuple[ast.AST, ast.AST | None], list[str]] = {}


class _Scope:
    """Follows expressions of one function of a module to the texts that they may be."""

    def __init__(self, module: _Module, function: ast.AST | None) -> None:
        self.module, self.function = module, function

    def texts(self, node: ast.AST | None, seen: tuple[ast.AST, ...] = ()) -> list[str]:
        if node is None or node in seen:
            return [HOLE]
        key = (node, self.function)
        if key not in _known:
            found = getattr(self, f"_{type(node).__name__.lower()}", lambda *_: [HOLE])(
                node, (*seen, node)
            )
            _known[key] = list(dict.fromkeys(found))[:_MOST]
        return _known[key]

    def _joined(
        self, nodes: list[ast.AST], seen: tuple[ast.AST, ...], between: str = ""
    ) -> list[str]:
        each = [self.texts(node, seen) for node in nodes]
        # Where all of one part have a step, one of them is as good as all.
        each = [texts[:1] if all(map(has_step, texts)) else texts for texts in each]
        return [between.join(parts) for parts in itertools.islice(itertools.product(*each), _MOST)]

    def _constant(self, node: ast.Constant, _: object) -> list[str]:
        return [str(node.value)]

    def _joinedstr(self, node: ast.JoinedStr, seen: tuple[ast.AST, ...]) -> list[str]:
        return self._joined(list(node.values), seen)

    def _formattedvalue(self, node: ast.FormattedValue, seen: tuple[ast.AST, ...]) -> list[str]:
        return self.texts(node.value, seen)

    def _binop(self, node: ast.BinOp, seen: tuple[ast.AST, ...]) -> list[str]:
        if isinstance(node.op, ast.Add):
            return self._joined([node.left, node.right], seen)
        return ["", *self.texts(node.left, seen)]  # a text times whether it is said

    def _ifexp(self, node: ast.IfExp, seen: tuple[ast.AST, ...]) -> list[str]:
        return self.texts(node.body, seen) + self.texts(node.orelse, seen)

    def _boolop(self, node: ast.BoolOp, seen: tuple[ast.AST, ...]) -> list[str]:
        *first, last = (self.texts(value, seen) for value in node.values)
        return [*(text for texts in first for text in texts if text), *last]

    def _namedexpr(self, node: ast.NamedExpr, seen: tuple[ast.AST, ...]) -> list[str]:
        return self.texts(node.value, seen)

    def _attribute(self, node: ast.Attribute, seen: tuple[ast.AST, ...]) -> list[str]:
        if node.attr in _SAYS_IT:
            return [STEP]
        if isinstance(node.value, ast.Name):
            home = self._imported_module(node.value.id)
            if home is not None:
                return _constant(home, node.attr, seen)
            return [t if STEP in t else HOLE for t in self.texts(node.value, seen)]
        return [HOLE]

    def _imported_module(self, name: str) -> _Module | None:
        return modules().get(".".join(self.module.imported.get(name, ("", ""))).lstrip("."))

    def _tuple(self, node: ast.Tuple, seen: tuple[ast.AST, ...]) -> list[str]:
        return self._joined(list(node.elts), seen, "\n")

    _list = _tuple

    def _starred(self, node: ast.Starred, seen: tuple[ast.AST, ...]) -> list[str]:
        return self.texts(node.value, seen)

    def _subscript(self, node: ast.Subscript, seen: tuple[ast.AST, ...]) -> list[str]:
        return self.texts(node.value, seen)

    def _dict(self, node: ast.Dict, seen: tuple[ast.AST, ...]) -> list[str]:
        return [text for value in node.values for text in self.texts(value, seen)]

    def _call(self, node: ast.Call, seen: tuple[ast.AST, ...]) -> list[str]:
        called = node.func
        if isinstance(called, ast.Attribute):
            return self._method(node, called, seen)
        name = called.id if isinstance(called, ast.Name) else ""
        if name in error_classes():
            return [STEP]  # it is looked at where it is made
        if name in _PASSING and node.args:
            return self.texts(node.args[-1 if name == "filter" else 0], seen)
        return self._returned(node, *_function(self.module, name), seen)

    def _method(
        self, node: ast.Call, called: ast.Attribute, seen: tuple[ast.AST, ...]
    ) -> list[str]:
        if called.attr == "said_by":  # of a record: the text of an error that was raised there
            return [STEP]
        if called.attr in _METHODS:
            return self.texts(called.value, seen)
        if called.attr == "join" and not isinstance(node.args[0], (ast.GeneratorExp, ast.Name)):
            return self.texts(node.args[0], seen)
        if called.attr == "get" and len(node.args) == 2:
            return self.texts(called.value, seen) + self.texts(node.args[1], seen)
        there = None
        if isinstance(called.value, ast.Name):
            there = self._imported_module(called.value.id)
        found = _function(there, called.attr) if there else (None, None)
        return self._returned(node, *found, seen)

    def _returned(
        self,
        call: ast.Call,
        home: _Module | None,
        function: ast.FunctionDef | None,
        seen: tuple[ast.AST, ...],
    ) -> list[str]:
        if home is None or function is None:
            return [HOLE]
        inner = _Scope(home, function)
        returned = [n.value for n in _own(function) if isinstance(n, (ast.Return, ast.Yield))]
        found = [t for value in returned if value for t in inner.texts(value, seen)] or [HOLE]
        for name in _parameters(function):
            if any(_parameter(name) in text for text in found):
                given = self.texts(_argument(call, function, name), seen)
                pairs = itertools.islice(itertools.product(found, given), _MOST)
                found = [text.replace(_parameter(name), own) for text, own in pairs]
        return found

    def _listcomp(self, node: ast.ListComp, seen: tuple[ast.AST, ...]) -> list[str]:
        return self.texts(node.elt, seen)

    def _name(self, node: ast.Name, seen: tuple[ast.AST, ...]) -> list[str]:
        handler = self._handler(node)
        if handler is not None:
            return [STEP if _handles_own(handler) else HOLE]
        if self._is_own(node):
            return [STEP]
        if self.function is not None:
            values = list(_assigned(self.module, node))
            if values:
                found = [text for value in values for text in self.texts(value, seen)]
                return [text for text in found if text or not self._is_said(node)]
            kind = _parameters(self.function).get(node.id)
            if kind is not None:
                own = kind in ("Finding", *error_classes())
                return [STEP if own else _parameter(node.id) if kind == "str" else HOLE]
        return _constant(self.module, node.id, seen)

    def _handler(self, node: ast.AST) -> ast.ExceptHandler | None:
        name = node.id if isinstance(node, ast.Name) else ""
        while node in self.module.outer:
            node = self.module.outer[node]
            if isinstance(node, ast.ExceptHandler) and node.name == name:
                return node
        return None

    def _is_said(self, node: ast.Name) -> bool:
        """Tell whether a name is used only where it is no empty text."""
        inner: ast.AST = node
        while inner in self.module.outer:
            outer = self.module.outer[inner]
            if isinstance(outer, ast.If) and inner in outer.body:
                test = outer.test
                each = test.values if isinstance(test, ast.BoolOp) else [test]
                anded = not isinstance(test, ast.BoolOp) or isinstance(test.op, ast.And)
                names = [one.target if isinstance(one, ast.NamedExpr) else one for one in each]
                if anded and any(isinstance(n, ast.Name) and n.id == node.id for n in names):
                    return True
            inner = outer
        return False

    def _is_own(self, node: ast.Name) -> bool:
        """Tell whether a name was tested to be an error of the tool's own."""
        inner: ast.AST = node
        while inner in self.module.outer:
            outer = self.module.outer[inner]
            if isinstance(outer, ast.If) and inner in outer.body:
                test = re.fullmatch(r"isinstance\((\w+), (\w+)\)", ast.unparse(outer.test))
                if test and test[1] == node.id and test[2] in error_classes():
                    return True
            inner = outer
        return False


def _parameter(name: str) -> str:
    return f"\0{name}\0"


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, and not of those inside it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield from _own(child)


def _parameters(function: ast.AST | None) -> dict[str, str]:
    """Return the parameters of a function with their annotations."""
    if not isinstance(function, ast.FunctionDef):
        return {}
    told = function.args
    each = (*told.posonlyargs, *told.args, *told.kwonlyargs)
    return {one.arg: ast.unparse(one.annotation) if one.annotation else "" for one in each}


def _assigned(module: _Module, use: ast.Name) -> Iterator[ast.expr]:
    """Yield what a local name may be where it is used: from there back to where it is set."""
    inner: ast.AST = use
    while inner in module.outer and not isinstance(inner, ast.FunctionDef):
        outer = module.outer[inner]
        if isinstance(outer, ast.For) and inner in outer.body:
            yield from _looped(module, outer.target, outer.iter, use.id)
        for each in outer.generators if isinstance(outer, ast.ListComp) else ():
            yield from _looped(module, each.target, each.iter, use.id)
        test = outer.test if isinstance(outer, ast.If) and inner in outer.body else None
        if test is not None:
            yield from _set_in(test, use.id)
        for block in (getattr(outer, name, None) for name in ("body", "orelse", "finalbody")):
            if not isinstance(block, list) or inner not in block:
                continue
            for statement in reversed(block[: block.index(inner)]):
                found = list(_set_in(statement, use.id))
                yield from found
                if found and isinstance(statement, (ast.Assign, ast.AnnAssign)):
                    return
        inner = outer


def _set_in(statement: ast.AST, name: str) -> Iterator[ast.expr]:
    for node in (statement, *_own(statement)):
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, (ast.NamedExpr, ast.AnnAssign, ast.AugAssign)):
            targets, value = [node.target], node.value
        for target in targets:
            if isinstance(target, ast.Name) and target.id == name and value is not None:
                yield value
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=False)
                yield from (v for t, v in pairs if isinstance(t, ast.Name) and t.id == name)


def _looped(module: _Module, target: ast.expr, over: ast.expr, name: str) -> Iterator[ast.expr]:
    """Yield what a loop over pairs that are written out, or over something, sets a name to."""
    if isinstance(target, ast.Name) and target.id == name:
        yield over
    elif isinstance(target, ast.Tuple):
        pairs = module.constants.get(over.id) if isinstance(over, ast.Name) else over
        for pair in pairs.elts if isinstance(pairs, ast.Tuple) else ():
            if isinstance(pair, ast.Tuple):
                each = zip(target.elts, pair.elts, strict=False)
                yield from (v for t, v in each if isinstance(t, ast.Name) and t.id == name)


def _handles_own(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    each = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return all(ast.unparse(one).split(".")[-1] in error_classes() for one in each if one)


def _function(module: _Module, name: str) -> tuple[_Module | None, ast.FunctionDef | None]:
    if name in module.functions:
        return module, module.functions[name]
    if name in module.imported:
        home, own = module.imported[name]
        if home in modules():
            return _function(modules()[home], own)
    return None, None


def _constant(module: _Module, name: str, seen: tuple[ast.AST, ...]) -> list[str]:
    if name in module.constants:
        return _Scope(module, None).texts(module.constants[name], seen)
    if name in module.imported:
        home, own = module.imported[name]
        if home in modules():
            return _constant(modules()[home], own, seen)
    return [HOLE]


@cache
def _with_own_step() -> frozenset[str]:
    """Return the classes that give each of their errors its step."""
    return frozenset(
        one.name
        for module in modules().values()
        for one in ast.walk(module.tree)
        if isinstance(one, ast.ClassDef) and one.name in error_classes()
        for made in ast.walk(one)
        if isinstance(made, ast.Call)
        and ast.unparse(made.func) == "super().__init__"
        and _has_default_step(module, made)
    )


def _has_default_step(module: _Module, made: ast.Call) -> bool:
    function = _enclosing(module, made)
    assert function is not None
    texts = _Scope(module, function).texts(made.args[0])
    handed = [name for name in _parameters(function) if _parameter(name) in "".join(texts)]
    defaults = [_Scope(module, None).texts(_default(function, name)) for name in handed]
    return all(map(has_step, texts)) or any(all(map(has_step, each)) for each in defaults)


@dataclass(frozen=True)
class Refusal:
    """A place where the tool refuses, and one of the texts that it refuses with."""

    place: str
    text: str


def _enclosing(module: _Module, node: ast.AST) -> ast.FunctionDef | None:
    while node in module.outer:
        node = module.outer[node]
        if isinstance(node, ast.FunctionDef):
            return node
    return None


def _made(module: _Module, names: frozenset[str]) -> Iterator[ast.Call]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in names:
            yield node


@cache
def _calls(function: ast.FunctionDef) -> tuple[tuple[_Module, ast.Call], ...]:
    """Return the calls of a function: by its name, or as a method of the same module."""
    names = frozenset({function.name})
    return tuple(
        (home, call)
        for home in modules().values()
        for call in _made(home, names)
        if _function(home, function.name)[1] is function
        or (
            home.imported.keys() & {ast.unparse(call.func).partition(".")[0]}
            and isinstance(call.func, ast.Attribute)
        )
    )


def _public() -> frozenset[str]:
    """Return the modules that have a public name: what they raise reaches somebody's program."""
    stub = ast.parse((SOURCE / "__init__.pyi").read_text())
    return frozenset(n.module or "" for n in ast.walk(stub) if isinstance(n, ast.ImportFrom))


def refusals() -> Iterator[Refusal]:
    """Yield the texts of what is raised on purpose, or by a public module, and of verdicts."""
    for module in modules().values():
        names = (
            error_classes() | {"Decision"} | (_BUILTIN if module.name in _public() else frozenset())
        )
        for call in _made(module, names):
            yield from _of_call(module, call)


def refusals_in(path: Path) -> Iterator[Refusal]:
    """Yield the same of one more file."""
    module = _module(path.relative_to(path.parent), path.read_text())
    modules()[module.name] = module
    _calls.cache_clear()
    try:
        for call in _made(module, error_classes() | {"Decision"}):
            yield from _of_call(module, call)
    finally:
        del modules()[module.name]
        _calls.cache_clear()


def _of_call(module: _Module, call: ast.Call) -> Iterator[Refusal]:
    function = _enclosing(module, call)
    if function is not None and function.name in ("__reduce__", "__init__"):
        return
    name = ast.unparse(call.func).split(".")[-1]
    if name in _with_own_step() and len(call.args) + len(call.keywords) < 2:
        return
    scope = _Scope(module, function)
    arguments = [*call.args, *(one.value for one in call.keywords)]
    if name == "Decision":
        arguments = [one for one in arguments[2:3] if not _is_empty(one)]
        if not arguments:
            return
    lists = [scope.texts(one) for one in arguments] or [[""]]
    if name == "Decision":  # there is a cause, or there is none
        lists = [[text for text in texts if text] for texts in lists]
    without = [[text for text in texts if not has_step(text)] for texts in lists]
    if all(without):  # else one argument is a step, whatever it is
        for parts in itertools.islice(itertools.product(*without), _MOST):
            text = "\n".join(parts)
            if not _callers_say(function, text, ()):
                yield Refusal(f"{module.name}:{call.lineno}", text)


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Tuple) and not node.elts


def _callers_say(function: ast.FunctionDef | None, text: str, seen: tuple[ast.AST, ...]) -> bool:
    """Tell whether a function is handed a text that has a step, by all that call it."""
    return any(
        all(
            has_step(said) or _callers_say(_enclosing(home, call), said, (*seen, function))
            for home, call in calls
            for said in _Scope(home, _enclosing(home, call)).texts(_argument(call, function, name))
        )
        for name in (_parameters(function) if function not in seen else ())
        if _parameter(name) in text and (calls := _calls(function))
    )


def _argument(call: ast.Call, function: ast.FunctionDef, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    names = [one for one in _parameters(function) if one not in ("self", "cls")]
    at = names.index(name)
    if at < len(call.args):
        return call.args[at]
    return _default(function, name)


def _default(function: ast.FunctionDef, name: str) -> ast.expr | None:
    told = function.args
    given = [*told.posonlyargs, *told.args]
    pairs = [*zip(reversed(given), reversed(told.defaults), strict=False)]
    pairs += [(a, d) for a, d in zip(told.kwonlyargs, told.kw_defaults, strict=True) if d]
    return next((default for one, default in pairs if one.arg == name), None)


def hold_to_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test in which a command of the tool refuses something without a step."""
    inert, print_result = program.inert, commands.print_result

    def said(line: str) -> str:
        assert has_step(line), f"a refusal without a next step: {line}"
        return inert(line)

    def printed(result: Any, as_json: bool) -> None:
        for text in _refusing(result):
            assert has_step(text), f"a verdict without a next step: {text}"
        print_result(result, as_json)

    monkeypatch.setattr(program, "inert", said)
    monkeypatch.setattr(commands, "print_result", printed)


def _refusing(result: Any) -> Iterator[str]:
    """Yield what a result says against a model, where no finding with its fix does."""
    if isinstance(result, NoCureError):
        yield f"{result.reason}\n{result.change}"
    elif isinstance(result, Diagnosis) and not result.ok:
        if all(found.severity == "info" for found in result.findings):
            yield "\n".join(result.other) or result.doubt
    elif isinstance(result, RepairResult):
        told = {found.message for found in result.diagnosis.findings}
        yield from {result.doubt} - {"", *told}
    elif isinstance(result, Explanation) and not result.matches:
        yield result.text()
