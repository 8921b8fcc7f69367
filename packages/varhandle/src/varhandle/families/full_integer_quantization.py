"""A quantization that stops at an op without an integer kernel, or at its calibration data."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.dynamic_shape import STRICT_RESIZE
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_DATA = (
    "Yield some hundred inputs of the real kind, each a list with one array per input (or a dict by"
    " name), in the model's own shape and in float32.\n\n"
    "def representative_dataset():\n"
    "    for sample in samples[:200]:\n"
    '        yield [sample[None].astype("float32")]\n\n'
    "converter.representative_dataset = representative_dataset"
)
_16X8 = (
    "Let what has no 16x8 form stay in float, or quantize to int8.\n\n"
    "converter.target_spec.supported_ops = [\n"
    "    tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,\n"
    "    tf.lite.OpsSet.TFLITE_BUILTINS,\n"
    "]"
)

IN_FULL = (
    "Quantize in full, with calibration data; Micro also takes a file without quantization.\n\n"
    "converter.optimizations = [tf.lite.Optimize.DEFAULT]\n"
    "converter.representative_dataset = representative_dataset\n"
    "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]"
)
_NAME = r"'?(?P<name>\w{1,60})"

FAMILY = Family(
    id="full-integer-quantization",
    order=145,
    what="A quantization stops: an op has no integer form, or the calibration data do not fit.",
    cause="Full-integer modes allow no op in float, and take each range from calibration data.",
    fix=(
        "Let ops without an integer form stay in float, or take the op out of the model (what"
        " follows the last layer as a rule) and into the program around it. An accelerator that"
        " takes integers alone needs the latter. No variable is at fault.\n\n"
        "converter.target_spec.supported_ops = [\n"
        "    tf.lite.OpsSet.TFLITE_BUILTINS_INT8,\n"
        "    tf.lite.OpsSet.TFLITE_BUILTINS,\n"
        "]"
    ),
    older=(
        (
            "2.3",
            "leave TFLITE_BUILTINS_INT8 out of supported_ops: with TFLITE_BUILTINS and a"
            " representative_dataset, custom ops such as TFLite_Detection_PostProcess stay in"
            " float.",
        ),
    ),
    log_patterns=(
        Pattern("no-integer-op", "Quantization not yet supported for op:", after=_NAME),
        Pattern("no-16x8-op", "Quantization to 16x8-bit not yet supported for op:", after=_NAME),
        Pattern("no-integer-op", "for which the quantized form is not yet implemented"),
        *(
            Pattern("calibration", phrase)
            for phrase in (
                "Max and min for dynamic tensors should be recorded during calibration",
                "is lacking min/max data, which is necessary for quantization",
                "`representative_dataset` must be specified",
                "representative_dataset is required when specifying",
                "Input tensor missing quantization information",
                "Quantization input stats are not available for input tensors",
                "`quantized_input_stats` flag must be defined",
                "Unable to find buffer or min/max value for",
                "Model resulted in Nan value during calibration",
                "Empty min/max for tensor",
            )
        ),
        *(
            Pattern("calibration", phrase, reach=3000, company=("calibrator",))
            for phrase in ("Size mismatch, expected", "Invalid input size: expected",
                "Invalid input shapes: expected",
                           "Cannot set tensor: Got value of type", "You need to provide",
                           STRICT_RESIZE)
        ),
        Pattern("io-type", "The inference_input_type and inference_output_type must be"),
        Pattern("io-type", "Unsupported input type", after=r"\w{1,20}forinputtensor"),
        Pattern("io-type", "Unsupported output type", after=r"\w{1,20}foroutputtensor"),
        Pattern("not-quantized", "Model not quantized", company=("edge tpu compiler", "edgetpu")),
        Pattern("qat-layer", "You can quantize this layer by passing a `tfmot."),
        Pattern("io-type", "input type is incompatible with", after=r"\w{1,20}quantizedmodels"),
        Pattern("hybrid", "Hybrid models are not supported on TFLite Micro"),
        Pattern("hybrid", "with filter type :", r"inputtype:float32$", after="int8notsupported"),
    ),
    log_meanings={
        "no-integer-op": Meaning(
            122, "Every op has to be quantized, and {name:an op} of the model has no integer form."
        ),
        "no-16x8-op": Meaning(
            122,
            "{name:An op} of the model has no form with 16-bit activations and 8-bit weights.",
            _16X8,
        ),
        "calibration": Meaning(
            123, "The calibration has no data, or data that do not fit the model's inputs.", _DATA
        ),
        "io-type": Meaning(
            124,
            "Integer inputs and outputs are for a file that is quantized in full.",
            "Set the optimization and the calibration data as well, or leave the types at"
            " float32.\n\n"
            "converter.optimizations = [tf.lite.Optimize.DEFAULT]\n"
            "converter.representative_dataset = representative_dataset",
        ),
        "not-quantized": Meaning(
            122,
            "The compiler of the Edge TPU takes a file that is quantized in full, and this one is"
            " not.",
            IN_FULL,
        ),
        "qat-layer": Meaning(
            122,
            "Quantization-aware training has no scheme for a layer of the model.",
            "Leave that layer in float: annotate the others by quantize_annotate_layer, and then"
            " quantize_apply; or quantize the trained model with calibration data.\n\n"
            "import tensorflow_model_optimization as tfmot\n"
            "annotate = tfmot.quantization.keras.quantize_annotate_layer",
        ),
        "hybrid": Meaning(
            122,
            "The file has int8 weights and float activations, which Micro has no kernels for.",
            IN_FULL,
        ),
    },
    of_variables=False,
)  # fmt: skip
