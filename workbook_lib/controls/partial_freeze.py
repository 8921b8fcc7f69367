"""Freeze some variables of a function, and watch which ops go and which come.

:func:`freeze_chooser` draws controls; :func:`freeze_some` is the plain call that does the same.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from varhandle.conversion.freezing import FrozenButAssignedError, captured_variables, freeze
from varhandle.display import Rich, join_all, panel_html, printable
from varhandle.formats import read_graph
from varhandle.graph import Graph
from varhandle.inspection.dataflow import Box
from varhandle.inspection.graph_drawing import GraphDrawing, draw_graph
from varhandle.inspection.histogram import OpHistogram, op_histogram
from varhandle.inspection.svg_drawing import Marks, image_html
from varhandle.inspection.variables import shape_text
from workbook_lib.controls.slow_work import is_interactive, live_region
from workbook_lib.lesson.control_box import as_control

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction

_MOST_OPS = 8


@dataclass(frozen=True, repr=False, eq=False)
class PartialFreeze(Rich):
    """What freezing made of a function: its ops and its drawing before and after."""

    chosen: tuple[str, ...]  # names of the variables that were to become constants
    left: tuple[str, ...]  # names of the others
    ops: OpHistogram
    before: GraphDrawing
    after: GraphDrawing | None  # None where TensorFlow refused
    refusal: str = ""  # TensorFlow's words, where a chosen variable cannot become a constant
    assigned: tuple[str, ...] = ()  # the chosen variables that the function assigns, if refused

    def __repr__(self) -> str:
        return f"PartialFreeze({self._title})"

    @property
    def _title(self) -> str:
        if self.refusal:
            return f"Refused: the function assigns {', '.join(self.assigned)}"
        left = f"; left as {'a variable' if len(self.left) == 1 else 'variables'}: "
        left = left + ", ".join(self.left) if self.left else ""
        return f"Frozen: {join_all(self.chosen, 'nothing')}{left}"

    def text(self) -> str:
        lines = [self._title, "", self.ops.text(), ""]
        if self.after is None:
            lines.insert(1, f"TensorFlow says: {self.refusal}")
            return "\n".join([*lines, self.before.text()])
        lines.append(f"gone: {_counted(boxes_without_equal(self.before, self.after))}")
        lines.append(f"new: {_counted(boxes_without_equal(self.after, self.before))}")
        lines += [f"Before. {self.before.text()}", f"After. {self.after.text()}"]
        return "\n".join(lines)

    def html(self) -> str:
        """Return the outcome, the drawings and the ops; drawings beside each other, if wide."""
        if self.after is None:
            variables = [box for box in self.before.boxes if box.kind == "variable"]
            named = {box.id: "cannot be frozen" for box in variables if box.name in self.assigned}
            said = f"<p>TensorFlow says: {html.escape(self.refusal)}</p>"
            drawn = self.before.html(Marks(named))
            return panel_html("wrong", self._title, said + drawn + self.ops.html())
        before = _side("Before", self.before, "gone", boxes_without_equal(self.before, self.after))
        after = _side("After", self.after, "new", boxes_without_equal(self.after, self.before))
        drawn = f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em">{before}{after}</div>'
        return panel_html("right", self._title, drawn + self.ops.html())


def _side(title: str, drawing: GraphDrawing, word: str, marked: list[Box]) -> str:
    marks = Marks({box.id: word for box in marked})
    return (
        # A basis below their own width: they shrink before they go below each other.
        '<figure style="flex: 1 1 22em; margin: 0; min-width: 0">'
        f"<figcaption><strong>{title}</strong>, {word}: "
        f"{html.escape(_counted(marked))}</figcaption>"
        f"{image_html(drawing.svg(marks), drawing.text())}</figure>"
    )


def boxes_without_equal(drawing: GraphDrawing, other: GraphDrawing) -> list[Box]:
    """Return the boxes of a drawing that another one of the same model does not have.

    Two boxes are equal if kind, name, dtype and shape are, and for an access its variable; of
    several equal ones as many are left as the other graph has. Inputs and outputs are not compared:
    a frozen graph has no signature that would name them.
    """
    left = Counter(_nature(box) for box in other.boxes)
    unpaired = []
    for box in drawing.boxes:
        if box.kind in {"input", "output"}:
            continue
        if left[_nature(box)]:
            left[_nature(box)] -= 1
        else:
            unpaired.append(box)
    return unpaired


def _nature(box: Box) -> tuple[str, str, str, str | None]:
    return box.kind, _unnumbered(box), box.detail, box.variable


def _unnumbered(box: Box) -> str:
    """Return the name as it was before boxes of one op were told apart: ``AddV2 #2``."""
    return re.sub(r" #\d+$", "", box.name) if box.kind in {"op", "read", "assign"} else box.name


def _counted(boxes: list[Box]) -> str:
    counts = Counter(
        box.kind if box.kind in {"variable", "constant"} else _unnumbered(box) for box in boxes
    )
    return join_all((_number_of(name, count) for name, count in counts.items()), "nothing")


def _number_of(name: str, count: int) -> str:
    """Say how many there are; an op keeps its name, and a word takes its plural."""
    plural = "s" if count > 1 and name in {"variable", "constant"} else ""
    return f"{count} {printable(name)}{plural}"


def freeze_some(function: ConcreteFunction, variables: Collection[str]) -> PartialFreeze:
    """Freeze variables of a concrete function by their names, and compare its ops.

    A refusal is a result as well. Raises ``KeyError``: the function captures no variable of such a
    name; TensorFlow's ``ValueError`` where another op than an assignment needs the handle.
    """
    nodes = captured_variables(function)
    names = tuple(dict.fromkeys(nodes.values()))
    chosen = tuple(name for name in names if name in variables)
    graph = read_graph(function.graph.as_graph_def())
    known = {node: (name, _shape(function, name)) for node, name in nodes.items()}
    before = _drawn(graph, known)
    try:
        frozen = freeze(function, tuple(variables))
    except FrozenButAssignedError as error:
        ops = op_histogram({"before": graph}, most=_MOST_OPS)
        assigned = tuple(name for name in chosen if name in _assigned(graph, nodes))
        return PartialFreeze(chosen, (), ops, before, None, str(error.__cause__), assigned)
    ops = op_histogram({"before": graph, "after": frozen.graph}, most=_MOST_OPS)
    left = tuple(name for name in names if name not in chosen)
    return PartialFreeze(chosen, left, ops, before, _drawn(frozen.graph, known))


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


def freeze_chooser(function: ConcreteFunction) -> Any:
    """Show controls to choose which variables of a function to freeze.

    Where nobody can use controls: the function, with those variables frozen that it only reads.
    """
    if not is_interactive():
        return freeze_some(function, _only_read(function))
    from ipywidgets import HTML, Checkbox, VBox

    read = _only_read(function)
    answer = HTML()

    def freeze_chosen(_: Any = None) -> None:
        names = [box.description.removeprefix("freeze ") for box in choices.children if box.value]
        try:
            markup = freeze_some(function, names).html()
        except Exception as error:  # a function of the learner's own, of any kind
            markup = panel_html("raised", f"{type(error).__name__}: {error}")
        answer.value = live_region(markup)

    boxes = []
    for name in dict.fromkeys(captured_variables(function).values()):
        box = Checkbox(value=name in read, description=f"freeze {name}", indent=False)
        box.observe(freeze_chosen, names="value")
        boxes.append(box)
    choices = VBox(boxes)
    freeze_chosen()
    return as_control(VBox([choices, answer]), "workbook-freezing")
