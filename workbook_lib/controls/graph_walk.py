"""Walk along the flow of a function, from box to box: who reads this variable, who takes that?

:func:`graph_walk` draws boxes to click; :func:`walk` is the plain call that does the same.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from varhandle.display import Rich, printable, table_html
from varhandle.graph import Graph, TensorSpec
from workbook_lib.controls.work import can_be_used
from workbook_lib.show.drawing import Marks, image_html, label_lines
from workbook_lib.show.flow import Step, spec_text, within
from workbook_lib.show.flowchart import Flowchart, mermaid

_MOST_DRAWN = 40
_MOST_WAYS = 24  # a constant may have thousands of users
_MOST_PATH = 6
_LONGEST_VALUE = 120
_EVERY_STEP = 2**31
_INITIALIZED = {True: "yes", False: "no", None: "the format cannot say"}
_BUTTON = (
    'type="button" style="background: none; color: inherit; font: inherit; cursor: pointer; '
    "border: 1px solid #7a7a7a; border-radius: 4px; padding: 0 0.5em; min-height: 24px; "
    'overflow-wrap: anywhere; text-align: left"'
)


@dataclass(frozen=True)
class Way:
    """A way on from a box."""

    word: str  # how the two are joined, such as ``"read by"``
    step: Step  # the box at its other end


@dataclass(frozen=True, repr=False, eq=False)
class Walk(Rich):
    """Where a walk along the flow of a function has come to."""

    graph: Graph  # the model
    chart: Flowchart  # the whole flow
    path: tuple[str, ...]  # ids of the boxes that the walk has been at; the last is where it is

    def __repr__(self) -> str:
        return f"Walk({', '.join(self._label(self.here))})"

    @property
    def here(self) -> Step:
        """The box that the walk is at."""
        return self._steps[self.path[-1]]

    @functools.cached_property
    def _steps(self) -> Mapping[str, Step]:
        return {step.id: step for step in self.chart.steps}

    def _label(self, step: Step) -> tuple[str, ...]:
        return label_lines(step, {id: each.name for id, each in self._steps.items()})

    def at(self, name: str) -> Walk:
        """Go to a box, next to this one or not.

        Raises ``KeyError``: no box has that name, or several have; the message lists names or ids.
        """
        found = self._named(name)
        if len(found) == 1:
            return self.to(found[0])
        if found:
            raise KeyError(f"{len(found)} boxes are called {name!r}; their ids: {found}")
        names = ", ".join(printable(step.name) for step in self.chart.steps)
        raise KeyError(f"no box {name!r}; there are: {names}")

    def _named(self, name: str) -> list[str]:
        """Return the ids of the boxes that may be meant: a variable goes before all others."""
        named = [step for step in self.chart.steps if step.name == name]
        variables = [step.id for step in named if step.kind == "variable"]
        if len(variables) == 1:
            return variables
        return [name] if name in self._steps else [step.id for step in named]

    def to(self, id: str) -> Walk:
        """Go to a box by its id, as a click does."""
        return self if id == self.path[-1] else replace(self, path=(*self.path, id))

    def back(self, steps: int = 1) -> Walk:
        """Go back the way that was come."""
        return replace(self, path=self.path[: max(1, len(self.path) - steps)])

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways on: what comes before the box, then what comes after it."""
        return tuple(dict.fromkeys(self._ways()))

    def _ways(self) -> Iterator[Way]:
        here, steps = self.here, self._steps
        if here.variable in steps:
            yield Way("assigns" if here.kind == "assign" else "reads", steps[here.variable or ""])
        for id in here.sources:
            if id != here.variable and id in steps:
                word = "takes the handle of" if steps[id].kind == "variable" else "takes"
                yield Way(word, steps[id])
        for id in filter(steps.__contains__, here.after):
            yield Way("runs after", steps[id])
        for step in self.chart.steps:
            if step.variable == here.id:
                yield Way("assigned by" if step.kind == "assign" else "read by", step)
            elif here.id in step.sources:
                yield Way("given to", step)
            if here.id in step.after:
                yield Way("runs before", step)

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
            facts.append(("node", f"{node.name}, in {_plain(self.here.function)}"))
            facts.append(("op", node.op))
            if node.inputs:
                facts.append(("inputs, as it names them", ", ".join(filter(None, node.inputs))))
            facts += [
                (f"attribute {name}", _value(value))
                for name, value in sorted(node.attributes.items())
            ]
        return tuple((printable(title), printable(words)) for title, words in facts)

    def drawing(self) -> Flowchart:
        """Return the flow, or the part of it around the box if it has more than 40 boxes."""
        if len(self.chart.steps) <= _MOST_DRAWN:
            return self.chart
        near = self._near()
        total = len(self.chart.steps)
        note = f"{total} boxes are too many to draw: these {len(near)} are nearest to ▸ here."
        return replace(self.chart, steps=within(self.chart.steps, near), note=note)

    def _near(self) -> set[str]:
        """Return the ids of the boxes that are the fewest lines away."""
        joined: dict[str, list[str]] = {id: [] for id in self._steps}
        for step in self.chart.steps:
            for id in {*step.sources, *step.after, step.variable} - {None}:
                if id in joined and id != step.id:
                    joined[step.id].append(id)
                    joined[id].append(step.id)
        near = {self.path[-1]: None}  # a dictionary keeps the order in which they are met
        waiting = [self.path[-1]]
        for id in waiting:
            for other in joined[id]:
                if len(near) < _MOST_DRAWN and other not in near:
                    near[other] = None
                    waiting.append(other)
        return set(near)

    def text(self) -> str:
        """Return where the walk is, what the file says about that, and the ways on."""
        ways = [f"  {way.word} {self._called(way.step)}" for way in self._shown_ways()]
        return "\n".join(
            [
                self.chart.title,
                f"path: {' > '.join(self._called(self._steps[id]) for id in self._shown_path())}",
                f"here: {', '.join(self._label(self.here))}",
                *(f"  {title}: {words}" for title, words in self.facts),
                "ways on:",
                *(ways or ["  none"]),
                *([self._rest()] if self._rest() else []),
            ]
        )

    def html(self) -> str:
        """Return the same, beside the drawing."""
        return self.page(clickable=False)

    def page(self, *, clickable: bool) -> str:
        """Set the walk as HTML.

        Buttons bear the id of the box that they lead to as ``data-step``; those of the path bear
        ``data-back`` instead, with how many boxes that is back.
        """
        chart = self.drawing()
        note = f"<p>{html.escape(chart.note)}</p>" if chart.note else ""
        drawn = chart.svg(Marks({}, here=self.path[-1], clickable=clickable))
        if not clickable:
            drawn = image_html(drawn, chart.text())
        table = table_html(("", ""), self.facts, "What the file says of it") if self.facts else ""
        rest = f"<p>{html.escape(self._rest())}</p>" if self._rest() else ""
        ways = "".join(
            f"<li>{html.escape(way.word)} {self._link(way.step, clickable)}</li>"
            for way in self._shown_ways()
        )
        return (
            '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
            '<figure style="flex: 0 1 auto; margin: 0; min-width: 0">'
            f"<figcaption>{html.escape(chart.title)}</figcaption>{drawn}{note}</figure>"
            '<div style="flex: 1 1 18em; min-width: 0">'
            f"{self._path_html(clickable)}"
            f'<p tabindex="-1" data-here=""><strong>'
            f"{html.escape(', '.join(self._label(self.here)))}</strong></p>"
            '<div style="font-weight: bold">Ways on</div>'
            f'<ul style="margin: 0.3em 0; padding-left: 1.2em">{ways or "<li>none</li>"}</ul>'
            f"{rest}{table}</div></div>"
        )

    def _path_html(self, clickable: bool) -> str:
        shown = self._shown_path()
        parts = []
        for behind, id in zip(range(len(shown) - 1, -1, -1), shown, strict=True):
            name = html.escape(self._called(self._steps[id]))
            if clickable and behind:
                name = f'<button {_BUTTON} data-back="{behind}">{name}</button>'
            parts.append(name)
        return f'<nav aria-label="The path of the walk">Path: {" &gt; ".join(parts)}</nav>'

    def _link(self, step: Step, clickable: bool) -> str:
        name = html.escape(self._called(step))
        if not clickable:
            return name
        id = html.escape(printable(step.id, None), quote=True)
        return f'<button {_BUTTON} data-step="{id}">{name}</button>'

    def _called(self, step: Step) -> str:
        word = "" if step.kind in {"op", "read", "assign"} else f"{step.kind} "
        return f"{word}{printable(step.name)}"

    def _shown_path(self) -> tuple[str, ...]:
        return self.path[-_MOST_PATH:]

    def _shown_ways(self) -> Sequence[Way]:
        return self.ways[:_MOST_WAYS]

    def _rest(self) -> str:
        more = len(self.ways) - _MOST_WAYS
        return f"and {more} more" if more > 0 else ""


def walk(graph: Graph, start: str | None = None, *, signature: str | None = None) -> Walk:
    """Begin a walk along the flow of a signature.

    ``start`` names a box; by default the first variable, or the first box where there is none.
    Raises ``KeyError``: there is no such signature or box; the message names those there are.
    Raises ``ValueError``: the function has no ops.
    """
    chart = mermaid(graph, signature=signature, max_nodes=_EVERY_STEP)
    if not chart.steps:
        raise ValueError(f"{chart.title}: nothing to walk along")
    first = next((step for step in chart.steps if step.kind == "variable"), chart.steps[0])
    begun = Walk(graph, chart, (first.id,))
    return begun if start is None else replace(begun, path=(begun.at(start).path[-1],))


def graph_walk(graph: Graph, start: str | None = None, *, signature: str | None = None) -> Any:
    """Draw the flow of a signature, with boxes to walk along.

    The widget's ``walk`` is where the learner is. Where nobody can use it, the beginning of the
    walk. Raises ``KeyError``: there is no such signature or box; the message names those there are.
    Raises ``ValueError``: the function has no ops.
    """
    begun = walk(graph, start, signature=signature)
    return _widget_class()(begun) if can_be_used() else begun


@functools.cache
def _widget_class() -> Any:
    """Make the widget's class; anywidget is imported for those alone who walk."""
    import anywidget
    import traitlets

    class GraphWalk(anywidget.AnyWidget):
        """A drawing to click: the page asks for a box, and is sent what it then shows."""

        _esm = Path(__file__).with_suffix(".js")
        # A widget's table does not get the style that a cell's output has.
        _css = ".workbook-graph-walk td { padding: 0.15em 1em 0.15em 0; vertical-align: top }"
        page = traitlets.Dict().tag(sync=True)

        def __init__(self, begun: Walk) -> None:
            super().__init__()
            self.walk = begun
            self.on_msg(self._go)
            self._show()

        def _go(self, _: Any, message: Any, __: Any) -> None:
            """Go where a click or a key leads; what does not lead anywhere is passed over."""
            back, step = message.get("back"), message.get("step")
            ids = {printable(each.id, None): each.id for each in self.walk.chart.steps}
            if isinstance(back, int):
                self.walk = self.walk.back(back)
            elif isinstance(step, str) and step in ids:
                self.walk = self.walk.to(ids[step])
            self._show()

        def _show(self) -> None:
            said = f"Here: {', '.join(self.walk._label(self.walk.here))}."
            self.page = {"html": self.walk.page(clickable=True), "said": said}

    return GraphWalk


def _plain(function: str) -> str:
    """Return a function's name without its counter, which differs from save to save."""
    return re.sub(r"^__inference_|_\d+$", "", function)


def _value(value: object) -> str:
    words = spec_text(value) if isinstance(value, TensorSpec) else str(value)
    return printable(words, _LONGEST_VALUE) or '""'
