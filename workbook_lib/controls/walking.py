"""Walk through the flow of a model, from a variable along its edges.

:func:`graph_walk` draws controls; :func:`walk` is the plain call that does the same.
"""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbook_lib.controls.work import can_be_used
from workbook_lib.graph import Graph, Node, variable_role
from workbook_lib.rendering import Rich, printable, table_html, table_text
from workbook_lib.show.drawing import Marks
from workbook_lib.show.flow import Step, within
from workbook_lib.show.flowchart import Flowchart, mermaid

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

_SCRIPT = Path(__file__).with_name("walking.js")
_HOPS = 2  # from the box one stands on to the farthest that is drawn
_MOST_BOXES = 24
_MOST_STEPS = 1_000_000  # all of them: a walk needs every edge
_RELATIONS = (
    "is read by",
    "is assigned by",
    "reads",
    "assigns",
    "takes",
    "goes to",
    "runs after",
    "runs before",
)
_OF_A_VARIABLE = {"read": ("reads", "is read by"), "assign": ("assigns", "is assigned by")}


@dataclass(frozen=True, repr=False, eq=False)
class Walk(Rich):
    """Where a walk stands, and how it came there. Each step gives a new walk.

    Attributes:
        graph: The model.
        flow: The whole flow that the walk goes through.
        path: Ids of the boxes passed, the one it stands on last.
    """

    graph: Graph = field(repr=False)
    flow: Flowchart = field(repr=False)
    path: tuple[str, ...]

    @property
    def here(self) -> Step:
        """The box that the walk stands on."""
        return self._steps[self.path[-1]]

    @cached_property
    def _steps(self) -> dict[str, Step]:
        return {step.id: step for step in self.flow.steps}

    def to(self, box: str) -> Walk:
        """Go to a box.

        Args:
            box: Its name as the walk shows it (``"ReadVariableOp #2"``), or its id.

        Returns:
            The walk, one step longer; the same walk for the box on which it stands.

        Raises:
            KeyError: There is no such box, or there are several; the message names the boxes
                beside this one, or their ids.
        """
        id = _find(self.flow.steps, box, [step.name for _, step in self.neighbours()])
        return self if id == self.path[-1] else replace(self, path=(*self.path, id))

    def back(self) -> Walk:
        """Return the walk as it was one step ago; at its start, the same walk."""
        return replace(self, path=self.path[:-1]) if len(self.path) > 1 else self

    def neighbours(self) -> list[tuple[str, Step]]:
        """Return the boxes one edge away, each with what joins it to this one.

        Returns:
            Pairs of relation and box, such as ``("is read by", …)``; the first are what has to do
            with a variable, the last what only keeps the order.
        """
        here = self.here
        found = [
            (_relation(here, id, 0), self._steps[id]) for id in here.sources if id in self._steps
        ]
        found += [("runs after", self._steps[id]) for id in here.after if id in self._steps]
        for step in self.flow.steps:
            if here.id in step.sources:
                found.append((_relation(step, here.id, 1), step))
            if here.id in step.after:
                found.append(("runs before", step))
        once = {(relation, step.id): (relation, step) for relation, step in found}
        return sorted(once.values(), key=lambda pair: _RELATIONS.index(pair[0]))

    def attributes(self) -> list[tuple[str, str]]:
        """Return what the file says of the node, as pairs of attribute and value."""
        node = self._node()
        facts = [("op", node.op), ("node", node.name)] if node else [("kind", self.here.kind)]
        if node:
            facts += [(name, str(value)) for name, value in sorted(node.attributes.items())]
        elif self.here.detail:
            facts.append(("dtype and shape", self.here.detail))
        if self.here.kind == "variable":
            facts += self._value()
        return facts

    def _value(self) -> list[tuple[str, str]]:
        known = {True: "yes", False: "no", None: "this format cannot say"}
        return [
            ("a value is stored", known[variable.initialised])
            for variable in self.graph.variables
            if variable.name == self.here.name
        ]

    def _node(self) -> Node | None:
        """Return the node of the box; of a variable, its handle."""
        if self.here.kind == "variable":
            return next((node for node in self.graph.nodes if self._is_handle(node)), None)
        return self.here.node

    def _is_handle(self, node: Node) -> bool:
        name = node.attributes.get("shared_name") or node.name
        return variable_role(node.op) == "handle" and name == self.here.name

    def around(self) -> Flowchart:
        """Return the drawing of what is near: two edges away, one where that is too much."""
        near: set[str] = {self.here.id}
        for _ in range(_HOPS):
            wider = near | {end for pair in self._edges() if near & set(pair) for end in pair}
            if len(wider) > _MOST_BOXES and len(near) > 1:
                break
            near = wider
        near = set(sorted(near, key=lambda id: id != self.here.id)[: 2 * _MOST_BOXES])
        return Flowchart(f"Around {_full(self.here)}", within(self.flow.steps, near))

    def _edges(self) -> list[tuple[str, str]]:
        return [
            (before, step.id)
            for step in self.flow.steps
            for before in (*step.sources, *step.after)
            if before in self._steps
        ]

    def __repr__(self) -> str:
        return f"Walk({self._trail()})"

    def _trail(self) -> str:
        return " > ".join(printable(self._steps[id].name) for id in self.path)

    def _edge_rows(self) -> list[tuple[str, str, str]]:
        return [
            (relation, step.name, step.detail or step.kind) for relation, step in self.neighbours()
        ]

    def text(self) -> str:
        """Say where the walk stands, what is beside it, and what the file says of it."""
        edges = table_text(("edge", "box", ""), self._edge_rows())
        return "\n".join(
            [
                f"You are at {_full(self.here)}.",
                f"Your way: {self._trail()}",
                "",
                edges,
                "",
                table_text(("attribute", "value"), self.attributes()),
            ]
        )

    def html(self) -> str:
        """Return the same, with a drawing of what is near."""
        drawing = self.around().svg(Marks({}, here=self.here.id))
        return f"{self.place_html()}{drawing}{self.tables_html()}"

    def place_html(self) -> str:
        """Return where the walk stands, and its way."""
        return (
            f"<p>You are at <strong>{html.escape(_full(self.here))}</strong>. "
            f"Your way: {html.escape(self._trail())}</p>"
        )

    def tables_html(self) -> str:
        """Return the edges and the attributes as tables."""
        tables = (
            table_html(("edge", "box", ""), self._edge_rows(), "One edge away"),
            table_html(("attribute", "value"), self.attributes(), "What the file says of it"),
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 2em">{"".join(tables)}</div>'


def walk(graph: Graph, start: str | None = None, signature: str | None = None) -> Walk:
    """Start a walk through a model.

    Args:
        graph: The model.
        start: Name of the box to start at; the first variable, or the first box, when ``None``.
        signature: The signature whose flow it goes through; the first one when ``None``.

    Returns:
        The walk, at its start.

    Raises:
        KeyError: There is no such signature or box.
        ValueError: There is nothing to walk through.
    """
    flow = mermaid(graph, signature=signature, max_nodes=_MOST_STEPS)
    if not flow.steps:
        raise ValueError("this graph has no nodes to walk through")
    first = next((step for step in flow.steps if step.kind == "variable"), flow.steps[0])
    variables = [step.name for step in flow.steps if step.kind == "variable"]
    id = first.id if start is None else _find(flow.steps, start, variables)
    return Walk(graph, flow, (id,))


def graph_walk(graph: Graph, start: str | None = None, signature: str | None = None) -> Any:
    """Show controls to walk through a model: a drawing to click, a list, and a way back.

    Args:
        graph: The model.
        start: Name of the box to start at; the first variable when ``None``.
        signature: The signature whose flow it goes through; the first one when ``None``.

    Returns:
        The controls, for a notebook to show as the last line of a cell. Where nobody can use
        them, the walk at its start.

    Raises:
        KeyError: There is no such signature or box.
        ValueError: There is nothing to walk through.
    """
    begun = walk(graph, start, signature)
    if not can_be_used() or importlib.util.find_spec("anywidget") is None:
        return begun
    return _controls(begun)


def _find(steps: Iterable[Step], box: str, near: Iterable[str]) -> str:
    """Return the id of a box, by its id or its name; a variable goes before what is named as it."""
    by_id = {step.id: step for step in steps}
    if box in by_id:
        return box
    named = [step for step in by_id.values() if step.name == box]
    variables = [step for step in named if step.kind == "variable"]
    if len(named) == 1 or len(variables) == 1:
        return (variables or named)[0].id
    if named:
        raise KeyError(
            f"several boxes are called {box!r}; their ids: {_listed(s.id for s in named)}"
        )
    raise KeyError(f"no box {box!r}; near are: {_listed(near)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(printable(name) for name in names) or "none"


def _relation(taker: Step, source: str, end: int) -> str:
    """Say what an edge is, seen from its taker (``end`` 0) or from its source (``end`` 1)."""
    if taker.variable == source:
        return _OF_A_VARIABLE[taker.kind][end]
    return ("takes", "goes to")[end]


def _full(step: Step) -> str:
    """Name a box with its kind, unless the name says it."""
    name = printable(step.name)
    return name if step.kind in {"op", "read", "assign"} else f"{step.kind} {name}"


def _controls(begun: Walk) -> Any:
    from ipywidgets import HTML, Button, HBox, Layout, Select, VBox

    drawing = _drawing()
    place, tables = HTML(), HTML()
    edges = Select(
        description="One edge away:",
        tooltip="the boxes one edge away",
        style={"description_width": "8em"},
        layout=Layout(width="32em"),
    )
    go = Button(description="Go there", tooltip="go to the box chosen in the list")
    back = Button(description="Back", tooltip="go back one step")
    now = begun

    def show(reached: Walk) -> None:
        nonlocal now
        now = reached
        place.value = f'<div role="status">{now.place_html()}</div>'
        tables.value = now.tables_html()
        near = now.neighbours()
        edges.options = [(f"{relation} {_full(step)}", step.id) for relation, step in near]
        edges.rows = max(2, min(len(near), 8))
        go.disabled, back.disabled = not near, len(now.path) == 1
        drawing.drawing = now.around().svg(Marks({}, here=now.here.id, clickable=True))
        drawing.chosen = ""

    def clicked(change: Any) -> None:
        if change["new"]:
            show(now.to(change["new"]))

    drawing.observe(clicked, names="chosen")
    go.on_click(lambda _: show(now.to(edges.value or now.here.id)))
    back.on_click(lambda _: show(now.back()))
    show(begun)
    controls = VBox([place, drawing, HBox([edges, VBox([go, back])]), tables])
    controls.add_class("workbook-walk")
    return controls


def _drawing() -> DOMWidget:
    """Return a widget that draws ``drawing`` and sets ``chosen`` to the box that is clicked."""
    import anywidget
    import traitlets

    class Drawing(anywidget.AnyWidget):
        _esm = _SCRIPT
        drawing = traitlets.Unicode().tag(sync=True)
        chosen = traitlets.Unicode().tag(sync=True)

    return Drawing()
