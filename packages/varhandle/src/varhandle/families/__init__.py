"""The families of failure between a variable and a .tflite file."""
