"""Write the small files of the page's guided tour: ``python data/make_page_examples.py``.

A running total in four shapes, made with TensorFlow 2.21 as a reader of the lessons makes them: a
SavedModel that keeps it in float16, what the converter says of that, the file that SELECT_TF_OPS
makes of it, the float32 file that works, and that file with its state lifted.
"""

import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from varhandle import lift_state

FOLDER = Path(__file__).parents[1] / "docs" / "page" / "examples"


class RunningTotal(tf.Module):
    """Adds what it is given to a variable, and says the total."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.total = tf.Variable(tf.zeros([2], dtype), name="total")

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
    def step(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Add ``x``."""
        total = self.total + tf.cast(x, self.total.dtype)
        self.total.assign(total)
        return {"total": tf.cast(total, tf.float32)}


def converter_of(dtype: str, folder: Path) -> tf.lite.TFLiteConverter:
    """Save a total of some dtype in a folder, and open it in the converter."""
    module = RunningTotal(dtype)
    tf.saved_model.save(module, str(folder), signatures={"step": module.step})
    return tf.lite.TFLiteConverter.from_saved_model(str(folder))


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        half = Path(place, "float16_total")
        converter = converter_of("float16", half)
        try:
            converter.convert()
        except Exception as error:  # what it says is the example
            (FOLDER / "float16_total.log").write_text(f"{type(error).__name__}: {error}\n")
        shutil.make_archive(str(FOLDER / "float16_total"), "zip", place, half.name)
        ops = tf.lite.OpsSet
        converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS]
        (FOLDER / "flex_total.tflite").write_bytes(converter.convert())
        sound = converter_of("float32", Path(place, "total")).convert()
    (FOLDER / "total.tflite").write_bytes(sound)
    (FOLDER / "total_lifted.tflite").write_bytes(lift_state(sound).content)


if __name__ == "__main__":
    main()
