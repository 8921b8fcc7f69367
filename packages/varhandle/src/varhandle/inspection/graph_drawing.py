"""A function of a model as a drawing and in words: an op a box, the variables among them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from varhandle.display import Rich, counted, join_all, printable
from varhandle.graph.model import Function, Graph, Signature, TensorSpec
from varhandle.inspection.dataflow import Box, boxes_of, subset
from varhandle.inspection.svg_drawing import Marks, draw_svg, image_html


@dataclass(frozen=True, repr=False)
class GraphDrawing(Rich):
    """The boxes of one function, ready to be drawn."""

    title: str  # which function of which model
    boxes: tuple[Box, ...]  # in topological order
    note: str = ""  # what was left out and how to see it
    across: bool = False  # from left to right: for many short chains, each a row

    def __repr__(self) -> str:
        return f"GraphDrawing({self.title})"

    def text(self) -> str:
        """Say the dataflow in a line for each op, in topological order."""
        return "\n".join([self.title, *([self.note] if self.note else []), *self._lines()])

    def _lines(self) -> Iterator[str]:
        by_id = {box.id: box for box in self.boxes}
        for box in self.boxes:
            if box.kind in {"input", "variable", "constant"} and not box.sources:
                continue
            chain = [", ".join(_full_name(by_id[id]) for id in box.consumed), _full_name(box)]
            if box.kind == "assign" and box.variable in by_id:
                chain.append(_full_name(by_id[box.variable]))
            after = f" (after {', '.join(printable(by_id[id].name) for id in box.after)})"
            yield " -> ".join(filter(None, chain)) + (after if box.after else "")

    def svg(self, marks: Marks | None = None) -> str:
        """Draw it as one ``<svg>`` element; a note about what was left out is not in it."""
        return draw_svg(self.title, self.text(), self.boxes, across=self.across, marks=marks)

    def html(self, marks: Marks | None = None) -> str:
        """Return the drawing as a picture, whose alternative text is :meth:`text`, and the note."""
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        drawing = image_html(self.svg(marks), self.text()) if self.boxes else ""
        return f'<figure style="margin: 0">{drawing}{note}</figure>'


def draw_graph(
    graph: Graph,
    *,
    signature: str | None = None,
    function: str | None = None,
    max_nodes: int = 40,
) -> GraphDrawing:
    """Draw the function of a signature (by default the first one), or the function of that name.

    Above ``max_nodes`` boxes only the variables and the ops that touch them are drawn, and the
    drawing says so. Raises ``KeyError``: there is no such signature or function; the message names
    those there are.
    """
    title, entry, outputs = _entry(graph, signature, function)
    boxes = boxes_of(graph, entry, outputs)
    variables = sum(box.kind == "variable" for box in boxes)
    counts = f"{counted(len(boxes), 'box', 'boxes')}, {counted(variables, 'variable')}"
    caption = f"Flow of {title}: {counts}"
    if len(boxes) <= max_nodes:
        return GraphDrawing(caption, boxes)
    touching = _touching_variables(boxes, max_nodes)
    note = _too_many(graph, boxes, touching, max_nodes)
    return GraphDrawing(caption, touching, note, across=True)


def _entry(
    graph: Graph, signature: str | None, function: str | None
) -> tuple[str, Function, tuple[TensorSpec, ...]]:
    if function is not None:
        for each in graph.functions:
            if each.name == function:
                return f"function {printable(function)}", each, ()
        raise KeyError(f"no function {function!r}; there are: {_names(graph.functions)}")
    if signature is None and not graph.signatures:
        return "the main graph", graph.functions[0], ()
    for entry in graph.signatures:
        if signature is None or entry.name == signature:
            title = f"signature {printable(entry.name)}"
            return title, graph.function(entry.function), entry.outputs
    raise KeyError(f"no signature {signature!r}; there are: {_names(graph.signatures)}")


def _names(named: Iterable[Function | Signature]) -> str:
    return join_all(printable(each.name) for each in named)


def _touching_variables(boxes: Iterable[Box], most: int) -> tuple[Box, ...]:
    """Keep variables and their accesses, whole variables at a time, while they fit."""
    groups: dict[str, list[Box]] = {}
    for box in boxes:
        variable = box.id if box.kind == "variable" else box.variable
        if variable is not None:
            groups.setdefault(variable, []).append(box)
    kept: set[str] = set()
    for group in groups.values():
        if len(kept) + len(group) > most:
            break
        kept |= {box.id for box in group}
    return subset(boxes, kept)


def _too_many(graph: Graph, boxes: tuple[Box, ...], drawn: tuple[Box, ...], most: int) -> str:
    every, shown = (sum(box.kind == "variable" for box in each) for each in (boxes, drawn))
    some = "the" if shown == every else f"{shown} of {every}"
    what = f"only {some} variables and the ops that touch them are drawn"
    if not every:
        what = "it has no variables, so nothing is drawn"
    more = [f"max_nodes={len(boxes)}"]
    if len(graph.signatures) > 1:
        more.append(f"signature= one of {_names(graph.signatures)}")
    if len(graph.functions) > 1:
        more.append(f"function= one of the {len(graph.functions)} in graph.functions")
    fault = f"{len(boxes)} boxes are more than max_nodes={most}: {what}."
    return f"{fault} To see more: {'; '.join(more)}."


def _full_name(box: Box) -> str:
    word = box.kind if box.kind in {"input", "output", "variable", "constant"} else ""
    name, detail = printable(box.name), printable(" ".join(filter(None, (word, box.detail))))
    return f"{name} ({detail})" if detail else name
