"""Look up in a fixed table by comparison with its keys, where no builtin table is of its dtypes.

This module runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from varhandle.facts.tables import BUILTIN_TABLES
from varhandle.savedmodel.functional_updates import CannotRewriteError

_MOST_KEYS = 100_000  # each of which is compared with every input


class Tables:
    """Look-ups, in the function that is being traced.

    ``changing`` names an op of the model whose resource changes, and which may be the table's.
    """

    def __init__(self, tf: Any, changing: str) -> None:
        self._tf = tf
        self._changing = changing

    def looked_up(self, operation: Any, resource: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return what stands for the outputs of an op on a table."""
        tf, kind = self._tf, operation.type
        if self._changing:
            raise CannotRewriteError(f"it uses a resource that changes ({self._changing})")
        if kind not in ("LookupTableFindV2", "LookupTableSizeV2"):
            raise CannotRewriteError(f"{kind} changes a table, or is not known")
        if kind == "LookupTableSizeV2":
            with tf.init_scope():
                size = tf.raw_ops.LookupTableSizeV2(table_handle=resource).numpy()
            return (tf.constant(size),)
        dtypes = operation.get_attr("Tin"), operation.get_attr("Tout")
        with tf.init_scope():
            exported = tf.raw_ops.LookupTableExportV2(
                table_handle=resource, Tkeys=dtypes[0], Tvalues=dtypes[1]
            )
            keys, values = (part.numpy() for part in exported)
        if (dtypes[0].name, dtypes[1].name) in BUILTIN_TABLES:
            raise CannotRewriteError("a table of words is kept as it is, and not written anew")
        if len(keys) > _MOST_KEYS:
            raise CannotRewriteError(f"a table of {len(keys):,} keys is too large to compare with")
        wanted, default = inputs
        constants = tf.constant(keys, dtypes[0]), tf.constant(values, dtypes[1])
        return (look_up(tf, wanted, default, *constants),)


def look_up(tf: Any, x: Any, default: Any, keys: Any, values: Any) -> Any:
    """Look up in two constants, for ``x`` of any shape."""
    if not keys.shape[0]:
        return tf.fill(tf.shape(x), default)
    hit = tf.equal(tf.expand_dims(x, -1), keys)
    at = tf.argmax(tf.cast(hit, tf.int32), -1, tf.int32)
    return tf.where(tf.reduce_any(hit, -1), tf.gather(values, at), default)
