"""onnx-tf, the old way from ONNX to TensorFlow, which nobody has kept up since 2022."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_TOOL = ("onnx_tf", "onnx-tf")

FAMILY = Family(
    id="onnx-tensorflow",
    order=265,
    what="onnx-tf stops on the way from PyTorch or ONNX to TFLite.",
    cause="onnx-tf ended in 2022: newer ops, ONNX, TensorFlow and Keras are strange to it.",
    fix=(
        "Take a tool that is kept up: onnx2tf makes .tflite files and a SavedModel of an ONNX"
        " model; litert_torch converts a PyTorch model without ONNX. No variable is at fault."
    ),
    older=(
        (
            "2.12",
            "export with an opset that onnx-tf knows (opset_version 11 or 12 in torch.onnx.export),"
            " and keep onnx below 1.14, tensorflow_probability and tensorflow_addons of that"
            " TensorFlow.",
        ),
    ),
    log_patterns=(
        Pattern(
            "onnx-tf-op",
            "is not implemented",
            reach=300,
            before=r"backendisnotsupposedtoimplementit:(?P<op>[A-Za-z_]\w{0,40}?)"
            r"(?:version(?P<version>\d{1,2}))?$",
        ),
        Pattern(
            "onnx-tf-package", "cannot import name 'mapping' from 'onnx'", reach=1500, company=_TOOL
        ),
        *(
            Pattern("onnx-tf-package", f"No module named '{name}", reach=1500, company=_TOOL)
            for name in ("tensorflow_addons", "tensorflow_probability", "keras.src.engine")
        ),
    ),
    log_meanings={
        "onnx-tf-op": Meaning(
            119, "onnx-tf does not have {op:an op} in the form that the model has it."
        ),
        "onnx-tf-package": Meaning(
            173, "onnx-tf was made for an older ONNX and TensorFlow than those installed."
        ),
    },
    of_variables=False,
)
