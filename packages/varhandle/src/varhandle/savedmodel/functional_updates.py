"""Updates of a part of a variable, written as the whole value that the variable has afterwards.

Every one is a choice: the new value is taken, row by row or element by element, from the old one
and from what is assigned. So an update moves values and makes none, whatever the dtype, and of all
ops it needs those that the smallest runtimes have: ``CONCATENATION``, ``GATHER``, ``EQUAL`` and
``SELECT_V2``. (``tf.tensor_scatter_nd_update`` would become ``SCATTER_ND``, which adds up where an
index comes twice.)

TensorFlow is imported where it is used: these run while a function is traced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from varhandle.errors import InternalError

MOST_PAIRS = 4_000_000
"""How many pairs of a row and an update are compared at most, at each call."""


class CannotRewriteError(InternalError, ValueError):
    """A signature does something to a variable that cannot be written as a whole new value."""


class _Moving(NamedTuple):
    """An entry of a slice that only the running model knows: a range, or a single index.

    ``begin`` and ``end`` are a number, a tensor, or ``None``; ``end`` says nothing of an index.
    """

    begin: Any
    end: Any
    single: bool


class _Selection(NamedTuple):
    """What a slice takes of one dimension."""

    inside: Any  # whether each index is taken, bool [size]
    source: Any  # which of the assigned values each index gets, int32 [size]
    whole: bool  # all of it is taken, in its order


def slice_assigned(old: Any, bounds: Sequence[Any], value: Any, masks: Mapping[str, int]) -> Any:
    """Return a value after ``old[begin:end:strides] = value``, both of known shapes.

    ``bounds`` are begin, end and strides of the op; an index, and the bounds of a range without
    strides, may be known only when it runs. ``masks`` are the op's ``begin_mask``, ``end_mask``,
    ``ellipsis_mask``, ``new_axis_mask`` and ``shrink_axis_mask``, as bits. ``CannotRewriteError``
    if a shape is not known before it runs, or a slice with steps is not.
    """
    shape = _known_shape(old)
    if not value.shape.is_fully_defined():
        raise CannotRewriteError("how many values are assigned to a slice is known only as it runs")
    entries = _entries(bounds, masks)
    if any(isinstance(entry, _Moving) for entry in entries):
        return _moving_slice_assigned(old, shape, entries, value)
    return _fixed_slice_assigned(old, shape, entries, value)


def _known_shape(old: Any) -> list[int]:
    if not old.shape.is_fully_defined():
        raise CannotRewriteError("the variable's shape is not known")
    return [int(n) for n in old.shape]


def _entries(bounds: Sequence[Any], masks: Mapping[str, int]) -> list[Any]:
    """Return the entries of a slice as Python writes them, ``_Moving`` where one is not known."""
    import tensorflow as tf

    steps = tf.get_static_value(bounds[2])
    if steps is None:
        raise CannotRewriteError("the steps of the slice are not known")
    found: list[Any] = []
    for number, step in enumerate(int(step) for step in steps):
        bit = 1 << number
        if masks["ellipsis_mask"] & bit:
            found.append(Ellipsis)
        elif masks["new_axis_mask"] & bit:
            found.append(None)
        elif masks["shrink_axis_mask"] & bit:
            begin = _bound(bounds[0], number)
            found.append(begin if isinstance(begin, int) else _Moving(begin, None, True))
        else:
            begin = None if masks["begin_mask"] & bit else _bound(bounds[0], number)
            end = None if masks["end_mask"] & bit else _bound(bounds[1], number)
            if all(bound is None or isinstance(bound, int) for bound in (begin, end)):
                found.append(slice(begin, end, step))
            elif step == 1:
                found.append(_Moving(begin, end, False))
            else:
                raise CannotRewriteError(
                    "a slice with steps begins or ends where only the model knows"
                )
    return found


def _bound(tensor: Any, entry: int) -> Any:
    """Return an entry of a slice's begin or end: a number, or a tensor if it is not known."""
    import tensorflow as tf

    known = tf.get_static_value(tensor)
    if known is not None:
        return int(known[entry])
    part = tensor.op.inputs[entry] if tensor.op.type == "Pack" else tensor[entry]
    value = tf.get_static_value(part)
    return tf.cast(part, tf.int32) if value is None else int(value)


def _fixed_slice_assigned(old: Any, shape: Sequence[int], entries: list[Any], value: Any) -> Any:
    """Assign to a slice that is known: NumPy says which element comes from where."""
    import tensorflow as tf

    source = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    given = np.arange(math.prod(value.shape), dtype=np.int32).reshape(value.shape)
    try:
        source[tuple(entries)] = given + source.size
    except (IndexError, ValueError) as error:
        raise CannotRewriteError(str(error)) from error
    both = tf.concat([tf.reshape(old, [-1]), tf.reshape(value, [-1])], 0)
    return tf.reshape(tf.gather(both, source.ravel()), shape)


def _moving_slice_assigned(old: Any, shape: Sequence[int], entries: list[Any], value: Any) -> Any:
    """Assign to a slice that moves: each element is chosen, by its index in each dimension."""
    import tensorflow as tf

    dimensions, sizes = _aligned(shape, entries, [int(n) for n in value.shape])
    rows = tf.reshape(value, sizes)
    taken = [_select(*one) for one in zip(dimensions, shape, sizes, strict=True)]
    groups = _merged(taken)
    if len(groups) > _MOST_DIMENSIONS:
        raise CannotRewriteError(f"a slice of {len(groups)} dimensions moves: too many for SELECT")
    rows = tf.reshape(rows, [math.prod(sizes[d] for d in group) for group in groups])
    inside: Any = None
    for axis, group in enumerate(groups):
        one = taken[group[0]]
        if one.whole:
            continue
        spread = [-1 if other == axis else 1 for other in range(len(groups))]
        mask = tf.reshape(one.inside, spread)
        inside = mask if inside is None else tf.logical_and(inside, mask)
        if rows.shape[axis] > 1:
            rows = tf.gather(rows, one.source, axis=axis)
    merged = tf.reshape(old, [math.prod(shape[d] for d in group) for group in groups])
    return tf.reshape(tf.where(inside, rows, merged), shape)


_MOST_DIMENSIONS = 4
"""How many dimensions ``SELECT_V2`` of the older runtimes spreads a condition over."""


def _aligned(
    shape: Sequence[int], entries: list[Any], given: list[int]
) -> tuple[list[Any], list[int]]:
    """Return the entry of each dimension of the variable, and the value's size there."""
    place = entries.index(Ellipsis) if Ellipsis in entries else len(entries)
    before, after = entries[:place], entries[place + 1 :]
    rest = len(shape) - sum(entry is not None for entry in before + after)
    every = [*before, *[slice(None)] * rest, *after]
    axes = [entry for entry in every if not _is_single(entry)]  # of the slice; None: a new one
    if len(given) > len(axes):
        raise CannotRewriteError("what is assigned has more dimensions than the slice")
    left = iter([1] * (len(axes) - len(given)) + given)
    sizes = []
    for entry in every:
        size = 1 if _is_single(entry) else next(left)
        if entry is not None:
            sizes.append(size)
    return [entry for entry in every if entry is not None], sizes


def _is_single(entry: Any) -> bool:
    return isinstance(entry, int) or (isinstance(entry, _Moving) and entry.single)


def _select(entry: Any, size: int, given: int) -> _Selection:
    """Return what an entry takes of a dimension of ``size``, for ``given`` values (or one)."""
    import tensorflow as tf

    places = np.arange(size, dtype=np.int32)
    if isinstance(entry, _Moving):
        begin = _from_start(entry.begin, size, 0)
        if entry.single:
            return _Selection(places == begin, None, False)
        offset = places - begin
        inside = tf.logical_and(offset >= 0, places < _from_start(entry.end, size, size))
        if given > 1:  # more than are taken would be an error in TensorFlow
            inside = tf.logical_and(inside, offset < given)
        # A product, and no choice: TensorFlow Lite Micro does not choose among integers.
        return _Selection(inside, offset * tf.cast(inside, tf.int32), False)
    source = np.full(size, -1, np.int32)
    taken = np.atleast_1d(places[entry])
    source[taken] = np.arange(taken.size)
    whole = taken.size == size == given and bool((source == places).all())
    return _Selection(source >= 0, np.maximum(source, 0), whole)


def _from_start(bound: Any, size: int, default: int) -> Any:
    """Return a bound of a slice that counts from the start."""
    import tensorflow as tf

    if bound is None:
        return default
    if isinstance(bound, int):
        return bound + size if bound < 0 else bound
    return bound + size * tf.cast(bound < 0, tf.int32)


def _merged(taken: Sequence[_Selection]) -> list[list[int]]:
    """Put dimensions together that stand side by side and are taken as a whole."""
    groups: list[list[int]] = []
    for number, one in enumerate(taken):
        if groups and one.whole and taken[groups[-1][0]].whole:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def table_scattered(old: Any, indices: Any, updates: Any, how: str, *, nested: bool) -> Any:
    """Return a value after one of the ``ResourceScatter`` ops.

    ``indices`` is, for the ``Nd`` ops (``nested``), [..., k], the first k coordinates of each
    update; else of any shape, the row of each. ``updates`` has the shape of ``indices`` (without k)
    and the rest of ``old``'s, or is a scalar. ``how`` is ``"Update"``, ``"Add"``, ``"Sub"``,
    ``"Min"`` or ``"Max"``. ``CannotRewriteError`` if it cannot be written so.
    """
    import tensorflow as tf

    shape = _known_shape(old)
    depth = indices.shape[-1] if nested else 1
    count = indices.shape.num_elements()
    if depth is None:
        raise CannotRewriteError("how deep the indices go is not known")
    if count is None:
        raise CannotRewriteError("how many rows are updated is not known before it runs")
    flat = tf.reshape(tf.cast(indices, tf.int32), [-1])
    if nested:
        count //= depth
        steps = [int(np.prod(shape[d + 1 : depth])) for d in range(depth)]
        pairs = tf.reshape(flat, [-1, depth])
        flat = tf.reduce_sum(pairs * tf.constant(steps, tf.int32), 1)
    flat = tf.reshape(flat, [count])
    rest = shape[depth:]
    table = tf.reshape(old, [int(np.prod(shape[:depth])), *rest])
    rows = tf.broadcast_to(updates, [count, *rest]) if not updates.shape.rank else updates
    rows = tf.reshape(rows, [count, *rest])
    combine = _rows_updated if how == "Update" else _rows_combined
    return tf.reshape(combine(tf, table, flat, rows, how), shape)


def _rows_updated(tf: Any, old: Any, indices: Any, rows: Any, _how: str) -> Any:
    """Replace rows [n, …] of a table; the last one wins where an index [n] comes twice."""
    size, count = int(old.shape[0]), int(indices.shape[0])
    if count == 0:
        return old
    same = _same(tf, size, indices, count)
    if count == 1 and old.shape.rank <= _MOST_DIMENSIONS:
        return tf.where(tf.reshape(same, [size] + [1] * (old.shape.rank - 1)), rows, old)
    numbers = tf.constant(np.arange(count, dtype=np.int32))
    last = tf.reduce_max(tf.where(same, numbers, -1), 1)
    own = tf.constant(np.arange(size, dtype=np.int32))
    return tf.gather(tf.concat([old, rows], 0), tf.where(last >= 0, last + size, own))


def _rows_combined(tf: Any, old: Any, indices: Any, rows: Any, how: str) -> Any:
    """Add rows [n, …] to a table, subtract them, or keep the smaller or larger ones.

    Every update counts where an index comes several times.
    """
    size, count = int(old.shape[0]), int(indices.shape[0])
    if size * count * int(np.prod(old.shape[1:])) > MOST_PAIRS:
        raise CannotRewriteError("the table is too large to be combined row by row")
    same = _same(tf, size, indices, count)
    same = tf.reshape(same, [size, count] + [1] * (old.shape.rank - 1))
    if how in ("Add", "Sub"):
        change = tf.reduce_sum(tf.where(same, rows[tf.newaxis], tf.zeros([], old.dtype)), 1)
        return old + change if how == "Add" else old - change
    spread = tf.where(same, rows[tf.newaxis], old[:, tf.newaxis])
    if how == "Max":
        return tf.maximum(old, tf.reduce_max(spread, 1))
    return tf.minimum(old, tf.reduce_min(spread, 1))


def _same(tf: Any, size: int, indices: Any, count: int) -> Any:
    """Compare each row's number with each index: bool [size, count]."""
    if size * count > MOST_PAIRS:
        raise CannotRewriteError(
            f"{count} updates of {size} rows would be {size * count:,} comparisons at each call"
        )
    own = tf.constant(np.arange(size, dtype=np.int32)[:, np.newaxis])
    return own == tf.cast(indices, tf.int32)[tf.newaxis, :]
