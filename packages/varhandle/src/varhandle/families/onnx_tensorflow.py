"""onnx-tf, the old way from ONNX to TensorFlow, which nobody has kept up since 2022."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import LAST_RESORT, Meaning
from varhandle.families.log_patterns import Pattern

_TOOL = ("onnx_tf", "onnx-tf")

FAMILY = Family(
    id="onnx-tensorflow",
    order=265,
    what="onnx-tf or onnx2tf stops on the way from PyTorch or ONNX to TFLite.",
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
        Pattern("onnx2tf", "You are passing KerasTensor(", reach=1500, company=("onnx2tf",)),
        Pattern(
            "onnx2tf",
            "Read this and deal with it.",
            r"(?:onnx_op_name:(?P<node>[^\s]{1,200}?)(?:error:)?)?$",
            company=("onnx2tf",),
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
        "onnx2tf": Meaning(
            LAST_RESORT,
            "onnx2tf stops at {node:an op} of the ONNX model; its own error stands above.",
            "Give the model fixed sizes (-b 1, or -ois with the shape of each input), and take the"
            " newest onnx2tf with the TensorFlow that it names; where it mistakes an axis, its file"
            " of parameter replacements sets it right. From PyTorch, litert_torch converts without"
            " ONNX. No variable is at fault.",
        ),
        "onnx-tf-package": Meaning(
            173, "onnx-tf was made for an older ONNX and TensorFlow than those installed."
        ),
    },
    of_variables=False,
)
