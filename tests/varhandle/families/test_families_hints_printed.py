"""Code and commands of logs' fixes, refusals and hints, run as they are printed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from family_checks import code_of, counter, exports_litert, fix_of, piece, run, run_command
from printed_code import ran

from varhandle import diagnose, explain, lift_state
from varhandle.conversion.quantization import quantize_file
from varhandle.formats import read_graph
from varhandle.graph import ModelFileError
from varhandle.repair.run import NoCureError, cure

ASSIGNED = "Input 0 of node {} was passed float from x:0 incompatible with expected resource."


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def advice(log):
    (match, *_) = explain(log).matches
    return code_of(match.fix)


def converter_of(tf, function, *specs):
    concrete = tf.function(function).get_concrete_function(*specs)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete])


def keras_model(tf, *layers, shape=(4,)):
    return tf.keras.Sequential([tf.keras.Input(shape), *layers])


def answers(content, **inputs):
    runner = Interpreter(model_content=content).get_signature_runner()
    given = inputs if inputs.keys() == runner.get_input_details().keys() else None
    if given is None:
        given = dict(zip(runner.get_input_details(), inputs.values(), strict=True))
    return list(runner(**given).values())


def run_shell(command, **environment):
    """Run a command for a shell with what is installed here."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(
        command, shell=True, env=told, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    ran(command)
    return done.stdout


# Calls of the converter.


def test_a_frozen_graph_is_converted_by_its_names(tf):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        tf.multiply(x, 2.0, name="y")
    Path("frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    names = run(advice("ValueError: Invalid tensors 'output' were found."), tf=tf)
    answer = answer_to_ones(Interpreter(model_content=names["converter"].convert()))
    assert answer.tolist() == [[2.0] * 4]


def test_a_keras_file_is_loaded_and_converted(tf):
    model = zoo.dense_model()
    model.save("model.keras")
    moved = advice("AttributeError: module 'tensorflow' has no attribute 'lite'")
    content = run(moved, tf=tf, path="model.keras")["converter"].convert()
    x = np.ones((1, 4), "float32")
    np.testing.assert_allclose(answers(content, x=x)[0], model(x), rtol=1e-5)


def test_a_function_is_made_concrete(tf):
    module = counter(tf)
    printed = advice("This function takes in a list of ConcreteFunction")
    call = "\n".join(
        line.removeprefix("# ") for line in printed.split("\n") if line.startswith("# ")
    )
    spec = tf.TensorSpec([4], tf.float32)
    run(call, tf=tf, function=module.__call__, module=module, spec=spec)


def test_a_backend_is_chosen_before_keras_is_imported():
    Path("export.py").write_text("import keras\nprint(keras.backend.backend())")
    printed = advice("ValueError: The LiteRT export API is currently only available with the")
    assert run_shell(printed, KERAS_BACKEND="numpy").strip() == "tensorflow"


def test_a_size_is_given_before_the_tensors_are_allocated(tf):
    convolution = tf.keras.layers.Conv2D(2, 3)
    model = keras_model(tf, convolution, shape=(None, None, 3))
    model.export("open", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model("open")
    interpreter = Interpreter(model_content=converter.convert())
    fix = explain("ValueError: Provide an input shape for input array 'x'.").matches[0].fix
    index = interpreter.get_input_details()[0]["index"]
    run(piece(fix, "interpreter.resize"), interpreter=interpreter, index=index)
    interpreter.allocate_tensors()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, 62, 62, 2]


def test_a_custom_op_that_was_hidden_is_named(tf):
    converter = converter_of(tf, tf.math.betainc, *[tf.TensorSpec([4], tf.float32)] * 3)
    converter.allow_custom_ops = True
    with pytest.raises(RuntimeError, match="unresolved custom op"):
        Interpreter(model_content=converter.convert()).allocate_tensors()
    run(advice("Encountered unresolved custom op: Betainc."), converter=converter)
    with pytest.raises(Exception, match=r"tf\.Betainc"):  # ConverterError, which has no public name
        converter.convert()


def test_the_library_of_an_accelerator_is_asked_for():
    """Without the device, the printed lines come as far as its library, which is not here."""
    printed = advice("Encountered unresolved custom op: edgetpu-custom-op.")
    with pytest.raises((OSError, ValueError), match=r"libedgetpu\.so\.1"):
        run(printed, path="model.tflite")
    ran(printed)


def test_the_models_output_is_named_where_it_is_frozen(tf):
    printed = advice(ASSIGNED.format("save/Assign_3"))
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        w = v1.get_variable("w", [4], initializer=v1.ones_initializer())
        tf.multiply(x, w, name="output")
        v1.train.Saver()
        session.run(v1.global_variables_initializer())
        names = run(printed, tf=tf, session=session, graph=graph)
    Path("frozen.pb").write_bytes(names["frozen"].SerializeToString())
    assert diagnose("frozen.pb").verdict == "convertible"


def test_tf2onnx_takes_what_was_saved_for_inference(tf):
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    printed = advice(f'File "coremltools/x.py"\n{ASSIGNED.format("bn/AssignNewValue")}')
    model = keras_model(tf, tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(2))
    run(printed, tf=tf, model=model, folder="inference")
    run_shell(piece(printed, "python -m tf2onnx").replace("FOLDER", "inference"))
    session = ort.InferenceSession("model.onnx")
    x = np.ones((1, 4), "float32")
    (answer,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(answer, model(x), rtol=1e-4)


# Quantization.


def small(tf):
    return keras_model(tf, tf.keras.layers.Dense(4), tf.keras.layers.ReLU())


def samples():
    for _ in range(8):
        yield [np.random.default_rng(0).random((1, 4)).astype("float32")]


def test_the_types_of_inputs_need_calibration(tf):
    converter = tf.lite.TFLiteConverter.from_keras_model(small(tf))
    converter.inference_input_type = tf.int8
    with pytest.raises(ValueError) as refused:
        converter.convert()
    run(advice(str(refused.value)), tf=tf, converter=converter, representative_dataset=samples)
    content = converter.convert()
    assert Interpreter(model_content=content).get_input_details()[0]["dtype"] == np.int8


def test_a_file_is_quantized_in_full(tf):
    converter = tf.lite.TFLiteConverter.from_keras_model(small(tf))
    printed = advice("Hybrid models are not supported on TFLite Micro.")
    run(printed, tf=tf, converter=converter, representative_dataset=samples)
    details = Interpreter(model_content=converter.convert())._get_ops_details()
    assert {"QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"} <= {one["op_name"] for one in details}


def test_a_state_is_lifted_and_the_file_quantized(tf):
    module = counter(tf)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    content = converter.convert()
    lifted = lift_state(content)
    calls = [{name: np.full(4, i, "float32") for name in ("x", *lifted.start())} for i in range(3)]
    log = (
        "tensorflow/lite/kernels/assign_variable.cc:60 variable_tensor->type != input->type"
        " (FLOAT32 != INT8)"
    )
    names = run(advice(log), content=content, calls=calls)
    Interpreter(model_content=names["quantized"].content).allocate_tensors()
    assert names["quantized"].content == quantize_file(lifted.content, calls).content


# Variables and tables.


def test_a_table_is_looked_up_by_its_value(tf):
    fix = explain("Placeholder m/embed/Gather/resource should be specied by input_arrays.")
    table = tf.Variable([[1.0], [2.0]])
    printed = piece(fix.matches[0].fix, "tf.gather(")
    names = run(f"rows = {printed}", tf=tf, table=table, indices=[1])
    assert names["rows"].numpy().tolist() == [[2.0]]


def test_the_object_that_is_saved_holds_the_table(tf):
    log = (
        "Tried to export a function which references untracked resource"
        ' Tensor("init/hash_table:0", shape=(), dtype=resource).'
    )
    (printed,) = {code_of(m.fix) for m in explain(log).matches}
    module = tf.Module()
    pairs = tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([5], tf.int64))
    run(printed, tf=tf, self=module, pairs=pairs, default=-1)
    path = zoo.save_step(
        tf,
        Path("m"),
        {"table": module.table},
        lambda owner, x: {"y": owner.table.lookup(x)},
        zoo.spec(tf, 1, dtype="string"),
    )
    assert diagnose(path, static=True).verdict == "convertible"


def test_a_total_is_kept_in_float32(tf):
    fix = explain("error: 'tf.VarHandleOp' op is neither a custom op nor a flex op").matches[0].fix
    module = tf.Module()
    run(code_of(fix), tf=tf, self=module, x=tf.ones(4, tf.float16))
    assert module.total.numpy().tolist() == [1.0] * 4


def test_a_model_answers_in_the_session_that_it_was_loaded_in(tf, monkeypatch):
    session = 'File "tensorflow/python/client/session.py", line 1375\n'
    line = "FAILED_PRECONDITION: Could not find variable dense/kernel. This could mean that the"
    printed = advice(f"{session}{line} variable has been deleted.")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session().as_default() as session:
        x = v1.placeholder(tf.float32, [1, 2])
        y = x * v1.get_variable("w", [2], initializer=v1.ones_initializer())
        session.run(v1.global_variables_initializer())
        model = SimpleNamespace(predict=lambda value: v1.get_default_session().run(y, {x: value}))
        backend = SimpleNamespace(get_session=v1.get_default_session)  # Keras 3 has none
        monkeypatch.setattr(v1.keras, "backend", backend, raising=False)
        told = run(printed, tf=tf, model=model, x=[[1, 2]])
    assert told["answer"].tolist() == [[1.0, 2.0]]


def test_dropout_is_left_out_by_export(tf):
    model = keras_model(tf, tf.keras.layers.Dropout(0.5), tf.keras.layers.Dense(2))
    printed = advice("error: 'tf.StatelessRandomUniformV2' op is neither a custom op nor a flex op")
    run(printed, model=model)
    assert diagnose("inference", signature="serving_default").verdict == "convertible"


# The tool's own commands.


def printed_commands(text):
    return re.findall(r"varhandle [a-z]+ [^()\n`]*[^()\n`.,;]", text)


def counting(tf, name="model.tflite"):
    module = counter(tf)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    Path(name).write_bytes(converter.convert())


@pytest.mark.parametrize(
    "log",
    [
        "Failed to get registration from op code VAR_HANDLE",
        "Tensorflow op [a/states1: TFL_VAR_HANDLE] is not supported",
        "Op builtin_code out of range: 142.",
    ],
)
def test_the_state_is_lifted_out_of_the_file(tf, log):
    counting(tf)
    (command,) = printed_commands(explain(log).matches[0].fix)
    assert run_command(command) == 0
    assert not read_graph("lifted.tflite").variables


def test_the_model_itself_is_looked_at(tf):
    counting(tf)
    log = "Exception: Could not translate MLIR to FlatBuffer."
    (command,) = printed_commands(advice(log))
    assert run_command(command.replace("MODEL", "model.tflite")) == 0


def test_a_node_that_refuses_made_up_values_is_called_with_the_readers(tf):
    spec = tf.TensorSpec([2], tf.int32, "x")
    converter = converter_of(tf, lambda x: {"y": tf.gather([1.0, 2.0], x)}, spec)
    Path("model.tflite").write_bytes(converter.convert())
    np.savez("inputs.npz", x=np.int32([[0, 1], [1, 1], [1, 0]]))
    log = "RuntimeError: gather index out of boundsNode number 0 (GATHER) failed to invoke."
    (command,) = printed_commands(explain(log).matches[0].fix)
    assert run_command(command) == 0


def test_what_a_file_was_converted_from_is_diagnosed(tf, specimen_path):
    fix = fix_of(specimen_path("keras_saved_tflite"), "uninitialised-variable")
    assert "varhandle diagnose on what" in " ".join(fix.replace("# ", "").split())
    zoo.dense_model().export("exported", verbose=False)
    assert run_command("varhandle diagnose exported") == 0


def test_code_that_the_model_brings_runs_with_trust(specimen_path, capsys):
    path = str(specimen_path("lambda_keras"))
    command = f"varhandle cure {path} model.tflite"
    assert run_command(command) == 2
    option = piece(capsys.readouterr().err, "--trust")
    assert run_command(f"{command} {option}") == 0
    assert run_command(f"varhandle diagnose {path}") == 3
    printed = capsys.readouterr().out
    assert run_command(f"varhandle diagnose {path} {piece(printed, '--trust')}") == 0
    (told,) = {one for one in printed_commands(printed) if "cure" in one}
    assert "--trust" in told
    assert run_command(told) == 0


def test_inputs_of_the_readers_own_are_taken(tf, capsys):
    zoo.dense_model().save("m.keras")
    assert run_command("varhandle cure m.keras model.tflite") == 0
    option = piece(capsys.readouterr().out, "--inputs")
    np.save("calls.npy", np.ones((3, 1, 4), "float32"))
    assert run_command(f"varhandle cure m.keras model.tflite {option} calls.npy") == 0
    (name,) = (spec.name for spec in read_graph("m.keras").main_signature.inputs)
    np.savez("calls.npz", **{name: np.ones((3, 1, 4), "float32")})
    assert piece(refusal("calls.npz"), "--inputs") == option
    assert run_command(f"varhandle diagnose m.keras {option} calls.npz") == 0


def test_a_sweep_is_compared_with_an_earlier_one():
    zoo.dense_model().save("m.keras")
    with pytest.raises(SystemExit):
        run_command("varhandle sweep --help")
    assert run_command("varhandle sweep m.keras --output before") == 0
    assert run_command("varhandle sweep m.keras --output after --baseline before") == 0


def test_hints_at_options_are_options(tf, specimen_path, capsys):
    path = specimen_path("scatter_update")
    assert run_command(f"varhandle diagnose {path} --static") == 1
    static = piece(diagnose(path, static=True).text(), "--static")
    capsys.readouterr()
    assert run_command(f"varhandle diagnose {path} {static} --json") == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "blocked"


def test_an_op_of_another_package_is_asked_for_by_a_command_that_runs(tf, capsys):
    """No package here registers an op, so that the op is still asked for afterwards."""
    module = tf.Module()
    module.step = tf.function(lambda x: {"y": tf.abs(x)}, [tf.TensorSpec([2], tf.float32, "x")])
    tf.saved_model.save(module, "saved", signatures=module.step)
    pb = Path("saved/saved_model.pb")
    pb.write_bytes(pb.read_bytes().replace(b"Abs", b"Abz"))
    told = " ".join(diagnose("saved", trust=True).text().split())
    assert "varhandle diagnose saved --trust --import MODULE" in told
    command = "varhandle diagnose saved --trust --import MODULE"
    capsys.readouterr()
    assert run_command(command.replace("MODULE", "json")) == 1
    assert "it needs the op Abz" in capsys.readouterr().out


def test_a_sweep_fails_on_what_was_asked_for(specimen_path):
    path = specimen_path("scatter_update")
    assert run_command(f"varhandle sweep {path} --output rows --fail-on never") == 0


@exports_litert
def test_flex_files_are_cured_from_their_model(tf):
    """Keras writes such a file of a loop over steps that are open."""
    model = keras_model(tf, tf.keras.layers.GRU(2), shape=(None, 3))
    model.export("flex.tflite", format="litert", verbose=False)
    told = " ".join(diagnose("flex.tflite").other)
    run(piece(told, "model.export(path"), model=model, path="again.tflite")
    assert diagnose("again.tflite").verdict == "blocked"
    model.save("m.keras")
    command = piece(told, "varhandle cure").replace("MODEL", "m.keras")
    assert run_command(command) == 0
    assert Path("OUT.tflite").exists()


# Refusals of what is no model.


def refusal(path):
    with pytest.raises(ModelFileError) as raised:
        read_graph(path)
    return str(raised.value)


def test_a_model_without_its_weights_is_put_together(tf):
    import keras

    model = zoo.dense_model()
    model.save_weights("model.weights.h5")
    Path("m.json").write_text(model.to_json())
    told = refusal("m.json")
    names = run(f"model = {piece(told, 'keras.models')}", keras=keras)
    run(piece(told, "model.load_weights"), **names)
    run(piece(told, "model.save"), **names)
    x = np.ones((1, 4), "float32")
    np.testing.assert_allclose(keras.models.load_model("model.keras")(x), model(x))


def test_weights_alone_are_put_into_their_model(tf):
    import keras

    model, x = zoo.dense_model(), np.ones((1, 4), "float32")
    model.save_weights("only.weights.h5")
    wanted = model(x).numpy()
    model.set_weights([0.0 * w for w in model.get_weights()])
    told = refusal("only.weights.h5")
    run(piece(told, "model.load_weights"), model=model)
    run(piece(told, "model.save"), model=model)
    np.testing.assert_allclose(keras.models.load_model("model.keras")(x), wanted)


def test_links_that_lead_out_are_copied(specimen_path):
    shutil.copytree(specimen_path("counter"), "a model")
    shutil.move("a model/variables", "elsewhere")
    Path("a model/variables").symlink_to("../elsewhere")
    run_shell(piece(refusal("a model"), "cp"))
    assert read_graph("copy").variables


def test_a_model_is_saved_with_a_signature(tf):
    module = tf.Module()
    module.step = tf.function(lambda x: {"y": x * 2.0}, input_signature=[zoo.spec(tf, 4)])
    tf.saved_model.save(tf.Module(), "bare")
    told = " ".join(diagnose("bare").other)
    run(piece(told, "tf.saved_model.save"), tf=tf, module=module, folder="signed")
    assert diagnose("signed").verdict == "convertible"
    with pytest.raises(NoCureError) as refused:
        cure("bare")
    shutil.rmtree("signed")
    run(piece(refused.value.change, "tf.saved_model.save"), tf=tf, module=module)
    assert diagnose("signed").verdict == "convertible"


# C++ for a microcontroller.

MICRO = """
#include <cstddef>
#include <cstdint>

// As the public headers of TensorFlow Lite Micro declare them.
enum TfLiteStatus { kTfLiteOk };
struct TFLMRegistration {};
void MicroPrintf(const char* format, ...);
namespace tflite {
class Model;
class MicroOpResolver {};
template <unsigned int count>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddCustom(const char* name, const TFLMRegistration* registration);
  TfLiteStatus AddCallOnce();
  TfLiteStatus AddVarHandle();
  TfLiteStatus AddReadVariable();
  TfLiteStatus AddAssignVariable();
  TfLiteStatus AddFullyConnected();
};
class MicroAllocator {
 public:
  static MicroAllocator* Create(uint8_t* tensor_arena, size_t arena_size);
};
class MicroResourceVariables {
 public:
  static MicroResourceVariables* Create(MicroAllocator* allocator, int num_variables);
};
class MicroInterpreter {
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, MicroAllocator*, MicroResourceVariables*);
  size_t arena_used_bytes() const;
};
}  // namespace tflite
extern const tflite::Model* model;
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler of C++ is installed")
@pytest.mark.parametrize(
    ("log", "before", "after"),
    [
        (
            "Failed to get registration from op code VAR_HANDLE",
            "constexpr int kArenaSize = 9, kVariables = 1; uint8_t arena[kArenaSize];"
            " tflite::MicroMutableOpResolver<4> resolver;",
            "",
        ),
        ("Didn't find op for builtin opcode 'FULLY_CONNECTED'", "constexpr int kOps = 1;", ""),
        (
            "Failed to resize buffer. Requested: 19440, available 11876, missing: 7564",
            "extern tflite::MicroInterpreter& interpreter;",
            "",
        ),
        (
            "Encountered unresolved custom op: Betainc.",
            "tflite::MicroMutableOpResolver<1> resolver; const char* name = nullptr;"
            " const TFLMRegistration* registration = nullptr;",
            "resolver.AddCustom",
        ),
    ],
)
def test_what_is_for_a_microcontroller_compiles(log, before, after):
    fix = explain(log).matches[0].fix
    printed = f"{piece(fix, after)};" if after else code_of(fix)
    Path("main.cc").write_text(f"{MICRO}\nvoid run() {{\n{before}\n{printed}\n}}\n")
    done = subprocess.run(
        ["g++", "-std=c++17", "-fsyntax-only", "main.cc"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    ran(printed)


# Code of a plan.


def answer_to_ones(interpreter):
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    return interpreter.get_tensor(output["index"])


@pytest.fixture
def planned(tf):
    """Cure a model, run the code that it prints, and compare both files."""

    def check(path, *steps, **options):
        made = cure(path, **options)
        assert set(steps) <= set(made.plan.steps), made.plan
        names = run(made.plan.code)
        assert Path("model.tflite").read_bytes() == names["content"]
        interpreters = [Interpreter(model_content=c) for c in (made.content, names["content"])]
        mine, theirs = map(answer_to_ones, interpreters)
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)

    return check


def test_a_keras_model_is_closed(tf, planned):
    model = keras_model(tf, tf.keras.layers.LSTM(3), shape=(None, 4))
    model.save("m.keras")
    planned("m.keras", "close-shapes")
    model.export("m", verbose=False)
    planned("m", "close-shapes")


def test_a_keras_model_of_half_precision_is_loaded_in_float32(tf, planned):
    layer = tf.keras.layers.Dense(3, dtype="mixed_float16")
    keras_model(tf, layer).save("m.keras")
    planned("m.keras", "float32-policy")


def test_a_model_without_signatures_is_called(tf, planned):
    module = counter(tf)
    module.other = tf.function(lambda x: x, input_signature=[zoo.spec(tf, 4)])
    tf.saved_model.save(module, "m")
    planned("m", "track-variables")


def test_weights_of_half_precision(tf, planned):
    zoo.dense_model().save("m.keras")
    planned("m.keras", quantization="float16")


@pytest.mark.parametrize(
    ("file", "as_text"), [("m.pbtxt", True), ("m.meta", True), ("m.meta", False)]
)
def test_a_graph_in_text_or_in_a_meta_graph(tf, planned, file, as_text):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1, 4], name="x")
        tf.multiply(x, 2.0, name="y")
        if file == "m.meta":
            tf.compat.v1.train.export_meta_graph(file, as_text=as_text)
        else:
            tf.io.write_graph(graph, ".", file, as_text)
    planned(file)
