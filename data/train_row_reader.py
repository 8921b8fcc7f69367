"""Train the row reader: a small recurrent model that reads a digit row by row.

``python data/train_row_reader.py`` stores its weights as ``data/row_reader.npz``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbook_lib.locations import data_path
from workbook_lib.samples import load_digits

Array = npt.NDArray[np.float32]
Weights = dict[str, Array]

SEED = 20
EPOCHS = 60
MEMORY = 24
_BATCH = 32


def read_rows(weights: Weights, images: Array) -> Array:
    """Read images row by row, in NumPy.

    ``images`` are float32 [count, 8, 8] or [count, 8, 8, 1] in 0..1; the logits [count, 8, 10] are
    those after each row.
    """
    rows = images.reshape(len(images), 8, 8)
    memory = np.repeat(weights["first_memory"], len(images), axis=0)
    logits = []
    for index in range(8):
        seen = rows[:, index] @ weights["row_kernel"] + memory @ weights["memory_kernel"]
        memory = np.tanh(seen + weights["memory_bias"])
        logits.append(memory @ weights["digit_kernel"] + weights["digit_bias"])
    return np.stack(logits, axis=1)


def accuracy_by_row(weights: Weights) -> list[float]:
    """Measure a row reader on the held-out digits."""
    digits = load_digits()
    guesses = read_rows(weights, digits.test_images).argmax(axis=-1)
    right = guesses == digits.test_labels[:, np.newaxis]
    return [float(share) for share in right.mean(axis=0)]


def train_row_reader() -> Weights:
    """Train the row reader from a fixed seed."""
    import tensorflow as tf

    random = np.random.default_rng(SEED)
    variables = {name: tf.Variable(value) for name, value in _first_weights(random).items()}
    step = _training_step(variables)
    digits = load_digits()
    rows = digits.train_images.reshape(-1, 8, 8)
    for _ in range(EPOCHS):
        order = random.permutation(len(rows))
        for start in range(0, len(rows) - _BATCH + 1, _BATCH):
            chosen = order[start : start + _BATCH]
            step(tf.constant(rows[chosen]), tf.constant(digits.train_labels[chosen]))
    return {name: variable.numpy() for name, variable in variables.items()}


def _first_weights(random: np.random.Generator) -> Weights:
    """Return weights to start from: an orthogonal memory kernel neither fades nor explodes."""
    orthogonal, _ = np.linalg.qr(random.normal(size=(MEMORY, MEMORY)))
    weights = {
        "row_kernel": random.normal(size=(8, MEMORY)) / np.sqrt(8),
        "memory_kernel": orthogonal,
        "memory_bias": np.zeros(MEMORY),
        "first_memory": np.zeros((1, MEMORY)),
        "digit_kernel": random.normal(size=(MEMORY, 10)) / np.sqrt(MEMORY),
        "digit_bias": np.zeros(10),
    }
    return {name: value.astype(np.float32) for name, value in weights.items()}


def _training_step(variables: dict[str, Any]) -> Any:
    """Return a function that takes a batch and moves the variables once.

    The loss counts the guess after every row, a later row the more, so that the reader learns to
    guess early and to be right in the end.
    """
    import tensorflow as tf

    optimizer = tf.keras.optimizers.Adam(0.005)
    trained = list(variables.values())

    @tf.function
    def step(images: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            memory = tf.repeat(variables["first_memory"], tf.shape(images)[0], axis=0)
            loss = 0.0
            for index in range(8):
                seen = images[:, index] @ variables["row_kernel"]
                seen += memory @ variables["memory_kernel"] + variables["memory_bias"]
                memory = tf.tanh(seen)
                logits = memory @ variables["digit_kernel"] + variables["digit_bias"]
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss += ((index + 1) / 8) ** 3 * tf.reduce_mean(losses)
        gradients = tape.gradient(loss, trained)
        optimizer.apply_gradients(zip(gradients, trained, strict=True))

    return step


def main(path: Path | None = None) -> None:
    """Train the row reader, store its weights, and print its accuracy after each row."""
    weights = train_row_reader()
    np.savez(path or data_path("row_reader.npz"), allow_pickle=False, **weights)
    shares = ", ".join(f"{share:.1%}" for share in accuracy_by_row(weights))
    print(f"held-out digits named rightly after each row: {shares}")


if __name__ == "__main__":
    main()
