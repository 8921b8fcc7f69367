"""What a converter or a runtime of TFLite says, and no other family explains."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import LAST_RESORT, Meaning
from varhandle.families.log_patterns import Context, Pattern

_OF_A_TRACEBACK = r"'?(?:,line\d|:\d{1,5},?in|in\w)"  # and not of a warning

_FILES = (
    ("converter", "lite/python/", r"(?!interpreter\.py)[\w/\\]{1,60}\.py"),
    ("runtime", "lite/python/interpreter.py", ""),
    # Of a Windows path to a "tflite_…", "\t" has become a blank.
    *(("runtime", f"{it}/", r"[\w/\\]{1,60}\.py") for it in ("ai_edge_litert", "flite_runtime")),
    *(
        ("converter", f"{it}/", r"[\w/\\]{1,60}\.py")
        for it in ("litert_torch", "ai_edge_torch", "litert_quantizer", "ai_edge_quantizer")
    ),
    ("converter", "keras/src/export/litert.py", ""),
)
"""The files of which a traceback tells what stopped; what stands between path and line number."""
_REFUSES = (
    r"\w{1,60}'op(?:operand|quantization|requires|expect|attribute|failed|must|inferred|result)"
)


def _is_converters(context: Context) -> bool:
    """Tell whether a ConverterError is TensorFlow's, by its module or by how its message begins."""
    return context.before.endswith(
        ("convert_phase.", "python.convert.")
    ) or context.after.startswith(
        ("traceback", ":<unknown>", ":error", ":seeconsole", ":couldnottranslate", ":/")
    )


FAMILY = Family(
    id="other-tflite-failure",
    order=900,
    what="A converter or a runtime stops, and its message does not say of what kind the cause is.",
    cause="Only the model, or the lines around the message, can show it.",
    fix=(
        "Let the tool look at the model itself: it converts it, runs it and says where it stops."
        " The log shows no variable at fault.\n\n"
        "varhandle diagnose MODEL"
    ),
    log_patterns=(
        Pattern(
            "compiled-model", "CompiledModel error: code=", after=r"(?P<code>\d{1,6}),?"
        ),
        Pattern("compiled-model", "CreateCompiledModel", company=("error", "failed")),
        Pattern("compiled-model", "kLiteRtStatusErrorRuntimeFailure"),
        Pattern("compiled-model", "LiteRtException:", after=r"(?:.{0,80}?code=(?P<code>\d{1,6}))?"),
        Pattern("compiled-model", "litert/runtime/compiled_model.cc:"),
        Pattern("compiled-model", "litert/cc/litert_compiled_model.h:"),
        Pattern(
            "node-failed",
            " with status",
            r"node(?P<op>\w{1,60})\(number\w{1,9}\)failedto(?:prepare|invoke)$",
        ),
        Pattern(
            "node-failed", "failed to ",
            r"nodenumber(?P<node>\d{1,7})\((?P<op>[\w\-]{1,60})\)$",
            after="(?:prepare|invoke)",
        ),
        Pattern("converter", "ConverterError", word=True, test=_is_converters),
        *(
            Pattern(kind, path.replace("/", slash), after=name + _OF_A_TRACEBACK)
            for slash in "/\\"
            for kind, path, name in _FILES
        ),
        Pattern("converter", "'tf.", after=_REFUSES),
        Pattern("converter", "'tfl.", after=_REFUSES),
        Pattern("converter", "Could not translate MLIR to FlatBuffer"),
        Pattern("converter", "lite/toco/", after=r"[\w/]{1,60}\.cc:\d{1,5}\]checkfailed"),
        Pattern("converter", "Failed to initialize op resolver for calibration"),
        *(  # of ultralytics
            Pattern("converter", f"{form}: export failure")
            for form in ("TensorFlow SavedModel", "TensorFlow Lite", "LiteRT", "Edge TPU")
        ),
        Pattern("converter", "Failed to convert PyTorch model to LiteRT"),
        Pattern("runtime", "Failed to run on the given Interpreter"),
        Pattern("runtime", "AllocateTensors() failed"),
        Pattern("runtime", "TensorFlowLite.InterpreterError"),
        Pattern("runtime", "libtensorflowlite_jni.so", company=("fatal signal", "backtrace:")),
        Pattern("runtime", "Unable to create interpreter", r"invalidargument\(s\):$"),
        Pattern("runtime", "package:tflite_flutter/src/"),
        Pattern("runtime", "at org.tensorflow.lite."),
        Pattern("runtime", "tensorflow/lite/kernels/", after=r"\w{1,60}\.cc:\d"),
    ),
    log_meanings={
        "compiled-model": Meaning(
            LAST_RESORT,
            "CompiledModel gives only the number {code:of an error}; what failed stands in the"
            " lines that the runtime writes to the console, or nowhere.",
            "Run the same file with the Interpreter, which names the op that it does not"
            " have.\n\n"
            "from ai_edge_litert.interpreter import Interpreter\n"
            "Interpreter(model_path=path).allocate_tensors()",
        ),
        "node-failed": Meaning(
            LAST_RESORT + 1,
            "{op:An op} of the file refuses what it is given: a shape, a dtype or a value. No"
            " variable is at fault.",
            "Call it with inputs as the model gets them: sizes of 1, or zeros, are refused by some"
            " ops.\n\n"
            "varhandle diagnose model.tflite --inputs inputs.npz",
        ),
        "converter": Meaning(
            LAST_RESORT + 2, "The converter stopped, and these lines do not say at which op."
        ),
        "runtime": Meaning(
            LAST_RESORT + 2, "The runtime stopped, and these lines do not say at which op."
        ),
    },
    of_variables=False,
)  # fmt: skip
