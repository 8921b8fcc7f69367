"""What to do on TensorFlow 2.21 about each family of failure: a sentence, and code where it helps.

The code stands after an empty line. The Python code was run on 2.21. Names in it are examples.
"""

from __future__ import annotations

_OWNER = """\
function = module.__call__.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
# or from a SavedModel: tf.lite.TFLiteConverter.from_saved_model(folder)"""

FIXES: dict[str, str] = {
    "unfrozen-graph": (
        "Give the converter the values with the graph: freeze in the session that holds them, or"
        " better convert from a Keras model or a SavedModel for inference.\n\n"
        "with tf.compat.v1.Session(graph=graph) as session:\n"
        "    saver.restore(session, checkpoint)\n"
        "    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(\n"
        "        session, graph.as_graph_def(), output_node_names\n"
        "    )"
    ),
    "freezer-lost-variable": (
        "Convert from a SavedModel with its signature, on a release from 2.9 on: the converter then"
        " follows the reads itself, and no freezer comes before it.\n\n"
        "tf.saved_model.save(module, folder, signatures=module.__call__)\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(\n"
        '    folder, signature_keys=["serving_default"], tags=["serve"]\n'
        ")"
    ),
    "frozen-but-assigned": (
        "Hand the converter the object that owns the variable, and it stays a variable. If the"
        " model should not change while it answers (BatchNormalization), call it with"
        f" training=False instead.\n\n{_OWNER}"
    ),
    "gather-from-frozen-table": (
        "Hand the converter the object that owns the table, or look up from the value and not from"
        f" the handle: tf.gather(table.read_value(), indices).\n\n{_OWNER}"
    ),
    "not-immutable": (
        "Convert with TensorFlow 2.21, where a variable that is assigned becomes VAR_HANDLE; no"
        " flag is needed. On 2.6 to 2.8 set converter.experimental_enable_resource_variables ="
        f" True; from 2.9 to 2.18 do not set it to False.\n\n{_OWNER}"
    ),
    "constant-folding-failed": (
        "Read the rest of the line, and the lines after it: they name the cause. Then convert with"
        " TensorFlow 2.21, which keeps assigned variables and names what it refuses. On 2.7 and 2.8"
        " the flag helps where the state is float32:\n\n"
        "converter.experimental_enable_resource_variables = True  # the default from 2.9 on"
    ),
    "keras3-export": (
        "Let Keras write the SavedModel, or let your module hold the raw variables; then compare"
        " the file's answers with the model's, for on 2.20 and 2.21 this failure is silent.\n\n"
        "model.export(folder)\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
        "# a tf.Module that owns Keras layers, in its __init__:\n"
        "self._variables = [variable.value for variable in model.variables]"
    ),
    "uninitialised-variable": (
        "Let an attribute of the object that is saved hold every variable, and keep that object"
        " alive until it is converted. In TF1, run the initializers in the session that reads."
        "\n\n"
        "class Owner(tf.Module):\n"
        "    def __init__(self, model):\n"
        "        super().__init__()\n"
        "        self.model = model\n"
        "        # Keras 3: the raw variables as well, or their values are lost\n"
        "        self._variables = [variable.value for variable in model.variables]"
    ),
    "flex-variable": (
        "Convert with builtin ops only, and mend the dtype or the update that asked for Flex: the"
        " Python packages link no Flex delegate since 2.20. Where Flex must stay, the runtime has"
        " to bring it.\n\n"
        "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]"
    ),
    "runtime-too-old": (
        "Bring the runtime up to date, or take the variables out of the file, so that any runtime"
        " can carry the state.\n\n"
        "pip install --upgrade ai-edge-litert\n"
        "varhandle lift model.tflite lifted.tflite"
    ),
    "micro-needs-store": (
        "Register the variable ops, and give the interpreter a store for the variables; or lift the"
        " state out of the file (varhandle lift model.tflite lifted.tflite).\n\n"
        "resolver.AddCallOnce();\n"
        "resolver.AddVarHandle();\n"
        "resolver.AddReadVariable();\n"
        "resolver.AddAssignVariable();\n"
        "auto* allocator = tflite::MicroAllocator::Create(arena, kArenaSize);\n"
        "auto* variables = tflite::MicroResourceVariables::Create(allocator, kVariables);\n"
        "tflite::MicroInterpreter interpreter(model, resolver, allocator, variables);"
    ),
    "quantised-state": (
        "Convert in float32, lift the state into inputs and outputs, and quantize the lifted file"
        " with calls that carry the state from one to the next.\n\n"
        "from varhandle import lift_state\n"
        "from varhandle.conversion.quantization import quantize_file\n"
        "\n"
        "lifted = lift_state(content)\n"
        "quantized = quantize_file(lifted.content, calls)"
    ),
    "shared-or-dynamic-state": (
        "Give every variable a fixed shape and a first value that depends on no input, batch size"
        " included.\n\n"
        "self.state = tf.Variable(tf.zeros([1, units]))  # in __init__, not in the function"
    ),
    "other-resource": (
        "Take the table or the iterator out of the model: look up before it, in your program, or"
        " gather from a constant. Only tables between strings and int64 have builtins.\n\n"
        "self.values = tf.constant(values)          # instead of a table with keys 0, 1, 2, …\n"
        "answer = tf.gather(self.values, indices)"
    ),
    "unsupported-variable-dtype": (
        "Keep the state in float32 (float64, int8, uint8, int32, int64, bool and complex64 work as"
        " well), and cast where it meets the rest. SELECT_TF_OPS and allow_custom_ops only move the"
        " failure to the interpreter. A seed of Keras: export with dropout off.\n\n"
        'self.total = tf.Variable(tf.zeros([4], tf.float32), name="total")\n'
        "self.total.assign(self.total + tf.cast(x, tf.float32))"
    ),
}

FIX_OTHER_OP = (
    "Bring the runtime up to date, or convert with the release of TensorFlow that it was made with."
    " No variable is at fault.\n\n"
    "pip install --upgrade ai-edge-litert"
)
"""Where a runtime does not know an op that has nothing to do with a variable."""

FIX_OTHER_TOOL = (
    "Lift the state out of the file, into inputs and outputs, which any tool can read.\n\n"
    "varhandle lift model.tflite lifted.tflite"
)
"""Where a tool reads .tflite files, but no variables."""

FIX_OTHER_KERAS = (
    "Convert with TensorFlow 2.21, whose converter takes a Keras 3 model; or let Keras write the"
    " SavedModel. Make the model with tf.keras, or with keras, but not with both.\n\n"
    "model.export(folder)\n"
    "converter = tf.lite.TFLiteConverter.from_saved_model(folder)"
)
"""Where the converter calls a method that this Keras does not have."""

FIX_SESSION = (
    "In the session that reads, run the initializers, and then restore the checkpoint. What the"
    " checkpoint does not hold (an optimizer's slots, a metric's totals) keep out of the graph that"
    " is frozen.\n\n"
    "session.run(tf.compat.v1.global_variables_initializer())\n"
    "saver.restore(session, checkpoint)"
)
"""Where a session reads a variable that it has not initialized."""

_SLICE = (
    "self.seen.assign(tf.concat([x[:2], self.seen[2:]], axis=0))  # not self.seen[:2].assign(x[:2])"
)
_SCATTER = (
    "self.seen.assign(tf.tensor_scatter_nd_update(self.seen, indices, updates))"
    "  # not self.seen.scatter_nd_update(indices, updates)"
)
_GRADIENT = "self.seen.assign_sub(rate * gradient)  # not an optimizer's apply_gradients"


def dtype_fix(variable: str) -> str:
    """Return what to do about a variable of a dtype that VAR_HANDLE does not carry.

    Args:
        variable: Name of the variable, or nothing.

    Returns:
        A sentence, and code for a variable of this name.
    """
    return FIXES["unsupported-variable-dtype"].replace("total", _attribute(variable, "total"))


def update_fix(ops: str, variable: str = "") -> str:
    """Return what to do about an update that has no builtin op.

    Args:
        ops: Names of the ops.
        variable: Name of the variable, or nothing.

    Returns:
        A sentence, and a line of code for each way to update that the names show.
    """
    low = ops.lower()
    code = [
        line
        for sign, line in (("strided", _SLICE), ("scatter", _SCATTER), ("apply", _GRADIENT))
        if sign in low
    ]
    lines = "\n".join(code or [_SLICE]).replace("seen", _attribute(variable, "seen"))
    return f"Compute the whole new value, and assign it at once.\n\n{lines}"


def _attribute(variable: str, otherwise: str) -> str:
    """Return the name of an attribute for a variable: the last part of its name, if it can be."""
    last = variable.rpartition("/")[2]
    return last if last.isidentifier() else otherwise
