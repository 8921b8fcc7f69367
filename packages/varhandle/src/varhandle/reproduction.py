"""Run the reproductions of the families: in a child process here, as a script elsewhere."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, field
from typing import Any

from varhandle.display import Rich, code_html, panel_html
from varhandle.families import harness
from varhandle.families.catalog import CASES
from varhandle.sandbox import OpError, Record, run_isolated
from varhandle.sandbox.record import short_message


def script() -> str:
    """Return all reproductions as one program, which needs nothing but TensorFlow.

    It runs on Python 3.6 as well; its arguments are ids of cases. It has no annotations: early
    releases write those of a function's arguments into a SavedModel, where typing's have no place.
    """
    parts = (inspect.getsource(part) for part in harness.SCRIPT_PARTS)
    start = "import sys\n\nmain(sys.argv[1:])\n"
    annotated = ast.parse("\n\n".join([inspect.getsource(harness), *parts, start]))
    return ast.unparse(ast.fix_missing_locations(_WithoutAnnotations().visit(annotated)))


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign:
        assert node.value is not None, "a name is declared, and has no value"
        return ast.Assign([node.target], node.value)


@dataclass(frozen=True, repr=False)
class Reproduction(Rich):
    """What a case did when it ran."""

    case: str  # its id
    # "works", "error", "wrong" (it ran, and answered something else than TensorFlow), "absent"
    # (this release has no such setting), "crash", or what a limit did ("timed out", …)
    outcome: str
    stage: str  # where it ended: "build", "save", "convert", "load" or "run"
    exception_type: str  # name of the exception's class; empty if none was raised
    message: str  # the exception's
    errors: tuple[OpError, ...]  # the entries of ``ConverterError.errors``
    record: Record = field(repr=False)  # of the child process

    def _headline(self) -> str:
        if self.outcome == "error":
            where = f" at {self.stage}" if self.stage else ""
            return f"{self.case}: {self.exception_type}{where}"
        words = {
            "works": "works",
            "wrong": "runs, and answers wrongly",
            "absent": "not offered",
            "crash": "the process died",
        }
        return f"{self.case}: {words.get(self.outcome, self.outcome)}"

    def __repr__(self) -> str:
        return f"Reproduction({self._headline()})"

    def text(self) -> str:
        """Return the outcome and the first line of the message."""
        return "\n".join(part for part in (self._headline(), short_message(self.message)) if part)

    def html(self) -> str:
        """Return the same as a panel."""
        body = code_html(short_message(self.message)) if self.message else ""
        tone = {"works": "right", "error": "wrong", "absent": "neutral"}.get(self.outcome, "raised")
        return panel_html(tone, self._headline(), body)


def _run_case(identifier: str) -> dict[str, Any]:
    """Run a case in this process, which has imported the families for it."""
    return harness.run_case(identifier)


def reproduce(case: str, timeout: float = 300.0) -> Reproduction:
    """Bring a failure about, in a child process; ``KeyError`` if there is no such case."""
    if case not in CASES:
        raise KeyError(f"no case {case!r}; there are: {', '.join(CASES)}")
    record = run_isolated(_run_case, case, timeout=timeout, locked=False)
    if not record.ok:
        outcome = {"crashed": "crash", "raised": "error"}.get(record.outcome, record.outcome)
        exception = record.exception_type or ""
        return Reproduction(case, outcome, "", exception, record.message, (), record)
    seen: dict[str, Any] = record.value
    errors = tuple(OpError(*pair) for pair in seen["errors"])
    told = (seen["outcome"], seen["stage"], seen["exception"], seen["message"])
    return Reproduction(case, *told, errors, record)
