"""Imported once by the fork server when only .tflite files are to be run: no TensorFlow."""

import ai_edge_litert.interpreter  # noqa: F401 - imported for the children
