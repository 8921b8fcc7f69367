"""Files as they come that no interpreter here runs: what the file is, and what to do."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from family_checks import exports_litert
from flatbuffers import flexbuffers

from varhandle.diagnosis import diagnose
from varhandle.facts.targets import CUSTOM_OPS_OF_LITERT
from varhandle.families.unwritten_output import unwritten_outputs
from varhandle.formats import read_graph
from varhandle.tflite.flatbuffer import pack, unpack
from varhandle.tflite.runtime_support import missing_kernels, refusals


@pytest.fixture(scope="module")
def doubled(tf):
    function = tf.function(
        lambda x: {"y": x * 2.0}, input_signature=[tf.TensorSpec([2], tf.float32, name="x")]
    )
    concrete = [function.get_concrete_function()]
    return tf.lite.TFLiteConverter.from_concrete_functions(concrete, tf.Module()).convert()


def with_custom_op(content, name):
    """Put a custom op in the place of the first one."""
    model = unpack(content)
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM
    code.customCode = name.encode()
    operator, options = model.subgraphs[0].operators[0], flexbuffers.Builder()
    operator.builtinOptions, operator.builtinOptionsType = None, 0
    with options.Map():
        options.Int("num_classes", 1)  # without any, a kernel of a detector kills its process
    operator.customOptions = options.Finish()
    return pack(model)


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("DISPATCH_OP", "compiled ahead of time for an NPU"),
        ("MyPooling", "MyPooling: the file holds custom ops that this runtime"),
    ],
)
def test_a_foreign_op_is_named_with_what_to_do(doubled, tmp_path, op, words):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(with_custom_op(doubled, op))
    found = diagnose(path)
    assert found.verdict == "blocked"
    assert any(words in line for line in found.other), found.other


@pytest.mark.parametrize("op", [*sorted(CUSTOM_OPS_OF_LITERT), "MyPooling"])
def test_a_custom_op_that_every_interpreter_has_is_no_reason(doubled, op):
    content = with_custom_op(doubled, op)
    with pytest.raises((ValueError, RuntimeError)) as refused:  # of its shapes, or of its name
        Interpreter(model_content=content).allocate_tensors()
    unknown = "unresolved custom op" in str(refused.value)
    assert unknown == (op == "MyPooling")
    graph = read_graph(content)
    assert any("no kernel for it" in line for line in refusals(graph, "litert")) == unknown
    assert any("custom" in line for line in missing_kernels(graph, content)) == unknown
    assert any(op in line for line in unwritten_outputs(graph)) == unknown
    assert any("no kernel for it" in line for line in refusals(graph, "builtin-only"))
    of_a_detector = op == "TFLite_Detection_PostProcess"
    assert any("no kernel for it" in line for line in refusals(graph, "micro")) != of_a_detector


def test_micro_has_the_end_of_a_detector(specimen_path):
    path = specimen_path("detection_tflite")
    assert refusals(read_graph(path), "micro", path.read_bytes()) == ()
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    shapes = ((1, 6, 4), (1, 6, 3))
    given = [np.full(shape, 0.5, np.float32) for shape in shapes]
    micro = runtime.Interpreter.from_file(str(path))
    for place, value in enumerate(given):
        micro.set_input(value, place)
    micro.invoke()
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    for place, value in enumerate(given):
        interpreter.set_tensor(place, value)
    interpreter.invoke()
    for place, output in enumerate(interpreter.get_output_details()):
        wanted = interpreter.get_tensor(output["index"])
        np.testing.assert_allclose(micro.get_output(place), wanted, rtol=1e-5)


@exports_litert
def test_a_flex_file_of_kerass_export_is_found_out(tf, tmp_path):
    """The export succeeds, and no interpreter here runs the file."""
    layers = [tf.keras.Input([None, 3]), tf.keras.layers.GRU(2)]
    tf.keras.Sequential(layers).export(tmp_path / "gru.tflite", format="litert", verbose=False)
    found = diagnose(tmp_path / "gru.tflite")
    assert found.verdict == "blocked"
    assert any('model.export(path, format="litert")' in line for line in found.other), found.other


def test_ordinary_ops_are_no_reason(doubled):
    assert missing_kernels(read_graph(doubled), doubled) == ()


def test_weights_in_blocks_are_a_reason(doubled):
    model = unpack(doubled)
    steps = schema.QuantizationParametersT()
    steps.detailsType = schema.QuantizationDetails.BlockwiseQuantization
    steps.details = schema.BlockwiseQuantizationT()
    model.subgraphs[0].tensors[0].quantization = steps
    content = pack(model)
    (told,) = missing_kernels(read_graph(content), content)
    assert "quantized in blocks" in told


def test_plain_kernels_forget_the_activation_of_weights_in_blocks(tf, tmp_path):
    """A bare interpreter shows what is wrong; should it be right one day, the sentence can go."""
    quantizer = pytest.importorskip("ai_edge_quantizer.quantizer")
    layer = tf.keras.layers.Dense(32, "relu", kernel_initializer="ones")
    model = tf.keras.Sequential([tf.keras.Input((64,), 1), layer])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    weights = {"num_bits": 4, "symmetric": True, "granularity": "BLOCKWISE_32", "dtype": "INT"}
    config = {"weight_tensor_config": weights, "compute_precision": "INTEGER"}
    config |= {"explicit_dequantize": False, "skip_checks": False, "min_weight_elements": 0}
    rule = {"regex": ".*", "operation": "FULLY_CONNECTED", "op_config": config}
    rule["algorithm_key"] = "min_max_uniform_quantize"
    made = bytes(quantizer.Quantizer(bytearray(content), [rule]).quantize().quantized_model)
    answers = []
    kinds = tf.lite.experimental.OpResolverType
    for kind in (kinds.AUTO, kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        bare = tf.lite.Interpreter(model_content=made, experimental_op_resolver_type=kind)
        bare.allocate_tensors()
        bare.set_tensor(bare.get_input_details()[0]["index"], -np.ones((1, 64), "float32"))
        bare.invoke()
        answers.append(float(bare.get_tensor(bare.get_output_details()[0]["index"])[0, 0]))
    assert answers == [0.0, pytest.approx(-64, rel=0.1)]
    (tmp_path / "m.tflite").write_bytes(made)
    found = diagnose(tmp_path / "m.tflite")
    assert found.verdict == "wrong-answers"
    assert any("fused into it" in line for line in found.other), found.other


def test_an_input_of_a_size_that_nobody_has_is_no_proof(doubled, tmp_path):
    model = unpack(doubled)
    for tensor in model.subgraphs[0].tensors:
        tensor.shape = np.array([2**31 - 1] * 3, np.int32)
        tensor.shapeSignature = None
    (tmp_path / "huge.tflite").write_bytes(pack(model))
    found = diagnose(tmp_path / "huge.tflite")
    assert found.verdict == "unproved"
    assert "too many to make up" in found.text()
