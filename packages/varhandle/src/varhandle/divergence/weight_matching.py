"""Which weight of one model is which of another, in another format or after the converter.

A weight is recognized by its name and its value, then by its value alone (also transposed, as
kernels are; split or joined; scaled by a normalization that was folded into it), then by most of
its values, by its name alone, by the op that takes it, last by its shape and order. Values that
tell nothing (all zeros) need a name, an op or an order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.divergence.weights import (
    Axes,
    ValueOutline,
    Weight,
    axes_of,
    blocks,
    largest_difference,
)

Array = npt.NDArray[Any]

_FIRST_LOOK = 16
"""Elements of a sample that are compared with those of all weights of the size at once."""

_ALIKE = 1e-5
"""Share of a weight's largest value that rounding may change it by."""

_FOLDED = 1e-3
"""The same for what a folded normalization makes of it: its epsilon is not known exactly."""

_MOST_PARTS = 8
_AROUND = re.compile(r"layers|vars|_?variables|_operations|_all_variables|\d+|model_weights")
_ROLES = {
    "gamma": ("gamma", "scale"),
    "beta": ("beta", "offset"),
    "mean": ("moving_mean", "mean"),
    "variance": ("moving_variance", "variance"),
}
_BIASES = ("bias", "biases", "b")


@dataclass(frozen=True)
class Recognized:
    """What a weight of the first model has become in the second."""

    how: str  # in words
    partners: tuple[Weight, ...]
    is_fused: bool = False  # whether its value only lives within what they hold
    difference: float | None = None  # where both have values of their own
    is_changed: bool = False


def recognize(ours: Sequence[Weight], theirs: Sequence[Weight]) -> dict[Weight, Recognized]:
    """Find the weights of one model in another; those that are not there are left out."""
    return _Recognition(ours, theirs).found


class _Recognition:
    """One run of :func:`recognize`: each step takes what those before have left."""

    def __init__(self, ours: Sequence[Weight], theirs: Sequence[Weight]) -> None:
        self._ours, self._theirs = ours, theirs
        self._place = {weight: n for side in (ours, theirs) for n, weight in enumerate(side)}
        self._by_count: dict[int | None, list[Weight]] = defaultdict(list)
        for weight in theirs:
            self._by_count[weight.count].append(weight)
        self._first_looks = {n: _first_looks(found) for n, found in self._by_count.items()}
        self._taken: set[Weight] = set()
        self.found: dict[Weight, Recognized] = {}
        alike = self._alike()
        self._by_value(alike, shared=False)
        self._normalizations()
        self._by_value(alike, shared=True)  # a file stores once what several variables hold
        self._parts()
        self._by_most_values()
        self._by_name()
        self._by_use()
        self._by_order()
        self._neutral()

    def _left(self) -> list[Weight]:
        return [weight for weight in self._ours if weight not in self.found]

    def _take(self, mine: Weight, recognized: Recognized) -> None:
        self.found[mine] = recognized
        self._taken.update(recognized.partners)

    def _alike(self) -> list[tuple[Any, ...]]:
        """Return the pairs of one value, the surest first: those of one name, in their order."""
        alike: list[tuple[Any, ...]] = []
        for mine in self._ours:
            for other in self._likely(mine):
                score = name_score(mine, other)
                apart = same_value(mine, other) if score or _tells(mine) else None
                if apart is not None:
                    rank = not score, 0 if _tells(mine) else -score
                    places = self._place[mine], self._place[other]
                    alike.append((*rank, *places, mine, other, *apart))
        return sorted(alike, key=lambda one: one[:4])

    def _likely(self, mine: Weight) -> list[Weight]:
        """Return those that may have the value of a weight, by a few of their elements."""
        if mine.outline is None or mine.outline.size != mine.count:
            return []
        looks, allowed = self._first_looks.get(mine.count, (np.empty((0, 1)), np.empty(0)))
        allowed = np.maximum(allowed, _allowed(mine, mine))
        likely = np.zeros(len(looks), bool)
        for sample in mine.outline.samples.values():
            with np.errstate(invalid="ignore"):
                apart = np.abs(looks - _first_look(sample))
            likely |= ~np.any(apart > allowed[:, None], axis=1)  # one that is no number may fit
        return [self._by_count[mine.count][n] for n in np.flatnonzero(likely)]

    def _by_value(self, alike: list[tuple[Any, ...]], shared: bool) -> None:
        for unnamed, _, _, _, mine, other, largest, moved in alike:
            if mine in self.found:
                continue
            if other not in self._taken or (shared and not self._has_own(mine)):
                how = ("value" if unnamed else "name and value") + moved
                self._take(mine, Recognized(how, (other,), difference=largest))

    def _has_own(self, mine: Weight) -> bool:
        """Whether one of its very name and size is left: its value was changed, and not shared."""
        same_size = self._by_count[mine.count]
        return any(w not in self._taken and name_score(mine, w) >= _EXACTLY for w in same_size)

    def _normalizations(self) -> None:
        """Find kernels that a batch normalization was folded into, and what it added."""
        groups = list(_normalizations(self._left()))
        counts = {group.count for group in groups}
        for mine in self._left():
            if len(mine.shape or ()) < 2 or counts.isdisjoint(mine.shape or ()):
                continue
            for other in self._by_count[mine.count]:
                for ratio in _ratios(mine, other, counts):
                    group = next((g for g in groups if g.makes(ratio, other)), None)
                    if group:
                        how = f"value, each channel scaled by {group.name}"
                        self._take(mine, Recognized(how, (other,), is_fused=True))
                        self._fold(group, ratio, other, mine)
                        groups.remove(group)
                        break
                if mine in self.found:
                    break
        for group in groups:  # one that no kernel has taken up multiplies and adds by itself
            for other in self._by_count[group.count]:
                value = other.value
                if value is not None and group.makes(value.reshape(-1), other):
                    self._fold(group, value.reshape(-1), other, None)
                    break

    def _fold(self, group: _Normalization, ratio: Array, scaled: Weight, kernel: Any) -> None:
        within = "value, folded into it"
        for weight in filter(None, (group.gamma, group.variance)):
            self._take(weight, Recognized(within, (scaled,), is_fused=True))
        biases = [w for w in self._left() if kernel and w.count == group.count and _is_bias(w)]
        biases.sort(key=lambda w: -_common_path(kernel, w))
        for bias in [None, *biases]:
            start = 0.0 if bias is None or bias.value is None else bias.value.reshape(-1)
            added = group.shift(start, ratio)
            for other in self._by_count[group.count]:
                if other.value is None or not _close(other.value.reshape(-1), added, other):
                    continue
                parts = [w for w in (group.beta, group.mean, bias) if w and w not in self.found]
                for weight in parts:
                    self._take(weight, Recognized(within, (other,), is_fused=True))
                if bias is not None or not any(_is_zero(b) for b in biases[:1]):
                    return

    def _parts(self) -> None:
        """Find weights that are split into several, or joined with others."""
        free = [w for w in self._theirs if w not in self._taken and w.outline is not None]
        for mine in self._left():
            if not _tells(mine):
                continue
            parts = [other for other in free if _is_part(other, mine)]
            if sum(part.count or 0 for part in parts) >= (mine.count or 0) > 0:
                how = f"value, split into {len(parts)}"
                self._take(mine, Recognized(how, tuple(parts), is_fused=True))
                continue
            whole = next((other for other in free if _is_part(mine, other)), None)
            if whole is not None:
                self._take(mine, Recognized("value, a part of it", (whole,), is_fused=True))

    def _by_most_values(self) -> None:
        """Find weights of which a few elements have been changed."""
        for mine in self._left():
            for other in self._by_count[mine.count]:
                if other not in self._taken and _tells(mine) and _is_mostly(mine, other):
                    self._take(mine, compare_weights("most of its values", mine, other))
                    break

    def _by_use(self) -> None:
        """Pair what the same op takes, where that is one of its form in both models."""
        pairs = [
            (mine, other)
            for mine in self._left()
            for other in self._theirs
            if other not in self._taken and _form(mine) == _form(other) and _same_use(mine, other)
        ]
        counts = Counter(weight for pair in pairs for weight in pair)
        for mine, other in pairs:
            if counts[mine] == counts[other] == 1:
                self._take(mine, compare_weights("the op that takes it", mine, other))

    def _by_name(self) -> None:
        named = []
        for mine in self._left():
            for other in self._theirs:
                score = name_score(mine, other)
                same = mine.count == other.count
                resized = score >= _EXACTLY and mine.kind == other.kind == "variable"
                if score and other not in self._taken and (same or resized):
                    named.append((-score, self._place[other], mine, other))
        for _, _, mine, other in sorted(named, key=lambda one: one[:2]):
            if mine not in self.found and other not in self._taken:
                self._take(mine, compare_weights("name", mine, other))

    def _by_order(self) -> None:
        """Pair what is left of one shape, where there is the same number of it on both sides.

        Two values that are known and differ are not taken for each other.
        """
        mine, theirs = defaultdict(list), defaultdict(list)
        for weight in self._left():
            mine[_form(weight)].append(weight)
        for weight in self._theirs:
            if weight not in self._taken:
                theirs[_form(weight)].append(weight)
        for form, group in mine.items():
            if form is not None and len(group) == len(theirs[form]):
                for one, other in zip(group, theirs[form], strict=True):
                    recognized = compare_weights("shape and order", one, other)
                    if not recognized.is_changed:
                        self._take(one, recognized)

    def _neutral(self) -> None:
        for mine in self._left():
            if mine.is_used is not False and _is_zero(mine):
                how = "all zeros: the op that adds it was left out"
                self._take(mine, Recognized(how, (), is_fused=True))


def compare_weights(how: str, mine: Weight, other: Weight) -> Recognized:
    """Compare the values of two weights that are each other's by name or by order."""
    if mine.outline is None or other.outline is None:
        return Recognized(how, (other,))
    same = same_value(mine, other)
    if same is not None:
        return Recognized(how + same[1], (other,), difference=same[0])
    if mine.count != other.count:
        return Recognized(how, (other,), is_changed=True)
    return Recognized(how, (other,), difference=_least_difference(mine, other), is_changed=True)


def _is_mostly(mine: Weight, other: Weight) -> bool:
    """Whether half of the elements of a weight, those that are 0 aside, are another's."""
    one, two = mine.outline, other.outline
    if one is None or two is None or (one.kind, two.kind) != ("f", "f"):
        return False
    allowed = _allowed(mine, other)
    likely = [axes for axes, sampled in one.samples.items() if _share(sampled, two, allowed)]
    value, wanted = (mine.value, other.value) if likely else (None, None)
    if value is None or wanted is None:
        return False
    turns = (
        _squeezed(value).transpose(axes) for axes in likely if _fits(_squeezed(value), axes, wanted)
    )
    return any(_is_half(turned, wanted, allowed) for turned in turns)


def _share(sampled: Array, other: ValueOutline, allowed: float) -> bool:
    return sampled.size == other.sample.size and _is_half(sampled, other.sample, allowed)


def _is_half(one: Array, two: Array, allowed: float) -> bool:
    alike = filled = 0
    for mine, other in blocks(one, two):
        with np.errstate(invalid="ignore"):
            same = np.abs(np.subtract(mine, other, dtype=np.float64)) <= allowed
        alike += int(np.count_nonzero(same & (mine != 0)))
        filled += int(np.count_nonzero(mine))
    return filled > 0 and alike >= filled / 2


def _same_use(mine: Weight, other: Weight) -> bool:
    """Whether an op that takes one of two weights has the name of one that takes the other."""
    own = [_path(user) for user in mine.users]
    theirs = [_path(part) for user in other.users for part in user.split(";")]
    ends = ((a, b, min(len(a), len(b))) for a in own for b in theirs)
    return any(length and a[-length:] == b[-length:] for a, b, length in ends)


def _least_difference(mine: Weight, other: Weight) -> float | None:
    one, two = mine.value, other.value
    assert one is not None and two is not None
    if one.dtype.kind not in "fiub" or two.dtype.kind not in "fiub":
        return None
    one = _squeezed(one)
    found = [
        largest_difference(one.transpose(axes), two)[0]
        for axes in axes_of(one)
        if _fits(one, axes, two)
    ]
    return min(found, default=None)


def _squeezed(value: Array) -> Array:
    return value.reshape([size for size in value.shape if size != 1])


def _fits(value: Array, axes: Axes, other: Array) -> bool:
    moved = [value.shape[axis] for axis in axes if value.shape[axis] != 1]
    return moved == [size for size in other.shape if size != 1]


def same_value(mine: Weight, other: Weight) -> tuple[float, str] | None:
    """Return how far two weights of one value are apart, and how one is turned into the other.

    ``None`` where they are not the same.
    """
    one, two = mine.outline, other.outline
    if one is None or two is None or one.size != two.size:
        return None
    if one is two:  # ``share_outlines`` has compared them
        return 0.0, ""
    if any((one.kind in kinds) != (two.kind in kinds) for kinds in ("fc", "b")):
        return None
    allowed = _allowed(mine, other)
    for axes, sampled in one.samples.items():
        if _largest(sampled, two.sample, allowed) is None:
            continue
        value, wanted = mine.value, other.value
        if value is None or wanted is None:
            continue
        largest = _largest(_squeezed(value).transpose(axes), wanted, allowed)
        if largest is not None:
            straight = axes == tuple(range(len(axes)))
            return largest, "" if straight else ", transposed"
    return None


def _allowed(mine: Weight, other: Weight) -> float:
    """Return how far two weights of one value may be apart."""
    allowed = max(mine.allowed, other.allowed)
    if mine.outline is not None and mine.outline.kind in "fc":
        allowed = max(allowed, _ALIKE * mine.outline.largest)
    return allowed


def _largest(one: Array, two: Array, allowed: float) -> float | None:
    """Return the largest difference of two values; ``None`` if it is not allowed."""
    largest = 0.0
    for mine, other in blocks(one, two):
        if np.array_equal(mine, other):
            continue
        if one.dtype.kind not in "fc":
            return None
        wide = np.complex128 if one.dtype.kind == "c" else np.float64
        with np.errstate(invalid="ignore"):
            apart = np.abs(np.subtract(mine, other, dtype=wide))
        far = ~(apart <= allowed)
        odd = (mine[far] == other[far]) | (np.isnan(mine[far]) & np.isnan(other[far]))
        if not np.all(odd):
            return None
        largest = max(largest, float(np.max(apart, where=~far, initial=0.0)))
    return largest


def _first_looks(weights: Sequence[Weight]) -> tuple[Array, Array]:
    """Return a few elements of each of some weights of one size, and how far each may be off."""
    width = min(weights[0].count or 0, _FIRST_LOOK)
    looks = np.full((len(weights), width), np.inf)  # one without a value is like none
    for row, weight in zip(looks, weights, strict=True):
        if weight.outline is not None and weight.outline.size >= width:
            row[:] = _first_look(weight.outline.sample)
    return looks, np.array([weight.allowed for weight in weights])


def _first_look(sample: Array) -> Array:
    places = np.linspace(0, sample.size - 1, min(sample.size, _FIRST_LOOK)).astype(np.int64)
    return np.real(sample[places]).astype(np.float64)


def _tells(weight: Weight) -> bool:
    """Whether a value is one that others hardly have by chance."""
    return weight.outline is not None and weight.outline.tells


def _is_zero(weight: Weight) -> bool:
    return weight.outline is not None and weight.outline.is_zero


def _form(weight: Weight) -> tuple[Any, ...] | None:
    if weight.shape is None:
        return None
    sizes = sorted(size or 0 for size in weight.shape if size != 1)
    return (weight.dtype if weight.outline is None else weight.outline.kind, *sizes)


# Names.

_EXACTLY = 100


def name_score(mine: Weight, other: Weight) -> int:
    """Return how well two weights fit by their names; 0 for not at all."""
    return max((_score(a, b) for a in mine.names for b in other.names), default=0)


def _score(name: str, other: str) -> int:
    if not _plain(name):  # the place in a list, which says nothing of another model
        return 0
    if _plain(name) == _plain(other):
        return _EXACTLY + (name == other)
    *above, leaf = _path(name) or [""]
    best = 0
    for part in filter(None, other.split(";")):
        path = _path(part)
        bases = [_base(step) for step in path]
        layer = above[-1] if above else leaf
        if not layer or (layer not in path and _base(layer) not in bases):
            continue
        score = 4 if layer in path else 2
        score += sum(1 for step in above[:-1] if step in path)
        score += 2 if _base(leaf) in bases else 0
        score += (
            1 if (_base(leaf) in _BIASES) == any("bias" in step.lower() for step in path) else 0
        )
        best = max(best, score)
    return best


def _plain(name: str) -> str:
    return "/".join(_path(name))


@cache
def _path(name: str) -> list[str]:
    return [p for p in re.sub(r":\d+$", "", name).split("/") if p and not _AROUND.fullmatch(p)]


def _base(step: str) -> str:
    return re.sub(r"(_\d+)+$", "", step)


def _common_path(one: Weight, other: Weight) -> int:
    paths = [
        set(_path(weight.names[-1])[:-1] or _path(weight.names[-1])) for weight in (one, other)
    ]
    return len(paths[0] & paths[1])


def _is_bias(weight: Weight) -> bool:
    leaf = weight.name.rpartition("/")[2].partition(":")[0]
    return _base(leaf) in _BIASES or leaf.isdigit() or weight.shape is not None


# Batch normalizations.


@dataclass(frozen=True)
class _Normalization:
    """The variables of one batch normalization."""

    name: str
    mean: Weight
    variance: Weight
    gamma: Weight | None
    beta: Weight | None

    @property
    def count(self) -> int | None:
        return self.mean.count

    def makes(self, ratio: Array, other: Weight) -> bool:
        """Whether it multiplies each channel by a ratio, for some small epsilon."""
        spread = _flat(self.variance)
        if ratio.size != spread.size or not np.all(ratio):
            return False
        gamma = np.ones(ratio.size) if self.gamma is None else _flat(self.gamma)
        epsilon = float(np.clip(np.median((gamma / ratio) ** 2 - spread), 0.0, 0.1))
        return _close(ratio, gamma / np.sqrt(spread + epsilon), other)

    def shift(self, bias: Any, ratio: Array) -> Array:
        """Return what it adds, after a bias, for what it multiplies by."""
        beta = 0.0 if self.beta is None else _flat(self.beta)
        added: Array = beta + (bias - _flat(self.mean)) * ratio
        return added


def _flat(weight: Weight) -> Array:
    assert weight.value is not None
    return weight.value.reshape(-1).astype(np.float64)


def _close(got: Array, wanted: Array, other: Weight) -> bool:
    share = _FOLDED if other.scales is None and other.dtype == "float32" else 0.02
    return bool(np.all(np.abs(got - wanted) <= share * float(np.max(np.abs(wanted)))))


def _normalizations(weights: Sequence[Weight]) -> Iterator[_Normalization]:
    """Find those among weights that are the variables of one: by name, or by order in a file."""
    groups: dict[str, list[Weight]] = defaultdict(list)
    for weight in weights:
        if weight.outline and weight.outline.kind == "f" and len(weight.shape or ()) == 1:
            groups[weight.name.rpartition("/")[0]].append(weight)
    for path, group in groups.items():
        leaves = {_base(w.name.rpartition("/")[2].partition(":")[0]): w for w in group}
        roles = {role: _named(leaves, names) for role, names in _ROLES.items()}
        numbered = all(leaf.isdigit() for leaf in leaves)
        if numbered and len(leaves) == len(group) == 4:  # as Keras 3 numbers them
            roles = dict(zip(("gamma", "beta", "mean", "variance"), group, strict=True))
        mean, variance = roles["mean"], roles["variance"]
        if mean and variance and mean.count == variance.count:
            name = group[0].names[-1] if numbered else path
            yield _Normalization(name, mean, variance, roles["gamma"], roles["beta"])


def _named(leaves: dict[str, Weight], names: Sequence[str]) -> Weight | None:
    return next((leaves[name] for name in names if name in leaves), None)


def _ratios(mine: Weight, other: Weight, counts: Collection[int | None]) -> Iterator[Array]:
    """Yield what each channel of one is multiplied by to be the other, for each fitting axis.

    ``counts`` are those of channels.
    """
    one, two = mine.value, other.value
    if one is None or two is None or two.dtype.kind != "f" or one.dtype.kind != "f":
        return
    one = _squeezed(one)
    for axes in axes_of(one):
        if not _fits(one, axes, two):
            continue
        turned = one.transpose(axes).reshape(two.shape)
        for axis in range(two.ndim):
            if two.shape[axis] == 1 or two.shape[axis] not in counts:
                continue
            mine_rows = np.moveaxis(turned, axis, 0).reshape(two.shape[axis], -1)
            rows = np.moveaxis(two, axis, 0).reshape(two.shape[axis], -1)
            squares = np.sum(mine_rows**2, axis=1)
            if not np.all(squares):
                continue
            ratio = np.sum(mine_rows * rows, axis=1) / squares
            rest = np.abs(mine_rows * ratio[:, None] - rows)
            if np.max(rest) <= max(2 * other.allowed, _ALIKE * float(np.max(np.abs(two)))):
                yield ratio


# Parts.


def _is_part(small: Weight, big: Weight) -> bool:
    """Whether a weight is one of a few equal blocks of another along one axis."""
    few, many = small.outline, big.outline
    if few is None or many is None or not few.tells or many.size % few.size:
        return False
    parts = many.size // few.size
    if not 1 < parts <= _MOST_PARTS or few.kind != many.kind:
        return False
    one, two = small.value, big.value
    if one is None or two is None:
        return False
    allowed = max(small.allowed, big.allowed, _ALIKE * few.largest)
    for axis, size in enumerate(two.shape):
        for block in np.split(two, parts, axis) if size % parts == 0 else ():
            piece = _squeezed(block)
            turns = [piece.transpose(axes) for axes in axes_of(piece) if _fits(piece, axes, one)]
            likely = (turned for turned in turns if _starts_alike(turned, one, allowed))
            if any(_largest(turned, one, allowed) is not None for turned in likely):
                return True
    return False


def _starts_alike(turned: Array, one: Array, allowed: float) -> bool:
    """Whether the first row of two values is the same, before all of one is moved in memory."""
    first = turned[(0,) * (turned.ndim - 1)]
    return _largest(first, one.reshape(-1)[: first.size], allowed) is not None
