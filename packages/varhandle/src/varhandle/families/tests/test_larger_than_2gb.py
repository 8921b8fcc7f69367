"""A model that is larger than the 2 GB which one message or one flatbuffer may have."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from family_checks import code_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("larger-than-2gb")
CONVERTER = '  File "/site-packages/tensorflow/lite/python/lite.py", line 2185, in convert\n'

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "E tensorflow/compiler/mlir/lite/flatbuffer_export.cc:2015] Model size is bigger than 2gb",
        "loc(fused): error: Model structure size is bigger than 2gb",
        f"{CONVERTER}ValueError: Message tensorflow.GraphDef exceeds maximum protobuf size of 2GB:"
        " 14487363127",
        f"{CONVERTER}[libprotobuf ERROR google/protobuf/message_lite.cc:449] tensorflow.GraphDef"
        " exceeded maximum protobuf size of 2GB: 2341235342",
        f"{CONVERTER}ValueError: Cannot create a tensor proto whose content is larger than 2GB.",
        '  File "/site-packages/ai_edge_torch/lowertools/_shim.py", line 80, in convert\n'
        "flatbuffers.builder.BuilderSizeError: flatbuffers: cannot grow buffer beyond 2 gigabytes",
    ],
)


@pytest.mark.parametrize(
    "log",
    [
        "ValueError: Cannot create a tensor proto whose content is larger than 2GB.",
        "onnx.checker: The model exceeds maximum protobuf size of 2GB: save it with external data",
        "flatbuffers: cannot grow buffer beyond 2 gigabytes",
    ],
)
def test_what_may_be_about_anything(log):
    assert ids(log) == []


def test_a_file_with_its_weights_behind_the_flatbuffer_answers(tf, tmp_path):
    module, folder = tf.Module(), str(tmp_path / "saved")
    module.w = tf.Variable(tf.random.stateless_normal([8, 4], [1, 2]))
    module.step = tf.function(
        lambda x: {"y": x @ module.w}, input_signature=[tf.TensorSpec([1, 8], tf.float32, "x")]
    )
    tf.saved_model.save(module, folder, signatures=module.step)
    (match,) = explain("Model size is bigger than 2gb").matches
    content = run(code_of(match.fix), tf=tf, folder=folder)["converter"].convert()
    x = np.random.default_rng(0).random((1, 8), "float32")
    answer = Interpreter(model_content=content).get_signature_runner()(x=x)["y"]
    np.testing.assert_allclose(answer, x @ module.w.numpy(), rtol=1e-2, atol=1e-2)


def test_somebody_bound_to_an_old_release_is_told_what_to_do_there():
    log = "tensorflow==2.9.1\nModel size is bigger than 2gb"
    assert "Bound to TensorFlow 2.9.1: cut the model in two" in explain(log).text()
