"""Where the boxes and the lines of a small drawing go: layer by layer, with few crossings.

The way of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): longest paths give the layers,
barycenters the order within a layer, and a line that spans several layers gets a bend in each, so
that no line runs through a box.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

_SWEEPS = 12
_BEND = 10.0  # room across that a passing line takes

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


def lay_out(
    sizes: Mapping[str, Point],
    lines: Sequence[Line],
    *,
    across: bool = False,
    gap: float = 24.0,
    layer_gap: float = 36.0,
) -> Layout:
    """Find a place for every box.

    A line that would close a circle counts the other way round. The same input gives the same
    layout.
    """
    along, beside = (0, 1) if across else (1, 0)
    forward = _without_circles(list(sizes), lines)
    layer = _layers(list(sizes), [ends for _, ends in forward])
    room: dict[Key, float] = {box: size[beside] for box, size in sizes.items()}
    chains: dict[Line, list[Key]] = {}
    rows: list[list[Key]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for box in sizes:
        rows[layer[box]].append(box)
    for line, (first, last) in forward:
        passed = [_Bend(line, at) for at in range(layer[first] + 1, layer[last])]
        for bend in passed:
            rows[bend.layer].append(bend)
            room[bend] = _BEND
        chains[line] = [first, *passed, last]
    joined = _joined(chains.values())
    rows = _ordered(rows, joined)
    place = _placed(rows, joined, room, gap)
    depths = [
        max((sizes[box][along] for box in row if isinstance(box, str)), default=0.0) for row in rows
    ]
    starts = [sum(depths[:number]) + layer_gap * number for number in range(len(rows))]
    edges = {
        box: (start, start + depth)
        for row, start, depth in zip(rows, starts, depths, strict=True)
        for box in row
    }

    def point(box: Key) -> Point:
        middle = sum(edges[box]) / 2
        return (middle, place[box]) if across else (place[box], middle)

    total = (
        sum(depths) + layer_gap * max(len(rows) - 1, 0),
        max((place[box] + room[box] / 2 for box in place), default=0.0),
    )
    return Layout(
        *(total if across else total[::-1]),
        {box: point(box) for box in sizes},
        {
            line: _route(chain if chain[0] == line[0] else chain[::-1], point, edges, across)
            for line, chain in chains.items()
        },
    )


def _route(
    chain: Sequence[Key],
    point: Callable[[Key], Point],
    edges: Mapping[Key, Point],
    across: bool,
) -> tuple[Point, ...]:
    """Return the places of a line: it goes straight through a layer, between the boxes there."""
    places = [point(chain[0])]
    for bend in chain[1:-1]:
        at = point(bend)
        near, far = edges[bend]
        ends = [(near, at[1]), (far, at[1])] if across else [(at[0], near), (at[0], far)]
        axis = 0 if across else 1
        places.extend(ends if places[0][axis] <= at[axis] else ends[::-1])
    return (*places, point(chain[-1]))


def _without_circles(boxes: Sequence[str], lines: Sequence[Line]) -> list[tuple[Line, Line]]:
    """Pair each line with its ends in an order that has no circle; a line to itself is left out."""
    after: dict[str, set[str]] = defaultdict(set)
    known = set(boxes)
    kept: list[tuple[Line, Line]] = []
    for line in dict.fromkeys(lines):
        first, last = line
        if first == last or first not in known or last not in known:
            continue
        ends = (last, first) if _reaches(after, last, first) else line
        after[ends[0]].add(ends[1])
        kept.append((line, ends))
    return kept


def _reaches(after: Mapping[str, set[str]], start: str, goal: str) -> bool:
    waiting, seen = [start], {start}
    while waiting:
        box = waiting.pop()
        if box == goal:
            return True
        fresh = after.get(box, set()) - seen
        seen |= fresh
        waiting.extend(fresh)
    return False


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
            fixed = current[number - 1 if down else number + 1]
            at = {box: index for index, box in enumerate(fixed)}
            own = {box: index for index, box in enumerate(current[number])}

            def mean(box: Key, at: dict[Key, int] = at, own: dict[Key, int] = own) -> float:
                places = [at[other] for other in joined.get(box, ()) if other in at]
                return sum(places) / len(places) if places else float(own[box])

            current[number].sort(key=mean)
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
    gap: float,
) -> dict[Key, float]:
    """Move each box towards its neighbors as far as those beside it let it."""
    place: dict[Key, float] = {}
    for row in rows:
        at = 0.0
        for box in row:
            place[box] = at + room[box] / 2
            at += room[box] + gap
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for box in row:
                others = [place[other] for other in _pulling(box, joined)]
                wanted.append(sum(others) / len(others) if others else place[box])
            apart = [(room[a] + room[b]) / 2 + gap for a, b in itertools.pairwise(row)]
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
