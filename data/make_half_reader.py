"""Make a SavedModel that has the trouble: the row reader, its memory kept in half precision.

``python data/make_half_reader.py`` stores it as ``data/half_reader``. Notebook 36 runs on it until
it is given another model. It is an ordinary thing to have: under mixed precision a layer's state is
float16, and the builtin ``VAR_HANDLE`` does not carry float16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbook_lib.locations import data_path
from workbook_lib.samples import load_row_reader


def half_reader_module() -> Any:
    """Build the model.

    Called with ``row`` float32 [1, 8], it returns ``logits`` float32 [1, 10], and keeps what it has
    seen in ``memory``, a float16 [1, 24] variable.
    """
    import tensorflow as tf

    weights = load_row_reader()

    class HalfReader(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            first = tf.cast(weights.pop("first_memory"), tf.float16)
            self.memory = tf.Variable(first, name="memory")
            for name, value in weights.items():
                setattr(self, name, tf.Variable(value, name=name))

        @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32, name="row")])
        def __call__(self, row: Any) -> dict[str, Any]:
            before = tf.cast(self.memory, tf.float32)
            seen = row @ self.row_kernel + before @ self.memory_kernel + self.memory_bias
            memory = tf.tanh(seen)
            self.memory.assign(tf.cast(memory, tf.float16))
            return {"logits": memory @ self.digit_kernel + self.digit_bias}

    return HalfReader()


def main(folder: Path | None = None) -> None:
    """Save the model as a SavedModel."""
    import tensorflow as tf

    module = half_reader_module()
    signature = module.__call__.get_concrete_function()
    tf.saved_model.save(module, str(folder or data_path("half_reader")), signatures=signature)


if __name__ == "__main__":
    main()
