"""Freeze some variables of a function, and watch which ops go and which come.

:func:`freezing` draws controls; :func:`freeze_some` is the plain call that does the same.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from varhandle.conversion.freezing import FrozenButAssignedError, captured_variables, freeze
from varhandle.display import Rich, panel_html
from varhandle.formats import read_graph
from varhandle.graph import Graph
from varhandle.graph.histogram import OpHistogram, op_histogram
from varhandle.graph.variables import shape_text
from workbook_lib.controls.work import can_be_used
from workbook_lib.lesson.control_box import at_home
from workbook_lib.show.before_after import BeforeAfter, before_after
from workbook_lib.show.drawing import Marks, image_html
from workbook_lib.show.flowchart import Flowchart, mermaid

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction

_MOST_OPS = 8


@dataclass(frozen=True, repr=False, eq=False)
class Freezing(Rich):
    """What freezing made of a function."""

    chosen: tuple[str, ...]  # names of the variables that were to become constants
    left: tuple[str, ...]  # names of the others
    # the ops before and after; before alone where it was refused
    ops: OpHistogram = field(repr=False)
    flow: BeforeAfter | Flowchart = field(repr=False)
    refusal: str = ""  # tensorFlow's words, where a chosen variable cannot become a constant
    # names of the chosen variables that the function assigns, if it was refused
    assigned: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Freezing({self._title()})"

    def _title(self) -> str:
        chosen = ", ".join(self.chosen) or "nothing"
        if self.refusal:
            return f"Refused: the function assigns {', '.join(self.assigned)}"
        left = f"; left as {'a variable' if len(self.left) == 1 else 'variables'}: "
        return f"Frozen: {chosen}" + (left + ", ".join(self.left) if self.left else "")

    def text(self) -> str:
        """Return the outcome, the ops and the flow in words."""
        said = [f"TensorFlow says: {self.refusal}"] if self.refusal else []
        return "\n".join([self._title(), *said, "", self.ops.text(), "", self.flow.text()])

    def html(self) -> str:
        """Return the same, with the drawings."""
        words = f"<p>TensorFlow says: {html.escape(self.refusal)}</p>" if self.refusal else ""
        tone = "wrong" if self.refusal else "right"
        return panel_html(tone, self._title(), words + self._drawing_html() + self.ops.html())

    def _drawing_html(self) -> str:
        if not isinstance(self.flow, Flowchart):
            return self.flow.html()
        steps = self.flow.steps
        named = [each for each in steps if each.kind == "variable" and each.name in self.assigned]
        marks = Marks({each.id: "cannot be frozen" for each in named})
        return image_html(self.flow.svg(marks), self.flow.text())


def freeze_some(function: ConcreteFunction, variables: Collection[str] | None = None) -> Freezing:
    """Freeze variables of a concrete function, and compare its ops before and after.

    ``variables`` are names; all if ``None``. A refusal is a result as well. Raises ``KeyError``:
    the function captures no variable of such a name. Raises ``ValueError``: tensorFlow's own, where
    another op than an assignment needs the handle.
    """
    nodes = captured_variables(function)
    names = tuple(dict.fromkeys(nodes.values()))
    chosen = tuple(name for name in names if variables is None or name in variables)
    graph = read_graph(function.graph.as_graph_def())
    known = {node: (name, _shape(function, name)) for node, name in nodes.items()}
    before = _drawn(graph, known)
    try:
        frozen = freeze(function, None if variables is None else tuple(variables))
    except FrozenButAssignedError as error:
        counts = op_histogram({"before": graph}, most=_MOST_OPS)
        assigned = tuple(name for name in chosen if name in _assigned(graph, nodes))
        return Freezing(chosen, (), counts, before, str(error.__cause__), assigned)
    counts = op_histogram({"before": graph, "after": frozen.graph}, most=_MOST_OPS)
    flow = before_after(before, _drawn(frozen.graph, known))
    return Freezing(chosen, tuple(name for name in names if name not in chosen), counts, flow)


def freezing(functions: Mapping[str, ConcreteFunction]) -> Any:
    """Show controls to choose a function and the variables of it that shall become constants.

    Where nobody can use controls: the first function, with those variables frozen that it only
    reads.
    """
    if can_be_used():
        return _controls(functions)
    first = next(iter(functions.values()))
    return freeze_some(first, _only_read(first))


def _only_read(function: ConcreteFunction) -> tuple[str, ...]:
    """Return the names of the variables that a function reads and does not assign."""
    nodes = captured_variables(function)
    assigned = _assigned(read_graph(function.graph.as_graph_def()), nodes)
    return tuple(dict.fromkeys(name for name in nodes.values() if name not in assigned))


def _assigned(graph: Graph, nodes: Mapping[str, str]) -> set[str]:
    return {nodes[each.name] for each in graph.variables if each.assigns and each.name in nodes}


def _shape(function: ConcreteFunction, name: str) -> str:
    [shape, *_] = [
        each.shape for each in function.graph.variables if each.name.partition(":")[0] == name
    ]
    return shape_text(None if shape.rank is None else tuple(shape.as_list()))


def _drawn(graph: Graph, known: Mapping[str, tuple[str, str]]) -> Flowchart:
    """Draw a function, its captured handles by the names and shapes of their variables."""
    chart = mermaid(graph)
    steps = []
    for step in chart.steps:
        if step.kind in {"variable", "constant"} and step.name in known:
            name, shape = known[step.name]
            dtype = step.detail.split(" ")[0]
            steps.append(replace(step, name=name, detail=f"{dtype} {shape}"))
        else:
            steps.append(step)
    title = chart.title.replace("the main graph", "the function")
    return replace(chart, title=title, steps=tuple(steps))


def _controls(functions: Mapping[str, ConcreteFunction]) -> Any:
    from ipywidgets import HTML, Checkbox, Dropdown, Layout, VBox

    function = Dropdown(
        options=list(functions),
        description="Function:",
        tooltip="the function whose variables are frozen",
        layout=Layout(width="26em"),
    )
    boxes = VBox()
    answer = HTML()

    def chosen_function() -> ConcreteFunction:
        return functions[function.value]

    def freeze_chosen(_: Any = None) -> None:
        names = [box.description.removeprefix("freeze ") for box in boxes.children if box.value]
        try:
            markup = freeze_some(chosen_function(), names).html()
        except Exception as error:  # a function of the learner's own, of any kind
            markup = panel_html("raised", f"{type(error).__name__}: {error}")
        answer.value = f'<div role="status">{markup}</div>'

    def offer(_: Any = None) -> None:
        read = _only_read(chosen_function())
        children = []
        for name in dict.fromkeys(captured_variables(chosen_function()).values()):
            box = Checkbox(value=name in read, description=f"freeze {name}", indent=False)
            box.observe(freeze_chosen, names="value")
            children.append(box)
        boxes.children = children
        freeze_chosen()

    function.observe(offer, names="value")
    offer()
    controls = VBox([function, boxes, answer])
    controls.add_class("workbook-freezing")
    return at_home(controls)
