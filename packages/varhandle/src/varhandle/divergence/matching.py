"""Which op of a .tflite file computes what which op of the model computes, or of another file.

The converter fuses, folds and reorders, and it names what it makes after what it was made from. So
a tensor of a file is paired with one of the model's by its name and by its values over several
calls, then by its values alone, then by its name, then by its place between neighbors. A pair that
contradicts the order (the model's tensor does not rest on those that the op's inputs are paired
with) is no pair.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from varhandle.divergence.file_trace import WITHOUT_VALUE, FileOp, FileTrace
from varhandle.divergence.model_trace import ModelOp, ModelTrace

Array = npt.NDArray[Any]
How = Literal["name and value", "value", "name", "position"]

_SAMPLE = 1024
"""Elements of a tensor that are kept for matching, at places spread evenly over it."""

_FIRST_LOOK = 16
"""Elements of a sample that are compared with those of all tensors of the size at once."""

_ALIKE = 1e-4
"""Share of a tensor's range that two samples of the same value may differ by, as in ``parity``."""

_NEARLY = 10.0
"""Times the distance of the nearest tensor that others may have to be taken for it as well: what
folding has changed by a little is not the same."""

_TELLING = 4  # different values in a sample below which it says little: zeros, ones, a mask

CONTROL = {"WHILE": ("While", "StatelessWhile"), "IF": ("If", "StatelessIf")}
"""Ops that run subgraphs, and what the model has for them."""

_CALLS_AROUND = re.compile(r"(Stateful)?PartitionedCall(_\d+)?|Func|input|output|traced")


@dataclass(frozen=True)
class TensorMatch:
    """A tensor of the file, and the model's."""

    tensor: int
    node: str  # the model's tensor, ``node:0``
    how: How


def sample(value: Array) -> Array:
    """Return up to 1024 elements, at the same places for all tensors of one size."""
    flat: Array = np.ravel(value)
    if flat.size > _SAMPLE:
        flat = flat[np.linspace(0, flat.size - 1, _SAMPLE).astype(np.int64)]
    if flat.dtype.kind not in "fiub":
        return np.array(flat)
    return flat.astype(np.float32 if flat.dtype in (np.float16, np.float32) else np.float64)


class Samples:
    """Samples of tensors over several calls."""

    def __init__(self) -> None:
        self.sizes: dict[Any, tuple[int, ...]] = {}
        self.values: dict[Any, list[Array]] = defaultdict(list)

    def add(self, key: Any, value: Array) -> None:
        """Add the value of a tensor in the next call."""
        self.sizes[key] = (*self.sizes.get(key, ()), value.size)
        self.values[key].append(sample(value))

    def joined(self, key: Any) -> Array:
        """Return the samples of all calls in one."""
        if len(self.values[key]) > 1:
            self.values[key] = [np.concatenate(self.values[key])]
        return self.values[key][0]

    def same(self, key: Any, other: Any) -> bool:
        """Whether two tensors have the same values."""
        return key == other or (
            self.sizes.get(key) == self.sizes.get(other)
            and np.array_equal(self.joined(key), self.joined(other))
        )


def sample_file(trace: FileTrace, samples: Samples, ran: Sequence[FileOp] | None = None) -> None:
    """Add the values of a file's inputs and op outputs in its last call; ``ran`` are its ops."""
    made = (t for op in (trace.ops if ran is None else ran) for t in op.outputs)
    for tensor in [*trace.inputs, *made]:
        maker = trace.producers.get(tensor)
        value = None if maker and maker.op in WITHOUT_VALUE else trace.value(tensor)
        if value is not None:
            samples.add(tensor, value)


class _ByValue:
    """Finds the tensors that have the values of another."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for key, sizes in samples.sizes.items():
            groups[sizes, samples.joined(key).dtype.kind].append(key)
        self._groups = {
            group: (keys, np.stack([_first_look(samples.joined(key)) for key in keys]))
            for group, keys in groups.items()
        }

    def find(self, sizes: tuple[int, ...], values: Array) -> list[Any]:
        """Return those that are alike: where some are much more alike, only these."""
        keys, looks = self._groups.get((sizes, values.dtype.kind), ((), None))
        if looks is None:
            return []
        if values.dtype.kind == "f":
            reach = 2 * _ALIKE * max(float(np.max(np.abs(values), initial=0.0)), 1e-9)
            with np.errstate(invalid="ignore"):
                near = ~(np.abs(looks - _first_look(values)) > reach).any(axis=1)
        else:
            near = np.ones(len(keys), bool)
        apart = {
            key: distance(values, self._samples.joined(key))
            for key, is_near in zip(keys, near, strict=True)
            if is_near
        }
        most = min(_ALIKE, _NEARLY * min(apart.values(), default=0.0) + 1e-7)
        return [key for key, share in apart.items() if share <= most]


def _first_look(values: Array) -> Array:
    return values[np.linspace(0, values.size - 1, min(values.size, _FIRST_LOOK)).astype(np.int64)]


def distance(one: Array, other: Array) -> float:
    """Return how far two samples are apart, as a share of their range; infinity for other kinds."""
    if one.dtype.kind != "f" or other.dtype.kind != "f":
        return 0.0 if np.array_equal(one, other) else float("inf")
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return float("inf")
    scale = max(float(np.max(np.abs(other[finite]), initial=0.0)), 1e-9)
    return float(np.max(np.abs(one[finite] - other[finite]), initial=0.0)) / scale


def match_model(
    file: FileTrace,
    model: ModelTrace,
    values: Samples,
    expected: Samples,
    *,
    by_name: bool = True,
    inputs: Mapping[int, str] | None = None,
) -> dict[int, TensorMatch]:
    """Pair the tensors of a file with those of the model that it was made from.

    ``values`` are the file's by tensor, ``expected`` the model's by name; ``inputs`` are pairs that
    are known. Without ``by_name``, a tensor whose values agree with no other's stays alone: of a
    file that answers rightly, such a one is the converter's own.
    """
    return _ModelMatcher(file, model, values, expected, by_name=by_name, known=inputs or {}).found


class _ModelMatcher:
    def __init__(
        self,
        file: FileTrace,
        model: ModelTrace,
        values: Samples,
        expected: Samples,
        *,
        by_name: bool,
        known: Mapping[int, str],
    ) -> None:
        self._file, self._model = file, model
        self._values, self._expected = values, expected
        self._order = {op.name: number for number, op in enumerate(model.ops)}
        self._ops = {op.name: op for op in model.ops}
        self._by_value = _ByValue(expected)
        self._takers: dict[str, list[ModelOp]] = defaultdict(list)
        for each in model.ops:
            for node in each.inputs:
                self._takers[node].append(each)
        self._names = _NameIndex(model.ops)
        self._given = set(file.outputs.values())
        self.found = {t: TensorMatch(t, node, "position") for t, node in known.items()}
        inputs = {name: f"{name}:0" for name in file.session.inputs}
        for name, entry in file.session.inputs.items():
            same = self._same_values(entry.index)
            named = [n for n in same if n.split(":")[0].split("/")[-1] in (name, inputs[name])]
            chosen = next(iter(named or same), None)
            if chosen and entry.index not in known:
                self.found[entry.index] = TensorMatch(entry.index, chosen, "name and value")
        for op in file.ops:
            if op.op not in WITHOUT_VALUE:
                for tensor in op.outputs:
                    self._match(op, tensor, by_name)
        self._drop_namesakes()

    def _drop_namesakes(self) -> None:
        """Drop what has the name of a node alone, where a later tensor has it and other values.

        An op of the model that becomes several of the file, as an einsum does, names them all. A
        variable is another case: it may be read again when it holds something else.
        """
        last: dict[str, int] = {}
        reads = {t for op in self._file.ops if op.op == "READ_VARIABLE" for t in op.outputs}
        for tensor, match in reversed(self.found.copy().items()):
            if tensor in reads:
                continue
            kept = last.setdefault(match.node, tensor)
            ours, theirs = self._values.joined(tensor), self._values.joined(kept)
            if match.how == "name" and not np.array_equal(ours, theirs):
                del self.found[tensor]

    def _match(self, op: FileOp, tensor: int, by_name: bool) -> None:
        written = self._file.written.get(op.number, ())
        found = self._names.find(";".join([*written, self._file.name(tensor)]))
        named = [n for n in found if self._fits(tensor, n)]
        place = f":{op.outputs.index(tensor)}"
        named = [n for n in named if n.endswith(place)] or named
        same = self._same_values(tensor)
        in_order = [n for n in same if self._is_in_order(op, n)]
        both = [n for n in in_order if n in named]
        after = [n for n in named if self._is_in_order(op, n)] if by_name else []
        alone = len(in_order) == 1 and not after
        how: How
        if both:
            chosen, how = max(both, key=self._order.__getitem__), "name and value"
        elif in_order and (alone or tensor in self._given or self._tells(tensor)):
            chosen, how = min(in_order, key=self._distance(op)), "value"
        elif by_name and op.op in CONTROL:
            if tensor not in (handed := self._handed_on(op)):
                return
            chosen, how = handed[tensor], "position"
        elif after:
            last = _path(max(after, key=self._order.__getitem__))
            namesakes = [n for n in after if _path(n) == last]  # of several calls of one function
            chosen, how = min(namesakes, key=self._distance(op)), "name"
        elif by_name and (beside := self._between(op, tensor)):
            chosen, how = beside, "position"
        elif by_name and op.op == "READ_VARIABLE" and (read := self._reads(found)):
            chosen, how = read, "name"  # a variable that grows in the model alone
        else:
            return
        self.found[tensor] = TensorMatch(tensor, chosen, how)

    def _handed_on(self, op: FileOp) -> dict[int, str]:
        """Return the model's tensor of each output of a loop or a branch: their order is the same.

        What goes round in a loop also begins with one value in both.
        """
        nodes = [name for name, node in self._model.nodes.items() if node.op in CONTROL[op.op]]
        taken = {match.node.split(":")[0] for match in self.found.values()}
        named = self._names.find(";".join(map(self._file.name, op.outputs)))
        seen = [node.split(":")[0] for node in named if node.split(":")[0] in nodes]
        left = [name for name in nodes if name not in taken]
        node = seen[0] if seen else left[0] if len(left) == 1 else ""
        theirs = [one.name for one in self._model.ops if one.node == node]
        scores = [
            [self._score(op, place, name) for name in theirs] for place in range(len(op.outputs))
        ]
        places = align(scores)
        return {t: theirs[p] for t, p in zip(op.outputs, places, strict=True) if p is not None}

    def _score(self, op: FileOp, place: int, node: str) -> int:
        """Return how well an output of a control op fits one of a node of the model; 0: not."""
        tensor, score = op.outputs[place], 1
        if not self._fits(tensor, node):
            return 0
        if op.op == "WHILE":
            begins = self._model.begins_with(node)
            mine = self._file.value(op.inputs[place])
            if isinstance(begins, str) and begins in self._expected.sizes:
                begins = self._expected.joined(begins)
            if mine is not None and isinstance(begins, np.ndarray):
                taken = sample(mine)
                theirs = sample(begins)[-len(taken) :]  # of the last call
                if len(theirs) != len(taken) or distance(taken, theirs) > _ALIKE:
                    return 0
                score += 2
        return score + (node in self._same_values(tensor))

    def _reads(self, nodes: Sequence[str]) -> str | None:
        return next((n for n in nodes if self._ops[n].op == "ReadVariableOp"), None)

    def _same_values(self, tensor: int) -> list[str]:
        sizes = self._values.sizes.get(tensor)
        return [] if sizes is None else self._by_value.find(sizes, self._values.joined(tensor))

    def _fits(self, tensor: int, node: str) -> bool:
        return self._values.sizes.get(tensor) == self._expected.sizes.get(node)

    def _tells(self, tensor: int) -> bool:
        return len(np.unique(self._values.joined(tensor)[:256])) >= _TELLING

    def _is_in_order(self, op: FileOp, node: str) -> bool:
        paired = [self.found[t].node for t in op.inputs if t in self.found]
        return all(self._model.rests_on(node, each) for each in paired)

    def _distance(self, op: FileOp) -> Any:
        """Return a key that sorts the nearest to the op's inputs first."""
        latest = max(
            (self._order[self.found[t].node] for t in op.inputs if t in self.found), default=0
        )
        return lambda node: (abs(self._order[node] - latest), self._order[node])

    def _between(self, op: FileOp, tensor: int) -> str | None:
        """Return the only tensor that takes what this op takes, and is of its kind and size."""
        paired = {self.found[t].node.split(":")[0] for t in op.inputs if t in self.found}
        if not paired:
            return None
        fitting = [
            each.name
            for each in self._takers[next(iter(paired))]
            if paired <= set(each.inputs)
            and _kind(each.op) == _kind(op.op)
            and self._fits(tensor, each.name)
        ]
        return fitting[0] if len(fitting) == 1 else None


def align(scores: Sequence[Sequence[int]]) -> list[int | None]:
    """Return the column of each row of a table, ``None`` for none: in order, of the highest sum.

    A score of 0 is no pair.
    """
    columns = len(scores[0]) if scores else 0
    best = np.zeros((len(scores) + 1, columns + 1), int)  # of what follows
    for row in reversed(range(len(scores))):
        for column in reversed(range(columns)):
            paired = scores[row][column] and scores[row][column] + best[row + 1, column + 1]
            best[row, column] = max(paired, best[row + 1, column], best[row, column + 1])
    found: list[int | None] = [None] * len(scores)
    row = column = 0
    while row < len(scores) and column < columns:
        score = scores[row][column]
        if score and best[row, column] == score + best[row + 1, column + 1]:
            found[row] = column
            row, column = row + 1, column + 1
        elif best[row, column] == best[row + 1, column]:
            row += 1
        else:
            column += 1
    return found


def _kind(op: str) -> str:
    """Return what two spellings of one op share: ``MaxPool``, ``MAX_POOL_2D``."""
    plain = op.replace("_", "").lower()
    return re.sub(r"(\dd)?(native)?(v\d)?$", "", plain)


class _NameIndex:
    """Finds tensors of the model by the names that the converter gives theirs."""

    def __init__(self, ops: Iterable[ModelOp]) -> None:
        self._by_end: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._shortest: dict[str, int] = {}  # path, of those that end so
        for op in ops:
            path = _path(op.node)
            if path:
                for start in range(len(path)):
                    self._by_end[path[start:]].append(op.name)
                self._shortest[path[-1]] = min(len(path), self._shortest.get(path[-1], len(path)))

    def find(self, name: str) -> list[str]:
        """Return those of the longest common path, for each of the parts of a fused name."""
        found: dict[str, None] = {}
        for part in filter(None, name.split(";")):
            digits = len(part) - len(part.rstrip("0123456789"))  # the converter counts namesakes
            for appended in range(digits + 1):
                path = _path(part[: len(part) - appended])
                ends = (path[start:] for start in range(len(path)))
                longest = next((end for end in ends if end in self._by_end), ())
                if longest and (longest == path or len(longest) >= self._shortest[path[-1]]):
                    found.update(dict.fromkeys(self._by_end[longest]))
                    break
        return list(found)


def _path(name: str) -> tuple[str, ...]:
    parts = name.split(":", maxsplit=1)[0].split("/")
    return tuple(part for part in parts if part and not _CALLS_AROUND.fullmatch(part))


def align_files(file: FileTrace, other: FileTrace) -> dict[int, int]:
    """Pair the operators of two files that were made from one model: by what they are and make.

    Returns the numbers of the operators of ``file``, and those of ``other``.
    """
    found: dict[int, int] = {}
    for key in (_exact_key, _near_key, _loose_key):
        _align(file, other, key, found)
    _fill(file, other, found)
    return found


def _exact_key(trace: FileTrace, op: FileOp) -> tuple[str, ...]:
    return (op.op, *(trace.name(t) for t in op.outputs))


def _near_key(trace: FileTrace, op: FileOp) -> tuple[str, ...]:
    return (op.op, *_loose_key(trace, op))


def _loose_key(trace: FileTrace, op: FileOp) -> tuple[str, ...]:
    return tuple(re.sub(r"\d+$", "", trace.name(t)) for t in op.outputs) or (op.op,)


def _align(file: FileTrace, other: FileTrace, key: Any, found: dict[int, int]) -> None:
    """Pair what has one key, where there are as many of it in both.

    The only one of its kind is paired wherever it stands, others as far as that keeps order.
    """
    taken = set(found.values())
    theirs: dict[Any, list[int]] = defaultdict(list)
    for op in other.ops:
        if op.number not in taken:
            theirs[key(other, op)].append(op.number)
    mine: dict[Any, list[int]] = defaultdict(list)
    for op in file.ops:
        if op.number not in found:
            mine[key(file, op)].append(op.number)
    same = {k: n for k, n in mine.items() if len(n) == len(theirs.get(k, ()))}
    if key is _exact_key:
        found.update((n[0], theirs[k][0]) for k, n in same.items() if len(n) == 1)
    edges = _longest_rise(sorted(found.items()))
    pairs = [
        pair
        for each, numbers in same.items()
        for pair in zip(numbers, theirs[each], strict=True)
        if pair[0] not in found and _fits_between(edges, *pair)
    ]
    found.update(_longest_rise(sorted(pairs)))


def _fits_between(edges: Sequence[tuple[int, int]], mine: int, theirs: int) -> bool:
    place = bisect_left(edges, (mine, theirs))
    return (place == 0 or edges[place - 1][1] < theirs) and (
        place == len(edges) or theirs < edges[place][1]
    )


def _longest_rise(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most pairs, of some in the order of their first numbers, whose second rise too."""
    ends: list[int] = []  # the lowest second number in which a rise of each length ends
    last: list[int] = []  # its pair
    before: list[int] = []
    for number, (_, theirs) in enumerate(pairs):
        length = bisect_left(ends, theirs)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [theirs]
        last[length : length + 1] = [number]
    found, at = [], last[-1] if last else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]


def _fill(file: FileTrace, other: FileTrace, found: dict[int, int]) -> None:
    """Pair what lies between two pairs in both files, where it is as long and of one shape."""
    rise = _longest_rise(sorted(found.items()))
    edges = [(-1, -1), *rise, (len(file.ops), len(other.ops))]
    taken = set(found.values())
    for (a, b), (c, d) in pairwise(edges):
        if c - a == d - b:
            for step in range(1, c - a):
                mine, theirs = file.ops[a + step], other.ops[b + step]
                is_free = mine.number not in found and theirs.number not in taken
                if is_free and len(mine.outputs) == len(theirs.outputs):
                    found[mine.number] = theirs.number
