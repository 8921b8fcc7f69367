"""Smaller shapes and plainer numbers for a part of a model, as long as it fails in the same way.

All axes of one size are made smaller together: of what the part takes, of its variables, of its
constants, and of the numbers in these that say a size. What lies between follows: TensorFlow infers
it, and what no longer fits together fails in another way.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.divergence.flat_graph import FlatGraph, flat_of
from varhandle.sandbox import run_isolated

Array = npt.NDArray[Any]
Place = tuple[str, str, str]
"""The function, or "" for the graph itself, a node of it, and the attribute of a size or a value;
of a variable, "" for the last."""

_SHAPES = ("shape", "element_shape")
_OF_FUNCTIONS = ("_output_shapes", "output_shapes")
_MOST_TOGETHER = 6
"""Axes of one size, beyond which it is not tried which of them belong together."""

Axis = tuple[Place, int]
"""A place, and an axis of it; of a number that says a size, -1 minus its index."""


@dataclass(frozen=True, eq=False)
class PartCase:
    """A part that stands alone, and what it is fed.

    Attributes:
        flat: The part.
        calls: Name of a tensor that it takes -> its values in successive calls, where that matters.
        count: How many calls there are.
        constants: The values that it holds.
        shapes: The sizes that it holds.
    """

    flat: FlatGraph
    calls: Mapping[str, Sequence[Array]] = field(default_factory=dict)
    count: int = 1
    constants: Mapping[Place, Array] = field(default_factory=dict)
    shapes: Mapping[Place, tuple[int | None, ...]] = field(default_factory=dict)

    def fed(self, place: Place) -> Sequence[Array]:
        """Return the values that are fed at a place; none where that is not known."""
        function, node, _ = place
        return () if function else self.calls.get(f"{node}:0", ())

    def sizes(self) -> dict[Place, tuple[int | None, ...]]:
        """Return the shape at each place; of what is fed, that of the values."""
        found: dict[Place, tuple[int | None, ...]] = {
            place: value.shape for place, value in self.constants.items()
        }
        for place, shape in self.shapes.items():
            values = self.fed(place)
            found[place] = values[0].shape if values else shape
        for name, held in self.flat.variables.items():
            found["", name, ""] = held.shape or ()
        return found


def part_case(
    flat: FlatGraph, calls: Mapping[str, Sequence[Array]] | None = None, count: int = 1
) -> PartCase:
    """Return a part with all that can be made smaller in it; in a child process."""
    import tensorflow as tf

    message = flat.message()
    constants: dict[Place, Array] = {}
    shapes: dict[Place, tuple[int | None, ...]] = {}
    for function, node in _nodes(message):
        if node.op == "Const":
            with contextlib.suppress(TypeError, ValueError):  # of a dtype that NumPy has not
                value = np.asarray(tf.make_ndarray(node.attr["value"].tensor))
                constants[function, node.name, "value"] = value
        for key in _SHAPES:
            held = node.attr[key].shape if key in node.attr else None
            if held is not None and not held.unknown_rank and node.name not in flat.variables:
                sizes = tuple(None if one.size < 0 else int(one.size) for one in held.dim)
                shapes[function, node.name, key] = sizes
    return PartCase(flat, calls or {}, count, constants, shapes)


def _nodes(message: Any) -> Iterator[tuple[str, Any]]:
    yield from (("", node) for node in message.node)
    for function in message.library.function:
        yield from ((function.signature.name, node) for node in function.node_def)


def rewritten(case: PartCase, changed: Collection[Place]) -> FlatGraph:
    """Write the sizes of a part, and the constants that have changed, into its graph; in a child.

    ``ValueError`` if the ops do not take them.
    """
    import tensorflow as tf

    message = case.flat.message()
    for function, node in _nodes(message):
        if (function, node.name, "value") in changed:
            value = case.constants[function, node.name, "value"]
            same = value.size > 1 and bool(np.all(value == value.flat[0]))
            content = value.flat[0] if same else value
            held = tf.make_tensor_proto(content, node.attr["dtype"].type, value.shape)
            node.attr["value"].tensor.CopyFrom(held)
        for key in _SHAPES:
            if (function, node.name, key) in case.shapes:
                shape = tf.TensorShape(case.shapes[function, node.name, key])
                node.attr[key].shape.CopyFrom(shape.as_proto())
        for key in _OF_FUNCTIONS:
            node.attr.pop(key, None)
    for called in message.library.function:
        for argument in called.arg_attr.values():
            argument.attr.pop("_output_shapes", None)
    flat = flat_of(message, case.flat.variables, case.flat.as_graph_def)
    if case.flat.specs and not flat.specs:
        raise ValueError("the shapes do not fit together")
    return flat


class PartShrinking:
    """Makes a part smaller, step by step, as long as ``fails`` says that it fails."""

    def __init__(self, case: PartCase, fails: Callable[[PartCase], bool], seconds: float) -> None:
        self.case, self.tries = case, 0
        self._fails = fails
        self._deadline = time.monotonic() + seconds

    def smallest(self) -> PartCase:
        """Return the smallest part that still fails."""
        last = {tensor: values[-1:] for tensor, values in self.case.calls.items()}
        if self.case.count > 1:
            self._take(replace(self.case, calls=last, count=1))
        self._shrink_axes()
        closed = self._closed()
        if closed != self.case.shapes:
            self._take(replace(self.case, shapes=closed))
        for place in [*self.case.sizes()]:
            values = self._numbers(place)
            for plain in (np.zeros_like, np.ones_like, _rounded) if values else ():
                simple = [plain(value) for value in values]
                if _all_same(simple, values) or self._take(self._with_numbers(place, simple)):
                    break
        return self.case

    def _shrink_axes(self) -> None:
        tried: set[tuple[int, frozenset[Axis]]] = set()
        while pair := next((one for one in self._groups() if one not in tried), None):
            if time.monotonic() > self._deadline:
                return
            tried.add(pair)
            size, group = pair
            if any(self._take(self._sliced(size, group, *ends)) for ends in self._windows(size)):
                tried = {pair}

    def _windows(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield what may be left of an axis, the smallest first."""
        half, ends = size // 2, [(0, 1), (size - 1, size)]
        ends += [(0, 2)] if size > 3 else []
        ends += [(0, half), (half, size)] if size > 5 else []
        ends += [(0, size - 1)] if size > 2 else []
        yield from ends if self.case.calls else (one for one in ends if not one[0])

    def _groups(self) -> Iterator[tuple[int, frozenset[Axis]]]:
        """Yield a size, and the axes and numbers of that size that may belong together."""
        axes: dict[int, list[Axis]] = {}
        for place, shape in self.case.sizes().items():
            for axis, size in enumerate(shape):
                if size is not None and size > 1:
                    axes.setdefault(size, []).append((place, axis))
        numbers: dict[int, list[Axis]] = {}
        for place, value in self.case.constants.items():
            if value.dtype.kind == "i" and value.ndim < 2:
                for index, number in enumerate(value.ravel().tolist()):
                    if number > 1:
                        numbers.setdefault(number, []).append((place, -1 - index))
        for size in sorted(axes, reverse=True):
            own, told = axes[size], numbers.get(size, [])
            larger = [n for n in {*axes, *numbers} if n > size and n % size == 0]
            more = [one for n in larger for one in (*axes.get(n, ()), *numbers.get(n, ()))]
            yield size, frozenset((*own, *told))
            for some in (more, [one for one in more if one[1] < 0]):
                if some:
                    yield size, frozenset((*own, *told, *some))
            few = [*own, *told]
            for count in range(len(few) - 1, 0, -1) if len(few) <= _MOST_TOGETHER else ():
                yield from ((size, frozenset(some)) for some in itertools.combinations(few, count))

    def _sliced(self, size: int, group: frozenset[Axis], start: int, stop: int) -> PartCase:
        """Keep a stretch of the axes of a size, and as large a share of those of a multiple."""
        sizes, slices, told = self.case.sizes(), dict[Place, dict[int, slice]](), dict[Axis, int]()
        for place, axis in group:
            if axis < 0:
                number = int(self.case.constants[place].ravel()[-1 - axis])
                told[place, axis] = number // size * (stop - start)
            else:
                times = (sizes[place][axis] or 0) // size
                slices.setdefault(place, {})[axis] = slice(start * times, stop * times)
        constants, shapes = dict(self.case.constants), dict(self.case.shapes)
        calls, variables = dict(self.case.calls), dict(self.case.flat.variables)
        for (place, axis), number in told.items():
            value = np.array(constants[place])
            value.ravel()[-1 - axis] = number
            constants[place] = value
        for place, axes in slices.items():
            if place in constants:
                constants[place] = _kept(constants[place], axes)
            elif place in shapes:
                shapes[place] = _smaller(shapes[place], axes)
                if values := self.case.fed(place):
                    calls[f"{place[1]}:0"] = [_kept(value, axes) for value in values]
            else:
                held = variables[place[1]]
                kept = None if held.value is None else _kept(np.asarray(held.value), axes)
                shape = _smaller(held.shape or (), axes)
                variables[place[1]] = replace(held, value=kept, shape=shape)
        flat = replace(self.case.flat, variables=variables)
        return replace(self.case, flat=flat, calls=calls, constants=constants, shapes=shapes)

    def _closed(self) -> dict[Place, tuple[int | None, ...]]:
        """Return the shapes with the sizes that are fed, or 1, in place of what is open."""
        fed = self.case.sizes()
        return {
            place: tuple(1 if size is None else size for size in fed[place])
            for place in self.case.shapes
        }

    def _numbers(self, place: Place) -> list[Array]:
        """Return the real numbers at a place: of what is fed, in each call."""
        variable = self.case.flat.variables.get(place[1])
        held = [self.case.constants.get(place), variable.value if variable else None]
        values = [*self.case.fed(place), *(np.asarray(one) for one in held if one is not None)]
        return values if all(value.dtype.kind in "fc" for value in values) else []

    def _with_numbers(self, place: Place, values: Sequence[Array]) -> PartCase:
        case = self.case
        if place in case.constants:
            return replace(case, constants={**case.constants, place: values[0]})
        if self.case.fed(place):
            return replace(case, calls={**case.calls, f"{place[1]}:0": values})
        held = replace(case.flat.variables[place[1]], value=values[0])
        variables = {**case.flat.variables, place[1]: held}
        return replace(case, flat=replace(case.flat, variables=variables))

    def _take(self, smaller: PartCase | None) -> bool:
        """Go on with a part if it still fails in the same way."""
        if smaller is None or time.monotonic() > self._deadline:
            return False
        self.tries += 1
        before = self.case.constants
        changed = [
            place for place, value in smaller.constants.items() if value is not before[place]
        ]
        made = run_isolated(rewritten, smaller, changed)
        smaller = replace(smaller, flat=made.value) if made.ok else None
        if smaller is None or not self._fails(smaller):
            return False
        self.case = smaller
        return True


def _kept(value: Array, axes: Mapping[int, slice]) -> Array:
    return value[tuple(axes.get(axis, slice(None)) for axis in range(value.ndim))]


def _smaller(shape: tuple[int | None, ...], axes: Mapping[int, slice]) -> tuple[int | None, ...]:
    """Return a shape with stretches of its axes; an open one stays open."""
    return tuple(
        axes[axis].stop - axes[axis].start if axis in axes and size is not None else size
        for axis, size in enumerate(shape)
    )


def _all_same(some: Sequence[Array], others: Sequence[Array]) -> bool:
    return all(map(np.array_equal, some, others))


def _rounded(value: Array) -> Array:
    return np.round(value, 1)
