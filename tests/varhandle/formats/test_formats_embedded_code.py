"""What a model brings along that would run: found where it is, and nowhere else."""

import contextlib

import pytest

from varhandle.divergence.location import locate
from varhandle.facts.graph_ops import (
    UNKNOWN,
    RegisteredOp,
    is_known,
    ops_by_reason,
    reason_against,
    reason_against_name,
)
from varhandle.formats import read_graph
from varhandle.formats.embedded_code import (
    code_in_functions,
    code_in_keras_config,
    custom_objects_of,
    side_effect,
)
from varhandle.formats.trust import NotTrustedError
from varhandle.graph import Function, ModelFileError
from varhandle.graph.model import Node
from varhandle.repair.run import cure
from workbook_lib.locations import project_root


def test_ordinary_models_bring_nothing(saved_models, tflite_files, keras_models):
    paths = [*saved_models.values(), *tflite_files.values()]
    paths += [path for saved in keras_models.values() for path in (saved.keras, saved.h5)]
    assert {path: read_graph(path).embedded_code for path in paths} == dict.fromkeys(paths, ())


@pytest.mark.parametrize(
    "module", ["activations", "initializers", "regularizers", "constraints", "losses", "metrics"]
)
def test_nothing_of_keras_itself_is_taken_for_code(keras, module):
    """Every part of Keras that can be made without arguments, as Keras itself writes it down."""
    written = []
    for name, part in vars(getattr(keras, module)).items():
        if name.startswith("_") or name in {"get", "serialize", "deserialize"}:
            continue
        try:
            made = part() if isinstance(part, type) else part
            written.append(keras.saving.serialize_keras_object(made))
        except (TypeError, ValueError, NotImplementedError):
            continue  # it needs arguments, or is no object of a model
    assert len(written) > 3
    assert code_in_keras_config(*written) == ()


def test_keras_layers_and_optimizers_are_not_taken_for_code(keras):
    layers = keras.layers
    made = [
        layers.Bidirectional(layers.LSTM(2, kernel_initializer="he_normal")),
        layers.TimeDistributed(layers.Dense(2, activation="relu")),
        layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)]),
        layers.TextVectorization(vocabulary=["a", "b"]),
        layers.Lambda(keras.ops.relu),
        layers.Activation(keras.activations.gelu),
        layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.1), dtype="mixed_float16"),
        keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
    ]
    assert code_in_keras_config(*map(keras.saving.serialize_keras_object, made)) == ()


@pytest.fixture(scope="module")
def lambda_files(specimen_path):
    """A model with a Lambda layer, as ``.keras`` and as ``.h5``."""
    return specimen_path("lambda_keras"), specimen_path("lambda_h5")


def test_the_code_of_a_lambda_layer_is_found(lambda_files):
    for path in lambda_files:
        lines = read_graph(path).embedded_code
        assert [line for line in lines if line.startswith("Lambda") and "lambda" in line]
        assert any("bytecode" in line for line in lines)


def test_what_a_model_was_compiled_with_is_not_loaded_and_so_no_code(keras, tmp_path):
    @keras.saving.register_keras_serializable("evil_package")
    def steal(y, p):
        return keras.ops.mean(y - p)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=steal)
    model.save(tmp_path / "compiled.keras")
    model.save(tmp_path / "compiled.h5")
    for name in ("compiled.keras", "compiled.h5"):
        graph = read_graph(tmp_path / name)
        assert (graph.embedded_code, graph.custom_objects) == ((), ())


def test_what_a_model_inside_a_model_was_compiled_with_is_loaded(keras, tmp_path):
    """Keras compiles it anew, whatever ``load_model`` is told."""

    @keras.saving.register_keras_serializable("other_package")
    def own_loss(y, p):
        return keras.ops.mean(y - p)

    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    inner.compile("sgd", loss=own_loss)
    keras.Sequential([keras.Input((2,)), inner]).save(tmp_path / "outer.keras")
    (named,) = read_graph(tmp_path / "outer.keras").custom_objects
    assert named.name == "other_package>own_loss"


def test_a_custom_layer_is_found(keras, tmp_path):
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((2,)), Mine(name="own"), keras.layers.Dense(1)])
    model.save(tmp_path / "custom.keras")
    graph = read_graph(tmp_path / "custom.keras")
    assert graph.embedded_code == ()  # the file names it, and does not bring it along
    assert [one.name for one in graph.custom_objects] == ["Mine"]


def _object(module, class_name, /, registered=None, **config):
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered,
    }


def _layer(name, **config):
    return _object("keras.layers", name, **config)


def _function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def _legacy(name, **config):
    """A class as a .h5 file names it: without a module."""
    return {"class_name": name, "config": config}


_CODE = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None, "closure": None}}

EMBEDDED = {
    "bytecode as a loss": ("bytecode", {"compile_config": {"loss": _CODE}}),
    "bytecode for a call": ("bytecode", {"inbound_nodes": [{"kwargs": {"m": _CODE}}]}),
    "a lambda of Keras 2": ("bytecode", _legacy("Lambda", function=["4wEA", None, None])),
    "a named function of Keras 2": ("os.system", _legacy("Lambda", function="os.system")),
    "a wrapped lambda": (
        "Lambda",
        _layer("TimeDistributed", layer=_layer("Lambda", function=_CODE)),
    ),
    "any module": ("os.system", _function("os", "system")),
    "a function of Python": ("eval", _function("builtins", "eval")),
    "a class of any module": ("subprocess.Popen", _object("subprocess", "Popen")),
    "a download": ("get_file", _function("keras.utils", "get_file")),
    "a download by another name": ("get_file", _function("keras", "utils.get_file")),
    "its real name": ("get_file", _function("keras.src.utils.file_utils", "get_file")),
    "the safe mode": ("unsafe", _function("keras.config", "enable_unsafe_deserialization")),
    "another model": ("load_model", _function("keras.models", "load_model")),
    "a function in place of a class": ("deserialize", _legacy("deserialize")),
    "a pickle": ("unpickles", _layer("TorchModuleWrapper", module="gASV")),
    "a pickle in a .h5 file": ("unpickles", _legacy("TorchModuleWrapper")),
    "another SavedModel": ("SavedModel", _layer("TFSMLayer", filepath="/tmp/evil")),
    "JAX": ("JAX", _layer("JaxLayer")),
    "Flax": ("Flax", _layer("FlaxLayer")),
    "an op that reads a file": (
        "ReadFile opens files",
        _legacy("TensorFlowOpLayer", node_def={"name": "r", "op": "ReadFile"}),
    ),
    "such an op as Keras 2.0 wrote it": (
        "ReadFile opens files",
        _legacy("TensorFlowOpLayer", node_def="\n\x01r\x12\x08ReadFile"),
    ),
    "an op of an archive": (
        "PyFunc calls Python",
        _object("tf_keras.src.engine.base_layer", "TensorFlowOpLayer", node_def={"op": "PyFunc"}),
    ),
    "an op of no release": ("Evil", _legacy("TensorFlowOpLayer", node_def={"op": "Evil"})),
    "an op that nobody can read": ("read", _legacy("TensorFlowOpLayer", node_def="\x12\x7f")),
    "a method of any class": (
        "tf.lite.TFLiteConverter.from_saved_model",
        _legacy("ClassMethod", cls_symbol="lite.TFLiteConverter", method_name="from_saved_model"),
    ),
    "what is not public of a tensor": (
        "__reduce__",
        _legacy("InstanceMethod", attr_name="__reduce__"),
    ),
    "a file to read": ("/etc/passwd", _layer("StringLookup", vocabulary="/etc/passwd")),
}


@pytest.mark.parametrize("case", EMBEDDED)
def test_what_a_keras_config_brings_along(case):
    words, value = EMBEDDED[case]
    model = _object("keras", "Sequential", name="m", layers=[{"deep": [[value]]}])
    lines = code_in_keras_config(model)
    assert lines
    assert any(words in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_ops_and_methods_that_only_compute_are_no_code_in_a_config():
    """As tf_keras 2.21 writes a layer of tf.abs, and Keras 2.0 wrote it, and ragged tensors."""
    attr = {"T": {"type": "DT_FLOAT"}}
    node = {"name": "Abs", "op": "Abs", "input": ["Placeholder"], "attr": attr}
    written = [
        _legacy("TensorFlowOpLayer", node_def=node, constants={}),
        _legacy("TensorFlowOpLayer", node_def="\n\x03Abs\x12\x03Abs"),
        _legacy("ClassMethod", cls_symbol="RaggedTensor", method_name="from_row_splits"),
        _legacy("InstanceMethod", attr_name="to_tensor"),
        _legacy("InstanceProperty", attr_name="shape"),
    ]
    assert code_in_keras_config(*written) == ()


CUSTOM = {
    "a module that begins like Keras": ("kerasown.Layer", _object("kerasown", "Layer")),
    "another package of Keras": ("keras_hub.models.Bert", _object("keras_hub.models", "Bert")),
    "no module": ("Mine", _object(None, "Mine", registered="Mine", name="m")),
    "a registered class": ("own>Mine", _object("builtins", "Mine", registered="own>Mine")),
    "a registered class of a .h5 file": ("own>Mine", _legacy("own>Mine")),
    "a function": ("my_code.swish", _function("my_code", "swish")),
}


@pytest.mark.parametrize("case", CUSTOM)
def test_what_a_keras_config_names_and_does_not_bring_along(case):
    name, value = CUSTOM[case]
    model = _object("keras", "Sequential", name="m", layers=[{"deep": [[value]]}, value])
    assert [str(one) for one in custom_objects_of(model)] == [name]
    assert code_in_keras_config(model) == ()


@pytest.mark.parametrize("case", EMBEDDED)
def test_code_is_not_asked_for_as_custom_objects(case):
    assert custom_objects_of(EMBEDDED[case][1]) == ()


def test_what_the_safe_mode_of_keras_refuses_is_all_found(keras):
    """Keras's own list of what is no part of a model."""
    from keras.src.saving.serialization_lib import NON_MODELING_APIS

    for api in NON_MODELING_APIS:
        module, _, name = api.rpartition(".")
        assert code_in_keras_config(_function(module, name)), api


def test_a_config_of_strange_values_is_no_trouble():
    strange = [None, 1, "x", [], {}, {"class_name": 3}, {"class_name": "A", "module": []}]
    strange += [{"class_name": name, "config": c} for name in ("", "Lambda") for c in ("x", {})]
    for value in [*strange, {"class_name": "function", "config": {}}]:
        code_in_keras_config(value, [value], {"a": value})


def test_a_deep_config_needs_no_deep_stack():
    value = _CODE
    for _ in range(100_000):
        value = [value]
    assert code_in_keras_config(value)


def test_the_lines_are_few_however_many_layers_there_are():
    layers = [_object("os", "Evil", name=f"layer {i}\x1b[2J") for i in range(1000)]
    (line,) = code_in_keras_config(layers)
    assert line == r"os.Evil is code outside Keras's layers: in Evil layer 0\x1b[2J, and 999 more"


FILE_ARGUMENTS = frozenset(
    {"filename", "filenames", "path", "file_name", "file_pattern", "address", "server_address"}
    | {"logdir", "output_file_path", "directory", "ckpt_path", "shard_dir", "output_stream"}
    | {"debug_urls", "vocab_file", "snapshot_path", "chunk_file", "log_dir_path", "pattern"}
    | {"descriptor_source", "memory_region_name", "graph_def", "target_name"}
)
PATTERNS_OF_TEXT = {
    *("RegexReplace", "RegexFullMatch", "StaticRegexReplace", "StaticRegexFullMatch"),
}


EFFECTS_OF_OPS = {
    None: "MatMul ReadVariableOp FlexHashTableV2 RandomUniform If QueueDequeueV2 Assert XlaReduce "
    "PrintV2 PrintV2:stderr DebugIdentityV3 DecodeProtoV2 EncodeProto:local:// XlaCallModule:ML "
    "CompareAndBitpack TensorListResize",  # the first is of 1.15 alone
    "calls Python code": "PyFunc FlexEagerPyFunc PyFuncStateless",
    "opens files": "ReadFile WriteFile PrintV2:file:///tmp/x DecodeProtoV2:/tmp/x ImmutableConst "
    "MatchingFiles GenerateVocabRemapping WholeFileReaderV2 SaveV2 CreateSummaryFileWriter "
    "GcsConfigureCredentials BigQueryReader",
    "talks to other processes": "DebugIdentityV3:grpc://x RpcCall Rpc RemoteCall _Send",
    "runs a program that it holds as data": "DatasetFromGraph XlaCustomCallV2 "
    "XlaCallModule:ML-custom_call_v1",
    "reads from a dataset": "GeneratorDataset ReduceDataset IteratorV2 ParallelMapDatasetV2",
    "does more than compute": "FileSystemSetConfiguration WriteSummary CollateTPUEmbeddingMemory",
    "is on no list of ops that only compute": "SaveableObject CaseFoldUTF8 WriteFileV9",
}


def test_the_effect_of_an_op():
    for expected, ops in EFFECTS_OF_OPS.items():
        for op, _, where in (each.partition(":") for each in ops.split()):
            names = ("output_stream", "debug_urls", "descriptor_source", "module")
            node = Node("n", op, attributes=dict.fromkeys(names, where))
            assert side_effect(node) == expected, op


def test_every_op_that_takes_a_file_name_is_refused(tensorflow_ops):
    """Against TensorFlow's registry: what has an argument that is called after a file."""
    taking = {
        op.name
        for op in tensorflow_ops
        if FILE_ARGUMENTS & {argument.name for argument in (*op.input_arg, *op.attr)}
    }
    assert len(taking) > 40
    settings = dict.fromkeys(FILE_ARGUMENTS, "file:///x")
    allowed = {op for op in taking if side_effect(Node("n", op, attributes=settings)) is None}
    assert allowed == PATTERNS_OF_TEXT


def test_the_list_is_what_the_rule_makes_of_the_registry(tensorflow_ops):
    """An op that a newer TensorFlow brings is on no list until somebody has looked at it."""
    stricter = []
    for op in tensorflow_ops:
        arguments = [argument.name for argument in op.input_arg]
        kinds = {attribute.name: attribute.type for attribute in op.attr}
        registered = RegisteredOp(op.name, op.is_stateful, arguments, kinds)
        rule = reason_against(registered) if is_known(op.name) else UNKNOWN
        stored = reason_against_name(op.name)
        if stored != rule:
            stricter.append(op.name)
            assert stored is not None, op.name
    assert len(stricter) < 5  # an earlier release, in which it did more, was measured as well
    assert len([op for op in tensorflow_ops if not is_known(op.name)]) < 100


def test_what_one_release_refuses_stays_refused():
    harmless = RegisteredOp("Foo", False, ("x",), {})
    calling = RegisteredOp("Foo", False, ("x",), {"f": "func"})
    assert ops_by_reason([[harmless], [harmless]]) == {"": ["Foo"]}
    for registries in ([[calling], [harmless]], [[harmless], [calling]]):
        (reason,) = ops_by_reason(registries)
        assert "calls functions" in reason


def test_a_function_that_is_called_as_an_op_is_hides_nothing():
    """TensorFlow takes the op, whatever the library of the graph holds under its name."""
    write = Node("n", "WriteFile", calls=("WriteFile",))
    functions = [Function("main graph", (write,)), Function("WriteFile", ())]
    (line,) = code_in_functions(functions)
    assert line.startswith("WriteFile opens files")
    assert code_in_functions([Function("f", (Node("n", "f"),))]) == ()


@pytest.fixture(scope="module")
def effects(tf, tmp_path_factory):
    """SavedModels whose functions do more than compute, by what they do."""
    root = tmp_path_factory.mktemp("effects")
    vocabulary = root / "words.txt"
    vocabulary.write_text("a\nb\n")
    path = str(vocabulary)

    def table(x):
        return model.table.lookup(tf.strings.as_string(x))

    def printed(x):
        tf.print(x, output_stream=f"file://{root / 'printed'}")
        return x

    def inner(x):
        return tf.cond(x[0] > 0, lambda: tf.strings.length(tf.io.read_file(path)), lambda: 0)

    functions = {
        "python": lambda x: tf.py_function(lambda v: v, [x], tf.float32),
        "numpy": lambda x: tf.numpy_function(lambda v: v, [x], tf.float32),
        "reads": inner,
        "writes": lambda x: (tf.io.write_file(path + "2", "x"), x)[1],
        "prints": printed,
        "saves": lambda x: (
            tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x]),
            x,
        )[1],
        "restores": lambda x: tf.raw_ops.RestoreV2(
            prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0],
        "table": table,
        "asset": lambda x: tf.strings.length(tf.io.read_file(model.asset.asset_path)),
    }
    lines = tf.lookup.TextFileIndex
    words = tf.lookup.TextFileInitializer(
        path, tf.string, lines.WHOLE_LINE, tf.int64, lines.LINE_NUMBER
    )
    for name, function in functions.items():
        model = tf.Module()
        model.v = tf.Variable(1.0)
        if name == "asset":
            model.asset = tf.saved_model.Asset(path)
        if name == "table":
            model.table = tf.lookup.StaticHashTable(words, -1)
        call = model.call = tf.function(function, input_signature=[tf.TensorSpec([2])])
        tf.saved_model.save(model, str(root / name), signatures=call.get_concrete_function())
    return root


EFFECTS = {
    "python": "EagerPyFunc calls Python code",
    "numpy": "PyFunc calls Python code",
    "reads": "ReadFile opens files",
    "writes": "WriteFile opens files",
    "prints": "PrintV2 opens files",
    "saves": "SaveV2 opens files",
    "restores": "RestoreV2 opens files",
}


def test_what_the_ops_of_a_saved_model_do(effects):
    found = {name: read_graph(effects / name).embedded_code for name in EFFECTS}
    assert all(len(lines) == 1 for lines in found.values())
    assert {name: lines[0].partition(":")[0] for name, lines in found.items()} == EFFECTS


@pytest.mark.parametrize(
    ("name", "op"), [("table", "InitializeTableFromTextFileV2"), ("asset", "ReadFile")]
)
def test_an_asset_of_the_model_is_read_as_all_do(effects, tmp_path, name, op):
    from tensorflow.core.protobuf import saved_model_pb2

    assert op in read_graph(effects / name).op_counts()
    assert read_graph(effects / name).embedded_code == ()
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((effects / name / "saved_model.pb").read_bytes())
    del message.meta_graphs[0].asset_file_def[:]
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    (line,) = read_graph(tmp_path).embedded_code
    assert line.startswith(f"{op} opens files")


def test_the_assets_of_tensorflow_1_are_in_a_collection(effects, tmp_path):
    """TensorFlow reads the collection where there is no list, and messages of its type alone."""
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((effects / "table" / "saved_model.pb").read_bytes())
    (graph,) = message.meta_graphs
    asset = meta_graph_pb2.AssetFileDef()
    asset.CopyFrom(graph.asset_file_def[0])
    packed = graph.collection_def["saved_model_assets"].any_list.value.add()
    packed.Pack(asset)

    def saved():
        (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
        return read_graph(tmp_path)

    graph.asset_file_def[0].tensor_info.name = "none:0"
    assert saved().embedded_code  # which is not passed by the list
    del graph.asset_file_def[:]
    assert saved().embedded_code == ()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "saved_model.pbtxt").write_text(str(message))
    assert read_graph(tmp_path / "text").embedded_code == ()
    packed.type_url = "type.googleapis.com/tensorflow.TensorInfo"
    assert saved().embedded_code
    asset.filename = "../words.txt"
    packed.Pack(asset)
    with pytest.raises(ModelFileError, match="climbs out"):
        saved()
    packed.value = b"\x0a\xff"
    with pytest.raises(ModelFileError, match="list of assets is damaged"):
        saved()


def test_the_next_element_of_an_iterator_is_nothing_without_one(tf, tmp_path):
    """The function that adapts a layer of Keras 2 takes one, and lies in every such SavedModel."""
    module = tf.Module()
    spec = tf.data.IteratorSpec(tf.TensorSpec([2]))
    module.adapt = tf.function(lambda one: next(one) + 1, input_signature=[spec])
    module.step = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([2])])
    tf.saved_model.save(module, str(tmp_path), signatures=module.step)
    assert read_graph(tmp_path).op_counts()["IteratorGetNext"] == 1
    assert read_graph(tmp_path).embedded_code == ()


def test_a_restore_from_another_place_is_not_the_savers(saved_models, tmp_path):
    """The saver is told where the model is; a path of its own would be somebody else's file."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((saved_models["constant"] / "saved_model.pb").read_bytes())
    assert code_of(message, tmp_path) == ()
    for function in message.meta_graphs[0].graph_def.library.function:
        for node in [node for node in function.node_def if node.op == "RestoreV2"]:
            path = function.node_def.add(name="elsewhere", op="Const")
            path.attr["dtype"].type = 7
            path.attr["value"].tensor.dtype = 7
            path.attr["value"].tensor.string_val.append(b"/elsewhere")
            node.input[0] = "elsewhere:output:0"
    (line,) = code_of(message, tmp_path)
    assert line.startswith("RestoreV2 opens files")


def code_of(message, folder):
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return read_graph(folder).embedded_code


def test_a_dataset_of_a_graph_in_a_string_is_found(tf, tmp_path):
    """As of the field: it runs when the model is loaded, and writes what it likes."""
    dataset = tf.data.Dataset.range(1).map(lambda n: (tf.io.write_file("x", "x"), n)[1])
    text = dataset._as_serialized_graph().numpy()

    class Evil(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1])])
        def __call__(self, x):
            made = tf.raw_ops.DatasetFromGraph(graph_def=text)
            count = tf.raw_ops.DatasetCardinality(input_dataset=made)
            return x + tf.cast(count, tf.float32)

    tf.saved_model.save(Evil(), str(tmp_path))
    code = read_graph(tmp_path).embedded_code
    assert any(line.startswith("DatasetFromGraph runs a program") for line in code)
    assert any(line.startswith("DatasetCardinality reads from a dataset") for line in code)


@pytest.mark.parametrize(
    ("options", "op"), [({"sharded": True}, "SaveV2"), ({"write_version": 1}, "SaveSlices")]
)
def test_the_saver_of_a_graph_def_is_ordinary_and_a_lone_save_is_not(tf, options, op):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        v = v1.get_variable("v", [2], use_resource=True)
        y = tf.identity(v + 1.0, name="y")
        v1.train.Saver(**options)
        assert {op, "RestoreV2"} <= {node.op for node in graph.as_graph_def().node}
        read = read_graph(graph.as_graph_def())
        assert read.embedded_code == ()
        assert {access.op for access in read.variables[0].reads} == {"ReadVariableOp"}
        save = tf.raw_ops.SaveV2(
            prefix="/tmp/x", tensor_names=["y"], shape_and_slices=[""], tensors=[y]
        )
        with tf.control_dependencies([save]):
            y * 2.0
        (line,) = read_graph(graph.as_graph_def()).embedded_code
    assert line == "SaveV2 opens files: node SaveV2 of main graph"


def test_a_checkpoint_that_a_graph_reads_into_its_answer_is_found(tf):
    """A saver's restore ends in variables; any other reads a file whenever the graph runs."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        read = tf.raw_ops.RestoreV2(
            prefix="/tmp/x", tensor_names=["y"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0]
        tf.identity(read, name="answer")
        (line,) = read_graph(graph.as_graph_def()).embedded_code
        assert line.startswith("RestoreV2 opens files")
        v1.assign(v1.get_variable("v", [2], use_resource=True), tf.ensure_shape(read, [2]))
        assert len(read_graph(graph.as_graph_def()).embedded_code) == 1


def test_code_in_another_graph_of_the_same_folder_is_found(effects, saved_models, tmp_path):
    """TensorFlow takes the graph whose tags are exactly those that it is asked for."""
    from tensorflow.core.protobuf import saved_model_pb2

    parts = []
    for folder in (saved_models["constant"], effects / "python"):
        message = saved_model_pb2.SavedModel()
        message.ParseFromString((folder / "saved_model.pb").read_bytes())
        parts.append(message.meta_graphs[0])
    parts[0].meta_info_def.tags.append("decoy")
    both = saved_model_pb2.SavedModel(meta_graphs=parts)
    (tmp_path / "saved_model.pb").write_bytes(both.SerializeToString())
    assert any("EagerPyFunc" in line for line in read_graph(tmp_path).embedded_code)
    assert "EagerPyFunc" in read_graph(tmp_path).op_counts()


def test_a_file_of_two_formats_is_refused_where_keras_would_load_the_other(lambda_files, tmp_path):
    """An archive is found from its end: Keras opens this file, by its name, as the Lambda model."""
    harmless = (project_root() / "data" / "digits_classifier.keras").read_bytes()
    archive, hdf5 = (path.read_bytes() for path in lambda_files)
    (tmp_path / "two.keras").write_bytes(hdf5 + archive)
    (tmp_path / "two.h5").write_bytes(harmless.ljust(2**20, b"\0") + hdf5)
    for name in ("two.keras", "two.h5"):
        with pytest.raises(ModelFileError, match="by its name"):
            read_graph(tmp_path / name)


@pytest.mark.parametrize(
    ("module", "name", "found"),
    [("convnext", "LayerScale", 0), ("convnext", "load_weights", 1), ("vgg16", "VGG16", 1)],
)
def test_of_keras_applications_its_layers_alone_build_a_model(module, name, found):
    place = f"keras.src.applications.{module}"
    config = {"module": place, "class_name": name, "config": {}, "registered_name": name}
    assert len(code_in_keras_config(config)) == found


LEFT = [
    ("left behind", False),
    ("in a collection of tables", True),
    ("before a local variable", True),
    ("main op", True),
    ("before an output", True),
    ("in a sparse output", True),
    ("restore op", True),
]


@pytest.mark.parametrize(("place", "runs"), LEFT)
def test_code_of_tensorflow_1_is_found_where_loading_or_calling_runs_it(tf, tmp_path, place, runs):
    """TensorFlow itself says what runs: it loads the model and calls it, and a file is there."""
    from tensorflow.core.protobuf import saved_model_pb2

    v1, folder, written = tf.compat.v1, tmp_path / "saved", tmp_path / "written"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder("float32", [1], name="x")
        y = x + v1.get_variable("v", initializer=[1.0], use_resource=True)
        saver = v1.train.Saver(name="own")  # of the program: the SavedModel gets another
        write = tf.raw_ops.WriteFile(filename=str(written), contents="x", name="write")
        if place == "in a collection of tables":
            v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, write)
        with tf.control_dependencies([write]):
            after = tf.identity(y)
            if place == "before a local variable":
                key = v1.GraphKeys.LOCAL_VARIABLES
                v1.Variable(tf.identity([1.0]), collections=[key], use_resource=True)
        outputs = {"y": v1.saved_model.build_tensor_info(after if "before an" in place else y)}
        if place == "in a sparse output":
            sparse = tf.SparseTensor([[0]], after, [1])
            outputs["sparse"] = v1.saved_model.build_tensor_info(sparse)
        inputs = {"x": v1.saved_model.build_tensor_info(x)}
        signature = v1.saved_model.build_signature_def(inputs, outputs, "predict")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": signature},
            main_op=write if place == "main op" else None,
        )
        builder.save()
    assert saver.saver_def.restore_op_name == "own/restore_all"
    if place == "restore op":
        message = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        message.meta_graphs[0].saver_def.restore_op_name = "write"
        (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    assert not written.exists()
    code = read_graph(folder).embedded_code
    with contextlib.suppress(tf.errors.FailedPreconditionError):  # nothing restored the variable
        tf.saved_model.load(str(folder)).signatures["serving_default"](x=tf.ones([1]))
    assert written.exists() == runs
    assert bool(code) == runs
    assert not any("own/" in line for line in code)


@pytest.mark.parametrize("file", ["m.meta", "m.pb"])
@pytest.mark.parametrize(("place", "runs"), [("left behind", False), ("before an answer", True)])
def test_code_of_a_graph_def_is_found_where_it_answers(tf, tmp_path, file, place, runs):
    """Nothing of the tool runs the rest: unlocked, it converts, compares and looks at every op."""
    v1, path, written = tf.compat.v1, tmp_path / file, tmp_path / "written"
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder("float32", [1, 2], name="x")
        y = x * (v1.get_variable("v", [2], use_resource=True) if file == "m.meta" else 2.0)
        write = tf.raw_ops.WriteFile(filename=str(written), contents="x")
        with tf.control_dependencies([write]):
            seen = v1.py_func(lambda values: values, [y], "float32", name="seen")
        tf.raw_ops.Assert(condition=True, data=[tf.identity(seen)])
        with tf.control_dependencies([seen] if runs else []):
            tf.identity(y, name="answer")
        if file == "m.meta":
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(tmp_path / "m"))
        else:
            path.write_bytes(graph.as_graph_def().SerializeToString())
    assert bool(read_graph(path).embedded_code) == runs
    if runs:
        with pytest.raises(NotTrustedError, match=r"PyFunc calls Python code.*say --trust"):
            cure(path)
    else:
        made = cure(path, lock=False)
        assert made.parity.passed
        if file == "m.pb":
            assert locate(path, made.content, lock=False).agrees
    assert not written.exists()
