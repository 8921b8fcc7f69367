"""onnx-tf, the old way from ONNX to TensorFlow, which nobody has kept up since 2022."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("onnx-tensorflow")
TOOL = '  File "/site-packages/onnx_tf/common/data_type.py", line 3, in <module>\n'
UNSQUEEZE = "BackendIsNotSupposedToImplementIt: Unsqueeze version 13 is not implemented."

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        f"onnx.backend.test.runner.{UNSQUEEZE}",
        "BackendIsNotSupposedToImplementIt: FusedConv is not implemented.",
        'File "/site-packages/onnx2tf/ops/Add.py", line 200, in make_node\nERROR: onnx_op_name:'
        " /model.10/Concat\nERROR: Read this and deal with it. https://github.com/PINTO0309/onnx2tf",
        "starting TFLite export with onnx2tf 1.17.7...\nTypeError: You are passing KerasTensor(t",
        f"{TOOL}ImportError: cannot import name 'mapping' from 'onnx' (/onnx/__init__.py)",
        f"{TOOL}ModuleNotFoundError: No module named 'tensorflow_addons'",
        f"{TOOL}ModuleNotFoundError: No module named 'keras.src.engine'",
        f"{TOOL}ModuleNotFoundError: No module named 'tensorflow_probability'",
    ],
)


def test_the_op_is_named_and_the_old_release_has_advice():
    (match,) = explain(f"tensorflow==2.8.0\n{UNSQUEEZE}").matches
    assert "does not have Unsqueeze" in match.message
    assert "onnx2tf" in match.fix
    assert "Bound to TensorFlow 2.8.0: export with an opset" in match.fix


@pytest.mark.parametrize(
    "log",
    [
        "ImportError: cannot import name 'mapping' from 'onnx'",
        "ModuleNotFoundError: No module named 'tensorflow_addons'",
        "NotImplementedError: Unsqueeze version 13 is not implemented.",
    ],
)
def test_the_same_words_elsewhere(log):
    assert ids(log) == []
