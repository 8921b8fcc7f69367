"""A program that calls an interpreter with what the file does not take, or out of order."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_IN_ORDER = (
    "Call allocate_tensors() once, and again after each resize_tensor_input(); then set the inputs,"
    " invoke(), and read the outputs. A signature runner does all of it.\n\n"
    "runner = interpreter.get_signature_runner()\n"
    "print(runner.get_input_details())\n"
    "answer = runner(**inputs)"
)
_BY_NAME = (
    "Ask the file for its signatures, and give each input that one of them has, by its name.\n\n"
    "print(interpreter.get_signature_list())\n"
    'runner = interpreter.get_signature_runner("serving_default")\n'
    "print(runner.get_input_details())\n"
    "answer = runner(**inputs)"
)
_BFLOAT16 = (
    "NumPy knows bfloat16 only once the package ml_dtypes is imported: do that before you make the"
    " interpreter.\n\n"
    "import ml_dtypes"
)
_COMPILED = (
    "Ask the model what it takes, and write as many values into each buffer, in the same dtype."
    "\n\n"
    "print(model.get_signature_list())\n"
    'print(model.get_input_tensor_details("serving_default"))\n'
    "inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)\n"
    "inputs[0].write(array)\n"
    "model.run_by_index(0, inputs, outputs)"
)
_MADE = (
    "Name one model, and whole numbers of threads from 1 on; CompiledModel takes either options or"
    " hardware_accel.\n\n"
    "from ai_edge_litert.interpreter import Interpreter\n"
    "interpreter = Interpreter(model_path=path, num_threads=2)"
)

FAMILY = Family(
    id="interpreter-call",
    order=124,
    what="The interpreter refuses an input, or a call out of order.",
    cause="The program gives another shape, dtype or name than the file has.",
    fix=(
        "Ask the file what it takes, and bring the input to that: its shape, its dtype, its name."
        " Where the file has an open size (-1 in shape_signature), resize the input before"
        " allocate_tensors(). No variable is at fault.\n\n"
        "for detail in interpreter.get_input_details():\n"
        '    print(detail["name"], detail["shape"], detail["shape_signature"], detail["dtype"])'
    ),
    log_patterns=(
        Pattern(
            "wrong-size",
            "Cannot set tensor: Dimension",
            after=r"(?:count)?mismatch[.,]?(?:got(?P<got>\d{1,12})butexpected(?P<wanted>\d{1,12})"
            r"(?:fordimension(?P<dimension>\d{1,3}))?(?:(?:of|for)input(?P<input>\d{1,5}))?)?",
        ),
        Pattern(
            "wrong-dtype",
            "Cannot set tensor: Got",
            after=r"(?:value|tensor)oftype(?P<got>\w{1,20}?)butexpectedtype(?P<wanted>\w{1,20}?)"
            r"(?:forinput(?P<input>\d{1,5}))?(?:,name|\W|$)",
        ),
        *(
            Pattern("wrong-input", phrase)
            for phrase in (
                "Cannot set tensor: Numpy array for",
                "Cannot set tensor: Size mismatch",
                "Cannot copy to a TensorFlowLite tensor",
                "Cannot copy from a TensorFlowLite tensor",
                "Cannot convert between a TensorFlowLite tensor",
                "exceeds max tensor index",
            )
        ),
        # Not the line of Python that raises it, which a traceback has above the error.
        Pattern(
            "wrong-name", "Invalid number of inputs provided for running a SignatureDef",
            after=r"(?!,expected%s)",
        ),
        Pattern("wrong-name", "SignatureDef signature_key is None and model has", after=r"\d"),
        Pattern("wrong-name", "Invalid signature_key provided:", after=r"(?!'\{)"),
        Pattern("wrong-name", "Invalid Input name (", after=r"(?!%s)[^)]{1,200}\)forsignaturedef"),
        *(
            Pattern("made", phrase)
            for phrase in (
                "`model_path` or `model_content` must be specified",
                "Can't both provide `model_path` and `model_content`",
                "type of num_threads should be int",
                "num_threads should >= 1",
                "Unrecognized passed in op resolver type",
                "Pass either options or hardware_accel, not both",
            )
        ),
        *(
            Pattern("compiled", phrase, company=("compiledmodel", "litert", "buffer:"))
            for phrase in (
                "source buffer is larger than the tensor buffer",
                "destination buffer is larger than the tensor buffer",
                "static dimension mismatch at index",
                "buffer size mismatch: number of",
                "Signature index is out of range of signature keys",
                "The given map is missing some",
                "Signature not found:",
                "put tensor not found:",
                "Failed to get signature_index",
                "ValueError: Unknown signature:",
                "ValueError: Unknown input '",
            )
        ),
        *(
            Pattern("out-of-order", phrase)
            for phrase in (
                "Tensor is unallocated. Try calling allocate_tensors() first",
                "Tensor data is null. Run allocate_tensors() first",
                "Invoke called on model that is not ready",
                "There is at least 1 reference to internal data",
            )
        ),
        Pattern("bfloat16", "Invalid data-type for array"),
        Pattern("out-of-order", "lacks data", r"inputtensor\d{1,6}$"),
    ),
    log_meanings={
        "wrong-size": Meaning(
            126,
            "The program gives an input of {got:another} where the file has {wanted:its own size}"
            " (dimension {dimension:in question}).",
        ),
        "wrong-dtype": Meaning(
            126,
            "The program gives an input of dtype {got:another} where the file has"
            " {wanted:its own}; NumPy makes float64 unless it is told otherwise.",
        ),
        "wrong-input": Meaning(
            126, "What the program gives does not fit the inputs that the file has."
        ),
        "wrong-name": Meaning(
            126,
            "The program names a signature or an input that the file does not have, or leaves one"
            " out.",
            _BY_NAME,
        ),
        "compiled": Meaning(
            126,
            "CompiledModel is called with a name, a number of buffers or a size that the file does"
            " not have.",
            _COMPILED,
        ),
        "made": Meaning(
            127, "The interpreter was made with arguments that do not go together.", _MADE
        ),
        "bfloat16": Meaning(
            126,
            "The file has a tensor of bfloat16, and this Python has no such dtype yet.",
            _BFLOAT16,
        ),
        "out-of-order": Meaning(
            127, "The interpreter was called before it was ready, or while a view of it was held.",
            _IN_ORDER,
        ),
    },
    of_variables=False,
)  # fmt: skip
