"""What the tool prints for other people's tools and for other releases, run there as printed.

``python tests/support/other_tools.py [NAME…]`` has uv install what each needs, from the package
registry, into an environment that is gone afterwards; makes a small model, runs the printed text in
an empty folder, and writes ``other_tools.json``: the text, the releases and what came of it.
``test_printed_for_other_tools.py`` holds what is printed today against that file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from printed_code import pieces_of

from varhandle import explain
from varhandle.errors import VarhandleError
from varhandle.evaluate import given_inputs
from varhandle.extras import require
from varhandle.families import frozen_but_assigned
from varhandle.formats import read_graph
from varhandle.graph import ModelFileError
from varhandle.matrix import environments
from varhandle.matrix.environments import uv_environment

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "tests/varhandle/families/other_tools.json"
_X = np.float32([[0.5, -1.0, 2.0, 0.25]])


@dataclass(frozen=True)
class Check:
    """Printed text, and what it is run with.

    ``before`` and ``after`` are Python around it, in the same environment; what ``after`` prints
    is the result. A command of a shell stands between two programs, code in one with them.
    """

    printed: Callable[[], str]
    packages: tuple[str, ...] = ()
    python: str = "3.11"
    before: str = ""
    after: str = ""
    make: Callable[[], None] | None = None  # the model, with what is installed here
    check: Callable[[], str] | None = None  # the result, with what is installed here
    shell: bool = False
    environment: tuple[tuple[str, str], ...] = ()


def fault(name: str, content: bytes) -> str:
    """Return why a file is refused; it is made where there is none."""
    if not Path(name).exists():
        Path(name).write_bytes(content + b"\n" * 20)
    try:
        read_graph(name)
    except ModelFileError as error:
        return error.fault
    raise AssertionError(name)


def advice(log: str) -> str:
    """Return the code of what ``explain`` says to do, or the whole text where it is one."""
    return explain(log).matches[0].fix.partition("\n\n")[2]


def part(text: str, beginning: str) -> str:
    """Return the only piece of a printed text that begins so."""
    (found,) = {piece for piece in pieces_of(text) if piece.startswith(beginning)}
    return found


def _onnx() -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {"v": rng.normal(size=(4, 8)), "w": rng.normal(size=(8, 3))}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "v"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Gemm", ["b", "w"], ["y"]),
        ],
        "two_layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), "two layers.onnx")


def _cured(model: str, wanted: np.ndarray) -> str:
    from ai_edge_litert.interpreter import Interpreter

    from varhandle.cli import main

    assert main(["cure", model, "cured.tflite"]) == 0
    runner = Interpreter("cured.tflite").get_signature_runner()
    (name,) = runner.get_input_details()
    (answer,) = runner(**{name: _X}).values()
    np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
    return f"varhandle cure {model}: the file answers as the model"


def _onnx_answers() -> str:
    from onnx.reference import ReferenceEvaluator

    (wanted,) = ReferenceEvaluator("two layers.onnx").run(None, {"x": _X})
    return _cured("saved_model", wanted)


_WEIGHTS = {"dense/kernel": (4, 8), "dense/bias": (8,), "last/kernel": (8, 3), "last/bias": (3,)}


def _js_values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype("<f4") for name, shape in _WEIGHTS.items()}


def _tfjs() -> None:
    def dense(name: str, units: int, activation: str, **others: object) -> dict[str, object]:
        told = {"name": name, "units": units, "activation": activation, "dtype": "float32"}
        return {"class_name": "Dense", "config": told | others}

    Path("web").mkdir()
    Path("web/weights.bin").write_bytes(b"".join(v.tobytes() for v in _js_values().values()))
    layers = [dense("dense", 8, "relu", batch_input_shape=[None, 4]), dense("last", 3, "linear")]
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    weights = [{"name": n, "shape": list(s), "dtype": "float32"} for n, s in _WEIGHTS.items()]
    told = {
        "format": "layers-model",
        "modelTopology": {"keras_version": "2.15.0", "model_config": config},
        "weightsManifest": [{"paths": ["weights.bin"], "weights": weights}],
    }
    Path("web/model.json").write_text(json.dumps(told))


def _tfjs_answers() -> str:
    v, b, w, c = _js_values().values()
    return _cured("model.h5", np.maximum(_X @ v + b, 0) @ w + c)


_TFJS = b'{"modelTopology": {"model_config": {}}, "weightsManifest": []}'


def _tfjs_fault() -> str:
    Path("web").mkdir(exist_ok=True)
    told = fault("web/model.json", _TFJS)
    return f"{part(told, 'pip')}\n{part(told, 'tensorflowjs_converter')}"


_LINEAR = """
import torch
import litert_torch

model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
inputs = (torch.tensor([[0.5, -1.0, 2.0, 0.25]]),)
"""
_LINEAR_ANSWERS = """
import numpy as np
from ai_edge_litert.interpreter import Interpreter

(answer,) = Interpreter("model.tflite").get_signature_runner()(args_0=inputs[0].numpy()).values()
np.testing.assert_allclose(answer, model(*inputs).detach().numpy(), rtol=1e-4, atol=1e-5)
print("result: model.tflite answers as the module")
"""
_PRUNED = """
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization

layers = tf.keras.layers
bare = tf.keras.Sequential([layers.Input((4,)), layers.Dense(8, "relu"), layers.Dense(3)])
model = tensorflow_model_optimization.sparsity.keras.prune_low_magnitude(bare)
model.compile("adam", "mse")
x = np.float32([[0.5, -1.0, 2.0, 0.25]])
step = tensorflow_model_optimization.sparsity.keras.UpdatePruningStep()
model.fit(np.repeat(x, 8, 0), np.ones((8, 3)), verbose=0, callbacks=[step])
wanted = model.predict(x, verbose=0)
"""
_PRUNED_ANSWERS = """
runner = tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner()
(name,) = runner.get_input_details()
(answer,) = runner(**{name: x}).values()
np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
assert not any("mask" in w.name for w in model.weights)
print("result: the file answers as the pruned model, without masks")
"""
_FROM_INFERENCE = """
converter = tf.lite.TFLiteConverter.from_saved_model(
    "inference", signature_keys=["serving_default"]
)
"""
_ANNOTATED = """
with tfmot.quantization.keras.quantize_scope():
    first = annotate(tf.keras.layers.Dense(8, "relu"))
    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, tf.nn.elu(first(inputs)))  # a TFOpLambda, left in float
    made = tfmot.quantization.keras.quantize_apply(model)
assert tf.lite.TFLiteConverter.from_keras_model(made).convert()
print("result: quantize_apply takes the model, and the converter what comes of it")
"""
_KERAS = """
import numpy as np
import tensorflow as tf

layers = tf.keras.layers
body = [layers.Dense(8), layers.BatchNormalization(), layers.Dense(3)]
model = tf.keras.Sequential([tf.keras.Input((4,)), *body])
spec = tf.TensorSpec([1, *model.input_shape[1:]])
x = np.float32([[0.5, -1.0, 2.0, 0.25]])
"""
_ANSWERS = """
runner = tf.lite.Interpreter(model_content=content).get_signature_runner()
(name,) = runner.get_input_details()
(answer,) = runner(**{name: x}).values()
np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
print("result: the file answers as the model")
"""
_TAKES = 'print("result: its model takes", [i.name for i in made.get_spec().description.input])'
_WRAPT_LOG = "TypeError: this __dict__ descriptor does not support '_DictWrapper' objects"
_TEXT = """
import numpy as np
import tensorflow as tf
import tensorflow_text as text

function = tf.function(
    lambda x: {"y": text.WhitespaceTokenizer().tokenize(x).flat_values},
    input_signature=[tf.TensorSpec([1], tf.string, "x")],
).get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
converter.allow_custom_ops = True
path = "text.tflite"
open(path, "wb").write(converter.convert())
made = \\
"""
_COUNTER = """
import numpy as np
import tensorflow as tf

folder, module = "saved", tf.Module()
module.total = tf.Variable(tf.zeros([4]))


def step(x):
    return {"y": module.total.assign_add(x)}


module.step = tf.function(step, input_signature=[tf.TensorSpec([4], tf.float32, "x")])
tf.saved_model.save(module, folder, signatures=module.step)
converter = tf.lite.TFLiteConverter.from_saved_model(folder)
"""
_COUNTS = """
interpreter = tf.lite.Interpreter(model_content=converter.convert())
interpreter.allocate_tensors()
for call in (1.0, 2.0, 3.0):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ones(4, "float32"))
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(answer, [call] * 4)
print("result: the file counts")
"""
_LIFTED = """
import numpy as np
from ai_edge_litert.interpreter import Interpreter

runner = Interpreter("lifted.tflite").get_signature_runner()
state = dict(np.load("lifted.state.npz"))
for call in (1.0, 2.0):
    outputs = runner(x=np.ones(4, "float32"), **state)
    state = {name: outputs[name] for name in state}
    np.testing.assert_array_equal(outputs["y"], [call] * 4)
print("result: the lifted file counts")
"""
_INSTALLED = "import importlib.metadata as it\nprint('result:', {0!r}, it.version({0!r}))"
_CONVERT = """
program = "import tensorflow as tf; print('result:', tf.keras.Sequential.__module__)"
open("convert.py", "w").write(program)
"""
_ASSIGNED = "Input 0 of node {} was passed float from x:0 incompatible with expected resource."
_KERAS_2 = "`to_quantize` can only either be a keras Sequential or Functional model"
_WRAPT = """
import sys
import tensorflow as tf

module = tf.Module()
module.parts = {"a": tf.Variable(1.0)}
module.step = tf.function(lambda x: x * module.parts["a"], input_signature=[tf.TensorSpec([4])])
try:
    tf.saved_model.save(module, sys.argv[0] + ".saved", signatures=module.step)
    print("result: it is saved")
except TypeError as error:
    print("result: before:", error)
"""
_OPEN = """
import numpy as np
import tensorflow as tf

folder, x = "saved", tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="x")
y = tf.nn.relu(x)
with tf.compat.v1.Session() as session:
    tf.compat.v1.saved_model.simple_save(session, folder, {"x": x}, {"y": y})
converter = \\
"""
_LSTM = """
import numpy as np
import tensorflow as tf

layers = tf.keras.layers
model = tf.keras.Sequential([tf.keras.Input((5, 4)), layers.LSTM(6), layers.Dense(3)])
x = np.random.default_rng(0).random((1, 5, 4), "float32")
"""
_CONVOLUTION = """
import numpy as np
import tensorflow as tf

layers = tf.keras.layers
model = tf.keras.Sequential([tf.keras.Input((None, None, 3)), layers.Conv2D(2, 3)])
x = np.random.default_rng(0).random((1, 64, 64, 3), "float32")
"""
_SELECT = """
import numpy as np
import tensorflow as tf

function = tf.function(
    lambda x: {"y": tf.math.erf(x) + tf.math.lgamma(x)}, input_signature=[tf.TensorSpec([4])]
).get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
x = np.float32([0.5, 1.5, 2.0, 3.0])
wanted = function(tf.constant(x))["y"].numpy()
"""


def _older(log: str) -> str:
    return explain(log).matches[0].fix.partition("Bound to ")[2]


def _other_tool() -> str:
    return advice(f'File "coremltools/x.py"\n{_ASSIGNED.format("bn/AssignNewValue")}')


_ANSWERS_WITHOUT_SIGNATURE = """
interpreter = tf.lite.Interpreter(model_content=converter.convert())
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
np.testing.assert_allclose(answer, model.predict(x), atol=1e-5)
print("result: the file answers as the model")
"""
_OPEN_SIZE = (
    "tensorflow/lite/kernels/reshape.cc:69 num_input_elements != num_output_elements (1001 != 0)"
    "Node number 92 (RESHAPE) failed to prepare."
)
_TENSOR_LIST = (
    "error: 'tf.TensorListReserve' op requires element_shape to be static during TF Lite"
    " transformation pass"
)


def _traced(release: str, log: str) -> str:
    told = _older(f"tensorflow=={release}\n{log}")
    return f"function = {part(told, 'tf.function')}\nconverter = {part(told, 'tf.lite')}"


def _missing(module: str, say: Callable[[], object]) -> str:
    """Return what is said where a module, or a program, is not installed."""
    with (
        mock.patch("importlib.util.find_spec", lambda _: None),
        mock.patch("shutil.which", lambda _: None),
    ):
        try:
            say()
        except VarhandleError as error:
            return part(str(error), "pip install")
    raise AssertionError(module)


def _image_calls() -> object:
    Path("images").mkdir(exist_ok=True)
    return given_inputs._image_calls(Path("images"), None, {})  # type: ignore[arg-type]


def _wheels() -> None:
    _run([_UV, "build", "--quiet", "--wheel", "--out-dir", "wheels", _PACKAGE], uv_environment())


def _counter_and_wheels() -> None:
    import tensorflow as tf
    from family_checks import counter

    module = counter(tf)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    Path("model.tflite").write_bytes(converter.convert())
    _wheels()


_PACKAGE = str(ROOT / "packages/varhandle")


CHECKS = {
    "pillow": Check(
        lambda: _missing("PIL", _image_calls),
        ("pip",),
        after=_INSTALLED.format("pillow"),
        shell=True,
    ),
    "uv": Check(
        lambda: _missing("uv", environments._uv),
        ("pip",),
        after=_INSTALLED.format("uv"),
        shell=True,
    ),
    "an extra of this package": Check(
        lambda: _missing("pyarrow", lambda: require("pyarrow", "sweep")),
        ("pip",),
        make=_wheels,
        after="import varhandle.sweep.run\n" + _INSTALLED.format("pyarrow"),
        shell=True,
        environment=(("PIP_FIND_LINKS", "wheels"),),
    ),
    "onnx2tf": Check(
        lambda: part(fault("two layers.onnx", b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0"), "onnx2tf"),
        ("onnx2tf",),
        make=_onnx,
        check=_onnx_answers,
        shell=True,
    ),
    "tensorflowjs": Check(
        _tfjs_fault, ("pip",), make=_tfjs, check=_tfjs_answers, shell=True, python="3.10"
    ),
    "litert-torch": Check(
        lambda: part(fault("m.pt", b"\x80\x02}q\x00."), "litert_torch"),
        ("litert-torch",),
        before=_LINEAR,
        after=_LINEAR_ANSWERS,
    ),
    "strip_pruning": Check(
        lambda: advice(_ASSIGNED.format("m/prune_low_magnitude_dense/AssignVariableOp")),
        ("tensorflow-model-optimization", "tensorflow==2.21.*", "tf_keras==2.21.*"),
        before=_PRUNED,
        after=_PRUNED_ANSWERS,
        environment=(("TF_USE_LEGACY_KERAS", "1"),),
    ),
    "strip_pruning of a SavedModel": Check(
        lambda: frozen_but_assigned._STRIP_PRUNING,
        ("tensorflow-model-optimization", "tensorflow==2.21.*", "tf_keras==2.21.*"),
        before=_PRUNED,
        after=_FROM_INFERENCE + _PRUNED_ANSWERS,
        environment=(("TF_USE_LEGACY_KERAS", "1"),),
    ),
    "quantize_annotate_layer": Check(
        lambda: advice(
            "Layer a:<class 'TFOpLambda'> is not supported. You can quantize this layer by passing"
            " a `tfmot.quantization.keras.QuantizeConfig` instance"
        ),
        ("tensorflow-model-optimization", "tensorflow==2.21.*", "tf_keras==2.21.*"),
        before="import tensorflow as tf\n",
        after=_ANNOTATED,
        environment=(("TF_USE_LEGACY_KERAS", "1"),),
    ),
    "coremltools": Check(
        lambda: part(_other_tool(), "function = ") + "\nmade = " + part(_other_tool(), "coreml"),
        ("coremltools", "tensorflow==2.21.*"),
        before=f"import coremltools\n{_KERAS}",
        after=_TAKES,
    ),
    "coremltools and Keras 2": Check(
        lambda: part(_other_tool(), "function = ") + "\nmade = " + part(_other_tool(), "coreml"),
        ("coremltools", "tensorflow==2.15.*", "numpy<2"),
        before=f"import coremltools\n{_KERAS}",
        after=_TAKES,
    ),
    "Keras 2, for inference": Check(
        lambda: "\n".join(
            [
                part(advice(_ASSIGNED.format("bn/AssignNewValue")), "function = "),
                "converter = tf.lite.TFLiteConverter."
                + part(advice(_ASSIGNED.format("bn/AssignNewValue")), "from_concrete"),
            ]
        ),
        ("tensorflow==2.15.*", "numpy<2"),
        before=_KERAS,
        after="content, wanted = converter.convert(), model.predict(x, verbose=0)" + _ANSWERS,
    ),
    "tensorflow_text": Check(
        lambda: advice(
            "RuntimeError: Encountered unresolved custom op: WhitespaceTokenizeWithOffsets."
        ),
        ("tensorflow-text",),
        before=_TEXT.removesuffix("made = \\\n"),
        after="""
runner = interpreter.InterpreterWithCustomOps(
    model_path=path, custom_op_registerers=ops
).get_signature_runner()
print("result:", runner(x=np.array([b"a bb c"], object))["y"].tolist())
""",
    ),
    "wrapt": Check(
        lambda: advice(
            "TypeError: this __dict__ descriptor does not support '_DictWrapper' objects"
        ),
        ("tensorflow==2.12.*", "wrapt==1.15.0", "setuptools<70", "pip"),
        before=_WRAPT,
        after=_WRAPT,
        shell=True,
    ),
    "the compiler of the Edge TPU": Check(
        lambda: advice(
            "Edge TPU Compiler version 16.0.384591198\nDidn't find op for builtin opcode 'CONV_2D'"
            " version '99'."
        ),
        ("pip",),
        python="3.10",
        after=_COUNTER + 'print("result: TensorFlow", tf.__version__, "saves a model")',
        shell=True,
    ),
    "legacy Keras": Check(
        lambda: advice(_KERAS_2),
        ("tensorflow==2.21.*", "pip"),
        before=_CONVERT,
        after=_INSTALLED.format("tf_keras"),
        shell=True,
    ),
    "legacy Keras of an old release": Check(
        lambda: advice(f"tensorflow==2.17.0\n{_KERAS_2}"),
        ("tensorflow==2.17.*", "pip"),
        before=_CONVERT,
        after=_INSTALLED.format("tf_keras"),
        shell=True,
    ),
    "ai-edge-litert": Check(
        lambda: advice("Op builtin_code out of range: 151."),
        ("pip", "ai-edge-litert==1.2.0"),
        after=_INSTALLED.format("ai-edge-litert"),
        shell=True,
    ),
    "ai-edge-litert, and the state taken out": Check(
        lambda: explain("TensorType 13 cannot be loaded").matches[0].fix.partition("\n\n")[2],
        ("pip", "varhandle"),
        make=_counter_and_wheels,
        after=_LIFTED + _INSTALLED.format("ai-edge-litert"),
        shell=True,
        environment=(("UV_FIND_LINKS", "wheels"),),
    ),
    "resource variables on 2.8": Check(
        lambda: advice("Variable constant folding failed."),
        ("tensorflow==2.8.*", "protobuf<3.21", "numpy<2", "setuptools<70"),
        python="3.10",
        before=_COUNTER,
        after=_COUNTS,
    ),
    "open sizes on 1.15": Check(
        lambda: part(
            _older("tensorflow==1.15.5\nValueError: Provide an input shape for input array 'x'."),
            "tf.compat",
        ),
        ("tensorflow==1.15.*", "protobuf<3.21", "setuptools<70"),
        python="3.7",
        before=_OPEN,
        after="""
interpreter = tf.lite.Interpreter(model_content=converter.convert())
print("result: the file takes", interpreter.get_input_details()[0]["shape"].tolist())
""",
    ),
    "open sizes on 2.4": Check(
        lambda: _traced("2.4.1", _OPEN_SIZE),
        ("tensorflow==2.4.*", "protobuf<3.21", "setuptools<70"),
        python="3.8",
        before=_CONVOLUTION,
        after=_ANSWERS_WITHOUT_SIGNATURE,
    ),
    "open sizes on 2.15": Check(
        lambda: _traced("2.15.1", _OPEN_SIZE),
        ("tensorflow==2.15.*", "numpy<2"),
        before=_CONVOLUTION,
        after="content, wanted = converter.convert(), model.predict(x, verbose=0)" + _ANSWERS,
    ),
    "a TensorList on 2.6": Check(
        lambda: _traced("2.6.5", _TENSOR_LIST),
        ("tensorflow==2.6.*", "keras==2.6.*", "protobuf<3.21", "setuptools<70"),
        python="3.9",
        before=_LSTM,
        after=_ANSWERS_WITHOUT_SIGNATURE,
    ),
    "a TensorList on 2.15": Check(
        lambda: _traced("2.15.1", _TENSOR_LIST),
        ("tensorflow==2.15.*", "numpy<2"),
        before=_LSTM,
        after="content, wanted = converter.convert(), model.predict(x, verbose=0)" + _ANSWERS,
    ),
    "Flex on 2.19": Check(
        lambda: (
            _older("tensorflow==2.19.0\nTF Select ops: Lgamma\n")
            .partition("so ")[2]
            .partition(" gives")[0]
        ),
        ("tensorflow==2.19.*",),
        before=_SELECT,
        after="content = converter.convert()" + _ANSWERS,
    ),
}


def run_check(check: Check) -> dict[str, object]:
    """Run a check in an empty folder; return its record. Raises where a part of it fails."""
    before, here = Path.cwd(), tempfile.TemporaryDirectory()
    os.chdir(here.name)
    try:
        if check.make:
            check.make()
        printed = check.printed()
        if check.shell:
            parts = {"before.py": check.before, "printed.sh": printed, "after.py": check.after}
        else:
            parts = {"program.py": f"{check.before}{printed}\n{check.after}"}
        environment = _environment(check)
        said = {}
        for name, text in parts.items():
            Path(name).write_text(text)
            program = ["bash", "-e"] if name.endswith(".sh") else ["python"]
            said[name] = _run([*program, name], environment)
        listed = json.loads(_run([_UV, "pip", "list", "--format", "json"], environment))
        result = check.check() if check.check else ""
    finally:
        os.chdir(before)
        here.cleanup()
    told = [line for text in said.values() for line in text.split("\n") if _RESULT in line]
    return {
        "printed": printed,
        "python": check.python,
        "installed": {one["name"]: one["version"] for one in listed if one["name"] in _TOLD},
        "result": result or "\n".join(line.partition(_RESULT)[2] for line in told),
    }


_RESULT = "result: "
_UV = str(Path(sys.executable).with_name("uv"))
_TOLD = {
    *("ai-edge-litert", "coremltools", "keras", "litert-torch", "numpy", "onnx2tf", "protobuf"),
    *("setuptools", "tensorflow", "tensorflow-model-optimization", "tensorflow-text"),
    *("tensorflowjs", "tf-keras", "torch", "wrapt", "ydf"),
}


def _environment(check: Check) -> dict[str, str]:
    environment = {**uv_environment(), "TF_CPP_MIN_LOG_LEVEL": "3", **dict(check.environment)}
    environment.pop("PYTHONPATH", None)
    _run([_UV, "venv", "--quiet", "--python", check.python, "environment"], environment)
    environment["VIRTUAL_ENV"] = str(Path("environment").resolve())
    environment["PATH"] = f"{environment['VIRTUAL_ENV']}/bin{os.pathsep}{environment['PATH']}"
    if check.packages:
        _run([_UV, "pip", "install", "--quiet", *check.packages], environment)
    return environment


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def main(names: list[str]) -> int:
    failed = 0
    for name in names or CHECKS:
        try:
            record = run_check(CHECKS[name])
        except Exception as error:  # whatever a tool does
            print(f"{name}: {error}", flush=True)
            failed += 1
            continue
        told = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        told = {each: told[each] for each in CHECKS if each in told} | {name: record}
        ordered = {each: told[each] for each in CHECKS if each in told}
        RECORD.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
        print(f"{name}: {record['result']}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    raise SystemExit(main(sys.argv[1:]))
