"""What models show of their inputs: layers, tables and sizes, against a bare interpreter."""

from dataclasses import replace

import numpy as np
import pytest

from varhandle.evaluate.example_inputs import example_calls
from varhandle.evaluate.input_facts import _paired
from varhandle.formats import read_graph
from varhandle.graph import TensorSpec

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def example(tf, tmp_path_factory):
    """Make calls for a Keras model, as a .keras file and as a SavedModel, and return both."""

    def make(*layers, count=5):
        model = layers[0] if len(layers) == 1 else tf.keras.Sequential(list(layers))
        folder = tmp_path_factory.mktemp("example")
        model.save(folder / "model.keras")
        model.export(folder / "exported", verbose=False)
        try:
            content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        except Exception:  # an op that no builtin is
            content = None
        exported = read_graph(folder / "exported")
        signature = exported.signature("serving_default")
        return [
            example_calls(read_graph(folder / "model.keras"), signature, count, None, content),
            example_calls(exported, signature, count, None, content),
        ]

    return make


def values(made):
    """Return all values of the only input, over all calls."""
    return np.concatenate([np.ravel(next(iter(call.values()))) for call in made.calls])


def conv(keras):
    return keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()


@pytest.mark.parametrize(
    ("factors", "ends"),
    [
        ((1 / 255, 0), (0, 255)),
        ((1 / 127.5, -1), (0, 255)),
        ((2, -1), (0, 1)),
        ((255, 0), (0, 1)),
        ((1 / 32768, 0), (-32768, 32768)),  # of sound
    ],
)
def test_a_rescaling_layer_tells_the_values_before_it(tf, example, factors, ends):
    """The converter folds the factor into the convolution: only the model shows it."""
    rescaling, (low, high) = tf.keras.layers.Rescaling(*factors), ends
    for made in example(tf.keras.Input([12, 12, 3]), rescaling, *conv(tf.keras)):
        found = values(made)
        assert made.origin == "graph" and "its rescaling" in made.basis
        assert (found.min() >= low, found.max() <= high) == (True, True)
        assert np.ptp(found) > 0.9 * (high - low)


def test_a_nested_model_that_rescales_tells_as_well(tf, example):
    keras = tf.keras
    image = keras.Input([12, 12, 3])
    inner = keras.Sequential([keras.Input([12, 12, 3]), keras.layers.Rescaling(1 / 255)])
    outputs = keras.layers.Conv2D(2, 3)(keras.layers.RandomFlip()(inner(image)))
    for made in example(keras.Model(image, outputs)):
        assert values(made).max() == 255


@pytest.mark.parametrize("scale", [None, 0.5, 3.0])
def test_without_a_rescaling_pixels_are_standard_normal(tf, example, scale):
    first = [] if scale is None else [tf.keras.layers.Rescaling(scale)]
    for made in example(tf.keras.Input([12, 12, 1]), *first, *conv(tf.keras)):
        assert made.origin == "made up"
        assert abs(values(made).mean()) < 0.2 and 0.8 < values(made).std() < 1.2


def test_pixels_that_are_rescaled_and_normalized(tf, example):
    """As networks that were trained with PyTorch take them."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    layers = (
        tf.keras.layers.Rescaling(1 / 255),
        tf.keras.layers.Normalization(mean=mean, variance=deviation**2),
    )
    for made in example(tf.keras.Input([12, 12, 3]), *layers, *conv(tf.keras)):
        assert (values(made).min(), values(made).max()) == (0, 255)


def test_a_normalization_layer_tells_mean_and_deviation(tf, example):
    layer = tf.keras.layers.Normalization()
    layer.adapt(RANDOM.normal([50, -3, 1000], [5, 1, 200], (500, 3)).astype("float32"))
    for made in example(tf.keras.Input([3]), layer, tf.keras.layers.Dense(2), count=200):
        columns = np.concatenate([next(iter(call.values())) for call in made.calls])
        assert np.allclose(columns.mean(0), [50, -3, 1000], atol=60)
        assert np.allclose(columns.std(0), [5, 1, 200], rtol=0.25)


@pytest.mark.parametrize("scale", [1, 0.1])
def test_an_inverted_normalization_takes_what_is_normalized(tf, example, scale):
    """The file shows a product and a sum alone, as of a batch normalization."""
    layers = tf.keras.layers
    inverted = layers.Normalization(mean=[50.0, -3, 1000], variance=[25.0, 1, 40000], invert=True)
    first = [layers.Rescaling(scale)]
    for made in example(tf.keras.Input([3]), *first, inverted, layers.Dense(2), count=200):
        assert "its inverted normalization" in made.basis
        found = values(made) * scale
        assert abs(found.mean()) < 0.2 and 0.8 < found.std() < 1.2


def test_the_graph_alone_tells_a_normalization_whoever_calls_it(tf, tmp_path):
    """Keras exports two signatures, which both pass the mean to one function."""
    layer = tf.keras.layers.Normalization(mean=[50.0, -3], variance=[25.0, 1])
    layers = [tf.keras.Input([2]), layer, tf.keras.layers.Dense(2)]
    tf.keras.Sequential(layers).export(tmp_path / "exported", verbose=False)
    graph = read_graph(tmp_path / "exported")
    made = example_calls(graph, graph.signature("serving_default"), 200)
    columns = np.concatenate([next(iter(call.values())) for call in made.calls])
    assert np.allclose(columns.mean(0), [50, -3], atol=2)


@pytest.mark.parametrize("of_itself", [True, False])
def test_a_factor_that_is_no_deviation_of_the_data_tells_nothing(tf, save_module, of_itself):
    class Scaled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
        def __call__(self, x):
            own = tf.sqrt(tf.reduce_mean(x**2)) if of_itself else tf.constant(20.0) + 5.0
            return {"y": x * tf.maximum(own, 1e-7)}

    graph = read_graph(save_module(Scaled()))
    assert example_calls(graph, graph.signatures[0], 5).origin == "made up"


def test_ids_cover_the_table(tf, example):
    keras = tf.keras
    layers = (keras.layers.Embedding(1000, 4), keras.layers.GlobalAveragePooling1D())
    for dtype in ("int32", "float32"):
        for made in example(keras.Input([None], dtype=dtype), *layers):
            found = values(made)
            assert (found.min(), found.max(), len(found)) == (0, 999, 5 * 64)
            assert np.all(found == np.rint(found))


def test_a_vocabulary_gives_its_words_and_one_more(tf, example):
    keras, words = tf.keras, ["red", "green", "blue"]
    string = keras.Input([1], dtype="string")
    for made in example(string, keras.layers.StringLookup(vocabulary=words), count=20):
        found = set(values(made))
        assert {word.encode() for word in words} < found and len(found) == 4
    number = keras.Input([1], dtype="int64")
    for made in example(number, keras.layers.IntegerLookup(vocabulary=[3, 5, 9]), count=20):
        assert set(values(made)) == {3, 5, 9, 10}


def test_a_table_in_a_text_file_gives_its_lines(tf, tmp_path, save_module):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("alpha\nbeta\n")

    class Lookup(tf.Module):
        def __init__(self):
            lines = tf.lookup.TextFileInitializer(
                str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
            )  # fmt: skip
            self.table = tf.lookup.StaticHashTable(lines, -1)

        @tf.function(input_signature=[tf.TensorSpec([2], tf.string, name="words")])
        def __call__(self, words):
            return {"ids": self.table.lookup(words)}

    graph = read_graph(save_module(Lookup()))
    made = example_calls(graph, graph.signatures[0], 20)
    assert {b"alpha", b"beta"} < set(values(made))


@pytest.fixture(scope="module")
def shapeless(converted, tf):
    """Convert a function, and make calls for the .tflite file alone."""

    def make(function, **specs):
        content = converted(function, **specs)
        graph = read_graph(content)
        signature = graph.signatures[0] if graph.signatures else graph.main_signature
        return content, example_calls(graph, signature, 5, None, content)

    return make


def answer(content, call):
    """Ask a bare interpreter, resized before its first allocation."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    places = interpreter.get_input_details()
    for place, value in zip(places, call.values(), strict=True):
        interpreter.resize_tensor_input(place["index"], value.shape)
    interpreter.allocate_tensors()
    for place, value in zip(places, call.values(), strict=True):
        interpreter.set_tensor(place["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_ops_on_indices_get_values_that_they_take(tf, shapeless):
    table = tf.constant(RANDOM.normal(size=[7, 2]).astype("float32"))
    cases = [
        (lambda i: {"y": tf.gather(table, i)}, [None], 6),
        (lambda i: {"y": tf.gather(table, i + 2)}, [3], 4),
        (lambda i: {"y": tf.gather(table, i, axis=1)}, [3], 1),
        (lambda i: {"y": tf.gather(table, i), "z": tf.gather(table[:4], i)}, [3], 3),
        (lambda i: {"y": tf.gather_nd(table, i[:, None])}, [3], 1),  # or [7, 2] of two numbers each
        (lambda i: {"y": tf.one_hot(i, 5)}, [3], 4),
        (lambda i: {"y": tf.scatter_nd(i[:, None], tf.ones([3]), [4])}, [3], 3),
    ]
    for function, shape, highest in cases:
        content, made = shapeless(function, i=tf.TensorSpec(shape, tf.int32))
        assert values(made).max() == highest, made.basis
        assert all(np.isfinite(answer(content, call)).all() for call in made.calls)


UPDATES = {
    "slices": (lambda tf, v, i: v.scatter_add(tf.IndexedSlices(tf.ones([3, 5]), i)), [7, 5], 6),
    "nested": (lambda tf, v, i: v.scatter_nd_update(i[:, None], tf.ones([3])), [6], 5),
    "pairs": (lambda tf, v, i: v.scatter_nd_add(tf.stack([i, i], 1), tf.ones([3])), [6, 3], 2),
    "tensor": (
        lambda tf, v, i: v.assign(tf.tensor_scatter_nd_max(v, i[:, None], tf.ones([3]))), [6], 5
    ),
    "segments": (
        lambda tf, v, i: v.assign(tf.math.unsorted_segment_max(tf.ones([3]), i, 4)), [4], 3
    ),
}  # fmt: skip


@pytest.mark.parametrize("update", UPDATES)
def test_places_that_a_model_writes_into_are_within_what_it_updates(tf, save_module, update):
    write, shape, highest = UPDATES[update]

    class Counts(tf.Module):
        def __init__(self):
            self.seen = tf.Variable(tf.zeros(shape), name="seen")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.int32, name="ids")])
        def __call__(self, ids):
            write(tf, self.seen, ids)
            return {"seen": tf.identity(self.seen)}

    path = save_module(Counts())
    graph = read_graph(path)
    made = example_calls(graph, graph.signatures[0], 20)
    assert values(made).max() == highest
    model = tf.saved_model.load(path)
    for call in made.calls:  # TensorFlow raises where a place lies outside
        model.signatures["serving_default"](**{n: tf.constant(v) for n, v in call.items()})


def test_an_op_that_refuses_what_is_made_up_gets_something_else(tf, shapeless):
    x = tf.constant(np.arange(12, dtype="int32").reshape(3, 4))
    cases = [
        lambda n: {"y": tf.math.floormod(x, n)},
        lambda n: {"y": tf.math.top_k(x, n[0])[0]},
        lambda n: {"y": tf.slice(x, [n[0], 0], [1, 4])},
        lambda n: {"y": tf.tile(x, [1, n[0]])},
        lambda n: {"y": tf.gather(x, n * 2)},
    ]
    for function in cases:
        content, made = shapeless(function, n=tf.TensorSpec([1], tf.int32))
        assert answer(content, made.calls[0]).size


def test_features_that_a_step_changes_are_no_obstacle(tf, shapeless):
    factors, terms = np.arange(1, 3, dtype="float32"), np.arange(5, dtype="float32")
    content, made = shapeless(
        lambda x: {"y": tf.nn.relu(tf.concat([x * factors, tf.ones([1, 3])], 1) + terms)}, x=[1, 2]
    )
    assert np.isfinite(answer(content, made.calls[0])).all()


def test_pixels_before_a_mean_is_subtracted(tf, shapeless):
    mean = np.array([103.9, 116.8, 123.7], "float32")
    kernel = RANDOM.normal(size=[3, 3, 3, 2]).astype("float32")
    _, made = shapeless(
        lambda x: {"y": tf.nn.conv2d(x[..., ::-1] - mean, kernel, 1, "SAME")}, x=[None, 8, 8, 3]
    )
    assert (values(made).min(), values(made).max()) == (0, 255)


def test_a_number_that_is_subtracted_is_no_mean_of_pixels(tf, shapeless):
    kernel = RANDOM.normal(size=[3, 3, 3, 2]).astype("float32")
    _, made = shapeless(
        lambda x: {"y": tf.nn.conv2d(x - 0.5, kernel, 1, "SAME")}, x=[None, 8, 8, 3]
    )
    assert made.origin == "made up" and np.abs(values(made)).max() < 10


def test_two_ways_of_an_input_that_do_not_agree_tell_nothing(tf, shapeless):
    kernel = RANDOM.normal(size=[3, 3, 3, 2]).astype("float32")

    def function(x):
        small, large = x * (1 / 255.0), x * (1 / 65535.0)
        return {"y": tf.nn.conv2d(small, kernel, 1, "SAME"), "z": tf.nn.relu(large)}

    _, made = shapeless(function, x=[None, 8, 8, 3])
    assert made.origin == "made up"


def test_columns_are_picked_along_their_axis(tf, save_module):
    class Columns(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3], tf.int32, name="i")])
        def __call__(self, i):
            return {"y": tf.gather(tf.ones([7, 2]), i, axis=1)}

    graph = read_graph(save_module(Columns()))
    assert values(example_calls(graph, graph.signatures[0], 20)).max() == 1


def test_pixels_of_bytes_use_all_of_them(tf, shapeless):
    spec = tf.TensorSpec([None, 8, 8, 3], tf.uint8)
    _, made = shapeless(lambda x: {"y": tf.reduce_mean(tf.cast(x, tf.float32))}, x=spec)
    assert values(made).min() < 10 and values(made).max() > 245


def test_a_convolution_over_time_gets_more_than_it_sees(tf, shapeless):
    kernels = [RANDOM.normal(size=[80, 1, 2]), RANDOM.normal(size=[40, 2, 2])]

    def function(x):
        for kernel in kernels:
            x = tf.nn.conv1d(x, kernel.astype("float32"), 4, "VALID")
        return {"y": tf.reduce_mean(x, 1)}

    content, made = shapeless(function, x=[None, None, 1])
    assert made.calls[0]["x"].shape == (1, 1000, 1)  # it sees 80 + 4 * 39 = 236
    assert np.isfinite(answer(content, made.calls[0])).all()


def test_a_net_with_skip_connections_gets_an_image_that_it_halves(tf, example):
    keras = tf.keras
    image = keras.Input([None, None, 3])
    once = keras.layers.Conv2D(2, 3, strides=2, padding="same")(image)
    twice = keras.layers.Conv2D(2, 3, strides=2, padding="same")(once)
    up = keras.layers.Conv2DTranspose(2, 3, strides=2, padding="same")(twice)
    joined = keras.layers.Concatenate()([up, once])
    for made in example(keras.Model(image, joined)):
        assert next(iter(made.calls[0].values())).shape == (1, 64, 64, 3)


def test_the_first_signature_of_a_tf1_graph_is_followed_too(tf, tmp_path):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], "pixels")
        kernel = tf.constant(RANDOM.normal(size=[3, 3, 3, 2]).astype("float32"))
        tf.nn.conv2d(x * (1 / 255.0), kernel, 1, "SAME", name="y")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    read = read_graph(tmp_path / "graph.pb")
    from varhandle.formats import format_of

    made = example_calls(read, format_of(read).call_signature(read, None), 5)
    assert values(made).max() == 255


# Stored with the model.


def _field(number, data):
    return bytes([number << 3 | 2, *_varint(len(data))]) + data


def _varint(number):
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return [*parts, number]


def test_requests_to_warm_up_are_calls(tf, tmp_path, save_module):
    """The records are TensorFlow's, the messages around its tensors written by hand."""

    class Doubled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def __call__(self, x):
            return {"y": 2.0 * x}

    folder = save_module(Doubled())
    (folder / "assets.extra").mkdir()
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    rows = [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]
    with tf.io.TFRecordWriter(str(file)) as writer:
        for row in rows:
            tensor = tf.make_tensor_proto(row, tf.float32).SerializeToString()
            entry = _field(1, b"x") + _field(2, tensor)
            spec = _field(1, b"model") + _field(3, b"serving_default")
            request = _field(1, spec) + _field(2, entry)
            writer.write(_field(6, _field(1, request)))
    graph = read_graph(folder)
    made = example_calls(graph, graph.signatures[0], 5)
    assert (made.origin, [call["x"].tolist() for call in made.calls]) == ("stored", rows)
    assert made.basis == "2 calls stored with the model (assets.extra/tf_serving_warmup_requests)"
    other = replace(graph.signatures[0], name="other")
    assert example_calls(graph, other, 5).origin == "made up"
    file.write_bytes(file.read_bytes()[:30])
    assert example_calls(graph, graph.signatures[0], 5).origin == "made up"


@pytest.mark.parametrize("bits", [8, 16])
def test_a_float_input_that_is_quantized_at_once_has_the_range_of_its_integers(tf, bits):
    """The converter keeps float inputs, and folds the Rescaling away: its integers still tell."""
    keras = tf.keras
    model = keras.Sequential([keras.Input([12, 12, 3]), keras.layers.Rescaling(1 / 255)])
    for layer in conv(keras):
        model.add(layer)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    ops = tf.lite.OpsSet
    both = ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8 if bits == 8 else both]
    pixels = RANDOM.integers(0, 256, (20, 1, 12, 12, 3)).astype("float32")
    converter.representative_dataset = lambda: ([image] for image in pixels)
    content = converter.convert()
    graph = read_graph(content)
    made = example_calls(graph, graph.signatures[0], 5, content=content)
    assert made.origin == "graph" and "the range of its integers" in made.basis
    low = 0 if bits == 8 else -255
    assert low - 2 <= values(made).min() and 200 < values(made).max() <= 257


def _with_metadata(content, mean, std, low, high):
    """Give a .tflite file metadata of its input, as ``metadata_schema.fbs`` lays them out."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from varhandle.tflite.flatbuffer import pack, unpack

    builder = flatbuffers.Builder(0)

    def floats(values):
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependFloat32(value)
        return builder.EndVector()

    def table(size, **fields):
        builder.StartObject(size)
        for slot, value in fields.items():
            add = builder.PrependUOffsetTRelativeSlot
            if slot == "kind":
                builder.PrependUint8Slot(0, value, 0)
            else:
                add(int(slot[1:]), value, 0)
        return builder.EndObject()

    def tables(*offsets):
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    units = []
    if mean:
        options = table(2, _0=floats(mean), _1=floats(std))
        units.append(table(2, kind=1, _1=options))
    stats = table(2, _0=floats(high), _1=floats(low))
    tensor = table(7, _4=tables(*units), _5=stats)
    subgraph = table(8, _2=tables(tensor))
    builder.Finish(table(8, _3=tables(subgraph)), b"M001")
    model = unpack(content)
    model.buffers.append(schema.BufferT(list(builder.Output())))
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return pack(model)


@pytest.mark.parametrize(
    ("normalization", "ends"),
    [(([127.5], [127.5]), (-1.0, 1.0)), (([0.0], [1.0]), (0.0, 255.0)), (([], []), (-2.0, 2.0))],
)
def test_metadata_of_a_file_tell_its_range(converted, tf, normalization, ends):
    low, high = ends
    kernel = RANDOM.normal(size=[3, 3, 3, 2]).astype("float32")
    plain = converted(lambda x: {"y": tf.nn.conv2d(x, kernel, 1, "SAME")}, x=[None, 8, 8, 3])
    content = _with_metadata(plain, *normalization, [low], [high])
    graph = read_graph(content)
    made = example_calls(graph, graph.main_signature, 5, None, content)
    assert (made.origin, "its metadata" in made.basis) == ("graph", True)
    assert low <= values(made).min() and values(made).max() <= high
    assert np.ptp(values(made)) > 0.9 * (high - low)


def test_what_a_file_does_with_an_input_counts_more_than_its_metadata(converted, tf):
    plain = converted(lambda x: {"y": tf.exp(x * (1 / 255.0))}, x=[None, 8, 8, 3])
    content = _with_metadata(plain, [], [], [-2.0], [2.0])
    graph = read_graph(content)
    made = example_calls(graph, graph.main_signature, 5, None, content)
    assert (values(made).min(), values(made).max()) == (0, 255)


def test_a_quantized_input_gets_the_real_values_that_its_integers_mean(tf, to_int8):
    layers = [tf.keras.Input([4]), tf.keras.layers.Dense(1, None, False, "ones")]
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Sequential(layers))
    content = to_int8(converter, RANDOM.uniform(-1, 3, [50, 1, 4]).astype(np.float32))
    graph = read_graph(content)
    made = example_calls(graph, graph.main_signature, 5, None, content)
    assert values(made).dtype == np.float32
    assert -1.1 < values(made).min() < 0 and 2 < values(made).max() < 3.1


def test_inputs_of_other_names_are_matched_by_place_only_where_their_dtypes_agree():
    ids, weights = TensorSpec("ids", "int32", (1, 4)), TensorSpec("weights", "float32", (1, 4))
    own = [TensorSpec("a", "int32", (1, 4)), TensorSpec("b", "float32", (1, 4))]
    assert _paired("f", [ids, weights], own) == {"ids": ("f", "a"), "weights": ("f", "b")}
    assert _paired("f", [ids, weights], own[::-1]) == {}
    assert _paired("f", [ids, weights], own[:1]) == {}
