"""Models that are classes of their author's: what they are called with, and that it is they."""

import importlib.util
import sys

import numpy as np
import pytest
from family_checks import run
from printed_code import ran

from varhandle.diagnosis import diagnose
from varhandle.formats import read_graph
from varhandle.formats.keras_class import UnknownInputsError, with_inputs
from varhandle.formats.keras_loader import load_keras
from varhandle.graph import TensorSpec
from varhandle.repair.run import NoCureError, cure

MODELS = """
import keras
import tensorflow as tf
from keras import layers, ops

class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a, self.b = layers.Dense(3), layers.Dense(3, "tanh")

class Plain(Own):
    def call(self, x, training=True):
        return self.a(x) + self.b(x) * (0.0 if training else 1.0)

class InDict(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = layers.Embedding(20, 3)

    def call(self, inputs):
        mean = ops.mean(self.table(inputs["ids"]), 1)
        return {"z": mean + self.a(inputs["x"]), "y": self.b(inputs["x"])}

class InList(Own):
    def build(self, input_shape):
        self.a.build(input_shape[0])
        self.b.build(input_shape[1])

    def call(self, inputs):
        return self.a(inputs[0]) * self.b(inputs[1])

class ByName(Own):
    def build(self, right_shape, left_shape):
        self.a.build(left_shape)
        self.b.build(right_shape)

    def call(self, left, right):
        return self.a(left) - self.b(right)

class ByPlace(Own):
    def call(self, left, right):
        return self.a(left) - self.b(right)

class Counting(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.n = self.add_weight(shape=(), initializer="zeros", trainable=False, name="n")

    def call(self, x):
        self.n.assign_add(1.0)
        return self.a(x) * self.n

class Steps(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.steps = layers.LSTM(4)

    def call(self, x):
        return self.a(self.steps(x))

class OneBatch(Own):
    def call(self, x):
        return self.a(ops.reshape(x, (x.shape[0] * 2, 2)))

class Kept(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.steps = layers.GRU(4, stateful=True)

    def call(self, x):
        return self.a(self.steps(x))

class Indexed(Own):
    def call(self, x):
        return tf.reduce_sum(tf.one_hot(x, 3), 1) + self.a(tf.cast(x, tf.float32))

class Words(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = layers.StringLookup(vocabulary=["red", "green"], num_oov_indices=1)

    def call(self, x):
        return self.a(ops.cast(ops.one_hot(self.table(x), 3), "float32"))

class BuiltAlone(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a.build((None, 4))
        self.built = True

    def call(self, x):
        return self.a(x)
"""

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.normal(size=shape).astype("float32")


def whole(*shape):
    return RNG.integers(0, 3, shape).astype("int32")


def a_dict(n):
    return {"ids": whole(n, 7), "x": floats(n, 4)}


# A class, and a call of it with a batch of n.
KNOWN = [
    ("Plain", lambda n: [floats(n, 4)]),
    ("InDict", lambda n: [a_dict(n)]),
    ("InList", lambda n: [[floats(n, 4), floats(n, 6)]]),
    ("ByName", lambda n: [floats(n, 4), floats(n, 6)]),
    ("Counting", lambda n: [floats(n, 4)]),
    ("Steps", lambda n: [floats(n, 5, 3)]),
    ("OneBatch", lambda n: [floats(2, 4)]),
    ("Indexed", lambda n: [whole(n, 4)]),
]
UNKNOWN = [
    ("ByPlace", [floats(1, 4), floats(1, 6)]),
    ("Kept", [floats(1, 5, 3)]),
    ("BuiltAlone", [floats(1, 4)]),
]


@pytest.fixture(scope="module")
def author(keras, tmp_path_factory):
    """The module of an author, as a file, and imported here."""
    path = tmp_path_factory.mktemp("author") / "own_models_of_a_test.py"
    path.write_text(MODELS)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield path, module
    del sys.modules[path.stem]


def run_file(tf, content, calls):
    """Call a file with a bare interpreter; inputs by name, or the one that there is."""
    interpreter = tf.lite.Interpreter(model_content=content)
    runner = interpreter.get_signature_runner()
    names = list(runner.get_input_details())
    answers = []
    for call in calls:
        given = call if set(call) == set(names) else dict(zip(names, call.values(), strict=True))
        answers.append(runner(**given))
    return answers


def by_input(arguments):
    """Name the inputs of a call as the tool does."""
    if len(arguments) == 2:
        return {"right": arguments[1], "left": arguments[0]}
    (one,) = arguments
    if isinstance(one, list):
        return {f"inputs_{number}": value for number, value in enumerate(one)}
    return one if isinstance(one, dict) else {"inputs": one}


@pytest.mark.parametrize(("name", "call"), KNOWN)
def test_a_model_of_a_class_is_cured_as_its_author_has_it(
    name, call, *, tf, author, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path, module = author
    model = getattr(module, name)()
    model(*call(2))
    if name == "Counting":
        model.n.assign(0.0)
    model.save(tmp_path / "m.keras")
    made = cure(tmp_path / "m.keras", imports=[path])
    assert made.parity.passed
    calls = [call(1) for _ in range(4)]
    found = run_file(tf, made.content, [by_input(one) for one in calls])
    for one, answer in zip(calls, found, strict=True):
        expected = model(*one, training=False)
        expected = expected if isinstance(expected, dict) else {"output_0": expected}
        assert set(answer) == set(expected)
        for output in expected:
            np.testing.assert_allclose(answer[output], expected[output], rtol=1e-4, atol=1e-5)
    space = {}
    exec(made.plan.code, space)
    ran(made.plan.code)
    again = run_file(tf, space["content"], [by_input(one) for one in calls])
    for one, other in zip(found, again, strict=True):
        for output in one:
            np.testing.assert_allclose(one[output], other[output], rtol=1e-4, atol=1e-5)


def test_integers_and_words_are_told_by_what_the_model_does(tf, author, tmp_path):
    path, module = author
    words = tf.constant([["red"]])
    for name, call, dtype in (("InDict", a_dict(1), "int32"), ("Words", words, "string")):
        model = getattr(module, name)()
        model(call)
        model.save(tmp_path / f"{name}.keras")
        loaded = load_keras(str(tmp_path / f"{name}.keras"), imports=[str(path)])
        assert dtype in {one.dtype for one in loaded.inputs}


def test_a_class_inside_a_functional_model_needs_nothing(tf, keras, author, tmp_path):
    path, module = author
    both = [keras.Input((4,), name="left"), keras.Input((6,), name="right")]
    model = keras.Model(both, keras.layers.Dense(2)(module.ByPlace()(*both)))
    model.save(tmp_path / "m.keras")
    made = cure(tmp_path / "m.keras", imports=[path])
    assert made.parity.passed
    call = [floats(1, 4), floats(1, 6)]
    (found,) = run_file(tf, made.content, [dict(zip(["left", "right"], call, strict=True))])
    np.testing.assert_allclose(*found.values(), model(call), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "keys", "recurrent"),  # every pair of values
    [
        *(("pq", "pq", False), ("pq", "qp", True), ("qp", "pq", True)),
        *(("qp", "qp", False), ("lr", "pq", False), ("lr", "qp", True)),
    ],
)
def test_a_dictionary_of_inputs_is_told_by_its_keys(
    keys, names, recurrent, *, tf, keras, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shapes = [(4, 2), (6, 2)]
    both = [keras.Input(shape, name=name) for shape, name in zip(shapes, names, strict=True)]
    layer = keras.layers.LSTM if recurrent else lambda n: keras.layers.Conv1D(n, 4)
    parts = [keras.layers.Flatten()(layer(3)(one)) for one in both]
    model = keras.Model(dict(zip(keys, both, strict=True)), keras.layers.Concatenate()(parts))
    model.save("m.keras")
    made = cure("m.keras")
    assert made.parity.passed
    call = {key: floats(1, *shape) for key, shape in zip(keys, shapes, strict=True)}
    space = {}
    exec(made.plan.code, space)
    ran(made.plan.code)
    for content in (made.content, space["content"]):
        assert {one.name for one in read_graph(content).signatures[0].inputs} == {"p", "q"}
        (found,) = run_file(tf, content, [call])
        np.testing.assert_allclose(*found.values(), model(call), rtol=1e-4, atol=1e-5)


def test_its_file_is_read_with_its_inputs(author, tmp_path):
    _, module = author
    model = module.InDict()
    model(a_dict(8))
    model.save(tmp_path / "m.keras")
    assert set(read_graph(tmp_path / "m.keras").main_signature.inputs) == {
        TensorSpec("ids", "float32", (None, 7)),
        TensorSpec("x", "float32", (None, 4)),
    }


@pytest.mark.parametrize("called", [True, False])
@pytest.mark.parametrize(("name", "arguments"), UNKNOWN)
def test_what_the_file_does_not_tell_has_a_next_step(
    name, arguments, called, *, tf, author, tmp_path, monkeypatch
):
    path, module = author
    model = getattr(module, name)()
    if called:
        model(*arguments)
    model.save(tmp_path / "m.keras")
    with pytest.raises(NoCureError, match="does not say what") as refused:
        cure(tmp_path / "m.keras", imports=[path])
    assert diagnose(tmp_path / "m.keras", imports=[path]).other[0] in str(refused.value)
    monkeypatch.chdir(tmp_path)
    text = str(refused.value)
    code = text[text.index("model(") : text.index("; and then varhandle cure exported")]
    names = ("left", "right") if len(arguments) == 2 else ("x",)
    run(code, **dict(zip(names, arguments, strict=True)), model=model)
    made = cure("exported")
    assert made.parity.passed
    # A state goes on from where it was exported.
    (answer,) = run_file(tf, made.content, [dict(zip(names, arguments, strict=True))])
    np.testing.assert_allclose(*answer.values(), model(*arguments), rtol=1e-4, atol=1e-5)


def test_what_keras_says_of_a_call_is_told_without_its_colors(tf):
    import keras

    class Refusing(keras.Model):
        def build(self, input_shape):
            self.built = True

        def call(self, x):
            raise ValueError("no such size")

    model = Refusing()
    model.build((None, 4))
    with pytest.raises(ValueError, match="\x1b") as said:  # or nothing is shown here
        model(keras.Input((4,)))
    assert "Refusing.call()" in str(said.value)
    with pytest.raises(UnknownInputsError, match=r"Refusing\.call\(\)") as told:
        with_inputs(model)
    assert "\x1b" not in str(told.value)
