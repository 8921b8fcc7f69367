"""Where a .tflite file parts from its model: both run side by side, op by op."""
