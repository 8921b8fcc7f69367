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

_IO_TYPE = (
    "Set the optimization and the calibration data as well, or leave the types at"
    " float32.\n\n"
    "converter.optimizations = [tf.lite.Optimize.DEFAULT]\n"
    "converter.representative_dataset = representative_dataset"
)
_MIXED = (
    "Convert again with the newest TensorFlow, whose quantizer knows more ops. Where the same op is"
    " named again, let the model stay in float, with weights alone in 8 bits: leave"
    " representative_dataset and the integer types out. No variable is at fault.\n\n"
    "converter.optimizations = [tf.lite.Optimize.DEFAULT]\n"
    "converter.representative_dataset = None\n"
    "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]"
)
_TYPE = r"(?:u?int(?:4|8|16)|float(?:16|32)|\d{1,2})"  # of old releases, its number

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
                "converter object must set representative_dataset",
            )
        ),
        *(  # in the calibrator, or in the calibration wrapper below it
            Pattern("calibration", phrase, reach=3000, company=("calibrat",))
            for phrase in ("Size mismatch, expected", "Invalid input size: expected",
                "Invalid input shapes: expected", "Cannot set tensor: Dimension",
                           "Cannot set tensor: Got value of type",
                           "Cannot set tensor: Got tensor of type", "You need to provide",
                           STRICT_RESIZE)
        ),
        Pattern("io-type", "The inference_input_type and inference_output_type must be tf.f"),
        *(
            Pattern("io-type", f"`{setting}` is only supported for full integer quantization")
            for setting in (
                "_experimental_variable_quantization",
                "full_integer_quantization_bias_type",
            )
        ),
        *(
            Pattern("io-value", phrase)
            for phrase in (
                "The inference_input_type and inference_output_type must be in",
                "Unsupported `inference_input_type` value",
                "Unsupported `inference_output_type` value",
                "Initial model input type must be tf.float32",
                "Initial model output type must be tf.float32",
                "Initial model input is not quantized. Expected type",
                "Initial model output is not dequantized. Expected type",
            )
        ),
        Pattern("supported-types", "should be left uninitizalized or set to {tf.int8}"),
        Pattern(
            "mixed-types",
            "type !=",
            r"(?<!variable_tensor->)$",  # of a state, which is another family's
            after=rf"[\w.>\-]{{1,60}}\((?P<got>{_TYPE})!=(?P<wanted>{_TYPE})\)",
            company=("failed to prepare", "failed to invoke", "lite/kernels/"),
        ),
        Pattern("io-type", "Unsupported input type", after=r"\w{1,20}forinputtensor"),
        Pattern("io-type", "Unsupported output type", after=r"\w{1,20}foroutputtensor"),
        Pattern("not-quantized", "Model not quantized", company=("edge tpu compiler", "edgetpu")),
        Pattern("qat-model", "can only either be a tf.keras Sequential or Functional model"),
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
            "The setting, such as integer inputs and outputs, is for a file that is quantized in"
            " full.",
            _IO_TYPE,
        ),
        "io-value": Meaning(
            124,
            "The inputs or outputs were asked for in a type that this quantization does not give"
            " them.",
            "Ask for float32, or for what the mode has: int8 or uint8 in 8 bits, int16 in the 16x8"
            " mode. An input of whole numbers, such as ids, keeps its own dtype.\n\n"
            "converter.inference_input_type = tf.int8\n"
            "converter.inference_output_type = tf.int8",
        ),
        "supported-types": Meaning(
            124,
            "supported_types asks for another type than TFLITE_BUILTINS_INT8, which quantizes every"
            " op to int8.",
            "Leave supported_types empty; or, for weights in float16, leave TFLITE_BUILTINS_INT8"
            " and the calibration data out.\n\n"
            "converter.target_spec.supported_types = []",
        ),
        "mixed-types": Meaning(
            196,
            "The quantization left an op between two types, {got:one} and {wanted:another}: the"
            " fault is in the file, and not in what it is given.",
            _MIXED,
        ),
        "not-quantized": Meaning(
            122,
            "The compiler of the Edge TPU takes a file that is quantized in full, and this one is"
            " not.",
            IN_FULL,
        ),
        "qat-model": Meaning(
            122,
            "Quantization-aware training takes a Sequential or Functional model of tf.keras, and"
            " was given a subclass of Model, or a model of another Keras.",
            "Make the model of its layers with tf.keras.Sequential, or with inputs and outputs; or"
            " quantize the trained model with calibration data. No variable is at fault.",
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
