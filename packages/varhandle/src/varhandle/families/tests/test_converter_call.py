"""A converter that is asked for what it does not offer, or given no model."""

import pytest
from family_checks import code_of, counter, exports_litert, ids, log_test, run

from varhandle import cure, diagnose, explain
from varhandle.families.catalog import family
from varhandle.families.converter_call import OUTPUT_TENSORS
from varhandle.repair.refusal import NoCureError

FAMILY = family("converter-call")
KERAS_TRACEBACK = 'File "/site-packages/tensorflow/lite/python/lite.py", line 1714, in convert\n'
OF_AN_OPERATION = (
    "ValueError: The name 'AssignAddVariableOp' refers to an Operation, not a Tensor. Tensor names"
    ' must be of the form "<op_name>:<output_index>".'
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "ValueError: Only support at least one signature key.",
        "ValueError: Only support a single signature key.",
        "ValueError: No ConcreteFunction is specified.",
        "ValueError: Only supports a single signature key.",
        "ValueError: No 'x' in the SavedModel's SignatureDefs. Possible values are 'y'.",
        "ValueError: This converter can only convert a single ConcreteFunction. Converting",
        "usage: tflite_convert [-h]\ntflite_convert: error: unrecognized arguments: --input_array",
        "RuntimeError: TOCO failed see console.\nb'/bin/sh: 1: toco_from_protos: not found",
        "'toco_from_protos' is not recognized as an internal or external command,",
        "ValueError: one of the arguments --saved_model_dir --keras_model_file is required",
        "--graph_def_file, --saved_model_dir, or --keras_model_file must be specified.",
        "ValueError: --input_arrays and --output_arrays are required with --graph_def_file",
        "ValueError: input_shapes must be defined for this model.",
        "ValueError: input_shapes must contain a value for each item in input_array.",
        "If input_tensors and output_tensors are None, both input_arrays_with_shape and"
        " output_arrays|control_output_arrays must be defined.",
        "ValueError: Invalid tensor 'x' found in tensor shapes map.",
        "ValueError: The model provided has not yet been built. It must be built before export.",
        "ValueError: The model provided has never called. It must be called at least once",
        "if not isinstance(self._keras_model.call, f): AttributeError: 'str' object has no"
        " attribute 'call'",
        "ValueError: Invalid signature key 'nope' found. Valid keys are 'serving_default'.",
        "ValueError: Got an incompatible argument to `tags`: ['train']. The SavedModel has one",
        "converter = tf.lite.TFLiteConverter.from_saved_model(d)\nRuntimeError: MetaGraphDef"
        " associated with tags 'serve' could not be found in SavedModel",
        f"{KERAS_TRACEBACK}OSError: SavedModel file does not exist at:"
        " model.h5/{{saved_model.pbtxt|saved_model.pb}}",
        "AttributeError: type object 'TFLiteConverterV2' has no attribute 'from_frozen_graph'",
        "AttributeError: type object 'TFLiteConverter' has no attribute 'from_keras_model'",
        "ValueError: The LiteRT export API is currently only available with the TensorFlow and",
        "ImportError: To export to LiteRT with the PyTorch backend, you must install the",
        f"{KERAS_TRACEBACK}{OF_AN_OPERATION}",
        "AttributeError: module 'tensorflow.contrib' has no attribute 'lite'",
        "AttributeError: module 'tensorflow' has no attribute 'lite'",
        "ValueError: `input_arrays` and `output_arrays` are unsupported with Eager mode.",
        "Exception: Placeholder input_1 should be specied by input_arrays.",
        "Placeholder input_1 should be specified by input_arrays.",
        "F tensorflow/lite/toco/tooling_util.cc:918] Check failed: GetOpWithOutput(model,"
        " output_array) Specified output array output is not produced by any op in this graph."
        " Is it a typo?\nRuntimeError: TOCO failed see console for info.",
        "ValueError: Invalid tensors 'output' were found.",
        "ValueError: The model provided has never been called. It must be called at least once",
        f"{KERAS_TRACEBACK}ValueError: Model <K name=k, built=False> cannot be saved because the"
        " input shapes have not been set.",
        "ValueError: This function takes in a list of ConcreteFunction. To get it, call",
        f"{KERAS_TRACEBACK}AttributeError: 'str' object has no attribute 'call'",
        "ValueError: The LiteRT export requires the filepath to end with '.tflite'. Got: m",
    ],
)


@pytest.mark.parametrize(
    "call",
    [
        lambda lite: lite.TFLiteConverter.from_frozen_graph("a", ["b"], ["c"]),
        lambda lite: lite.TFLiteConverter.from_keras_model_file("a"),
        lambda lite: lite.TFLiteConverter.from_concrete_functions([lambda x: x]),
    ],
)
def test_todays_converter_is_understood(tf, call):
    with pytest.raises((ValueError, AttributeError)) as refused:
        call(tf.lite)
    assert ids(str(refused.value)) == [FAMILY.id]


def test_other_programs_load_saved_models_too():
    assert ids("OSError: SavedModel file does not exist at: m/{saved_model.pbtxt}") == []
    assert ids("AttributeError: 'str' object has no attribute 'call'") == []
    assert ids("AttributeError: type object 'Model' has no attribute 'from_session'") == []


def test_the_fix_of_a_log_runs(tf, tmp_path, capsys):
    module = counter(tf)
    module.step = module.__call__
    names = run(code_of(FAMILY.fix), tf=tf, module=module, folder=str(tmp_path / "saved"))
    assert names["converter"].convert()
    assert "serving_default" in capsys.readouterr().out


def test_the_fix_of_a_command_runs(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tf.saved_model.save(counter(tf), "saved")
    (match,) = explain("tflite_convert: error: unrecognized arguments: --x").matches
    run(code_of(match.fix), tf=tf, folder="saved")
    assert (tmp_path / "model.tflite").read_bytes()[4:8] == b"TFL3"


def test_the_fixes_of_a_keras_model_run(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tf.keras.Sequential([tf.keras.layers.Dense(2)])
    (never,) = explain("The model provided has never been called").matches
    assert run(code_of(never.fix), tf=tf, model=model)["converter"].convert()
    model.save("model.keras")
    (given,) = explain("This function takes in a list of ConcreteFunction").matches
    assert run(code_of(given.fix), tf=tf, path="model.keras")["converter"].convert()
    (moved,) = explain("'TFLiteConverterV2' has no attribute 'from_session'").matches
    assert run(code_of(moved.fix), tf=tf, path="model.keras")["converter"].convert()


@exports_litert
def test_the_name_that_keras_wants_is_written(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tf.keras.Sequential([tf.keras.Input([3]), tf.keras.layers.Dense(2)])
    (suffix,) = explain("The LiteRT export requires the filepath to end with").matches
    run(code_of(suffix.fix), model=model)
    assert (tmp_path / "model.tflite").exists()


def test_the_fix_of_a_frozen_graph_runs(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tf.Graph().as_default() as graph:
        tf.identity(2.0 * tf.compat.v1.placeholder(tf.float32, [None, 4], "x"), name="y")
    (tmp_path / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    (match,) = explain("ValueError: Invalid tensors 'output' were found.").matches
    assert run(code_of(match.fix), tf=tf)["converter"].convert()


@pytest.mark.parametrize("shape", [[4], [None]])
def test_an_output_that_is_an_operation_is_to_be_read(tf, tmp_path, shape):
    v1 = tf.compat.v1

    def program(folder, read):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, shape, name="x")
            total = v1.get_variable("total", [], initializer=v1.zeros_initializer())
            session.run(v1.global_variables_initializer())
            added = read(v1.assign_add(total, tf.reduce_sum(x)))
            v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": added})
        return folder

    assert not explain(OF_AN_OPERATION).matches  # a program that converts nothing has it as well
    found = diagnose(program(tmp_path / "m", lambda value: value))
    (told,) = found.other
    assert told.endswith(f"'AssignAddVariableOp', which gives no tensor. {OUTPUT_TENSORS}")
    assert "with tf.identity around each assignment that is an output" in OUTPUT_TENSORS
    with pytest.raises(NoCureError) as refused:
        cure(found)
    assert refused.value.text() == f"no safe cure: {told}"
    assert cure(program(tmp_path / "again", tf.identity)).parity.passed
