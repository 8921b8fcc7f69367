"""Where the boxes and the lines of a small drawing go: layer by layer, with few crossings.

The way of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): longest paths give the layers,
barycenters the order within a layer, and a line that spans several layers gets a bend in each, so
that no line runs through a box.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

_SWEEPS = 12
_BEND = 10.0  # room across that a passing line takes
_GAP = 24.0  # between two boxes of a layer
_LAYER_GAP = 36.0

Point = tuple[float, float]
Line = tuple[str, str]


@dataclass(frozen=True)
class Layout:
    """Where everything goes, in the unit of the boxes."""

    width: float
    height: float
    centers: Mapping[str, Point]  # of each box
    bends: Mapping[Line, tuple[Point, ...]]  # what a line runs through, from center to center


@dataclass(frozen=True)
class _Bend:
    """Where a line passes a layer in which it has no box."""

    line: Line
    layer: int


Key = str | _Bend  # a box by its id, or a bend


def lay_out(sizes: Mapping[str, Point], lines: Sequence[Line], *, across: bool = False) -> Layout:
    """Find a place for every box, layer below layer, or beside it if ``across``.

    A line that would close a circle counts the other way round. The same input gives the same
    layout.
    """
    if across:
        down = lay_out({box: size[::-1] for box, size in sizes.items()}, lines)
        centers = {box: (x, y) for box, (y, x) in down.centers.items()}
        turned = {line: tuple((x, y) for y, x in places) for line, places in down.bends.items()}
        return Layout(down.height, down.width, centers, turned)
    forward = _without_circles(list(sizes), lines)
    layer = _layers(list(sizes), list(forward.values()))
    room: dict[Key, float] = {box: width for box, (width, _) in sizes.items()}
    chains: dict[Line, list[Key]] = {}
    rows: list[list[Key]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for box in sizes:
        rows[layer[box]].append(box)
    for line, (first, last) in forward.items():
        passed = [_Bend(line, at) for at in range(layer[first] + 1, layer[last])]
        for bend in passed:
            rows[bend.layer].append(bend)
            room[bend] = _BEND
        chains[line] = [first, *passed, last]
    joined = _joined(chains.values())
    rows = _ordered(rows, joined)
    x = _placed(rows, joined, room)
    edges: dict[Key, Point] = {}
    top = 0.0
    for row in rows:
        depth = max((sizes[box][1] for box in row if isinstance(box, str)), default=0.0)
        edges.update(dict.fromkeys(row, (top, top + depth)))
        top += depth + _LAYER_GAP
    centers = {box: (x[box], sum(edges[box]) / 2) for box in sizes}
    bends = {}
    for line, (first, last) in forward.items():
        # A line goes straight through a layer, between the boxes there.
        through = [(x[bend], edge) for bend in chains[line][1:-1] for edge in edges[bend]]
        places = (centers[first], *through, centers[last])
        bends[line] = places if first == line[0] else places[::-1]
    width = max((x[box] + room[box] / 2 for box in x), default=0.0)
    return Layout(width, max(top - _LAYER_GAP, 0.0), centers, bends)


def _without_circles(boxes: Sequence[str], lines: Sequence[Line]) -> dict[Line, Line]:
    """Map each line to its ends in an order that has no circle; a line to itself is left out."""
    reach = {box: {box} for box in boxes}
    forward = {}
    for line in lines:
        first, last = line
        if first == last or first not in reach or last not in reach:
            continue
        if first in reach[last]:
            first, last = last, first
        forward[line] = first, last
        for reached in reach.values():
            if first in reached:
                reached.update(reach[last])
    return forward


def _layers(boxes: Sequence[str], ends: Sequence[Line]) -> dict[str, int]:
    """Number the layers: as high as can be, then as low as can be where that costs no length.

    A variable, and the read that only one op waits for, so end up above that op.
    """
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for first, last in ends:
        after[first].append(last)
        before[last].append(first)
    order = list(TopologicalSorter({box: before[box] for box in boxes}).static_order())
    layer: dict[str, int] = {}
    for box in order:
        layer[box] = max((layer[first] + 1 for first in before[box]), default=0)
    for box in reversed(order):
        if after[box] and len(before[box]) <= len(after[box]):
            layer[box] = min(layer[last] for last in after[box]) - 1
    lowest = min(layer.values(), default=0)
    return {box: layer[box] - lowest for box in boxes}


def _joined(chains: Iterable[Sequence[Key]]) -> dict[Key, list[Key]]:
    neighbors: dict[Key, list[Key]] = defaultdict(list)
    for chain in chains:
        for first, last in itertools.pairwise(chain):
            neighbors[first].append(last)
            neighbors[last].append(first)
    return neighbors


def _ordered(rows: list[list[Key]], joined: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Order each layer by the mean place of its neighbors, down and up in turn; keep the best."""
    best, fewest = rows, _crossings(rows, joined)
    current = [list(row) for row in rows]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        numbers = range(1, len(current)) if down else range(len(current) - 2, -1, -1)
        for number in numbers:
            at = {
                box: index for index, box in enumerate(current[number - 1 if down else number + 1])
            }
            means = {}
            for own, box in enumerate(current[number]):
                places = [at[other] for other in joined.get(box, ()) if other in at]
                means[box] = sum(places) / len(places) if places else own
            current[number].sort(key=means.__getitem__)
        crossings = _crossings(current, joined)
        if crossings < fewest:
            best, fewest = [list(row) for row in current], crossings
    return best


def _crossings(rows: Sequence[Sequence[Key]], joined: Mapping[Key, list[Key]]) -> int:
    count = 0
    for upper, lower in itertools.pairwise(rows):
        at = {box: index for index, box in enumerate(lower)}
        ends = [
            (number, at[other])
            for number, box in enumerate(upper)
            for other in joined.get(box, ())
            if other in at
        ]
        count += sum(
            (a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[i + 1 :]
        )
    return count


def _placed(
    rows: Sequence[Sequence[Key]],
    joined: Mapping[Key, list[Key]],
    room: Mapping[Key, float],
) -> dict[Key, float]:
    """Move each box towards its neighbors as far as those beside it let it."""
    place: dict[Key, float] = {}
    for row in rows:
        at = 0.0
        for box in row:
            place[box] = at + room[box] / 2
            at += room[box] + _GAP
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for box in row:
                others = [place[other] for other in _pulling(box, joined)]
                wanted.append(sum(others) / len(others) if others else place[box])
            apart = [(room[a] + room[b]) / 2 + _GAP for a, b in itertools.pairwise(row)]
            place.update(zip(row, _apart(wanted, apart), strict=True))
    left = min((place[box] - room[box] / 2 for box in place), default=0.0)
    return {box: at - left for box, at in place.items()}


def _pulling(box: Key, joined: Mapping[Key, list[Key]]) -> list[Key]:
    """Return the neighbors that a box is drawn to: a bend goes with the other bends of its line.

    So a long line runs straight, and only its ends lean over.
    """
    others = joined.get(box, [])
    bends: list[Key] = [other for other in others if isinstance(other, _Bend)]
    return bends if isinstance(box, _Bend) and bends else others


def _apart(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Return the places nearest to those wanted (least squares) that keep their distances.

    Isotonic regression by pooling adjacent violators, after the distances are taken out.
    """
    offsets = [0.0]
    for distance in apart:
        offsets.append(offsets[-1] + distance)
    pools: list[tuple[float, int]] = []  # sum, count
    for goal, offset in zip(wanted, offsets, strict=False):
        pools.append((goal - offset, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = (pools[-1][0] + total, pools[-1][1] + count)
    level = [total / count for total, count in pools for _ in range(count)]
    return [at + offset for at, offset in zip(level, offsets, strict=False)]
