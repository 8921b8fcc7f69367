"""The names of the models: their cases need TensorFlow, and are made in a child process."""

from collections.abc import Sequence

# fmt: off
_FLOAT = (
    "dense", "cnn-pixels", "depthwise", "residual", "activations", "two-inputs", "two-outputs",
    "exported-transformer", "lstm-batch-1", "gru-stateful", "normalization", "mobile-net-v2",
    "detector", "decoder", "inception", "bidirectional", "unrolled", "gated", "filtered",
    "running-average", "ring-shift", "cache-full", "swap-in-a-branch", "tensor-array",
    "counting-in-a-loop", "nested-loops", "gather", "spectrum", "tf1-frozen", "tf1-frozen-switch",
    "tf1-saved-counter",
)
_QUANTIZED = (
    ("cnn-pixels", "int8"), ("residual", "int8"), ("inception", "int8"), ("mobile-net-v2", "int8"),
    ("detector", "int8"), ("depthwise", "16x8"), ("cnn-pixels", "float16"),
    ("decoder", "dynamic range"), ("lstm-batch-1", "dynamic range"),
)
MODELS: Sequence[tuple[str, str]] = (*((name, "") for name in _FLOAT), *_QUANTIZED)
"""Names of cases, each with the recipe of the file that is compared."""
# fmt: on
