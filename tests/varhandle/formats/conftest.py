"""Models that the readers are tested on, built once: TensorFlow alone takes seconds to import."""

from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def keras(tf):
    import keras

    return keras


@pytest.fixture(scope="session")
def tensorflow_ops(tf):
    """TensorFlow's own registry of ops."""
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    listed = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    assert len(listed.op) > 1000
    return listed.op


@pytest.fixture(scope="session")
def counter(tf):
    """A weight that is only read, and a counter that two signatures share."""

    class Counter(tf.Module):
        def __init__(self):
            self.w = tf.Variable(tf.ones([3, 2]), name="w")
            self.counter = tf.Variable(0.0, name="counter")

        @tf.function(input_signature=[tf.TensorSpec([1, 3], tf.float32, name="x")])
        def step(self, x):
            self.counter.assign_add(1.0)
            return {"y": x @ self.w + self.counter}

        @tf.function(input_signature=[])
        def peek(self):
            return {"c": self.counter.read_value()}

    return Counter()


@pytest.fixture(scope="session")
def control_flow(tf):
    """Variables touched inside cond, while_loop and switch_case, and updated piece by piece."""

    number = tf.TensorSpec([], tf.float32, name="x")
    integers = tf.TensorSpec([None], tf.int32, name="i")
    words = tf.TensorSpec([None], tf.string, name="s")

    class ControlFlow(tf.Module):
        def __init__(self):
            self.a = tf.Variable(1.0, name="a")
            self.b = tf.Variable(1.0, name="b")
            self.rows = [tf.Variable(tf.ones([5, 4]), name="embedding")]
            self.half = tf.Variable(tf.zeros([1], tf.float16), name="half")
            self.unused = tf.Variable(tf.ones([2]), name="unused")
            first = tf.lookup.KeyValueTensorInitializer(["x", "y"], tf.constant([1, 2], tf.int64))
            self.table = tf.lookup.StaticHashTable(first, 0)

        @tf.function(input_signature=[number, integers, words])
        def call(self, x, i, s):
            def body(k, v):
                self.b.assign_sub(v)
                return k + 1, v + self.b

            picked = tf.cond(x > 0, lambda: self.a.assign_add(x), lambda: self.a + 1.0)
            _, looped = tf.while_loop(lambda k, _: k < 3, body, [tf.constant(0), x])
            rows = self.rows[0]
            looked_up = tf.nn.embedding_lookup(rows, i)
            rows.scatter_update(tf.IndexedSlices(tf.ones([1, 4]) * 2, tf.constant([1])))
            rows[0].assign(tf.zeros([4]))
            self.half.assign([1.0])
            branches = [lambda: self.b + 1, lambda: self.b + 2.0, lambda: self.a + 0.0]
            switched = tf.switch_case(tf.cast(x, tf.int32), branches)
            found = tf.cast(tf.reduce_sum(self.table.lookup(s)), tf.float32)
            return {"y": picked + looped + tf.reduce_sum(looked_up) + found + switched}

    return ControlFlow()


def _keras_model(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((4,), name="features"),
            layers.Dense(3, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(2, name="second"),
        ],
        name="classifier",
    )


def _trainer(tf, keras):
    class Trainer(tf.Module):
        def __init__(self):
            self._model = _keras_model(keras)
            self._optimizer = keras.optimizers.Adam(0.1)
            self._optimizer.build(self._model.trainable_variables)
            variables = self._model.variables + self._optimizer.variables
            self._variables = [variable.value for variable in variables]

        @tf.function(input_signature=[tf.TensorSpec([8, 4]), tf.TensorSpec([8, 2])])
        def train(self, x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self._model(x, training=True) - y) ** 2)
            weights = self._model.trainable_variables
            self._optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return {"loss": loss}

    return Trainer()


@pytest.fixture(scope="session")
def saved_models(tf, keras, counter, control_flow, tmp_path_factory) -> dict[str, Path]:
    """SavedModel folders by name."""
    root = tmp_path_factory.mktemp("saved_models")
    names = "counter no_signatures control_flow keras_saved keras_exported trainer constant tf1"
    paths = {name: root / name for name in names.split()}
    signatures = {"step": counter.step, "peek": counter.peek}
    tf.saved_model.save(counter, str(paths["counter"]), signatures=signatures)
    tf.saved_model.save(counter, str(paths["no_signatures"]), signatures={})
    tf.saved_model.save(control_flow, str(paths["control_flow"]), signatures=control_flow.call)
    model = _keras_model(keras)
    tf.saved_model.save(model, str(paths["keras_saved"]))
    model.export(str(paths["keras_exported"]), verbose=False)
    trainer = _trainer(tf, keras)
    tf.saved_model.save(trainer, str(paths["trainer"]), signatures=trainer.train)
    constant = tf.Module()
    constant.call = tf.function(lambda x: {"y": x * 2.0}, input_signature=[tf.TensorSpec([2])])
    tf.saved_model.save(constant, str(paths["constant"]), signatures=constant.call)
    _save_tf1(tf, paths["tf1"])
    return paths


def _save_tf1(tf, path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        resource = v1.get_variable("resource", [3, 2], use_resource=True)
        reference = v1.get_variable("reference", [2], use_resource=False)
        y = tf.identity(x @ resource + reference, name="y")
        v1.assign_add(reference, tf.ones([2]), name="never_run")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})


@pytest.fixture(scope="session")
def tflite_files(tf, saved_models, tmp_path_factory) -> dict[str, Path]:
    """TensorFlow Lite files by name."""
    root = tmp_path_factory.mktemp("tflite")
    paths = {}
    for name in ("counter", "control_flow", "keras_saved", "keras_exported"):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_models[name]))
        ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if name == "control_flow":
            ops.append(tf.lite.OpsSet.SELECT_TF_OPS)
        converter.target_spec.supported_ops = ops
        paths[name] = root / f"{name}.tflite"
        paths[name].write_bytes(converter.convert())
    return paths


@pytest.fixture(scope="session")
def keras_models(keras, tmp_path_factory) -> dict[str, SimpleNamespace]:
    """Keras models by name, each with the paths of its ``.keras`` and ``.h5`` files."""
    layers = keras.layers
    root = tmp_path_factory.mktemp("keras")
    features = keras.Input((8,), name="features")
    joined = layers.Add(name="join")(
        [layers.Dense(4, name="left")(features), layers.Dense(4, name="right")(features)]
    )
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(2, name="deep"), layers.BatchNormalization(name="norm")],
        name="inner",
    )
    steps = layers.Reshape((2, 1), name="steps")(inner(joined))
    functional = keras.Model(
        features, [layers.LSTM(3, name="lstm")(steps), joined], name="branched"
    )
    functional.compile("adam", "mse")
    models = {"sequential": _keras_model(keras), "functional": functional}
    found = {}
    for name, model in models.items():
        paths = root / f"{name}.keras", root / f"{name}.h5"
        for path in paths:
            model.save(path)
        found[name] = SimpleNamespace(model=model, keras=paths[0], h5=paths[1])
    return found
