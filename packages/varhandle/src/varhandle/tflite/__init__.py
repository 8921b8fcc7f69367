"""Rewrites of a .tflite file itself."""
