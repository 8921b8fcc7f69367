"""A small stateful model, made by hand, and a strict reading of HTML."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from varhandle.graph.model import Access, Function, Graph, Node, Signature, TensorSpec, Variable

HOSTILE = "\"]; end <script>alert('x')</script> & é"
_VOID = {"br", "hr", "img", "input", "meta"}


class StrictHtml(HTMLParser):
    """Reads HTML, keeps tags and words, and fails where a tag is not closed in its turn."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def read_html() -> Callable[[str], StrictHtml]:
    return StrictHtml


@pytest.fixture
def hostile() -> str:
    return HOSTILE


def node(name: str, op: str, *inputs: str, after: tuple[str, ...] = (), **more: Any) -> Node:
    """Make a node; an input is a tensor as a function names it, ``node:output:0`` or ``node``."""
    sources = tuple(each.partition(":")[0] for each in inputs)
    return Node(name, op, inputs, sources, after, **more)


@pytest.fixture
def counter() -> Graph:
    """``y = x @ w + counter`` after ``counter += 1``, as a SavedModel wraps it."""
    x = TensorSpec("x", "float32", (None, 4))
    handles = [TensorSpec(f"{name}_resource", "resource", ()) for name in ("counter", "w")]
    answer = (TensorSpec("identity", "float32", None),)
    call = "StatefulPartitionedCall"
    main = (
        node("counter", "VarHandleOp"),
        node("w", "VarHandleOp"),
        node("Placeholder", "Placeholder", attributes={"dtype": "float32"}),
        node(call, call, "Placeholder", "counter", "w", calls=("wrapper",)),
    )
    wrapper = (
        node("call", call, "x", "unknown", "unknown_0", calls=("serve",)),
        node("Identity", "Identity", "call:output:0"),
        node("NoOp", "NoOp", after=("call",)),
    )
    unknown = [TensorSpec(name, "resource", ()) for name in ("unknown", "unknown_0")]
    serve = (
        node("one", "Const", attributes={"value": TensorSpec("", "float32", ())}),
        node("add_one", "AssignAddVariableOp", "counter_resource", "one:output:0"),
        node("read_w", "ReadVariableOp", "w_resource"),
        node("matmul", "MatMul", "x", "read_w:value:0"),
        node("read_counter", "ReadVariableOp", "counter_resource", after=("add_one",)),
        node("add", "AddV2", "matmul:product:0", "read_counter:value:0"),
        node("Identity", "Identity", "add:z:0"),
    )
    functions = (
        Function("main graph", main),
        Function("wrapper", wrapper, (x, *unknown), answer),
        Function("serve", serve, (x, *handles), answer),
    )

    def access(op: str, name: str) -> tuple[Access, ...]:
        return (Access(op, name, "serve", ("serve",)),)

    reads = access("ReadVariableOp", "read_counter")
    assigns = access("AssignAddVariableOp", "add_one")
    variables = (
        Variable("counter", "float32", (), reads, assigns, True, "counter"),
        Variable("w", "float32", (4, 2), access("ReadVariableOp", "read_w"), (), False, None),
    )
    y = TensorSpec("y", "float32", (None, 2))
    signatures = (Signature("serve", "wrapper", (x,), (y,)),)
    return Graph("counter", "saved_model", functions, variables, signatures)


@pytest.fixture
def frozen() -> Graph:
    """The same without the counter, frozen: no variable is left."""
    nodes = (
        node("x", "Placeholder", attributes={"dtype": "float32"}),
        node("w", "Const", attributes={"value": TensorSpec("", "float32", (4, 2))}),
        node("matmul", "MatMul", "x", "w"),
    )
    return Graph("frozen.pb", "graph_def", (Function("main graph", nodes),))
