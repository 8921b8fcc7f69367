"""Imported once by the fork server, so that every child starts with these modules at hand.

TensorFlow's own log stays on for the children: the converter writes there what it never puts into
the exception. TensorFlow fixes the level at its first line, so it cannot be set anew in a child.
Only the greeting of the import is dropped.
"""

import gc
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import keras  # noqa: F401 - imported for the children
    import tensorflow  # noqa: F401 - imported for the children
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)

import ai_edge_litert.interpreter  # noqa: E402, F401 - imported for the children

# What is here now stays: a collection in a child need not touch it, and so copies no page of it.
gc.collect()
gc.freeze()
