"""Logs that are about something else: what people paste, and what comes close to a sign."""
# ruff: noqa: E501

OTHER_LOGS = {
    "wrong layer shape": """\
Traceback (most recent call last):
  File "train.py", line 12, in <module>
    model.fit(x, y)
ValueError: Exception encountered when calling Sequential.call().

Input 0 of layer "dense" is incompatible with the layer: expected axis -1 of input shape to have value 10, but received input with shape (None, 12)
""",
    "out of memory": """\
ResourceExhaustedError: Graph execution error: OOM when allocating tensor with shape[512,512,3,3] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc
\t [[{{node Adam/Adam/update/AssignSubVariableOp}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, add report_tensor_allocations_upon_oom to RunOptions for current allocation info. This isn't available when running in Eager mode.
""",
    "a sensor without read_value": """\
Traceback (most recent call last):
  File "read.py", line 8, in <module>
    print(sensor.read_value())
AttributeError: 'Sensor' object has no attribute 'read_value'
""",
    "another attribute of a variable": """\
AttributeError: 'ResourceVariable' object has no attribute 'values'
AttributeError: 'Sequential' object has no attribute 'predict_classes'
""",
    "None is called": """\
Traceback (most recent call last):
  File "app.py", line 3, in <module>
    callback()
TypeError: 'NoneType' object is not callable
""",
    "training": """\
I0612 10:11:12.345678 140735 model_lib.py:88] Freezing variable backbone/conv1/kernel: it will not be updated.
INFO:root:assign: 12 anchors of 900 assigned to ground truth; variable learning rate 0.001
Epoch 3/10 - unfreeze head, frozen graph layers: 40
1875/1875 [==============================] - 5s 3ms/step - loss: 0.2944 - accuracy: 0.9139
WARNING:tensorflow:Gradients do not exist for variables ['dense/kernel:0', 'dense/bias:0'] when minimizing the loss.
""",
    "checkpoint": """\
WARNING:tensorflow:Detecting that an object or model or tf.train.Checkpoint is being deleted with unrestored values.
WARNING:tensorflow:Value in checkpoint could not be found in the restored object: (root).optimizer._variables.1
tensorflow.python.framework.errors_impl.NotFoundError: Key dense/kernel not found in checkpoint [Op:RestoreV2]
""",
    "a good conversion": """\
W0000 00:00:1795378184.644508   24055 tf_tfl_flatbuffer_helpers.cc:364] Ignored output_format.
W0000 00:00:1795378184.644670   24055 tf_tfl_flatbuffer_helpers.cc:367] Ignored drop_control_dependency.
I0000 00:00:1795378184.644880   24055 reader.cc:83] Reading SavedModel from: /models/total
I0000 00:00:1795378184.653011   24055 loader.cc:220] Running initialization op on SavedModel bundle at path: /models/total
I0000 00:00:1795378184.656040   24055 loader.cc:471] SavedModel load for tags { serve }; Status: success: OK. Took 11175 microseconds.
I0000 00:00:1795378184.718867   24055 flatbuffer_export.cc:4302] Estimated count of arithmetic ops: 4  ops, equivalently 2  MACs
wrote total.tflite, 1624 bytes
""",
    "a histogram of ops": """\
op                  nodes
------------------  -----
AssignVariableOp        2
MatMul                  1
ReadVariableOp          3
VarHandleOp             2
resource ops in the graph: VarHandleOp, ReadVariableOp, AssignVariableOp
VAR_HANDLE (2), READ_VARIABLE (3), ASSIGN_VARIABLE (2), CALL_ONCE (1)
""",
    "the attribute that is ignored": """\
E tensorflow/core/framework/node_def_util.cc:676] NodeDef mentions attribute debug_name which is not in the op definition: Op<name=VarHandleOp; signature= -> resource:resource; attr=container:string,default=""; attr=shared_name:string,default=""; attr=dtype:type; attr=shape:shape; is_stateful=true> This may be expected if your graph generating binary is newer  than this binary. Unknown attributes will be ignored. NodeDef: {{node sequential/dense/bias}}
""",
    "XML": """\
lxml.etree.XMLSyntaxError: missing attribute 'value', line 3, column 12
config.xml:7: error: missing attribute 'value' in element <param>
""",
    "prose about mutability": """\
TypeError: unhashable type: 'list'. A list is not immutable, so it cannot be a key.
error: the default of field 'tags' is not immutable; use default_factory
""",
    "Terraform": """\
Error: Unsupported attribute: the value given is incompatible with expected resource schema aws_instance
Error: could not find variable "region" in module root
""",
    "CMake and shell": """\
CMake Error at CMakeLists.txt:12 (find_package): Could not find variable Eigen3_DIR
./run.sh: line 3: VARIABLE: unbound variable
make: *** [Makefile:12: all] Error 1
""",
    "somebody else's custom ops": """\
Loaded custom ops: [assign_score_withk, ball_query, variable_conv]
ONNX: Unsupported ops: Counter({'Multinomial': 1})
Unsupported ops: AssignmentSolver, VariableLengthDecode, HashTableau
""",
    "TF1 deprecation": """\
WARNING:tensorflow:From train.py:12: The name tf.assign is deprecated. Please use tf.compat.v1.assign instead.
WARNING:tensorflow:From freeze.py:3: convert_variables_to_constants (from tensorflow.python.framework.graph_util_impl) is deprecated and will be removed in a future version.
INFO:tensorflow:Froze 16 variables.
INFO:tensorflow:Converted 16 variables to const ops.
""",
    "a key of one's own": """\
  File "data.py", line 9, in load
    return table["kernel"]
KeyError: 'kernel'
""",
    "a placeholder that is not fed": """\
InvalidArgumentError: You must feed a value for placeholder tensor 'x' with dtype float and shape [?,4]
\t [[{{node x}}]]
""",
    "quota": """\
Error 429: RESOURCE_EXHAUSTED: Quota exceeded for resource 'cpus' in region europe-west1; assign more quota.
npm WARN assign-deep@1.0.1: this package is not supported
""",
    "CUDA": """\
E0000 00:00:1795942885.543037    6115 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)
2024-10-02 11:02:41.101010: W tensorflow/core/common_runtime/gpu/gpu_device.cc:2343] Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above are installed properly if you would like to use GPU.
torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of which 1.20 GiB is free.
RuntimeError: Failed to allocate memory for requested buffer of size 4294967296
""",
    "pip": """\
ERROR: Cannot install tensorflow==2.15.0 and keras==3.3.3 because these package versions have conflicting dependencies.
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/#dealing-with-dependency-conflicts
ERROR: Could not find a version that satisfies the requirement tflite-runtime (from versions: none)
ERROR: No matching distribution found for tflite-runtime
""",
    "NumPy": """\
A module that was compiled using NumPy 1.x cannot be run in NumPy 2.0.2 as it may crash. To support both 1.x and 2.x versions of NumPy, modules must be compiled with NumPy 2.0.
AttributeError: _ARRAY_API not found
ImportError: numpy.core.multiarray failed to import
ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject
ValueError: cannot reshape array of size 12 into shape (5,2)
""",
    "pickle": """\
_pickle.PicklingError: Can't pickle <function <lambda> at 0x7f>: attribute lookup <lambda> on __main__ failed
AttributeError: Can't get attribute 'Net' on <module '__main__' (built-in)>
EOFError: Ran out of input
""",
    "Keras, in training": """\
ValueError: Arguments `target` and `output` must have the same shape. Received: target.shape=(None, 10), output.shape=(None, 3)
ValueError: Shapes (None, 1) and (None, 10) are incompatible
ValueError: Negative dimension size caused by subtracting 3 from 2 for '{{node conv2d_3/Conv2D}} = Conv2D[T=DT_FLOAT, data_format="NHWC"](x, kernel)' with input shapes: [?,2,2,8], [3,3,8,16].
InvalidArgumentError: Graph execution error: logits and labels must have the same first dimension, got logits shape [32,10] and labels shape [320]
ValueError: A KerasTensor cannot be used as input to a TensorFlow function. A KerasTensor is a symbolic placeholder for a shape and dtype, used when constructing Keras Functional models or Keras Functions.
AttributeError: 'Functional' object has no attribute 'predict_classes'
ValueError: Could not interpret initializer identifier: <RandomNormal>
OSError: Unable to synchronously open file (file signature not found)
ValueError: Model <Net name=net, built=False> cannot be saved because the input shapes have not been set.
""",
    "Keras, random layers": """\
W tensorflow/core/framework/op_kernel.cc:1841] OP_REQUIRES failed at stateless_random_ops_v2.cc:64
[[{{node sequential/random_flip_1/stateless_random_uniform/StatelessRandomUniformV2}}]]
Node: 'sequential/dropout_2/stateless_dropout/StatelessRandomUniformV2' seed_generator_state
""",
    "PyTorch": """\
RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x128 and 256x10)
RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!
RuntimeError: Error(s) in loading state_dict for Net: Missing key(s) in state_dict: "conv1.weight".
torch.onnx.errors.UnsupportedOperatorError: Exporting the operator 'aten::unflatten' to ONNX opset version 13 is not supported.
NotImplementedError: Could not run 'aten::_foobar' with arguments from the 'CUDA' backend.
UnpicklingError: Weights only load failed. Unsupported global: GLOBAL __main__.Net
""",
    "ONNX Runtime": """\
onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument: [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices index: 2 Got: 640 Expected: 320
onnxruntime.capi.onnxruntime_pybind11_state.Fail: [ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:Fatal error: com.microsoft:NhwcConv(-1) is not a registered function/op
[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10) node with name 'c'
""",
    "a runtime that is fine": """\
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Applying 1 TensorFlow Lite delegate(s) lazily.
VERBOSE: Replacing 61 out of 64 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 partitions for subgraph 0 (main).
/site-packages/tensorflow/lite/python/interpreter.py:457: UserWarning:     Warning: tf.lite.Interpreter is deprecated and is scheduled for deletion in
    TF 2.20. Please use the LiteRT interpreter from the ai_edge_litert package.
WARNING: [accelerator_registry.cc:121] NPU accelerator could not be loaded and registered: kLiteRtStatusErrorInvalidArgument.
INFO: [compiled_model.cc:829] Flatbuffer model initialized directly from incoming litert model.
fully_quantize: 0, inference_type: 6, input_inference_type: FLOAT32, output_inference_type: FLOAT32
Epoch 3/10: tflite file written, 12,344 bytes, 5 custom ops registered
""",
    "other words for the same things": """\
kubectl: error: failed to create delegate: Failed to load model from registry "prod"
git-lfs: Could not open 'weights.bin'
nbconvert.ConverterError: no template
embed.c: Unable to create interpreter: out of memory
torch: Couldn't register custom op 'mine'
SQL: custom ops: none; unsupported ops: none; TF Select ops
FAILED test_api.py::test_invoke - RuntimeError: Invoke called twice
java.io.FileNotFoundException: This file can not be opened as a file descriptor; it is probably compressed
npm ERR! Failed to resize buffer, available 3, missing module
ModuleNotFoundError: No module named 'tf_keras'
""",
    "nothing": "",
}
