"""Updates of a part of a variable, written as the whole value that the variable has afterwards.

Every one is a choice of rows: the rows of the new value are taken, one by one, from the old rows
and from the new ones behind them. So an update moves values and makes none, whatever the dtype, and
of all ops it needs those that the smallest runtimes have: ``CONCATENATION``, ``GATHER``, ``EQUAL``
and ``SELECT_V2``. (``tf.tensor_scatter_nd_update`` would become ``SCATTER_ND``, which adds up where
an index comes twice.)

TensorFlow is imported where it is used: these run while a function is traced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST_PAIRS = 4_000_000
"""How many pairs of a row and an update are compared at most, at each call."""


class NoWholeValueError(ValueError):
    """An update cannot be written as a whole new value; the message says why."""


def slice_assigned(old: Any, bounds: Sequence[Any], value: Any, masks: Mapping[str, int]) -> Any:
    """Return a value after ``old[begin:end:strides] = value``.

    Args:
        old: The tensor before, of a known shape.
        bounds: Where the slice begins in each dimension, where it ends, and its steps. An index
            may be known only when it runs; a range and the steps are constants.
        value: What is assigned, of the slice's shape or a scalar.
        masks: ``begin_mask``, ``end_mask``, ``ellipsis_mask``, ``new_axis_mask`` and
            ``shrink_axis_mask`` of the op, as bits.

    Returns:
        The tensor after.

    Raises:
        NoWholeValueError: How many elements are assigned is not known before it runs.
    """
    import tensorflow as tf

    shape = _known_shape(old)
    wheres = _slice_indices(tf, shape, bounds, masks)
    sizes = [int(where.shape[0]) for where in wheres]
    count = int(np.prod(sizes))
    flat = _flat_indices(tf, wheres, shape)
    filled = tf.broadcast_to(value, [count]) if not value.shape.rank else value
    if filled.shape.num_elements() not in (None, count):
        raise NoWholeValueError(
            f"{filled.shape.num_elements()} values are assigned to a slice of {count}"
        )
    updated = rows_updated(tf.reshape(old, [-1]), flat, tf.reshape(filled, [count]))
    return tf.reshape(updated, shape)


def _known_shape(old: Any) -> list[int]:
    if not old.shape.is_fully_defined():
        raise NoWholeValueError("the variable's shape is not known")
    return [int(n) for n in old.shape]


def _slice_indices(
    tf: Any, shape: Sequence[int], bounds: Sequence[Any], masks: Mapping[str, int]
) -> list[Any]:
    """Return, for each dimension, the indices that a slice takes: arrays, or tensors."""
    known = [tf.get_static_value(one) for one in bounds]
    if known[2] is None:
        raise NoWholeValueError("the steps of the slice are not known")
    entries = len(known[2])
    found: list[Any] = []
    for entry in range(entries):
        bit = 1 << entry
        if masks["ellipsis_mask"] & bit:
            rest = [e for e in range(entry + 1, entries) if not masks["new_axis_mask"] & (1 << e)]
            while len(found) < len(shape) - len(rest):
                found.append(np.arange(shape[len(found)]))
        elif masks["new_axis_mask"] & bit:
            continue
        else:
            parts = [_entry(tf, bounds[side], known[side], entry) for side in (0, 1)]
            stride = int(known[2][entry])
            found.append(_dimension(tf, shape[len(found)], [*parts, stride], _bits(masks, bit)))
    found += [np.arange(size) for size in shape[len(found) :]]
    return found


def _bits(masks: Mapping[str, int], bit: int) -> set[str]:
    """Return the masks that are set for one entry of a slice."""
    return {name for name, bits in masks.items() if bits & bit}


def _dimension(tf: Any, size: int, parts: Sequence[Any], masks: set[str]) -> Any:
    """Return the indices that one entry of a slice takes, from begin, end and step."""
    begin, end, stride = parts
    if "shrink_axis_mask" in masks:
        if isinstance(begin, int):
            return np.array([begin % size])
        return tf.reshape(tf.where(begin < 0, begin + size, begin), [1])
    first = None if "begin_mask" in masks else begin
    last = None if "end_mask" in masks else end
    if all(part is None or isinstance(part, int) for part in (first, last)):
        return np.arange(size)[slice(first, last, stride)]
    raise NoWholeValueError("a slice begins or ends where only the running model knows")


def _entry(tf: Any, tensor: Any, known: Any, entry: int) -> Any:
    """Return an entry of a slice's begin or end: a number, or a tensor if it is not known."""
    if known is not None:
        return int(known[entry])
    packed = tf.get_static_value(tensor[entry], partial=True)
    if packed is not None:
        return int(packed)
    parts = tensor.op.inputs if tensor.op.type == "Pack" else ()
    if len(parts) > entry:
        value = tf.get_static_value(parts[entry])
        return int(value) if value is not None else tf.cast(parts[entry], tf.int32)
    return tf.cast(tensor[entry], tf.int32)


def _flat_indices(tf: Any, wheres: Sequence[Any], shape: Sequence[int]) -> Any:
    """Return where the elements of a slice lie in the flat array."""
    steps = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
    flat: Any = np.zeros([1] * len(shape), np.int32)
    for dimension, (where, step) in enumerate(zip(wheres, steps, strict=True)):
        spread = [-1 if d == dimension else 1 for d in range(len(shape))]
        if isinstance(where, np.ndarray):
            flat = flat + (where * step).reshape(spread).astype(np.int32)
        else:
            flat = flat + tf.reshape(where * step, spread)
    return flat.reshape(-1) if isinstance(flat, np.ndarray) else tf.reshape(flat, [-1])


def rows_updated(old: Any, indices: Any, rows: Any) -> Any:
    """Return a table after rows of it were replaced; the last one wins where an index comes twice.

    Args:
        old: The table, its first dimension known.
        indices: Which rows, [n]: an array where that is known, or an integer tensor.
        rows: What they become, [n, …].

    Returns:
        The new table.

    Raises:
        NoWholeValueError: The table's length is not known, or too much would have to be compared.
    """
    import tensorflow as tf

    size = old.shape[0]
    if size is None:
        raise NoWholeValueError("the variable's shape is not known")
    if isinstance(indices, np.ndarray):
        source = np.arange(size, dtype=np.int32)
        for number, index in enumerate(indices):
            source[index] = size + number
        return tf.gather(tf.concat([old, rows], 0), source)
    count = indices.shape[0]
    if count is None:
        raise NoWholeValueError("how many rows are replaced is not known before it runs")
    if count == 0:
        return old
    same = _same(tf, size, indices, count)
    numbers = tf.constant(np.arange(count, dtype=np.int32))
    last = tf.reduce_max(tf.where(same, numbers, -1), 1)
    own = tf.constant(np.arange(size, dtype=np.int32))
    return tf.gather(tf.concat([old, rows], 0), tf.where(last >= 0, last + size, own))


def _same(tf: Any, size: int, indices: Any, count: int) -> Any:
    """Compare each row's number with each index: bool [size, count]."""
    if size * count > MOST_PAIRS:
        raise NoWholeValueError(
            f"{count} updates of {size} rows would be {size * count:,} comparisons at each call"
        )
    own = tf.constant(np.arange(size, dtype=np.int32)[:, np.newaxis])
    return own == tf.cast(indices, tf.int32)[tf.newaxis, :]


def rows_combined(old: Any, indices: Any, rows: Any, how: str) -> Any:
    """Return a table after rows were added to it, or subtracted, or kept if smaller or larger.

    Args:
        old: The table, [size, …], its shape known.
        indices: Which rows, an integer tensor [n].
        rows: What is combined with them, [n, …].
        how: ``"Add"``, ``"Sub"``, ``"Min"`` or ``"Max"``.

    Returns:
        The new table; every update counts where an index comes several times.

    Raises:
        NoWholeValueError: A shape is not known, or too much would have to be compared.
    """
    import tensorflow as tf

    if not old.shape.is_fully_defined() or indices.shape[0] is None:
        raise NoWholeValueError("a shape is not known before it runs")
    size, count = int(old.shape[0]), int(indices.shape[0])
    if size * count * int(np.prod(old.shape[1:])) > MOST_PAIRS:
        raise NoWholeValueError("the table is too large to be combined row by row")
    same = _same(tf, size, indices, count)
    same = tf.reshape(same, [size, count] + [1] * (old.shape.rank - 1))
    if how in ("Add", "Sub"):
        change = tf.reduce_sum(tf.where(same, rows[tf.newaxis], tf.zeros([], old.dtype)), 1)
        return old + change if how == "Add" else old - change
    spread = tf.where(same, rows[tf.newaxis], old[:, tf.newaxis])
    if how == "Max":
        return tf.maximum(old, tf.reduce_max(spread, 1))
    return tf.minimum(old, tf.reduce_min(spread, 1))


def table_scattered(old: Any, indices: Any, updates: Any, how: str, *, nested: bool) -> Any:
    """Return a value after one of the ``ResourceScatter`` ops.

    Args:
        old: The tensor before, of a known shape.
        indices: For ``nested``, [..., k], the first k coordinates of each update; else of any
            shape, the row of each.
        updates: Of the shape of ``indices`` (without k) and the rest of ``old``'s, or a scalar.
        how: ``"Update"``, ``"Add"``, ``"Sub"``, ``"Min"`` or ``"Max"``.
        nested: Whether it is one of the ``ResourceScatterNd`` ops.

    Returns:
        The tensor after.

    Raises:
        NoWholeValueError: It cannot be written so.
    """
    import tensorflow as tf

    shape = _known_shape(old)
    depth = 1
    flat = tf.reshape(tf.cast(indices, tf.int32), [-1])
    if nested:
        depth = indices.shape[-1]
        if depth is None:
            raise NoWholeValueError("how deep the indices go is not known")
        steps = [int(np.prod(shape[d + 1 : depth])) for d in range(depth)]
        pairs = tf.reshape(tf.cast(indices, tf.int32), [-1, depth])
        flat = tf.reduce_sum(pairs * tf.constant(steps, tf.int32), 1)
    count = indices.shape.num_elements()
    if count is None:
        raise NoWholeValueError("how many rows are updated is not known before it runs")
    count = count // depth if nested else count
    flat = tf.reshape(flat, [count])
    rest = shape[depth:]
    table = tf.reshape(old, [int(np.prod(shape[:depth])), *rest])
    rows = tf.broadcast_to(updates, [count, *rest]) if not updates.shape.rank else updates
    rows = tf.reshape(rows, [count, *rest])
    if how == "Update":
        new = rows_updated(table, flat, rows)
    else:
        new = rows_combined(table, flat, rows, how)
    return tf.reshape(new, shape)
