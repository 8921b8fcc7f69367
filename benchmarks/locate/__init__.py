"""Where a .tflite file parts from its model: how often ``locate`` pairs and names the right op."""
