"""The smallest programs that show each failure, as they run on any TensorFlow from 1.15 on.

The same file runs in three places: in a warm child (``reproduce``), in a test, and, as a script
with nothing but TensorFlow installed, on old releases (``version_matrix``). That is why it imports
nothing of this project, and uses no syntax younger than Python 3.6.

Each case is a function of a ``Trace``. It names the stage that it enters, and ends by returning
two lists of answers to compare: what the interpreter said, and what TensorFlow said.
"""

import base64
import json
import os
import shutil
import sys
import tempfile
import zlib

CASES = {}  # type: dict
"""Case id to function, in the order in which the version matrix shows them."""


class Trace:
    """Where a case has got to, where it may write, and how closely its answers must agree."""

    def __init__(self, folder):
        self.folder = folder
        self.stage = "build"
        self.tolerance = 1e-4


class NotOfferedError(Exception):
    """The release under test has no such setting."""


def case(identifier, title, drawn=True):
    """Register a case under an id, with its title in the version matrix.

    ``drawn`` says whether it belongs to the picture of notebook 01.
    """

    def register(function):
        function.title = title
        function.drawn = drawn
        CASES[identifier] = function
        return function

    return register


def run_case(identifier):
    """Run one case.

    Args:
        identifier: A key of ``CASES``.

    Returns:
        A dictionary of plain values: ``outcome`` (``"works"``, ``"error"``, ``"wrong"``, or
        ``"absent"`` where the release has no such setting),
        ``stage`` (``"build"``, ``"save"``, ``"convert"``, ``"load"`` or ``"run"``),
        ``exception``, ``message``, ``errors`` (pairs of op and error code), ``got`` and
        ``expected`` (the answers of the interpreter and of TensorFlow, call by call).
    """
    trace = Trace(tempfile.mkdtemp())
    result = {"exception": "", "message": "", "errors": [], "got": [], "expected": []}
    try:
        got, expected = CASES[identifier](trace)
        result.update(got=got, expected=expected)
        result["outcome"] = "works" if _agree(got, expected, trace.tolerance) else "wrong"
    except Exception as error:  # any failure is a result here
        outcome = "absent" if isinstance(error, NotOfferedError) else "error"
        result.update(outcome=outcome, exception=type(error).__name__, message=str(error))
        result["errors"] = _op_errors(error)
    finally:
        shutil.rmtree(trace.folder, ignore_errors=True)
    result["stage"] = trace.stage
    return result


def _agree(got, expected, tolerance):
    pairs = [(g, e) for a, b in zip(got, expected) for g, e in zip(a, b)]
    return bool(pairs) and all(abs(g - e) <= tolerance * (1 + abs(e)) for g, e in pairs)


def _op_errors(error):
    pairs = set()
    for entry in getattr(error, "errors", None) or ():
        pairs.add((entry.operator.name, type(entry).ErrorCode.Name(entry.error_code)))
    return sorted(pairs)


def _tensorflow():
    import tensorflow

    if tensorflow.__version__.startswith("1."):
        tensorflow.compat.v1.enable_v2_behavior()
    return tensorflow.compat.v2


def _running_total(tf, dtype):
    """Return a module that adds what it is given to a variable of some dtype."""

    class RunningTotal(tf.Module):
        def __init__(self):
            super(RunningTotal, self).__init__()
            self.total = tf.Variable(tf.zeros([4], dtype), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            self.total.assign(self.total + tf.cast(x, dtype))
            return tf.cast(self.total, tf.float32)

    return RunningTotal()


def _saved(trace, tf, module):
    trace.stage = "save"
    signature = module.__call__.get_concrete_function()
    tf.saved_model.save(module, trace.folder, signatures=signature)
    return tf.lite.TFLiteConverter.from_saved_model(trace.folder)


def _convert(trace, converter):
    trace.stage = "convert"
    return converter.convert()


def _compare(trace, tf, content, reference, shape=(4,)):
    """Give the interpreter and the reference (of a NumPy array) the same three inputs."""
    import numpy as np

    trace.stage = "load"
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    trace.stage = "run"
    got, expected = [], []
    for call in range(1, 4):
        x = np.full(shape, call, np.float32)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        got.append([float(value) for value in np.ravel(answer)])
        expected.append([float(value) for value in np.ravel(reference(x))])
    return got, expected


def _stateful(trace, dtype, flag=None, select=False, custom=False):
    tf = _tensorflow()
    module = _running_total(tf, getattr(tf, dtype))
    converter = _saved(trace, tf, module)
    trace.stage = "convert"
    if flag is not None:
        if not hasattr(converter, "experimental_enable_resource_variables"):
            raise NotOfferedError("no experimental_enable_resource_variables in this release")
        converter.experimental_enable_resource_variables = flag
    if select:
        ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        converter.target_spec.supported_ops = ops
    if custom:
        converter.allow_custom_ops = True
    return _compare(trace, tf, _convert(trace, converter), module)


@case("read-only", "float32 variable, only read")
def read_only(trace):
    """Convert a function that reads its variable and never assigns it."""
    tf = _tensorflow()

    class Scale(tf.Module):
        def __init__(self):
            super(Scale, self).__init__()
            self.weight = tf.Variable([1.0, 2.0, 3.0, 4.0], name="weight")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            return self.weight * x

    module = Scale()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("float32-state", "float32 variable, assigned")
def float32_state(trace):
    """Convert a running total kept in float32, with the converter's defaults."""
    return _stateful(trace, "float32")


@case("float32-state-flag-off", "float32, assigned, resource variables off")
def float32_state_flag_off(trace):
    """Convert a float32 running total with resource variables switched off."""
    return _stateful(trace, "float32", flag=False)


@case("float16-state", "float16 variable, assigned")
def float16_state(trace):
    """Convert a running total kept in float16: the literal VarHandleOp message."""
    return _stateful(trace, "float16")


@case("float16-state-select-ops", "float16, assigned, SELECT_TF_OPS")
def float16_state_select_ops(trace):
    """Answer the VarHandleOp message with SELECT_TF_OPS."""
    return _stateful(trace, "float16", select=True)


@case("float16-state-custom-ops", "float16, assigned, allow_custom_ops")
def float16_state_custom_ops(trace):
    """Answer the VarHandleOp message with allow_custom_ops."""
    return _stateful(trace, "float16", custom=True)


@case("float16-state-flag-off", "float16, assigned, resource variables off")
def float16_state_flag_off(trace):
    """Answer the VarHandleOp message by switching resource variables off."""
    return _stateful(trace, "float16", flag=False)


@case("slice-assign", "float32, one slice assigned")
def slice_assign(trace):
    """Convert an update that has no builtin op: VarHandleOp is named beside the culprit."""
    tf = _tensorflow()

    class LastSeen(tf.Module):
        def __init__(self):
            super(LastSeen, self).__init__()
            self.seen = tf.Variable(tf.zeros([4]), name="seen")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            self.seen[:2].assign(x[:2])
            return self.seen + x

    module = LastSeen()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("concrete-function-alone", "float32, assigned, without its module")
def concrete_function_alone(trace):
    """Convert a function that assigns, without the object that owns the variable."""
    tf = _tensorflow()
    module = _running_total(tf, tf.float32)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    return _compare(trace, tf, _convert(trace, converter), module)


@case("keras-in-module", "Keras layer in a tf.Module")
def keras_in_module(trace):
    """Save a module that owns a Keras layer, convert it, and compare the answers."""
    tf = _tensorflow()

    class Classifier(tf.Module):
        def __init__(self):
            super(Classifier, self).__init__()
            self.dense = tf.keras.layers.Dense(3, kernel_initializer="ones")
            self.dense.build([None, 4])

        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
        def __call__(self, x):
            return self.dense(x)

    module = Classifier()
    content = _convert(trace, _saved(trace, tf, module))
    return _compare(trace, tf, content, module, shape=(1, 4))


def _article_model(tf):
    return tf.keras.Sequential(
        [
            tf.keras.layers.Dense(128, activation="relu", input_shape=(10,)),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )


def _article(trace, change=None, float16=False):
    tf = _tensorflow()
    tf.random.set_seed(1)
    model = _article_model(tf)
    if change is not None:
        change(tf, model)
    trace.stage = "convert"
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        trace.tolerance = 1e-2  # half precision keeps about three digits
    return _compare(trace, tf, _convert(trace, converter), model, shape=(1, 10))


def _add_layer(width):
    def change(tf, model):
        variable = tf.Variable(tf.random.normal([10, width]), name="my_variable")
        start = tf.keras.initializers.Constant(variable.numpy())
        model.add(tf.keras.layers.Dense(width, use_bias=False, kernel_initializer=start))

    return change


def _add_article_layer(tf, model):
    variable = tf.Variable(tf.random.normal([10, 128]), name="my_variable")
    start = tf.keras.initializers.Constant(variable)
    model.add(
        tf.keras.layers.Dense(10, activation="softmax", use_bias=False, kernel_initializer=start)
    )


@case("article-example-1", "article, example 1 as printed")
def article_example_1(trace):
    """Run the article's first example: a [10, 128] constant for a [10, 10] kernel."""
    return _article(trace, _add_article_layer)


@case("article-example-1-mended", "article, example 1, shape mended")
def article_example_1_mended(trace):
    """Run the article's first example with a constant of the kernel's own shape."""
    return _article(trace, _add_layer(10))


@case("article-example-2", "article, example 2")
def article_example_2(trace):
    """Run the article's second example, without its optimization flag."""

    def change(tf, model):
        weights = tf.random.normal([10, 128]).numpy()
        model.layers[0].set_weights([weights, model.layers[0].get_weights()[1]])

    return _article(trace, change)


@case("article-example-3", "article, example 3")
def article_example_3(trace):
    """Run the article's third example: float16 weights."""
    return _article(trace, float16=True)


def _unfrozen(trace, use_resource):
    tf = _tensorflow()
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        weight = v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=use_resource)
        y = tf.identity(x @ weight, name="y")
        session.run(v1.global_variables_initializer())
        converter = v1.lite.TFLiteConverter(graph.as_graph_def(), [x], [y])
        content = _convert(trace, converter)

        return _compare(trace, tf, content, lambda x: 2.0 * x.sum(), shape=(1, 4))


@case("unfrozen-graph", "TF1 graph, not frozen")
def unfrozen_graph(trace):
    """Give the TF1 converter a graph whose weights live in a session, not in the file."""
    return _unfrozen(trace, use_resource=True)


def _table(tf, assigned):
    """Return a module that looks rows of a variable up, and may write to it."""

    class Lookup(tf.Module):
        def __init__(self):
            super(Lookup, self).__init__()
            rows = tf.reshape(tf.range(12.0), [6, 2])
            self.table = tf.Variable(rows, name="table")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            if assigned:
                self.table.assign(self.table + 1.0)
            return tf.nn.embedding_lookup(self.table, tf.cast(x, tf.int32))

    return Lookup()


@case("embedding", "embedding looked up, only read", drawn=False)
def embedding(trace):
    """Convert a lookup straight from a resource (ResourceGather), through a SavedModel."""
    tf = _tensorflow()
    module = _table(tf, assigned=False)
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("embedding-assigned", "embedding looked up, assigned", drawn=False)
def embedding_assigned(trace):
    """Convert a lookup in a table that the same call updates."""
    tf = _tensorflow()
    module = _table(tf, assigned=True)
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("embedding-concrete-function", "embedding looked up, frozen", drawn=False)
def embedding_concrete_function(trace):
    """Convert a lookup in a table that is only read, from a concrete function."""
    tf = _tensorflow()
    module = _table(tf, assigned=False)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    return _compare(trace, tf, _convert(trace, converter), module)


def _conditional(tf):
    class Gate(tf.Module):
        def __init__(self):
            super(Gate, self).__init__()
            self.weight = tf.Variable([1.0, 2.0, 3.0, 4.0], name="weight")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            return tf.cond(x[0] > 1.5, lambda: self.weight * x, lambda: x)

    return Gate()


@case("cond-read", "variable read inside tf.cond", drawn=False)
def cond_read(trace):
    """Convert a read inside a branch, through a SavedModel."""
    tf = _tensorflow()
    module = _conditional(tf)
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("cond-read-concrete-function", "variable read inside tf.cond, frozen", drawn=False)
def cond_read_concrete_function(trace):
    """Convert a read inside a branch, from a concrete function, which is frozen first."""
    tf = _tensorflow()
    module = _conditional(tf)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    return _compare(trace, tf, _convert(trace, converter), module)


@case("batch-norm-training", "BatchNormalization left in training mode", drawn=False)
def batch_norm_training(trace):
    """Convert a function that calls a Keras model with training=True."""
    tf = _tensorflow()
    model = tf.keras.Sequential([tf.keras.layers.BatchNormalization(input_shape=(4,))])
    function = tf.function(
        lambda x: model(x, training=True), input_signature=[tf.TensorSpec([2, 4], tf.float32)]
    )
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    return _compare(trace, tf, _convert(trace, converter), function, shape=(2, 4))


@case("int16-state", "int16 variable, assigned", drawn=False)
def int16_state(trace):
    """Convert a running total kept in int16."""
    return _stateful(trace, "int16")


@case("uint32-state", "uint32 variable, assigned", drawn=False)
def uint32_state(trace):
    """Convert a running total kept in uint32."""
    return _stateful(trace, "uint32")


@case("string-state", "string variable, assigned", drawn=False)
def string_state(trace):
    """Convert a module that remembers a word."""
    tf = _tensorflow()

    class Note(tf.Module):
        def __init__(self):
            super(Note, self).__init__()
            self.word = tf.Variable("none", name="word")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            known = tf.equal(self.word, "seen")
            self.word.assign("seen")
            return tf.where(known, 2.0 * x, x)

    module = Note()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("scatter-update", "float32, rows scattered into it", drawn=False)
def scatter_update(trace):
    """Convert an update by scattering, which has no builtin op."""
    tf = _tensorflow()

    class LastSeen(tf.Module):
        def __init__(self):
            super(LastSeen, self).__init__()
            self.seen = tf.Variable(tf.zeros([4]), name="seen")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            self.seen.scatter_nd_update([[0], [2]], x[:2])
            return self.seen + x

    module = LastSeen()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("optimizer-step", "float32, stepped by an optimizer", drawn=False)
def optimizer_step(trace):
    """Convert the op by which every optimizer of TensorFlow writes a weight."""
    tf = _tensorflow()

    class Step(tf.Module):
        def __init__(self):
            super(Step, self).__init__()
            self.weight = tf.Variable(tf.ones([4]), name="weight")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            tf.raw_ops.ResourceApplyGradientDescent(var=self.weight.handle, alpha=0.1, delta=x)
            return self.weight + 0.0

    module = Step()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("growing-variable", "variable of unknown length that grows", drawn=False)
def growing_variable(trace):
    """Convert a variable whose first dimension is unknown and grows by concatenation."""
    tf = _tensorflow()

    class History(tf.Module):
        def __init__(self):
            super(History, self).__init__()
            self.seen = tf.Variable(tf.zeros([1]), shape=[None], name="seen")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            self.seen.assign(tf.concat([self.seen, x], 0))
            return tf.reduce_sum(self.seen, keepdims=True)

    module = History()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("two-signatures", "two signatures share a variable", drawn=False)
def two_signatures(trace):
    """Write a variable through one signature, and read it through another."""
    tf = _tensorflow()

    class Account(tf.Module):
        def __init__(self):
            super(Account, self).__init__()
            self.total = tf.Variable(tf.zeros([4]), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def add(self, x):
            return {"sum": self.total.assign_add(x)}

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def scaled(self, x):
            return {"scaled": self.total * x}

    if not hasattr(tf.lite.Interpreter, "get_signature_runner"):
        raise NotOfferedError("no signature runners in this release")
    module = Account()
    trace.stage = "save"
    signatures = {
        "add": module.add.get_concrete_function(),
        "scaled": module.scaled.get_concrete_function(),
    }
    tf.saved_model.save(module, trace.folder, signatures=signatures)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        trace.folder, signature_keys=["add", "scaled"]
    )
    content = _convert(trace, converter)
    trace.stage = "load"
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    add = interpreter.get_signature_runner("add")
    scaled = interpreter.get_signature_runner("scaled")
    trace.stage = "run"
    got, expected = [], []
    for call in range(1, 4):
        x = tf.fill([4], float(call))
        add(x=x.numpy())
        module.add(x)
        got.append([float(value) for value in scaled(x=x.numpy())["scaled"]])
        expected.append([float(value) for value in module.scaled(x)["scaled"].numpy()])
    return got, expected


@case("int8-state", "float32 state, quantized to int8", drawn=False)
def int8_state(trace):
    """Quantize a running total, calibrated with two calls, and call it three times."""
    import numpy as np

    tf = _tensorflow()
    module = _running_total(tf, tf.float32)
    converter = _saved(trace, tf, module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([np.ones([4], np.float32)] for _ in range(2))
    trace.tolerance = 0.1  # eight bits
    return _compare(trace, tf, _convert(trace, converter), module)


@case("hash-table", "hash table looked up", drawn=False)
def hash_table(trace):
    """Convert a lookup in a table, a resource that is no variable."""
    tf = _tensorflow()

    class Prices(tf.Module):
        def __init__(self):
            super(Prices, self).__init__()
            keys = tf.constant([1, 2, 3], tf.int64)
            pairs = tf.lookup.KeyValueTensorInitializer(keys, tf.constant([10.0, 20.0, 30.0]))
            self.table = tf.lookup.StaticHashTable(pairs, 0.0)

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            return self.table.lookup(tf.cast(x, tf.int64))

    module = Prices()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("untracked-variable", "variable that its module does not own", drawn=False)
def untracked_variable(trace):
    """Save a module whose function reads a variable that no object of it holds."""
    tf = _tensorflow()
    weight = tf.Variable([1.0, 2.0, 3.0, 4.0], name="weight")

    class Scale(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def __call__(self, x):
            return weight * x

    module = Scale()
    return _compare(trace, tf, _convert(trace, _saved(trace, tf, module)), module)


@case("lstm", "Keras LSTM that keeps no state", drawn=False)
def lstm(trace):
    """Convert an LSTM whose every call starts afresh, and call it several times."""
    tf = _tensorflow()
    x = tf.keras.Input(batch_shape=(1, 3, 1))
    layer = tf.keras.layers.LSTM(2, kernel_initializer="ones", recurrent_initializer="ones")
    model = tf.keras.Model(x, layer(x))
    trace.stage = "convert"
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    return _compare(trace, tf, _convert(trace, converter), model, shape=(1, 3, 1))


@case("unfrozen-reference", "TF1 graph, reference variable, not frozen", drawn=False)
def unfrozen_reference(trace):
    """Give the TF1 converter a graph with a VariableV2, whose value lives in a session."""
    return _unfrozen(trace, use_resource=False)


# What TensorFlow 2.21 makes of ``float32-state``: a .tflite file, compressed, as text.
_FILE_OF_2_21 = (
    "eNqNVL9rU1EUPi99SWMbY6AlRsmQwcFBQhq1iLiUWqHSX6Shg0t8ktf2wWtS0pfSQfyxOUjt0NHJSUWkYIcKHTo4"
    "OAgqdOzo4B9QXNQ+v3PfeS+3KQUvfOTknHPPuef77n15Iqrembg6SAXKU44GKUMp+JJkwib4iJ4A34Adg+gzI07U"
    "g/8wkUW0+sf3U5J7CzgHrNitVaexUKvb81bb9aLcGeSaYieBZttbbnu1Emn1LkoO/18DYsAViW0gdkbsAWB0empu"
    "rDI7Pj1VmxyrjtweqY7QNnKSWs6S06i12g3PWbJrq3ZrxWk2qA/+H8ABsA98AT4Bu8BLYBPwpMZbOc99IEPBSlJa"
    "cZQU3yXlTShfQvbxSkWcmorXjwdvPny//rVqyFym2kVULpaHimAh+zfolVG+4WKJOuv5b98f1uLd6x3iW8A2sAPs"
    "AnsA6zE5MV4pjDYbmN+z60XVu2AE/X8d+X6o9TMNHJtqTi+TnPWy+OaPAr1T2pwx0YvXPanH8rJuJYlNHAW68Nnj"
    "zG/Ts1zt/IZWg7S6N6TPXczOKVyb0RuknGX7NTRKhDXLQaAs+RnpmZB9+3ruUOfeETQN1WId05LPvCwiyQWWhbMl"
    "y2mQ1GQe91gfnlHjad0PeMpo/JjanO/903nk9/XKj3jsz8hZ2L+JucKcmCBYfdHZ+6Su3jt2jOPOrP0ya140uyac"
    "G+qep6J7/v/apSmrcju1c0FgIRfZnbdidNUxNR/3yhvB9+eh8MvxtH9c27jwvoU7dgG/s57l2fNtd8ZqeY6HF2/X"
    "Ry3XvVnSelS6aoTv6hA1mFurXo9yH3Xl9ghfBfh5vopt1eeslmM9cG1+MZ07lVXf1fOiTLB6FT/6XY5pd9lDzZMc"
    "Z5VedEqd8Fzct8DfatQYOPkdrq2BgfBsceGzJHty4t/H3o2g7mOTTOX7Cd8L8R3CXhc7pTQmtZPv21Px/wPA+PRo"
)


@case("newer-file", "stateful file of 2.21, run here", drawn=False)
def newer_file(trace):
    """Run a file that TensorFlow 2.21 made out of a float32 running total."""
    tf = _tensorflow()
    content = zlib.decompress(base64.b64decode(_FILE_OF_2_21))
    return _compare(trace, tf, content, _running_total(tf, tf.float32))


def main(arguments):
    """Run the named cases and print one JSON object a line (``CASE {...}``)."""
    import logging

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for identifier in arguments:
        print("CASE " + json.dumps({"id": identifier, **run_case(identifier)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
