"""The steps of a flow as an SVG drawing, made in Python: it needs no script and no other host.

The boxes look as Mermaid draws them: a kind has a shape, a word and a color of its own. Fill,
line and text are all given, so that a box reads the same on a light and on a dark page; the lines
between boxes have a gray that stands out on both (3:1 at least, WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

import base64
import html
import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from varhandle.display import printable
from workbook_lib.show.flow import Step
from workbook_lib.show.layered import Key, Layout, Point, lay_out

# kind -> fill, line, text, width of the line
COLORS = {
    "input": ("#e8f5e9", "#2e7d32", "#10310f", 1.5),
    "output": ("#e8f5e9", "#2e7d32", "#10310f", 1.5),
    "variable": ("#fff3e0", "#b26a00", "#3b2300", 3.0),
    "constant": ("#f5f5f5", "#757575", "#212121", 1.5),
    "read": ("#e3f2fd", "#0277bd", "#062a40", 1.5),
    "assign": ("#ffebee", "#c62828", "#4a0c0c", 3.0),
    "op": ("#ede7f6", "#5e35b1", "#24124d", 1.5),
}
_LINE = "#7a7a7a"
_FONT = 12.0
_LETTER = 0.64 * _FONT  # DejaVu Sans is among the widest that a page may take
_LEADING = 16.0
_MARGIN = 8.0
_HERE = "#d81b60"
_LONGEST_LABEL = 32


@dataclass(frozen=True)
class Marks:
    """What a drawing says of single steps, beside what they are."""

    # id of a step to a word below its label, such as ``"goes"``; the box gets a dashed line as well
    words: Mapping[str, str]
    # id of the step that the reader is at; it gets a second line, and says ``"here"``
    here: str | None = None
    # whether each step can be reached by keyboard and clicked: a group with the role of a button,
    # and its id as ``data-step``. What then happens is the page's affair
    clickable: bool = False


NO_MARKS = Marks({})


def label_lines(step: Step, names: Mapping[str, str]) -> tuple[str, ...]:
    """Say what a box is, so that neither its shape nor its color has to."""
    lines = [shortened(step.name)]
    if step.kind in {"read", "assign"}:
        lines.append(f"{step.kind}s {shortened(names.get(step.variable or '', 'a variable'))}")
    elif step.kind != "op":
        lines[0] = f"{step.kind} {lines[0]}"
    if step.detail:
        lines.append(shortened(step.detail))
    return tuple(lines)


def shortened(name: str) -> str:
    """Leave out the middle of a long name: names differ at their ends."""
    name = printable(name)
    if len(name) <= _LONGEST_LABEL:
        return name
    return f"{name[:5]}…{name[6 - _LONGEST_LABEL :]}"


def svg(
    title: str,
    description: str,
    steps: Sequence[Step],
    *,
    across: bool = False,
    marks: Marks = NO_MARKS,
) -> str:
    """Draw the steps of a flow.

    Some forty boxes at most: the time grows with the square of their number.
    """
    names = {step.id: step.name for step in steps}
    labels = {step.id: _marked(label_lines(step, names), step.id, marks) for step in steps}
    sizes: dict[Key, Point] = {step.id: _size(step.kind, labels[step.id]) for step in steps}
    lines = _lines(steps)
    layout = lay_out(sizes, list(lines), across=across)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    role = 'role="group"' if marks.clickable else 'role="img"'
    body = [
        *(_line(layout, line, kind, sizes, across) for line, kind in lines.items()),
        *(_box(step, labels[step.id], layout, sizes, marks) for step in steps),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {role} aria-label="{_attribute(title)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width: 100%; height: auto" font-size="{_FONT:.0f}" '
        f'font-family="DejaVu Sans, Verdana, sans-serif">'
        f"<title>{_text(title)}</title><desc>{_text(_in_one_line(description))}</desc>{''.join(body)}</svg>"
    )


def image_html(drawing: str, words: str) -> str:
    """Set a drawing that nobody clicks as a picture with words.

    JupyterLab takes ``<svg>`` out of the outputs of a notebook that it does not trust yet, and
    leaves its words behind in one heap; a picture it leaves alone.
    """
    encoded = base64.b64encode(drawing.encode()).decode("ascii")
    return (
        f'<img alt="{_attribute(_in_one_line(words))}" style="max-width: 100%; height: auto" '
        f'src="data:image/svg+xml;base64,{encoded}">'
    )


def _in_one_line(words: str) -> str:
    return "; ".join(words.splitlines())


def _lines(steps: Sequence[Step]) -> dict[tuple[str, str], str]:
    """Return the lines between boxes, in drawing order: ``value``, ``then`` or ``write``."""
    drawn = {step.id for step in steps}
    lines: dict[tuple[str, str], str] = {}
    for step in steps:
        for source in step.sources:
            if source in drawn and (step.kind != "assign" or source != step.variable):
                lines[source, step.id] = "value"
        for before in step.after:
            if before in drawn:
                lines.setdefault((before, step.id), "then")
        if step.kind == "assign" and step.variable in drawn:
            lines[step.id, step.variable or ""] = "write"
    return lines


def _marked(lines: tuple[str, ...], id: str, marks: Marks) -> tuple[str, ...]:
    words = [marks.words[id]] if id in marks.words else []
    return (*lines, *words, *(["▸ here"] if id == marks.here else []))


def _size(kind: str, lines: Sequence[str]) -> Point:
    widest = max(_text_width(line) for line in lines)
    sides = {"read": 36.0, "assign": 36.0, "input": 32.0, "output": 32.0}.get(kind, 20.0)
    return widest + sides, _LEADING * len(lines) + (26.0 if kind == "variable" else 14.0)


def _text_width(text: str) -> float:
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return _LETTER * (len(text) - wide) + _FONT * wide


def _line(
    layout: Layout, line: tuple[str, str], kind: str, sizes: Mapping[Key, Point], across: bool
) -> str:
    """Draw one line with its arrow; it leaves and enters along the direction of the layers."""
    points = [_moved(point) for point in layout.bends.get(line, ())]
    if not points:  # a step that takes its own value
        return ""
    axis = 0 if across else 1
    forward = 1.0 if points[-1][axis] >= points[0][axis] else -1.0
    points[0] = _shifted(points[0], axis, forward * sizes[line[0]][axis] / 2)
    points[-1] = _shifted(points[-1], axis, -forward * (sizes[line[1]][axis] / 2 + 2))
    path = [f"M{_at(points[0])}"]
    for start, end in itertools.pairwise(points):
        if start[1 - axis] == end[1 - axis]:
            path.append(f"L{_at(end)}")
            continue
        middle = (start[axis] + end[axis]) / 2
        bends = [(middle, p[1]) if across else (p[0], middle) for p in (start, end)]
        path.append(f"C{_at(bends[0])} {_at(bends[1])} {_at(end)}")
    style = {
        "value": 'stroke-width="1.5"',
        "then": 'stroke-width="1.5" stroke-dasharray="4 4"',
        "write": 'stroke-width="3"',
    }[kind]
    color = COLORS["assign"][1] if kind == "write" else _LINE
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="{color}" {style}/>'
        f"{_arrow(points[-1], axis, forward, color)}"
    )


def _arrow(tip: Point, axis: int, forward: float, color: str) -> str:
    back = _shifted(tip, axis, -8 * forward)
    left, right = (_shifted(back, 1 - axis, side) for side in (-4.0, 4.0))
    return f'<path d="M{_at(tip)} L{_at(left)} L{_at(right)}Z" fill="{color}"/>'


def _box(
    step: Step, lines: Sequence[str], layout: Layout, sizes: Mapping[Key, Point], marks: Marks
) -> str:
    x, y = _moved(layout.centers[step.id])
    width, height = sizes[step.id]
    fill, stroke, color, thick = COLORS[step.kind]
    dash = ' stroke-dasharray="6 3"' if step.id in marks.words else ""
    shape = _shape(step.kind, x - width / 2, y - height / 2, width, height)
    down = 6.0 if step.kind == "variable" else 0.0  # below the lid of the cylinder
    first = y + down - _LEADING * (len(lines) - 1) / 2 + 0.35 * _FONT
    words = "".join(
        f'<text x="{x:.1f}" y="{first + _LEADING * number:.1f}" text-anchor="middle" '
        f'fill="{color}"{" font-weight=" + chr(34) + "bold" + chr(34) if not number else ""}>'
        f"{_text(line)}</text>"
        for number, line in enumerate(lines)
    )
    ring = ""
    if step.id == marks.here:
        ring = (
            f'<rect x="{x - width / 2 - 5:.1f}" y="{y - height / 2 - 5:.1f}" '
            f'width="{width + 10:.1f}" height="{height + 10:.1f}" rx="6" fill="none" '
            f'stroke="{_HERE}" stroke-width="2.5"/>'
        )
    return (
        f'<g data-step="{_attribute(step.id)}"{_button(step, lines, marks)}>'
        f'<g fill="{fill}" stroke="{stroke}" stroke-width="{thick}"{dash}>{shape}</g>'
        f"{ring}{words}</g>"
    )


def _button(step: Step, lines: Sequence[str], marks: Marks) -> str:
    if not marks.clickable:
        return ""
    current = ' aria-current="true"' if step.id == marks.here else ""
    return (
        f' role="button" tabindex="0" style="cursor: pointer" '
        f'aria-label="{_attribute(", ".join(lines))}"{current}'
    )


def _shape(kind: str, x: float, y: float, width: float, height: float) -> str:
    """Return the outline of a kind: the shapes that Mermaid has for them."""
    if kind == "variable":  # a cylinder
        lid = 8.0
        body = (
            f"M{x:.1f},{y + lid:.1f} a{width / 2:.1f},{lid} 0 0 1 {width:.1f},0 "
            f"v{height - 2 * lid:.1f} a{width / 2:.1f},{lid} 0 0 1 {-width:.1f},0 Z"
        )
        rim = f"M{x:.1f},{y + lid:.1f} a{width / 2:.1f},{lid} 0 0 0 {width:.1f},0"
        return f'<path d="{body}"/><path d="{rim}" fill="none"/>'
    if kind == "read":  # a hexagon
        cut = 12.0
        corners = [
            (x, y + height / 2),
            (x + cut, y),
            (x + width - cut, y),
            (x + width, y + height / 2),
            (x + width - cut, y + height),
            (x + cut, y + height),
        ]
        return f'<polygon points="{" ".join(map(_at, corners))}"/>'
    radius = {"input": height / 2, "output": height / 2, "constant": 7.0}.get(kind, 0.0)
    outline = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"/>'
    )
    if kind != "assign":
        return outline
    bars = " ".join(f"M{at:.1f},{y:.1f} v{height:.1f}" for at in (x + 9, x + width - 9))
    return f'{outline}<path d="{bars}" fill="none"/>'


def _moved(point: Point) -> Point:
    return point[0] + _MARGIN, point[1] + _MARGIN


def _shifted(point: Point, axis: int, distance: float) -> Point:
    return (point[0] + distance, point[1]) if axis == 0 else (point[0], point[1] + distance)


def _at(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _text(words: str) -> str:
    return html.escape(printable(words, None), quote=False)


def _attribute(words: str) -> str:
    return html.escape(printable(words, None), quote=True)
