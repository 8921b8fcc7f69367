"""Public reports of answers that differ, rebuilt: the op is named at which each thread ended."""

import numpy as np
from planted_faults import edited, with_options

from varhandle import locate


def test_a_factor_fused_along_the_wrong_axis(saved_and_converted):
    """https://github.com/tensorflow/tensorflow/issues/39572

    The converter of 2.2 multiplied the weights of a FULLY_CONNECTED by a factor that belongs to its
    outputs, along its inputs.
    """
    rng = np.random.default_rng(1)
    a, (bias, factor, more) = rng.random([6, 6], np.float32), rng.random([3, 6], np.float32)
    path, content = saved_and_converted(lambda x: (x @ a + bias) * factor + more, [1, 6])

    def fuse(model, operator):
        buffer = model.buffers[model.subgraphs[0].tensors[operator.inputs[1]].buffer]
        held = np.array(buffer.data).view(np.float32).reshape(6, 6)
        assert np.allclose(held, a.T * factor[:, None])
        buffer.data = np.ascontiguousarray(a.T * factor).view(np.uint8).ravel()

    found = locate(path, edited(content, "FULLY_CONNECTED", fuse))
    assert found.first["op"] == "FULLY_CONNECTED"
    assert "its weights differ" in found.first["why"]


def test_a_resizing_that_forgets_half_pixel_centers(saved_and_converted, tf):
    """https://github.com/tensorflow/tensorflow/issues/33691"""
    path, content = saved_and_converted(
        lambda x: tf.nn.relu(tf.image.resize(2.0 * x, [10, 10])) + 1.0, [1, 4, 4, 2]
    )
    found = locate(path, edited(content, "RESIZE_BILINEAR", with_options(halfPixelCenters=False)))
    assert found.first["op"] == "RESIZE_BILINEAR"
    assert "halfPixelCenters" in found.first["why"]


def test_a_slice_whose_mask_is_that_of_another_dimension(saved_and_converted, tf):
    """https://github.com/tensorflow/tensorflow/issues/42481

    The converter of 2.3 gave the dimensions after an ellipsis the mask of the first of them.
    """
    path, content = saved_and_converted(lambda x: tf.nn.relu(x)[..., :1, 2:] * 3.0, [2, 3, 4, 5])
    found = locate(path, edited(content, "STRIDED_SLICE", with_options(endMask=7)))
    assert found.first["op"] == "STRIDED_SLICE"
    assert "endMask is 7" in found.first["why"]
