"""Look up in tables that no call changes, where the converter does not take them as they are.

A table of words is filled anew, from constants: the converter takes no other filling. In a table of
other dtypes the keys are compared. This module runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from varhandle.facts.tables import BUILTIN_TABLES
from varhandle.savedmodel.functional_updates import CannotRewriteError

_MOST_KEYS = 100_000  # each of which is compared with every input


class Tables:
    """Look-ups, in the function that is being traced.

    ``changing`` names an op of the model that changes a table, which may be any. The object that is
    saved has to hold the tables that are ``made``.
    """

    def __init__(self, tf: Any, changing: str) -> None:
        self._tf = tf
        self._changing = changing
        self._named: dict[str, Any] = {}
        self._again: dict[int, tuple[Any, Any]] = {}  # by id: the resource, and its new table

    @property
    def made(self) -> list[Any]:
        """The tables that were filled anew."""
        return [table for _, table in self._again.values()]

    def named(self, operation: Any) -> Any:
        """Return the table that an op inside a function finds by its name: it is filled by now."""
        name = operation.get_attr("shared_name").decode() or operation.name
        if name not in self._named:
            with self._tf.init_scope():
                self._named[name] = self._tf.raw_ops.HashTableV2(
                    key_dtype=operation.get_attr("key_dtype"),
                    value_dtype=operation.get_attr("value_dtype"),
                    container=operation.get_attr("container").decode(),
                    shared_name=name,
                )
        return self._named[name]

    def looked_up(self, operation: Any, resource: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return what stands for the outputs of an op on a table."""
        tf, kind = self._tf, operation.type
        if self._changing:
            raise CannotRewriteError(f"it uses a table that changes ({self._changing})")
        if kind not in ("LookupTableFindV2", "LookupTableSizeV2"):
            raise CannotRewriteError(f"{kind} changes a table, or is not known")
        if kind == "LookupTableSizeV2":
            with tf.init_scope():
                size = tf.raw_ops.LookupTableSizeV2(table_handle=resource).numpy()
            return (tf.constant(size),)
        dtypes = operation.get_attr("Tin"), operation.get_attr("Tout")
        wanted, default = inputs
        if (dtypes[0].name, dtypes[1].name) in BUILTIN_TABLES:
            handle = self._filled_again(resource, dtypes).resource_handle
            return (
                tf.raw_ops.LookupTableFindV2(
                    table_handle=handle, keys=wanted, default_value=default
                ),
            )
        keys, values = self._pairs(resource, dtypes)
        if len(keys) > _MOST_KEYS:
            raise CannotRewriteError(f"a table of {len(keys):,} keys is too large to compare with")
        constants = tf.constant(keys, dtypes[0]), tf.constant(values, dtypes[1])
        return (look_up(tf, wanted, default, *constants),)

    def _pairs(self, resource: Any, dtypes: Sequence[Any]) -> list[Any]:
        tf = self._tf
        with tf.init_scope():
            exported = tf.raw_ops.LookupTableExportV2(
                table_handle=resource, Tkeys=dtypes[0], Tvalues=dtypes[1]
            )
            keys, values = (part.numpy() for part in exported)
        keys, first = np.unique(keys, return_index=True)  # a dense table gives its empty rows too
        return [keys, values[first]]

    def _filled_again(self, resource: Any, dtypes: Sequence[Any]) -> Any:
        tf = self._tf
        if id(resource) not in self._again:
            pairs = self._pairs(resource, dtypes)
            with tf.init_scope():
                constants = map(tf.constant, pairs, dtypes)
                filling = tf.lookup.KeyValueTensorInitializer(*constants)
                default = "" if dtypes[1] == tf.string else -1  # each look-up brings its own
                table = tf.lookup.StaticHashTable(filling, default)
            self._again[id(resource)] = resource, table
        return self._again[id(resource)][1]


def look_up(tf: Any, x: Any, default: Any, keys: Any, values: Any) -> Any:
    """Look up in two constants, for ``x`` of any shape; the default stands behind the values."""
    if not keys.shape[0]:
        return tf.fill(tf.shape(x), default)
    values = tf.reshape(values, [keys.shape[0], *default.shape])
    hit = tf.equal(tf.expand_dims(x, -1), keys)
    at = tf.argmax(tf.cast(hit, tf.int32), -1, tf.int32)
    at = tf.where(tf.reduce_any(hit, -1), at, keys.shape[0])
    return tf.gather(tf.concat([values, tf.expand_dims(default, 0)], 0), at)
