"""Run a file, and compare it with TensorFlow."""
