"""Keras models, SavedModels and graphs into .tflite files: convert, freeze, quantize."""
