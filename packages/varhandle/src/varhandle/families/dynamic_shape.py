"""A size that is not known where a converter, a kernel or a delegate has to know it."""

from __future__ import annotations

from varhandle.families import code
from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Context, Pattern

STRICT_RESIZE = "ResizeInputTensorStrict only allows mutating unknown dimensions"
_CONVERTER_TEXT = "None is only supported in the 1st dimension"


def _is_callers(context: Context) -> bool:
    """Tell whether the program resizes an input, and not a calibration, whose data do not fit."""
    return "calibrator" not in context.before


FAMILY = Family(
    id="dynamic-shape",
    order=190,
    what="A size is open, and the converter, a kernel or a delegate has to know it.",
    cause="An input, or a value inside the model, has a dimension that only a call decides.",
    fix=(
        "Convert it for one size; or resize the input to that of your data before"
        " allocate_tensors(), and leave out a delegate that wants fixed sizes.\n\n"
        "spec = tf.TensorSpec([1, 64, 64, 3], tf.float32)  # the sizes that you will call it with\n"
        "model.export(folder, input_signature=[spec])\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
        "# a file that is there already, before interpreter.allocate_tensors():\n"
        "# interpreter.resize_tensor_input(index, [1, 64, 64, 3])"
    ),
    older=(
        (
            "1.15",
            "give the sizes to the converter:"
            ' tf.compat.v1.lite.TFLiteConverter.from_saved_model(folder, input_shapes={"x": [1,'
            " 64, 64, 3]}).",
        ),
        *code.traced("that size", "[1, 64, 64, 3]"),
    ),
    log_patterns=(
        Pattern(
            "static-delegate",
            "delegate that only supports static-sized tensors with a graph",
            after=r"(?:.{0,40}?\(tensor#(?P<tensor>\d{1,7})is)?",
        ),
        Pattern(
            "open-size",
            _CONVERTER_TEXT,
            after=r"\.tensor'(?P<tensor>[^']{1,200})'hasinvalidshape'(?P<shape>[^']{1,200})'",
        ),
        Pattern("open-size", "Provide an input shape for input array"),
        Pattern("strict-resize", STRICT_RESIZE, test=_is_callers),
        *(
            Pattern("kernel-size", phrase, company=("failed to prepare", "tensorflow/lite/kernels"))
            for phrase in (
                "num_input_elements != num_output_elements",
                "stretch_dim != -1",
                "Given shapes, [",
                "->dims->data[",
                "d1 == d2 || d1 == 1 || d2 == 1 was not true",
            )
        ),
        Pattern("kernel-size", "BytesRequired number of elements overflowed"),
        Pattern("kernel-size", "XNNPack delegate failed to reshape runtime"),
        Pattern("kernel-size", "Cannot allow dynamic tensors due to previous delegation"),
    ),
    log_meanings={
        "static-delegate": Meaning(
            155,
            "The delegate takes tensors of fixed sizes only, and the size of tensor"
            " {tensor:of the graph} is decided by a call. The interpreter runs the file without"
            " the delegate.",
        ),
        "open-size": Meaning(
            155,
            "The converter wants every size but the first, and {tensor:an input} has an open one"
            " ({shape:None}).",
        ),
        "strict-resize": Meaning(
            155, "Only an open size of the file (-1 in shape_signature) can be resized strictly."
        ),
        "kernel-size": Meaning(
            155,
            "An op was given tensors whose sizes do not go together: an input has another size"
            " than the model was made for, or still the 1 that stands for an open one.",
        ),
    },
    of_variables=False,
)
