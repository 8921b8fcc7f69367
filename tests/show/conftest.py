"""A small stateful model, made by hand, and a strict reading of HTML."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

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


@pytest.fixture
def counter() -> Graph:
    """``y = x @ w + counter`` after ``counter += 1``, as a SavedModel wraps it."""
    resource = TensorSpec("counter_resource", "resource", ())
    x = TensorSpec("x", "float32", (None, 4))
    main = Function(
        "main graph",
        (
            Node("counter", "VarHandleOp"),
            Node("w", "VarHandleOp"),
            Node("Placeholder", "Placeholder", attributes={"dtype": "float32"}),
            Node(
                "StatefulPartitionedCall",
                "StatefulPartitionedCall",
                ("Placeholder", "counter", "w"),
                ("Placeholder", "counter", "w"),
                calls=("wrapper",),
            ),
        ),
    )
    wrapper = Function(
        "wrapper",
        (
            Node(
                "call",
                "StatefulPartitionedCall",
                ("x", "unknown", "unknown_0"),
                ("x", "unknown", "unknown_0"),
                calls=("serve",),
            ),
            Node("Identity", "Identity", ("call:output:0",), ("call",)),
            Node("NoOp", "NoOp", control_inputs=("call",)),
        ),
        (x, TensorSpec("unknown", "resource", ()), TensorSpec("unknown_0", "resource", ())),
        (TensorSpec("identity", "float32", None),),
    )
    serve = Function(
        "serve",
        (
            Node("one", "Const", attributes={"value": TensorSpec("", "float32", ())}),
            Node(
                "add_one",
                "AssignAddVariableOp",
                ("counter_resource", "one:output:0"),
                ("counter_resource", "one"),
            ),
            Node("read_w", "ReadVariableOp", ("w_resource",), ("w_resource",)),
            Node("matmul", "MatMul", ("x", "read_w:value:0"), ("x", "read_w")),
            Node(
                "read_counter",
                "ReadVariableOp",
                ("counter_resource",),
                ("counter_resource",),
                ("add_one",),
            ),
            Node(
                "add",
                "AddV2",
                ("matmul:product:0", "read_counter:value:0"),
                ("matmul", "read_counter"),
            ),
            Node("Identity", "Identity", ("add:z:0",), ("add",)),
        ),
        (x, resource, TensorSpec("w_resource", "resource", ())),
        (TensorSpec("identity", "float32", None),),
    )
    return Graph(
        "counter",
        "saved_model",
        (main, wrapper, serve),
        (
            Variable(
                "counter",
                "float32",
                (),
                (Access("ReadVariableOp", "read_counter", "serve", ("serve",)),),
                (Access("AssignAddVariableOp", "add_one", "serve", ("serve",)),),
                True,
                "counter",
            ),
            Variable(
                "w",
                "float32",
                (4, 2),
                (Access("ReadVariableOp", "read_w", "serve", ("serve",)),),
                (),
                False,
                None,
            ),
        ),
        (Signature("serve", "wrapper", (x,), (TensorSpec("y", "float32", (None, 2)),)),),
    )


@pytest.fixture
def frozen() -> Graph:
    """The same without the counter, frozen: no variable is left."""
    return Graph(
        "frozen.pb",
        "graph_def",
        (
            Function(
                "main graph",
                (
                    Node("x", "Placeholder", attributes={"dtype": "float32"}),
                    Node("w", "Const", attributes={"value": TensorSpec("", "float32", (4, 2))}),
                    Node("matmul", "MatMul", ("x", "w"), ("x", "w")),
                ),
            ),
        ),
    )
