"""Small files for the tests of running and comparing."""

import pytest


@pytest.fixture(scope="session")
def converted(tf):
    """Convert a function by the shapes, or the specs, of its inputs.

    ``converted(lambda x: {"y": x + 1.0}, x=[None, 3])``
    """

    def convert(function, **inputs):
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name)
            if isinstance(spec, tf.TensorSpec)
            else tf.TensorSpec(spec, tf.float32, name)
            for name, spec in inputs.items()
        ]
        traced = tf.function(function, input_signature=specs, autograph=False)
        concrete = [traced.get_concrete_function()]
        return tf.lite.TFLiteConverter.from_concrete_functions(concrete, tf.Module()).convert()

    return convert


@pytest.fixture(scope="session")
def convert_module(tf, save_module):
    """Convert a module by way of a SavedModel: ``convert_module(module)``."""

    def convert(module):
        return tf.lite.TFLiteConverter.from_saved_model(str(save_module(module))).convert()

    return convert


@pytest.fixture(scope="session")
def to_int8(tf):
    """Convert with integers inside and at both ends: ``to_int8(converter, samples)``."""

    def convert(converter, samples):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()

    return convert
