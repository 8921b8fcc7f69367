"""How the error grows from op to op: each as a multiple of what its dtype, or scale, allows."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from varhandle.display import printable
from varhandle.divergence.tensor_difference import STEPS

Pair = Mapping[str, Any]

_WIDTH, _HEIGHT = 760, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 34
_LEAST, _MOST = 1e-4, 1e6  # of what is allowed: beyond, a mark stands at the edge
_AGREES, _DIFFERS, _GRAY = "#388e3c", "#e53935", "#7a7a7a"


def of_allowed(pair: Pair) -> float:
    """Return the error of a pair as a multiple of what is allowed: up to 1, the two agree."""
    if pair["note"]:
        return math.inf
    share, allowed = float(pair["share"]), float(pair["allowed"])
    times = share / allowed if allowed else (math.inf if share else 0.0)
    return times if pair["steps"] is None else min(times, float(pair["steps"]) / STEPS)


def worst_of_ops(pairs: Sequence[Pair]) -> dict[int, float]:
    """Return the largest error of each op, by its number, in the order of execution."""
    found: dict[int, float] = {}
    for pair in pairs:
        found[pair["number"]] = max(found.get(pair["number"], 0.0), of_allowed(pair))
    return found


def adds_most(
    ops: Sequence[Mapping[str, Any]], pairs: Sequence[Pair]
) -> tuple[int, float, float] | None:
    """Return the op that adds most, the error of its inputs and its own; ``None`` if none adds any.

    An error is a multiple of what is allowed. Where an op was run again on the file's own inputs,
    what it adds is known; else it is what its error is above that of its inputs.
    """
    errors = worst_of_ops(pairs)
    known = {
        pair["number"]: of_allowed(pair) * pair["added"] / pair["share"]
        for pair in pairs
        if pair["added"] is not None and 0 < pair["share"] < math.inf
    }
    best, most = None, 0.0
    for op in ops:
        own = errors.get(op["number"], 0.0)
        before = max((errors.get(number, 0.0) for number in op["inputs"]), default=0.0)
        added = known.get(op["number"], own - before if math.isfinite(before) else 0.0)
        if added > most:
            best, most = (op["number"], before, own), added
    return best


def drift_svg(
    ops: Sequence[Mapping[str, Any]], pairs: Sequence[Pair], words: str, *, card: bool = False
) -> str:
    """Draw the errors over the ops, on a log scale; ``words`` say the same.

    On a ``card``, as a picture, it has a ground of its own: a light or a dark one, by the color
    scheme of what shows it. Without, it takes the colors of the page around it. Each mark has the
    number of its op.
    """
    errors = worst_of_ops(pairs)
    count = max(len(ops) - 1, 1)
    place = {op["number"]: index for index, op in enumerate(ops)}
    names = {op["number"]: f"{op['number']} {op['op']}" for op in ops}
    most = adds_most(ops, pairs)

    def x(number: int) -> float:
        return _LEFT + place[number] / count * (_WIDTH - _LEFT - _RIGHT)

    def y(times: float) -> float:
        share = math.log10(min(max(times, _LEAST), _MOST) / _LEAST) / math.log10(_MOST / _LEAST)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for power in range(-4, 7, 2):
        at = y(10.0**power)
        word = "allowed" if power == 0 else f"{10.0**power:g} x"
        dash = ' stroke-dasharray="6 4"' if power == 0 else ' stroke-opacity="0.35"'
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" '
            f'stroke="{_GRAY}"{dash}/><text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{word}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">ops in the order of execution'
        "</text>"
    )
    known = [number for number in errors if number in place]
    points = " ".join(f"{x(n):.1f},{y(errors[n]):.1f}" for n in known)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{_GRAY}"/>')
    for number in known:
        mark = _mark(x(number), y(errors[number]), errors[number] <= 1)
        title = html.escape(f"{names[number]}: {told(errors[number])}")
        parts.append(f'<g data-op="{number}"><title>{title}</title>{mark}</g>')
    if most and most[0] in place:
        at, up = x(most[0]), y(most[2])
        anchor = "end" if at > middle else "start"
        aside = -10 if anchor == "end" else 10
        parts.append(
            f'<circle cx="{at:.1f}" cy="{up:.1f}" r="8" fill="none" stroke="currentColor" '
            f'stroke-width="1.5"/><text x="{at + aside:.1f}" y="{max(up - 8, 12):.1f}" '
            f'text-anchor="{anchor}" font-weight="bold">{html.escape(names[most[0]])} adds most'
            "</text>"
        )
    ground = _CARD if card else ""
    said = html.escape(printable(words, None))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{said}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" font-size="12" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" fill="currentColor" '
        f'style="max-width: 100%; height: auto">{ground}{"".join(parts)}</svg>'
    )


_CARD = (
    "<style>svg { background: #fff; color: #222 } "
    "@media (prefers-color-scheme: dark) { svg { background: #111; color: #e4e4e4 } }</style>"
)


def _mark(x: float, y: float, agrees: bool) -> str:
    """Return a dot where it agrees, and a cross where it does not."""
    if agrees:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_AGREES}"/>'
    cross = f"M{x - 4:.1f},{y - 4:.1f} l8,8 m0,-8 l-8,8"
    return (
        f'<path d="{cross}" stroke="{_DIFFERS}" stroke-width="2.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="transparent"/>'
    )


def told(times: float) -> str:
    """Say an error in words."""
    if math.isinf(times):
        return "differs, and nothing is allowed"
    return f"{factor(times)} times what is allowed"


def factor(times: float) -> str:
    """Write a factor in two digits, without an exponent where people would not write one."""
    if not 100 <= times < 1e6:
        return f"{times:.2g}"
    return f"{float(f'{times:.2g}'):,.0f}"
