"""A small graph as a flowchart: Mermaid where JupyterLab draws it, SVG everywhere else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from varhandle.display import Rich, printable
from varhandle.graph.model import Function, Graph, TensorSpec
from workbook_lib.show.drawing import COLORS, NO_MARKS, Marks, image_html, label_lines, svg
from workbook_lib.show.flow import Step, flow_of, within

_SHAPES = {
    "input": ("([", "])"),
    "output": ("([", "])"),
    "variable": ("[(", ")]"),
    "constant": ("(", ")"),
    "read": ("{{", "}}"),
    "assign": ("[[", "]]"),
    "op": ("[", "]"),
    "note": ("[", "]"),
}
# A drawing stays as it is when the theme changes: its lines get the gray that reads on both.
_CONFIG = (
    '%%{{init: {{"themeVariables": {{"lineColor": "#7a7a7a"}}, '
    '"flowchart": {{"nodeSpacing": 30, "rankSpacing": 32, "padding": 8, '
    '"wrappingWidth": {}}}}}}}%%'
)
_WRAPPING_WIDTH = {"TD": 200, "LR": 300}
# Fill, line and text are all given, so that a box reads the same in a light and a dark theme.
_NOTE_STYLE = "fill:#fffde7,stroke:#827717,color:#2b2700,stroke-dasharray:4"


@dataclass(frozen=True, repr=False)
class Flowchart(Rich):
    """The steps of one function, ready to be drawn."""

    title: str  # which function of which model
    steps: tuple[Step, ...]  # in topological order
    note: str = ""  # what was left out and how to see it; empty if nothing was
    direction: str = "TD"

    def __repr__(self) -> str:
        return f"Flowchart({self.title}: {len(self.steps)} boxes)"

    def text(self) -> str:
        """Say the flow in a line for each op, in topological order."""
        return "\n".join([self.title, *([self.note] if self.note else []), *self._lines()])

    def _lines(self) -> Iterator[str]:
        by_id = {step.id: step for step in self.steps}
        for step in self.steps:
            if step.kind in {"input", "variable", "constant"} and not step.sources:
                continue
            taken = (id for id in step.sources if step.kind != "assign" or id != step.variable)
            chain = [", ".join(_full_name(by_id[id]) for id in taken), _full_name(step)]
            if step.kind == "assign" and step.variable in by_id:
                chain.append(_full_name(by_id[step.variable]))
            after = f" (after {', '.join(printable(by_id[id].name) for id in step.after)})"
            yield " -> ".join(filter(None, chain)) + (after if step.after else "")

    def mermaid(self) -> str:
        """Write the flow in Mermaid's language.

        Above ``max_nodes`` boxes only the variables and the ops that touch them are drawn, and the
        drawing says so.
        """
        number = {step.id: f"n{index}" for index, step in enumerate(self.steps)}
        names = {step.id: step.name for step in self.steps}
        return "\n".join(
            [
                _CONFIG.format(_WRAPPING_WIDTH[self.direction]),
                f"flowchart {self.direction}",
                f"accTitle: {_escape(self.title)}",
                "accDescr {",
                *(f"  {_escape(line)}" for line in self.text().splitlines()[1:]),
                "}",
                *([_box("note", "note", _escape(self.note))] if self.note else []),
                *(_box(number[step.id], step.kind, _label(step, names)) for step in self.steps),
                *(edge for step in self.steps for edge in _edges(step, number)),
                *(f"classDef {kind} {_style(kind)}" for kind in COLORS),
                f"classDef note {_NOTE_STYLE}",
            ]
        )

    def svg(self, marks: Marks = NO_MARKS) -> str:
        """Draw the flow as one ``<svg>`` element, for a page that does not draw Mermaid."""
        across = self.direction == "LR"
        return svg(self.title, self.text(), self.steps, across=across, marks=marks)

    def html(self) -> str:
        """Return the drawing and the note, as an exported page shows them."""
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        drawing = image_html(self.svg(), self.text()) if self.steps else ""
        return f'<figure style="margin: 0">{drawing}{note}</figure>'

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return every form but HTML, which JupyterLab would prefer to its own drawing."""
        forms = {"text/plain": self.text(), "text/vnd.mermaid": self.mermaid()}
        return forms | ({"image/svg+xml": self.svg()} if self.steps else {})


def mermaid(
    graph: Graph,
    *,
    signature: str | None = None,
    function: str | None = None,
    max_nodes: int = 40,
) -> Flowchart:
    """Draw a function of a model as a flowchart.

    Above ``max_nodes`` boxes only the variables and the ops that touch them are drawn, and the
    drawing says so. Raises ``KeyError``: there is no such signature or function; the message names
    those there are.
    """
    title, entry, outputs = _entry(graph, signature, function)
    steps = flow_of(graph, entry, outputs)
    variables = sum(1 for step in steps if step.kind == "variable")
    boxes = _count(len(steps), "box", "boxes")
    caption = f"Flow of {title}: {boxes}, {_count(variables, 'variable')}"
    if len(steps) <= max_nodes:
        return Flowchart(caption, steps)
    touching = _touching_variables(steps, max_nodes)
    return Flowchart(caption, touching, _too_many(graph, steps, touching, max_nodes), "LR")


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
            return (
                f"signature {printable(entry.name)}",
                graph.function(entry.function),
                entry.outputs,
            )
    raise KeyError(f"no signature {signature!r}; there are: {_names(graph.signatures)}")


def _names(named: Iterable[Any]) -> str:
    return ", ".join(printable(each.name) for each in named) or "none"


def _touching_variables(steps: Iterable[Step], most: int) -> tuple[Step, ...]:
    """Keep variables and their accesses, whole variables at a time, while they fit."""
    groups: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind == "variable":
            groups.setdefault(step.id, []).append(step)
        elif step.variable is not None:
            groups.setdefault(step.variable, []).append(step)
    kept: set[str] = set()
    for group in groups.values():
        if len(kept) + len(group) > most:
            break
        kept |= {step.id for step in group}
    return within(steps, kept)


def _too_many(graph: Graph, steps: Iterable[Step], drawn: Iterable[Step], most: int) -> str:
    every = [step.id for step in steps if step.kind == "variable"]
    shown = sum(1 for step in drawn if step.kind == "variable")
    total = sum(1 for _ in steps)
    if not every:
        what = "it has no variables, so nothing is drawn"
    elif shown == len(every):
        what = "only the variables and the ops that touch them are drawn"
    else:
        what = f"only {shown} of {len(every)} variables and the ops that touch them are drawn"
    ways = [f"max_nodes={total}"]
    if len(graph.signatures) > 1:
        ways.append(f"signature= one of {_names(graph.signatures)}")
    if len(graph.functions) > 1:
        ways.append(f"function= one of the {len(graph.functions)} in graph.functions")
    return f"{total} boxes are more than max_nodes={most}: {what}. To see more: {'; '.join(ways)}."


def _full_name(step: Step) -> str:
    word = step.kind if step.kind in {"input", "output", "variable", "constant"} else ""
    name, detail = printable(step.name), printable(" ".join(filter(None, (word, step.detail))))
    return f"{name} ({detail})" if detail else name


def _label(step: Step, names: dict[str, str]) -> str:
    return "<br>".join(map(_escape, label_lines(step, names)))


def _style(kind: str) -> str:
    fill, line, text, width = COLORS[kind]
    small = ",font-size:12px" if kind == "constant" else ""
    thick = f",stroke-width:{width:.0f}px" if width > 2 else ""
    return f"fill:{fill},stroke:{line}{thick},color:{text}{small}"


def _box(id: str, kind: str, label: str) -> str:
    opening, closing = _SHAPES[kind]
    return f'{id}{opening}"{label}"{closing}:::{kind}'


def _edges(step: Step, number: dict[str, str]) -> Iterator[str]:
    here = number[step.id]
    for source in step.sources:
        if step.kind != "assign" or source != step.variable:
            yield f"{number[source]} --> {here}"
    for before in step.after:
        yield f"{number[before]} -. then .-> {here}"
    if step.kind == "assign" and step.variable in number:
        yield f"{here} ==> {number[step.variable]}"


def _escape(text: str) -> str:
    """Write every character that Mermaid or HTML might take for its own as a number."""
    return "".join(
        char if char.isalnum() or char in " _./-," else f"#{ord(char)};" for char in text
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
