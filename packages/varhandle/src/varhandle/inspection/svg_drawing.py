"""The boxes of a dataflow as an SVG drawing, made in Python: it needs no script and no other host.

A kind of box has a shape, a word and a color of its own. Fill, line and text are all given, so that
a box reads the same on a light and on a dark page; the lines between boxes have a gray that stands
out on both (3:1 at least, WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

import base64
import html
import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from varhandle.display import printable
from varhandle.inspection.dataflow import Box
from varhandle.inspection.layered_layout import Layout, Point, lay_out

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
_LINE_STYLES = {
    "value": ("#7a7a7a", 'stroke-width="1.5"'),
    "then": ("#7a7a7a", 'stroke-width="1.5" stroke-dasharray="4 4"'),
    "write": ("#c62828", 'stroke-width="3"'),
}
_FONT = 12.0
_LETTER = 0.64 * _FONT  # DejaVu Sans is among the widest that a page may take
_LEADING = 16.0
_MARGIN = 8.0
_HERE = "#d81b60"
_LONGEST_LABEL = 32


@dataclass(frozen=True)
class Marks:
    """What a drawing says of single boxes, beside what they are.

    A clickable box can be reached by keyboard and clicked: it has the role of a button, and its id
    as ``data-box``. What then happens is the page's affair.
    """

    words: Mapping[str, str] = field(default_factory=dict)  # id -> a word below the label
    here: str | None = None  # id of the box that the reader is at
    clickable: bool = False


def label_lines(box: Box, names: Mapping[str, str]) -> tuple[str, ...]:
    """Say what a box is, so that neither its shape nor its color has to.

    One to three lines: the name with the kind before it, what it reads or assigns, dtype and shape.
    ``names`` maps the id of every box to its name.
    """
    lines = [_shortened(box.name)]
    if box.kind in {"read", "assign"}:
        lines.append(f"{box.kind}s {_shortened(names.get(box.variable or '', 'a variable'))}")
    elif box.kind != "op":
        lines[0] = f"{box.kind} {lines[0]}"
    if box.detail:
        lines.append(_shortened(box.detail))
    return tuple(lines)


def _shortened(name: str) -> str:
    """Leave out the middle of a long name: names differ at their ends."""
    name = printable(name)
    if len(name) <= _LONGEST_LABEL:
        return name
    return f"{name[:5]}…{name[6 - _LONGEST_LABEL :]}"


def draw_svg(
    title: str,
    description: str,
    boxes: Sequence[Box],
    *,
    across: bool = False,
    marks: Marks | None = None,
) -> str:
    """Draw boxes as one ``<svg>`` element; a narrow page scales it down.

    ``description`` is the whole of it in words, for somebody who does not see it; ``across`` draws
    from left to right. Some forty boxes at most: the time grows with the square of their number.
    """
    marks = marks or Marks()
    names = {box.id: box.name for box in boxes}
    labels = {}
    for box in boxes:
        words = [marks.words[box.id]] if box.id in marks.words else []
        here = ["▸ here"] if box.id == marks.here else []
        labels[box.id] = (*label_lines(box, names), *words, *here)
    sizes = {box.id: _size(box.kind, labels[box.id]) for box in boxes}
    lines = _lines(boxes)
    layout = lay_out(sizes, list(lines), across=across)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    along = 0 if across else 1
    body = [
        *(
            _line(places, lines[first, last], (sizes[first][along], sizes[last][along]), across)
            for (first, last), places in layout.bends.items()
        ),
        *(_box(box, labels[box.id], layout, sizes[box.id], marks) for box in boxes),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="{"group" if marks.clickable else "img"}" '
        f'aria-label="{_escaped(title)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width: 100%; height: auto" font-size="{_FONT:.0f}" '
        f'font-family="DejaVu Sans, Verdana, sans-serif"><title>{_escaped(title)}</title>'
        f"<desc>{_escaped(_in_one_line(description))}</desc>{''.join(body)}</svg>"
    )


def image_html(drawing: str, words: str) -> str:
    """Set a drawing that nobody clicks as a picture with words.

    JupyterLab takes ``<svg>`` out of the outputs of a notebook that it does not trust yet, and
    leaves its words behind in one heap; a picture it leaves alone.
    """
    encoded = base64.b64encode(drawing.encode()).decode("ascii")
    return (
        f'<img alt="{_escaped(_in_one_line(words))}" style="max-width: 100%; height: auto" '
        f'src="data:image/svg+xml;base64,{encoded}">'
    )


def _in_one_line(words: str) -> str:
    return "; ".join(words.splitlines())


def _lines(boxes: Sequence[Box]) -> dict[tuple[str, str], str]:
    """Return the lines between boxes, in drawing order: ``value``, ``then`` or ``write``."""
    lines: dict[tuple[str, str], str] = {}
    for box in boxes:
        lines.update(((source, box.id), "value") for source in box.consumed)
        for before in box.after:
            lines.setdefault((before, box.id), "then")
        if box.kind == "assign" and box.variable:
            lines[box.id, box.variable] = "write"
    return lines


def _size(kind: str, lines: Sequence[str]) -> Point:
    wide = max(
        sum(_FONT if unicodedata.east_asian_width(char) in "WF" else _LETTER for char in line)
        for line in lines
    )
    sides = {"read": 36.0, "assign": 36.0, "input": 32.0, "output": 32.0}.get(kind, 20.0)
    return wide + sides, _LEADING * len(lines) + (26.0 if kind == "variable" else 14.0)


def _line(places: Sequence[Point], kind: str, ends: tuple[float, float], across: bool) -> str:
    """Draw one line with its arrow; it leaves and enters along the direction of the layers.

    ``places`` are those of the layout, ``ends`` the sizes of its two boxes in that direction.
    """
    # Calculated as if the layers were below each other.
    points = [(x + _MARGIN, y + _MARGIN) for x, y in (p[::-1] if across else p for p in places)]

    def at(x: float, y: float) -> str:
        return _at((y, x) if across else (x, y))

    (first_x, first_y), (last_x, last_y) = points[0], points[-1]
    forward = 1.0 if last_y >= first_y else -1.0
    points[0] = first_x, first_y + forward * ends[0] / 2
    tip_y = last_y - forward * (ends[1] / 2 + 2)
    points[-1] = last_x, tip_y
    path = [f"M{at(*points[0])}"]
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        middle = (y + to_y) / 2
        bent = "L" if x == to_x else f"C{at(x, middle)} {at(to_x, middle)} "
        path.append(f"{bent}{at(to_x, to_y)}")
    left, right = (at(last_x + side, tip_y - 8 * forward) for side in (-4.0, 4.0))
    color, style = _LINE_STYLES[kind]
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="{color}" {style}/>'
        f'<path d="M{at(last_x, tip_y)} L{left} L{right}Z" fill="{color}"/>'
    )


def _box(box: Box, lines: Sequence[str], layout: Layout, size: Point, marks: Marks) -> str:
    x, y = (at + _MARGIN for at in layout.centers[box.id])
    width, height = size
    fill, stroke, color, thick = COLORS[box.kind]
    dash = ' stroke-dasharray="6 3"' if box.id in marks.words else ""
    down = 6.0 if box.kind == "variable" else 0.0  # below the lid of the cylinder
    first = y + down - _LEADING * (len(lines) - 1) / 2 + 0.35 * _FONT
    words = "".join(
        f'<text x="{x:.1f}" y="{first + _LEADING * number:.1f}" text-anchor="middle" '
        f'fill="{color}" font-weight="{"normal" if number else "bold"}">{_escaped(line)}</text>'
        for number, line in enumerate(lines)
    )
    ring = button = ""
    if box.id == marks.here:
        ring = (
            f'<rect x="{x - width / 2 - 5:.1f}" y="{y - height / 2 - 5:.1f}" '
            f'width="{width + 10:.1f}" height="{height + 10:.1f}" rx="6" fill="none" '
            f'stroke="{_HERE}" stroke-width="2.5"/>'
        )
    if marks.clickable:
        current = ' aria-current="true"' if ring else ""
        button = (
            ' role="button" tabindex="0" style="cursor: pointer" '
            f'aria-label="{_escaped(", ".join(lines))}"{current}'
        )
    return (
        f'<g data-box="{_escaped(box.id)}"{button}>'
        f'<g fill="{fill}" stroke="{stroke}" stroke-width="{thick}"{dash}>'
        f"{_shape(box.kind, x - width / 2, y - height / 2, width, height)}</g>{ring}{words}</g>"
    )


def _shape(kind: str, x: float, y: float, width: float, height: float) -> str:
    """Return the outline of a kind, its upper left corner at x and y."""
    if kind == "variable":  # a cylinder
        lid, half = 8.0, width / 2
        arc = f"M{x:.1f},{y + lid:.1f} a{half:.1f},{lid} 0 0"
        body = (
            f"{arc} 1 {width:.1f},0 v{height - 2 * lid:.1f} "
            f"a{half:.1f},{lid} 0 0 1 {-width:.1f},0 Z"
        )
        return f'<path d="{body}"/><path d="{arc} 0 {width:.1f},0" fill="none"/>'
    if kind == "read":  # a hexagon
        middle, right, bottom, cut = y + height / 2, x + width, y + height, 12.0
        upper = [(x, middle), (x + cut, y), (right - cut, y)]
        lower = [(right, middle), (right - cut, bottom), (x + cut, bottom)]
        return f'<polygon points="{" ".join(map(_at, (*upper, *lower)))}"/>'
    radius = {"input": height / 2, "output": height / 2, "constant": 7.0}.get(kind, 0.0)
    outline = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"/>'
    )
    if kind != "assign":
        return outline
    bars = " ".join(f"M{at:.1f},{y:.1f} v{height:.1f}" for at in (x + 9, x + width - 9))
    return f'{outline}<path d="{bars}" fill="none"/>'


def _at(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _escaped(words: str) -> str:
    return html.escape(printable(words, None))
