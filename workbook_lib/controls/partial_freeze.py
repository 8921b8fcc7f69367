"""Freeze some variables of a function, and watch which ops go and which come.

:func:`freeze_chooser` draws controls; :func:`freeze_some` is the plain call that does the same.
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
from varhandle.inspection.graph_drawing import GraphDrawing, draw_graph
from varhandle.inspection.histogram import OpHistogram, op_histogram
from varhandle.inspection.svg_drawing import Marks
from varhandle.inspection.variables import shape_text
from workbook_lib.controls.slow_work import is_interactive, live_region
from workbook_lib.lesson.control_box import as_control
from workbook_lib.show.before_after import BeforeAfter, compare_drawings

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction

_MOST_OPS = 8


@dataclass(frozen=True, repr=False, eq=False)
class PartialFreeze(Rich):
    """What freezing made of a function: its ops and its drawing before and after."""

    chosen: tuple[str, ...]  # names of the variables that were to become constants
    left: tuple[str, ...]  # names of the others
    ops: OpHistogram = field(repr=False)
    drawing: BeforeAfter | GraphDrawing = field(repr=False)  # before alone where it was refused
    refusal: str = ""  # TensorFlow's words, where a chosen variable cannot become a constant
    assigned: tuple[str, ...] = ()  # the chosen variables that the function assigns, if refused

    def __repr__(self) -> str:
        return f"PartialFreeze({self._title()})"

    def _title(self) -> str:
        chosen = ", ".join(self.chosen) or "nothing"
        if self.refusal:
            return f"Refused: the function assigns {', '.join(self.assigned)}"
        left = f"; left as {'a variable' if len(self.left) == 1 else 'variables'}: "
        return f"Frozen: {chosen}" + (left + ", ".join(self.left) if self.left else "")

    def text(self) -> str:
        """Return the outcome, the ops and the drawing in words."""
        refusal = [f"TensorFlow says: {self.refusal}"] if self.refusal else []
        return "\n".join([self._title(), *refusal, "", self.ops.text(), "", self.drawing.text()])

    def html(self) -> str:
        """Return the same, with the drawings."""
        tone, words, drawn = "right", "", self.drawing.html()
        if isinstance(self.drawing, GraphDrawing):
            tone, words = "wrong", f"<p>TensorFlow says: {html.escape(self.refusal)}</p>"
            named = [
                b.id for b in self.drawing.boxes if b.kind == "variable" and b.name in self.assigned
            ]
            drawn = self.drawing.html(Marks(dict.fromkeys(named, "cannot be frozen")))
        return panel_html(tone, self._title(), words + drawn + self.ops.html())


def freeze_some(
    function: ConcreteFunction, variables: Collection[str] | None = None
) -> PartialFreeze:
    """Freeze variables of a concrete function, and compare its ops before and after.

    ``variables`` are names; all if ``None``. A refusal is a result as well. Raises ``KeyError``:
    the function captures no variable of such a name; TensorFlow's ``ValueError`` where another op
    than an assignment needs the handle.
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
        return PartialFreeze(chosen, (), counts, before, str(error.__cause__), assigned)
    counts = op_histogram({"before": graph, "after": frozen.graph}, most=_MOST_OPS)
    compared = compare_drawings(before, _drawn(frozen.graph, known))
    left = tuple(name for name in names if name not in chosen)
    return PartialFreeze(chosen, left, counts, compared)


def freeze_chooser(functions: Mapping[str, ConcreteFunction]) -> Any:
    """Show controls to choose a function, by its title, and which variables of it to freeze.

    Where nobody can use controls: the first function, with those variables frozen that it only
    reads.
    """
    if is_interactive():
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


def _drawn(graph: Graph, known: Mapping[str, tuple[str, str]]) -> GraphDrawing:
    """Draw a function, its captured handles by the names and shapes of their variables."""
    drawing = draw_graph(graph)
    boxes = []
    for box in drawing.boxes:
        if box.kind in {"variable", "constant"} and box.name in known:
            name, shape = known[box.name]
            box = replace(box, name=name, detail=f"{box.detail.split(' ')[0]} {shape}")  # noqa: PLW2901
        boxes.append(box)
    title = drawing.title.replace("the main graph", "the function")
    return replace(drawing, title=title, boxes=tuple(boxes))


def _controls(functions: Mapping[str, ConcreteFunction]) -> Any:
    from ipywidgets import HTML, Checkbox, Dropdown, Layout, VBox

    function = Dropdown(
        options=list(functions),
        description="Function:",
        tooltip="the function whose variables are frozen",
        layout=Layout(width="26em"),
    )
    choices, answer = VBox(), HTML()

    def freeze_chosen(_: Any = None) -> None:
        names = [box.description.removeprefix("freeze ") for box in choices.children if box.value]
        try:
            markup = freeze_some(functions[function.value], names).html()
        except Exception as error:  # a function of the learner's own, of any kind
            markup = panel_html("raised", f"{type(error).__name__}: {error}")
        answer.value = live_region(markup)

    def offer(_: Any = None) -> None:
        read = _only_read(functions[function.value])
        children = []
        for name in dict.fromkeys(captured_variables(functions[function.value]).values()):
            box = Checkbox(value=name in read, description=f"freeze {name}", indent=False)
            box.observe(freeze_chosen, names="value")
            children.append(box)
        choices.children = children
        freeze_chosen()

    function.observe(offer, names="value")
    offer()
    return as_control(VBox([function, choices, answer]), "workbook-freezing")
