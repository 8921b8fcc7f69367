"""Which failure shows on which release of TensorFlow."""
