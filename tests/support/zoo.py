"""The zoo: models with one trouble each, and models with none, each with what is true of it.

``make(name, folder)`` builds one and returns its path. The verdicts are what the converter and the
interpreter of TensorFlow 2.21 did with each model. Which family a model belongs to, and what is
worth knowing about it, is a judgment; some of these were settled only after
the first run of the diagnosis, so they hold it to what it says rather than prove it right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers


@dataclass(frozen=True)
class Specimen:
    """One model."""

    build: Callable[[Any, Path], Path]  # makes it in an empty folder, and returns the path
    verdict: str  # the right one, all evidence taken
    families: tuple[str, ...] = ()  # ids of the findings that are no mere ``info``
    variables: tuple[str, ...] = ()  # names of the variables that these findings are about
    seen: bool = True  # whether the file itself shows it: ``--static`` gives the same verdict
    infos: tuple[str, ...] = ()  # ids of the findings that are worth knowing


ZOO: dict[str, Specimen] = {}

#: What a model with state in float32 is worth telling about, and no fault on 2.21.
STATE = (
    "constant-folding-failed",
    "frozen-but-assigned",
    "micro-needs-store",
    "not-immutable",
    "runtime-too-old",
)


def specimen(*verdict, **truth):
    """Register a function that builds a model."""

    def register(build):
        ZOO[build.__name__] = Specimen(build, *verdict, **truth)
        return build

    return register


def step_specimen(*verdict, state=(), shape=(4,), dtype="float32", signature=None, **truth):
    """Register a model by what one call of it does with its variables, which start as ``state``."""

    def register(step):
        def build(tf, folder):
            variables = {name: tf.Variable(value, name=name) for name, value in dict(state).items()}
            return save_step(
                tf,
                folder,
                variables,
                lambda module, x: step(tf, module, x),
                spec(tf, *shape, dtype=dtype),
                signature=signature or "serving_default",
            )

        ZOO[step.__name__] = Specimen(build, *verdict, **truth)
        return build

    return register


def make(name, folder):
    """Build a specimen in an empty folder; return the path of the model."""
    import tensorflow as tf

    return ZOO[name].build(tf, Path(folder))


def spec(tf, *shape, dtype="float32", name="x"):
    return tf.TensorSpec(shape, dtype, name=name)


def save(tf, folder, module, **signatures):
    path = folder / "model"
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def save_step(tf, folder, variables, step, *specs, signature="serving_default"):
    """Save a module that holds ``variables`` and whose one signature is ``step(module, …)``."""
    module = tf.Module()
    for name, variable in variables.items():
        setattr(module, name, variable)
    specs = specs or (spec(tf, 4),)
    function = tf.function(lambda *inputs: step(module, *inputs), input_signature=specs)
    module.step = function
    return save(tf, folder, module, **{signature: function})


def to_tflite(tf, path, folder, change=None):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    if change:
        change(converter)
    file = folder / "model.tflite"
    file.write_bytes(converter.convert())
    return file


# Models without state: nothing to say about any of them.


def dense_model():
    import keras

    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4,), name="features"), layers.Dense(8, activation="relu"), layers.Dense(3)],
        name="classifier",
    )


@specimen("convertible")
def mlp_keras(tf, folder):
    dense_model().save(folder / "mlp.keras")
    return folder / "mlp.keras"


@specimen("convertible")
def mlp_h5(tf, folder):
    dense_model().save(folder / "mlp.h5")
    return folder / "mlp.h5"


@specimen("convertible")
def two_inputs_keras(tf, folder):
    import keras

    layers = keras.layers
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    joined = layers.Concatenate()([left, right])
    outputs = [layers.Dense(2, name="near")(joined), layers.Dense(4, name="far")(joined)]
    keras.Model([left, right], outputs, name="branched").save(folder / "branched.keras")
    return folder / "branched.keras"


def exported(folder, model, shape=None):
    path, keywords = folder / "model", {}
    if shape:  # else a batch that was closed is open
        import tensorflow as tf

        keywords = {"input_signature": [tf.TensorSpec(shape, tf.float32)]}
    model.export(str(path), verbose=False, **keywords)
    return path


def recurrent(layer, batch_size=1):
    import keras

    steps = keras.Input((5, 3), batch_size=batch_size)
    return keras.Model(steps, layer(steps))


@specimen("convertible")
def cnn_exported(tf, folder):
    import keras

    layers = keras.layers
    images = keras.Input((8, 8, 1))
    maps = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(images))
    return exported(folder, keras.Model(images, layers.Dense(3)(layers.Flatten()(maps))))


@specimen("convertible")
def embedding_exported(tf, folder):
    import keras

    layers = keras.layers
    words = keras.Input((5,), dtype="int32")
    means = layers.GlobalAveragePooling1D()(layers.Embedding(10, 4)(words))
    return exported(folder, keras.Model(words, layers.Dense(2)(means)))


@specimen("convertible")
def lstm_exported(tf, folder):
    import keras

    return exported(folder, recurrent(keras.layers.LSTM(4)), [1, 5, 3])


@specimen("blocked", ("tensor-list",), seen=False)
def lstm_of_any_batch(tf, folder):
    """No matter of variables: a list of tensors whose shape is not known."""
    import keras

    return exported(folder, recurrent(keras.layers.LSTM(4), batch_size=None))


@step_specimen("convertible", state={"kernel": np.ones([4, 2], "float32")}, shape=(None, 4))
def module_that_reads(tf, module, x):
    return {"y": x @ module.kernel}


@step_specimen("convertible", state={"scale": np.full([4], 0.5, "float16")})
def half_weights(tf, module, x):
    """A float16 variable that is only read: no trouble, whatever its dtype."""
    return {"y": x * tf.cast(module.scale, tf.float32)}


@step_specimen("convertible", infos=("freezer-lost-variable",), state={"a": 2.0, "b": 3.0})
def read_in_a_branch(tf, module, x):
    return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: x * module.a, lambda: x * module.b)}


def save_tf1(tf, folder, shape, step):
    """Save a model of TF1 that gives ``step(v1, x)``."""
    v1, path = tf.compat.v1, folder / "model"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, shape, name="x")
        y = tf.identity(step(v1, x), name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    return path


@specimen("convertible")
def tf1_saved_model(tf, folder):
    def step(v1, x):
        return x @ v1.get_variable("kernel", [3, 2], use_resource=True)

    return save_tf1(tf, folder, [None, 3], step)


@specimen("convertible")
def tf1_reference_saved_model(tf, folder):
    def step(v1, x):
        return x @ v1.get_variable("kernel", [3, 2], use_resource=False)

    return save_tf1(tf, folder, [None, 3], step)


@specimen("convertible")
def frozen_graph(tf, folder):
    v1, path = tf.compat.v1, folder / "frozen.pb"
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, 3], name="x")
        tf.identity(x @ tf.constant(np.arange(6, dtype="float32").reshape(3, 2)), name="y")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


# State that converts on 2.21.


def counter_module(tf):
    module = tf.Module()
    module.counter = tf.Variable(0.0, name="counter")
    module.w = tf.Variable(np.ones([4, 2], "float32"), name="w")

    def step(x):
        module.counter.assign_add(1.0)
        return {"y": x @ module.w + module.counter}

    module.step = tf.function(step, input_signature=[spec(tf, 1, 4)])
    module.peek = tf.function(lambda: {"c": module.counter.read_value()}, input_signature=[])
    return module


@specimen("convertible", infos=STATE)
def counter(tf, folder):
    module = counter_module(tf)
    return save(tf, folder, module, serving_default=module.step)


@specimen("convertible", infos=(*STATE, "shared-or-dynamic-state"))
def counter_of_two_signatures(tf, folder):
    module = counter_module(tf)
    return save(tf, folder, module, step=module.step, peek=module.peek)


@step_specimen("convertible", infos=STATE, state={"seen": np.int64(0)})
def int64_state(tf, module, x):
    module.seen.assign_add(tf.constant(1, tf.int64))
    return {"y": x + tf.cast(module.seen, tf.float32)}


@specimen("convertible", infos=("other-resource",))
def words_in_a_table(tf, folder):
    keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([10, 20], "int64"))
    table = tf.lookup.StaticHashTable(keys, -1)

    def step(module, word):
        return {"y": module.table.lookup(word)}

    return save_step(tf, folder, {"table": table}, step, spec(tf, 1, dtype="string"))


@specimen(
    "convertible",
    ("unsupported-variable-update",),
    ("kernel", "momentum"),
    infos=("shared-or-dynamic-state",),
)
def trainer_and_server(tf, folder):
    """The signature for training has no builtins; the one for inference needs none of that."""
    module = tf.Module()
    module.kernel = tf.Variable(np.ones([4, 1], "float32"), name="kernel")
    module.momentum = tf.Variable(np.zeros([4, 1], "float32"), name="momentum")

    def train(x):
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=module.kernel.handle,
            accum=module.momentum.handle,
            lr=tf.constant(0.1),
            grad=tf.transpose(x),
            momentum=tf.constant(0.9),
        )
        module.kernel[0].assign([0.0])
        module.momentum[0].assign([0.0])
        return {"loss": tf.reduce_sum(x)}

    module.infer = tf.function(lambda x: {"y": x @ module.kernel}, input_signature=[spec(tf, 1, 4)])
    module.train = tf.function(train, input_signature=[spec(tf, 1, 4)])
    return save(tf, folder, module, serving_default=module.infer, train=module.train)


# Blocked.


def total_of(dtype):
    def build(tf, folder):
        variables = {"total": tf.Variable(tf.zeros([4], dtype), name="total")}

        def step(module, x):
            module.total.assign(module.total + tf.cast(x, dtype))
            return {"y": tf.cast(module.total, tf.float32)}

        return save_step(tf, folder, variables, step, signature="step")

    return build


for _dtype in ("float16", "bfloat16", "int16"):
    ZOO[f"{_dtype}_state"] = Specimen(
        total_of(_dtype), "blocked", ("unsupported-variable-dtype",), ("total",)
    )


@step_specimen(
    "blocked",
    ("unsupported-variable-dtype",),
    ("last",),
    state={"last": ["none"]},
    shape=(1,),
    dtype="string",
)
def string_state(tf, module, word):
    before = module.last.read_value()
    module.last.assign(word)
    return {"y": before}


UPDATE = ("unsupported-variable-update",)


@step_specimen("blocked", UPDATE, ("ring",), state={"ring": np.zeros(4, "float32")})
def slice_assign(tf, module, x):
    module.ring[0].assign(tf.reduce_sum(x))
    return {"y": module.ring.read_value()}


@step_specimen("blocked", UPDATE, ("rows",), state={"rows": np.zeros(4, "float32")})
def scatter_update(tf, module, x):
    module.rows.scatter_nd_update([[1]], x[:1])
    return {"y": module.rows.read_value()}


@specimen("blocked", ("other-resource",))
def mutable_table(tf, folder):
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, 0.0)

    def step(module, key):
        module.table.insert(key, tf.cast(key, tf.float32))
        return {"y": module.table.lookup(key)}

    return save_step(tf, folder, {"table": table}, step, spec(tf, 1, dtype="int64"))


@step_specimen("blocked", seen=False, state={"shift": np.eye(3, dtype="float32")}, shape=(3, 3))
def ordinary_op_without_builtin(tf, module, x):
    """Nothing to do with variables: no family may be blamed."""
    return {"y": tf.linalg.inv(x + module.shift)}


def write_graph(folder, graph_def):
    path = folder / "graph.pb"
    path.write_bytes(graph_def.SerializeToString())
    return path


@specimen("blocked", ("unfrozen-graph",), ("bias", "kernel"))
def unfrozen_graph(tf, folder):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, 3], name="x")
        kernel = v1.get_variable("kernel", [3, 2], use_resource=True)
        bias = v1.get_variable("bias", [2], use_resource=False)
        tf.identity(x @ kernel + bias, name="y")
    return write_graph(folder, graph.as_graph_def())


@specimen("blocked", ("unfrozen-graph",), ("kernel",))
def unfrozen_graph_with_a_saver(tf, folder):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 3], name="x")
        kernel = v1.get_variable("kernel", [3, 2], use_resource=True)
        tf.identity(x @ kernel, name="y")
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False)
    return write_graph(folder, graph.as_graph_def())


@specimen("blocked", ("freezer-lost-variable", "unfrozen-graph"), ("kernel",))
def unfrozen_read_in_a_function(tf, folder):
    with tf.Graph().as_default() as graph:
        read_in_a_function(tf)
    return write_graph(folder, graph.as_graph_def())


def read_in_a_function(tf):
    """Build a graph that reads its variable in the branches of a condition."""
    x = tf.compat.v1.placeholder(tf.float32, [1, 3], name="x")
    kernel = tf.compat.v1.get_variable("kernel", [3, 2], use_resource=True)
    y = tf.cond(tf.reduce_sum(x) > 0, lambda: x @ kernel, lambda: -x @ kernel)
    tf.identity(y, name="y")


def broken_freeze(tf, user):
    """A graph in which a freezer put a constant where ``user`` takes a handle."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2], name="x")
        tf.constant(np.arange(6, dtype="float32").reshape(3, 2), name="table")
        tf.identity(x, name="y")
    graph_def = graph.as_graph_def()
    graph_def.node.add(**user)
    return graph_def


@specimen("blocked", ("gather-from-frozen-table",), ("table",))
def gather_from_a_constant(tf, folder):
    graph_def = broken_freeze(tf, {"op": "ResourceGather", "name": "lookup"})
    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.int32, [2], name="words")
    graph_def.node.extend(graph.as_graph_def().node)
    lookup = graph_def.node[-2]
    lookup.input.extend(["table", "words"])
    lookup.attr["dtype"].type = tf.float32.as_datatype_enum
    lookup.attr["Tindices"].type = tf.int32.as_datatype_enum
    lookup.attr["validate_indices"].b = True
    return write_graph(folder, graph_def)


@specimen("blocked", ("frozen-but-assigned",), ("table",))
def assign_to_a_constant(tf, folder):
    graph_def = broken_freeze(tf, {"op": "AssignVariableOp", "name": "update"})
    graph_def.node[-1].input.extend(["table", "table"])
    graph_def.node[-1].attr["dtype"].type = tf.float32.as_datatype_enum
    return write_graph(folder, graph_def)


# Converts, and answers wrongly.


LOST = ("classifier/dense/bias", "classifier/dense/kernel")


@specimen("wrong-answers", ("keras3-export",), LOST)
def keras_saved(tf, folder):
    import keras

    layer = keras.layers.Dense(3, name="dense", bias_initializer="ones")
    model = keras.Sequential([keras.Input((4,), name="features"), layer], name="classifier")
    tf.saved_model.save(model, str(folder / "model"))
    return folder / "model"


@specimen("wrong-answers", ("keras3-export",), ("dense/bias", "dense/kernel"))
def keras_in_a_module(tf, folder):
    import keras

    layer = keras.layers.Dense(3, name="dense", bias_initializer="ones")
    layer.build((None, 4))
    module = tf.Module()
    module.layer = layer
    module.infer = tf.function(lambda x: {"y": layer(x)}, input_signature=[spec(tf, 1, 4)])
    return save(tf, folder, module, infer=module.infer)


@specimen("wrong-answers", ("shared-or-dynamic-state",), ("rows",))
def growing(tf, folder):
    rows = tf.Variable(np.ones([2, 3], "float32"), shape=[None, 3], name="rows")

    def step(module, x):
        module.rows.assign(tf.concat([module.rows, x], 0))
        return {"sum": tf.reduce_sum(module.rows, 0)}

    return save_step(tf, folder, {"rows": rows}, step, spec(tf, 1, 3))


@step_specimen("blocked", ("uninitialised-variable",), ("lost",))
def never_initialized(tf, module, x):
    """Its function makes a handle that no checkpoint and no initializer knows."""
    handle = tf.raw_ops.VarHandleOp(shared_name="lost", dtype=tf.float32, shape=[4])
    return {"y": x + tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)}


# .tflite files.


@specimen("ready")
def mlp_tflite(tf, folder):
    file = folder / "mlp.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_keras_model(dense_model()).convert())
    return file


@specimen("ready", infos=("micro-needs-store", "runtime-too-old"))
def counter_tflite(tf, folder):
    return to_tflite(tf, counter(tf, folder), folder)


@specimen("wrong-answers", ("uninitialised-variable",), LOST)
def keras_saved_tflite(tf, folder):
    return to_tflite(tf, keras_saved(tf, folder), folder)


def with_flex(converter):
    import tensorflow as tf

    ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.target_spec.supported_ops = ops


@specimen("blocked", ("flex-variable", "unwritten-output"), ("total",))
def flex_tflite(tf, folder):
    return to_tflite(tf, total_of("float16")(tf, folder), folder, with_flex)


@specimen("blocked", ("unsupported-variable-dtype", "unwritten-output"))
def custom_tflite(tf, folder):
    """With ``allow_custom_ops`` the handle becomes a custom op without a name or a dtype."""

    def change(converter):
        converter.allow_custom_ops = True

    return to_tflite(tf, total_of("float16")(tf, folder), folder, change)


@specimen("ready")
def detection_tflite(tf, folder):
    """What stands at the end of most detectors: a custom op that every interpreter has."""
    boxes, classes, found = 6, 3, 2
    options = flexbuffers.Builder()
    with options.Map():
        for key in ("max_detections", "detections_per_class"):
            options.Int(key, found)
        options.Int("max_classes_per_detection", 1)
        options.Int("num_classes", classes - 1)  # without the background
        options.Float("nms_score_threshold", 0.1)
        options.Float("nms_iou_threshold", 0.6)
        for key in ("y_scale", "x_scale", "h_scale", "w_scale"):
            options.Float(key, 5.0)
    anchors = np.linspace(0.1, 0.9, 4 * boxes, dtype=np.float32)
    model, graph, op = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"TFLite_Detection_PostProcess", 1
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = anchors.view(np.uint8)
    shapes = {"boxes": [1, boxes, 4], "scores": [1, boxes, classes], "anchors": [boxes, 4]}
    shapes |= {"places": [1, found, 4], "classes": [1, found], "sure": [1, found], "count": [1]}
    for name, shape in shapes.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), shape, int(name == "anchors")
        graph.tensors = [*(graph.tensors or ()), tensor]
    op.inputs, op.outputs, op.customOptions = [0, 1, 2], [3, 4, 5, 6], options.Finish()
    graph.operators, graph.inputs, graph.outputs = [op], [0, 1], [3, 4, 5, 6]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    from varhandle.tflite.flatbuffer import pack

    path = folder / "detection.tflite"
    path.write_bytes(pack(model))
    return path


def in_int8(tf):
    def change(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: (
            [np.full([1, 4], i / 10, "float32")] for i in range(10)
        )

    return change


@specimen("wrong-answers", ("quantised-state",), ("counter",), seen=False)
def int8_counter_tflite(tf, folder):
    return to_tflite(tf, counter(tf, folder), folder, in_int8(tf))


@specimen("ready", infos=("micro-needs-store", "runtime-too-old"))
def int8_leaky_tflite(tf, folder):
    """State in 8 bits that forgets: it settles, and that is no saturation."""

    def step(module, x):
        module.level.assign(0.5 * module.level + x)
        return {"y": module.level * 2.0}

    variables = {"level": tf.Variable(np.zeros([1, 4], "float32"), name="level")}
    path = save_step(tf, folder, variables, step, spec(tf, 1, 4))
    return to_tflite(tf, path, folder, in_int8(tf))


@specimen("ready")
def int8_mlp_tflite(tf, folder):
    converter = tf.lite.TFLiteConverter.from_keras_model(dense_model())
    in_int8(tf)(converter)
    (folder / "mlp.tflite").write_bytes(converter.convert())
    return folder / "mlp.tflite"


@specimen("blocked", ("unsupported-variable-update",), ("total",))
def tf1_counter(tf, folder):
    """A reference variable that the signature assigns."""

    def step(v1, x):
        return v1.assign_add(v1.get_variable("total", [4], use_resource=False), x)

    return save_tf1(tf, folder, [4], step)


@step_specimen("unproved", ("random-draws",))
def draws_random_numbers(tf, module, x):
    # Seeds of 0: another test may have set TensorFlow's own seed for this process.
    return {"y": x + tf.raw_ops.RandomUniform(shape=[4], dtype=tf.float32, seed=0, seed2=0)}


@specimen("blocked", infos=("micro-needs-store", "runtime-too-old"))
def without_signature(tf, folder):
    return save(tf, folder, counter_module(tf))


@step_specimen("blocked", ("random-draws",), state={"any_name": np.int64([1, 2])})
def draws_with_a_seed(tf, module, x):
    """As a sampling layer of Keras does: the seed is a variable, and each call advances it."""
    drawn = tf.random.stateless_normal([4], module.any_name)
    module.any_name.assign_add(tf.constant([0, 1], tf.int64))
    return {"y": x + drawn}


@specimen("blocked", ("other-resource",))
def numbers_in_a_table(tf, folder):
    """As IntegerLookup of Keras has it: keys and values are int64."""
    keys = tf.lookup.KeyValueTensorInitializer(*np.int64([[3, 5, 9], [1, 2, 3]]))
    table = tf.lookup.StaticHashTable(keys, 0)

    def step(module, x):
        return {"y": module.table.lookup(x)}

    return save_step(tf, folder, {"table": table}, step, spec(tf, None, 1, dtype="int64"))


@step_specimen(
    "wrong-answers",
    ("lost-activation",),
    ("gain",),
    state={"gain": np.float32([[1, -1], [2, -2]])},
    shape=(1, 2),
)
def relu_of_a_product_that_changes(tf, module, x):
    """Without a bias, the converter makes BATCH_MATMUL of it, and loses the ReLU."""
    y = tf.nn.relu(x @ module.gain)
    module.gain.assign(0.9 * module.gain)
    return {"y": y}


TABLE = {"table": np.ones([5, 2], "float32")}


@step_specimen("convertible", state=TABLE, shape=(2,), dtype="int32")
def gathers_from_a_table(tf, module, rows):
    """The plain gather on a variable that is only read folds."""
    return {"y": tf.gather(module.table, rows)}


@step_specimen("blocked", ("gather-from-frozen-table",), ("table",), state=TABLE)
def gathers_from_a_table_that_changes(tf, module, x):
    found = tf.gather_nd(module.table, [[1], [2]])
    module.table.assign_add(tf.ones([5, 2]) * x[0])
    return {"y": found}


@specimen("convertible", seen=False, infos=("micro-needs-store", "runtime-too-old"))
def stateful_rnn_keras(tf, folder):
    """The file does not show its state; the .tflite made from it does."""
    import keras

    recurrent(keras.layers.SimpleRNN(4, stateful=True)).save(folder / "rnn.keras")
    return folder / "rnn.keras"


@specimen("convertible", infos=STATE)
def stateful_rnn_exported(tf, folder):
    import keras

    return exported(folder, recurrent(keras.layers.SimpleRNN(4, stateful=True)), [1, 5, 3])


@specimen("convertible", seen=False, infos=("micro-needs-store", "runtime-too-old"))
def stateful_gru_h5(tf, folder):
    import keras

    recurrent(keras.layers.GRU(4, stateful=True)).save(folder / "gru.h5")
    return folder / "gru.h5"


def in_training(tf, folder, layer, seeds=()):
    """Save a Keras model that is called with ``training=True``, its variables held."""
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), layer], name="net")
    module = tf.Module()
    module._variables = [v.value for v in (*model.variables, *seeds)]
    module.step = tf.function(
        lambda x: {"y": model(x, training=True)}, input_signature=[spec(tf, 2, 4)]
    )
    return save(tf, folder, module, serving_default=module.step)


@specimen(
    "convertible",
    ("frozen-but-assigned",),
    ("net/norm/moving_mean", "net/norm/moving_variance"),
    infos=STATE,
)
def batch_norm_in_training(tf, folder):
    """It converts, and the file goes on learning: what is wrong is how it was traced."""
    import keras

    return in_training(tf, folder, keras.layers.BatchNormalization(name="norm"))


@specimen("blocked", ("random-draws",))
def dropout_in_training(tf, folder):
    """The random ops have no builtin."""
    import keras

    class Drop(keras.layers.Layer):
        """``keras.layers.Dropout``, its seed's name the same in every process."""

        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(1, name="noise")

        def call(self, x, training=False):
            return keras.random.dropout(x, 0.5, seed=self.seed_generator) if training else x

    layer = Drop()
    return in_training(tf, folder, layer, [layer.seed_generator.state])


@specimen("wrong-answers", ("shared-or-dynamic-state",), ("rows",))
def growing_from_nothing(tf, folder):
    """With the default delegates the interpreter dies; the plain kernels answer zeros."""
    rows = tf.Variable(np.zeros([0, 3], "float32"), shape=[None, 3], name="rows")

    def step(module, x):
        module.rows.assign(tf.concat([module.rows, x], 0))
        return {"sum": tf.reduce_sum(module.rows, 0)}

    return save_step(tf, folder, {"rows": rows}, step, spec(tf, 1, 3))


@step_specimen("unproved", seen=False)
def never_ends(tf, module, x):
    """It converts, and neither TensorFlow nor the file ever answers."""
    ends = tf.while_loop(lambda i: i >= 0.0, lambda i: (i * 0.0,), [tf.abs(x[0])])
    return {"y": x + ends[0]}


@step_specimen("unproved", seen=False)
def needs_memory(tf, module, x):
    """Small on disk; each call takes 3 GiB for a while."""
    return {"y": tf.reduce_sum(tf.cumsum(tf.tile(x, [3 * 2**26])))}


def delay_line_file():
    """A .tflite file whose state is a tensor that the file marks as variable.

    ``x`` to ``y``, both float32 [1, 1]: the sum of the last four inputs. No converter makes
    such a tensor of a ``tf.Variable``, so it is put together by hand, of a single SVDF op.
    """
    from ai_edge_litert import schema_py_generated as schema

    from varhandle.tflite.flatbuffer import pack

    tensors = [
        schema.TensorT([1, 1], name="x"),
        schema.TensorT([1, 1], name="feature_weight", buffer=1),
        schema.TensorT([1, 4], name="time_weights", buffer=2),
        schema.TensorT([1, 4], name="last_inputs", isVariable=True),
        schema.TensorT([1, 1], name="y"),
    ]
    svdf = schema.OperatorT(
        inputs=[0, 1, 2, -1, 3],  # -1: no bias
        outputs=[4],
        builtinOptionsType=schema.BuiltinOptions.SVDFOptions,
        builtinOptions=schema.SVDFOptionsT(rank=1),
    )
    code = schema.BuiltinOperator.SVDF
    ones = (np.frombuffer(np.ones(count, np.float32).tobytes(), np.uint8) for count in (1, 4))
    return pack(
        schema.ModelT(
            version=3,
            operatorCodes=[schema.OperatorCodeT(code, builtinCode=code, version=1)],
            subgraphs=[schema.SubGraphT(tensors, [0], [4], [svdf], name="main")],
            description="the sum of the last four inputs",
            buffers=[schema.BufferT(), *map(schema.BufferT, ones)],
        )
    )


@specimen("ready", infos=("shared-or-dynamic-state",))
def delay_line_tflite(tf, folder):
    """State of the older kind, in a tensor that the file marks as variable."""
    (folder / "delay.tflite").write_bytes(delay_line_file())
    return folder / "delay.tflite"


@specimen("unproved", seen=False)
def lambda_keras(tf, folder):
    """Brings Python code along: never loaded unless it is trusted."""
    import keras

    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Lambda(lambda t: t * 2.0, output_shape=(3,))(x))
    model.save(folder / "lambda.keras")
    return folder / "lambda.keras"


@specimen("unproved", seen=False)
def lambda_h5(tf, folder):
    lambda_keras(tf, folder)
    import keras

    model = keras.saving.load_model(folder / "lambda.keras", safe_mode=False)
    (folder / "lambda.keras").unlink()
    model.save(folder / "lambda.h5")
    return folder / "lambda.h5"
