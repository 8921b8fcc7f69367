"""Imported once by the fork server, so that every child starts with these modules at hand.

TensorFlow's own log stays on for the children, whose standard error is captured: the converter
writes there what it never puts into the exception. Only the greeting of the import is dropped,
and the summary that Keras prints at each export, which is full of temporary paths and addresses.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import keras
    import tensorflow  # noqa: F401 - imported for the children

    keras.utils.disable_interactive_logging()
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
