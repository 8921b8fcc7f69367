"""Walk along the dataflow of a function, from box to box: who reads this variable, who takes that?

:func:`graph_walk` draws boxes to click; :func:`walk` is the plain call that does the same.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from varhandle.display import Rich, printable, table_html
from varhandle.graph import Graph, TensorSpec
from varhandle.inspection.dataflow import Box, spec_text, subset
from varhandle.inspection.graph_drawing import GraphDrawing, draw_graph
from varhandle.inspection.svg_drawing import Marks, image_html, label_lines
from workbook_lib.controls.slow_work import is_interactive

_MOST_DRAWN = 40
_MOST_CONNECTIONS = 24  # a constant may have thousands of users
_MOST_PATH = 6
_LONGEST_VALUE = 120
_EVERY_BOX = 2**31
_INITIALIZED = {True: "yes", False: "no", None: "the format cannot say"}
_BUTTON = (
    'type="button" style="background: none; color: inherit; font: inherit; cursor: pointer; '
    "border: 1px solid #7a7a7a; border-radius: 4px; padding: 0 0.5em; min-height: 24px; "
    'overflow-wrap: anywhere; text-align: left"'
)


@dataclass(frozen=True, repr=False, eq=False)
class Walk(Rich):
    """Where a walk along the dataflow of a function has come to."""

    graph: Graph
    drawn: GraphDrawing  # the whole function
    path: tuple[str, ...]  # ids of the boxes that the walk has been at; the last is where it is

    def __repr__(self) -> str:
        return f"Walk({self.label})"

    @functools.cached_property
    def _boxes(self) -> Mapping[str, Box]:
        return {box.id: box for box in self.drawn.boxes}

    @property
    def here(self) -> Box:
        """The box that the walk is at."""
        return self._boxes[self.path[-1]]

    @property
    def label(self) -> str:
        """What the box that the walk is at says in the drawing."""
        names = {box.id: box.name for box in self.drawn.boxes}
        return ", ".join(label_lines(self.here, names))

    def at(self, name: str) -> Walk:
        """Go to a box, next to this one or not, by its name as :meth:`text` writes it, or its id.

        Raises ``KeyError``: no box has that name, or several have; the message lists names or ids.
        """
        named = [box for box in self.drawn.boxes if box.name == name]
        found = [box for box in named if box.kind == "variable"]  # goes before all others
        found = found or [box for box in self.drawn.boxes if box.id == name] or named
        if len(found) == 1:
            return self.to(found[0].id)
        if found:
            ids = [box.id for box in found]
            raise KeyError(f"{len(ids)} boxes are called {name!r}; their ids: {ids}")
        names = ", ".join(printable(box.name) for box in self.drawn.boxes)
        raise KeyError(f"no box {name!r}; there are: {names}")

    def to(self, id: str) -> Walk:
        """Go to a box by its id, as a click does."""
        return self if id == self.path[-1] else replace(self, path=(*self.path, id))

    def back(self, count: int = 1) -> Walk:
        """Go back so many boxes the way that was come, at most to the first."""
        return replace(self, path=self.path[: max(1, len(self.path) - count)])

    @property
    def connections(self) -> tuple[tuple[str, Box], ...]:
        """The boxes to go on to, each after how it is joined to this one (``"read by"``).

        First those that come before this one, then those that come after it.
        """
        return tuple(dict.fromkeys(self._connections()))

    def _connections(self) -> Iterator[tuple[str, Box]]:
        here, boxes = self.here, self._boxes
        if here.variable in boxes:
            yield "assigns" if here.kind == "assign" else "reads", boxes[here.variable or ""]
        for id in here.sources:
            if id != here.variable and id in boxes:
                yield "takes the handle of" if boxes[id].kind == "variable" else "takes", boxes[id]
        for id in filter(boxes.__contains__, here.after):
            yield "runs after", boxes[id]
        for box in self.drawn.boxes:
            if box.variable == here.id:
                yield "assigned by" if box.kind == "assign" else "read by", box
            elif here.id in box.sources:
                yield "given to", box
            if here.id in box.after:
                yield "runs before", box

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the file says about the box: title and words."""
        facts = []
        node = self.here.node
        if self.here.detail:
            facts.append(("dtype and shape", self.here.detail))
        for variable in self.graph.variables:
            if self.here.kind == "variable" and variable.name == self.here.name:
                facts.append(("a value in the file", _INITIALIZED[variable.initialized]))
                facts.append(("owner", variable.owner or "nobody, or not on record"))
        if node is not None:
            # Without the counter in a function's name, which differs from save to save.
            function = re.sub(r"^__inference_|_\d+$", "", self.here.function)
            facts.append(("node", f"{node.name}, in {function}"))
            facts.append(("op", node.op))
            if node.inputs:
                facts.append(("inputs, as it names them", ", ".join(filter(None, node.inputs))))
            for name, value in sorted(node.attributes.items()):
                words = spec_text(value) if isinstance(value, TensorSpec) else str(value)
                facts.append((f"attribute {name}", printable(words, _LONGEST_VALUE) or '""'))
        return tuple((printable(title), printable(words)) for title, words in facts)

    def drawing(self) -> GraphDrawing:
        """Return the drawing, or the part of it around the box if it has more than 40 boxes."""
        total = len(self.drawn.boxes)
        if total <= _MOST_DRAWN:
            return self.drawn
        near = self._nearest()
        note = f"{total} boxes are too many to draw: these {len(near)} are nearest to ▸ here."
        return replace(self.drawn, boxes=subset(self.drawn.boxes, near), note=note)

    def _nearest(self) -> set[str]:
        """Return the ids of the boxes that are the fewest lines away."""
        joined: dict[str, list[str]] = {id: [] for id in self._boxes}
        for box in self.drawn.boxes:
            for id in dict.fromkeys((*box.sources, *box.after, box.variable or "")):
                if id in joined and id != box.id:
                    joined[box.id].append(id)
                    joined[id].append(box.id)
        waiting = [self.path[-1]]
        near = set(waiting)
        for id in waiting:
            for other in joined[id]:
                if len(near) < _MOST_DRAWN and other not in near:
                    near.add(other)
                    waiting.append(other)
        return near

    def text(self) -> str:
        shown = self.connections[:_MOST_CONNECTIONS]
        lines = [f"  {word} {_called(box)}" for word, box in shown] or ["  nothing"]
        return "\n".join(
            [
                self.drawn.title,
                f"path: {' > '.join(self._last_called)}",
                f"here: {self.label}",
                *(f"  {title}: {words}" for title, words in self.facts),
                "connected:",
                *lines,
                *filter(None, [self._rest]),
            ]
        )

    @property
    def _last_called(self) -> list[str]:
        return [_called(self._boxes[id]) for id in self.path[-_MOST_PATH:]]

    @property
    def _rest(self) -> str:
        more = len(self.connections) - _MOST_CONNECTIONS
        return f"and {more} more" if more > 0 else ""

    def html(self, *, clickable: bool = False) -> str:
        """Set the walk as HTML.

        Buttons bear the id of the box that they lead to as ``data-box``; those of the path bear
        ``data-back`` instead, with how many boxes that is back.
        """
        drawing = self.drawing()
        drawn = drawing.svg(Marks(here=self.path[-1], clickable=clickable))
        if not clickable:
            drawn = image_html(drawn, drawing.text())
        connected = ""
        for word, box in self.connections[:_MOST_CONNECTIONS]:
            name, id = html.escape(_called(box)), html.escape(printable(box.id, None))
            link = f'<button {_BUTTON} data-box="{id}">{name}</button>' if clickable else name
            connected += f"<li>{word} {link}</li>"
        note, rest = (f"<p>{html.escape(t)}</p>" if t else "" for t in (drawing.note, self._rest))
        table = table_html(("", ""), self.facts, "What the file says of it") if self.facts else ""
        return (
            '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
            '<figure style="flex: 0 1 auto; margin: 0; min-width: 0">'
            f"<figcaption>{html.escape(drawing.title)}</figcaption>{drawn}{note}</figure>"
            f'<div style="flex: 1 1 18em; min-width: 0">{self._path_html(clickable)}'
            f'<p tabindex="-1" data-here=""><strong>{html.escape(self.label)}</strong></p>'
            '<div style="font-weight: bold">Connected</div>'
            '<ul style="margin: 0.3em 0; padding-left: 1.2em">'
            f"{connected or '<li>nothing</li>'}</ul>{rest}{table}</div></div>"
        )

    def _path_html(self, clickable: bool) -> str:
        parts = [html.escape(name) for name in self._last_called]
        if clickable:
            parts[:-1] = [
                f'<button {_BUTTON} data-back="{len(parts) - 1 - number}">{name}</button>'
                for number, name in enumerate(parts[:-1])
            ]
        return f'<nav aria-label="The path of the walk">Path: {" &gt; ".join(parts)}</nav>'


def _called(box: Box) -> str:
    word = "" if box.kind in {"op", "read", "assign"} else f"{box.kind} "
    return f"{word}{printable(box.name)}"


def walk(graph: Graph, start: str | None = None, *, signature: str | None = None) -> Walk:
    """Begin a walk along the function of a signature, by default of the first one.

    ``start`` names a box; by default the first variable, or the first box where there is none.
    Raises ``KeyError``: there is no such signature or box; the message names those there are.
    Raises ``ValueError``: the function has no ops.
    """
    drawn = draw_graph(graph, signature=signature, max_nodes=_EVERY_BOX)
    if not drawn.boxes:
        raise ValueError(f"{drawn.title}: nothing to walk along")
    first = next((box for box in drawn.boxes if box.kind == "variable"), drawn.boxes[0])
    begun = Walk(graph, drawn, (first.id,))
    return begun if start is None else replace(begun, path=(begun.at(start).path[-1],))


def graph_walk(graph: Graph, start: str | None = None, *, signature: str | None = None) -> Any:
    """Draw the function of a signature, with boxes to walk along, as :func:`walk` begins it.

    The widget's ``walk`` is where the learner is. Where nobody can use it, the beginning of the
    walk.
    """
    begun = walk(graph, start, signature=signature)
    if not is_interactive():
        return begun
    import anywidget
    import traitlets

    class GraphWalk(anywidget.AnyWidget):
        """A drawing to click: the page asks for a box, and is sent what it then shows."""

        _esm = Path(__file__).with_suffix(".js")
        # A widget's table does not get the style that a cell's output has.
        _css = ".workbook-graph-walk td { padding: 0.15em 1em 0.15em 0; vertical-align: top }"
        page = traitlets.Dict().tag(sync=True)
        walk = begun

        def go(self, _: Any, message: Any, __: Any) -> None:
            """Go where a click or a key leads; what does not lead anywhere is passed over."""
            back, box = message.get("back"), message.get("box")
            ids = {printable(each.id, None): each.id for each in self.walk.drawn.boxes}
            if isinstance(back, int):
                self.walk = self.walk.back(back)
            elif isinstance(box, str) and box in ids:
                self.walk = self.walk.to(ids[box])
            self.show()

        def show(self) -> None:
            """Send the page what it shows now, and what it reads out."""
            words = f"Here: {self.walk.label}."
            self.page = {"html": self.walk.html(clickable=True), "words": words}

    widget = GraphWalk()
    widget.on_msg(widget.go)
    widget.show()
    return widget
