"""A converter that is asked for what it does not offer, or given no model."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Context, Pattern
from varhandle.families.unsupported_variable_update import READ_ASSIGNMENTS

_NAMED = (
    "Name inputs and outputs as the graph has them, or better convert a SavedModel by its"
    " signature.\n\n"
    "converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(\n"
    '    "frozen.pb", input_arrays=["x"], output_arrays=["y"], input_shapes={"x": [1, 4]}\n'
    ")"
)
_MOVED = (
    "TensorFlow 2 converts a Keras model, a SavedModel or a concrete function; the ways of"
    " TensorFlow 1 stand in tf.compat.v1.lite.\n\n"
    "converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.models.load_model(path))\n"
    "# a session, a frozen graph or a .h5 file of TensorFlow 1:\n"
    "# tf.compat.v1.lite.TFLiteConverter.from_session | from_frozen_graph | from_keras_model_file"
)
_IN_PYTHON = (
    "The command takes a SavedModel's folder or a Keras file, and a frozen graph only with the"
    " names of its inputs and outputs. In Python it is this.\n\n"
    "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
    'open("model.tflite", "wb").write(converter.convert())'
)
OUTPUT_TENSORS = (
    f"Build the model again, {READ_ASSIGNMENTS}, and save it again; a step of training is no"
    " output."
)
_ABOUT_TFLITE = (
    "lite/python/lite.py",
    "lite\\python\\lite.py",
    "TFLiteConverter",
    "tflite_keras_util",
)


def _is_converters(context: Context) -> bool:
    return "tfliteconverter" in context.before[-80:]


FAMILY = Family(
    id="converter-call",
    order=220,
    what="The converter stops before it looks at an op: it was asked for what it has not.",
    cause="The model has no such signature, tag or tensor, or the method is of another release.",
    fix=(
        "See what the SavedModel has, and ask for that; a function becomes a signature when it is"
        " saved as one. No variable is at fault.\n\n"
        "tf.saved_model.save(module, folder, signatures=module.step)\n"
        "print(list(tf.saved_model.load(folder).signatures))\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(\n"
        '    folder, signature_keys=["serving_default"]\n'
        ")"
    ),
    log_patterns=(
        *(
            Pattern("no-signature", phrase)
            for phrase in (
                "Only support at least one signature key",
                "Only support a single signature key",
                "Only supports a single signature key",
                "No ConcreteFunction is specified",
                "Got an incompatible argument to `tags`",
            )
        ),
        Pattern("no-signature", "in the SavedModel's SignatureDefs. Possible values are"),
        Pattern("functions", "This converter can only convert a single ConcreteFunction"),
        Pattern("command", "tflite_convert: error:"),
        Pattern("no-toco", "toco_from_protos: ", after="(?:command)?notfound"),
        Pattern("no-toco", "'toco_from_protos' is not recognized as an internal or external"),
        Pattern("command", "one of the arguments --saved_model_dir --keras_model_file is required"),
        Pattern("command", "--saved_model_dir, or --keras_model_file must be specified"),
        Pattern("command", "--input_arrays and --output_arrays are required with --graph_def_file"),
        Pattern("no-signature", "found. Valid keys are", r"invalidsignaturekey'[^']{0,200}'$"),
        Pattern(
            "no-signature", "MetaGraphDef associated with tags", reach=1500, company=_ABOUT_TFLITE
        ),
        Pattern(
            "no-saved-model", "SavedModel file does not exist at:", reach=3000,
            company=_ABOUT_TFLITE, after=r"(?P<name>.{1,200}?)/?\{",
        ),
        Pattern(
            "moved",
            "has no attribute 'from_",
            test=_is_converters,
            after=r"(?:keras_model(?:_file)?|frozen_graph|session|concrete_functions)'",
        ),
        Pattern("moved", "module 'tensorflow.contrib' has no attribute 'lite'"),
        Pattern("moved", "module 'tensorflow' has no attribute 'lite'"),
        Pattern("moved", "`input_arrays` and `output_arrays` are unsupported with Eager mode"),
        Pattern(
            "no-tensor", "by input_arrays",
            r"placeholder(?!.{0,200}resource(?:_\d+)?should)[\w/.:\-]{1,250}shouldbespeci(?:fi)?ed$",
        ),
        Pattern("no-tensor", "input_shapes must be defined for this model"),
        Pattern("no-tensor", "input_shapes must contain a value for each item in input_array"),
        Pattern("no-tensor", "both input_arrays_with_shape and output_arrays"),
        Pattern("no-tensor", "found in tensor shapes map", r"invalidtensor'[^']{1,300}'$"),
        Pattern("no-tensor", "is not produced by any op in this graph. Is it a typo?"),
        Pattern("no-tensor", "' were found", r"invalidtensors'[^']{1,300}$"),
        Pattern(
            "operation",
            "refers to an Operation, not a Tensor",
            r"name'(?P<node>[^']{1,200})'$",
            company=_ABOUT_TFLITE,
        ),
        *(
            Pattern("never-called", phrase)
            for phrase in (
                "The model provided has never been called",
                "The model provided has never called",  # Keras 3
                "The model provided has not yet been built. It must be built before export",
            )
        ),
        Pattern(
            "never-called",
            "cannot be saved because the input shapes have not been set",
            reach=1500,
            company=_ABOUT_TFLITE,
        ),
        Pattern("no-model", "This function takes in a list of ConcreteFunction"),
        Pattern(
            "no-model",
            "'str' object has no attribute 'call'",
            reach=1500,
            company=(*_ABOUT_TFLITE, "self._keras_model.call"),
        ),
        Pattern("backend", "The LiteRT export API is currently only available with"),
        Pattern("backend", "To export to LiteRT with the PyTorch backend"),
        Pattern("suffix", "The LiteRT export requires the filepath to end with"),
    ),
    log_meanings={
        "no-signature": Meaning(
            175, "The SavedModel has no signature or tag of that name, and the converter wants one."
        ),
        "functions": Meaning(
            175, "The converter takes several functions only as signatures of one SavedModel."
        ),
        "command": Meaning(
            175, "tflite_convert was given arguments that do not go together.", _IN_PYTHON
        ),
        "no-toco": Meaning(
            175,
            "The converter of TensorFlow 1 is a program of its own, toco_from_protos, and the shell"
            " does not find it.",
            "Activate the environment that TensorFlow is installed in, so that its folder of"
            " programs is on the PATH. Today's TensorFlow converts without such a program. No"
            " variable is at fault.",
        ),
        "no-saved-model": Meaning(
            175,
            "There is no SavedModel at {name:that path}: from_saved_model wants the folder that has"
            " saved_model.pb in it.",
            "Give it the folder; a .keras or .h5 file goes through Keras.\n\n"
            "model = tf.keras.models.load_model(path)\n"
            "converter = tf.lite.TFLiteConverter.from_keras_model(model)",
        ),
        "no-model": Meaning(
            175,
            "The converter was given something else than the model that this method takes: a path,"
            " or a function that is not yet concrete.",
            "from_keras_model takes a model, from_saved_model a folder, from_concrete_functions"
            " what get_concrete_function() returns.\n\n"
            "model = tf.keras.models.load_model(path)\n"
            "converter = tf.lite.TFLiteConverter.from_keras_model(model)\n"
            "# tf.lite.TFLiteConverter.from_concrete_functions(\n"
            "#     [function.get_concrete_function(spec)], module\n"
            "# )",
        ),
        "moved": Meaning(175, "That way into the converter is of another release.", _MOVED),
        "no-tensor": Meaning(
            175, "The graph has no tensor of the name that the converter was given.", _NAMED
        ),
        "operation": Meaning(
            175,
            "An output of the model is the operation {node:of that name}, which gives no tensor.",
            OUTPUT_TENSORS,
        ),
        "never-called": Meaning(
            175,
            "The Keras model has no input shape yet, because nothing has called it.",
            "Call it once, or let Keras write the SavedModel for a given input.\n\n"
            "model(tf.zeros([1, 4]))\n"
            "converter = tf.lite.TFLiteConverter.from_keras_model(model)",
        ),
        "backend": Meaning(
            175,
            "Keras has another backend, and writes a LiteRT file by TensorFlow's converter.",
            "Choose TensorFlow before Keras is imported, and load the model there.\n\n"
            "KERAS_BACKEND=tensorflow python export.py",
        ),
        "suffix": Meaning(
            175,
            "Keras writes a LiteRT file only to a name that ends with .tflite.",
            'Name it so.\n\nmodel.export("model.tflite", format="litert")',
        ),
    },
    of_variables=False,
)  # fmt: skip
