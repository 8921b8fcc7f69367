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
    "a delegate": """\
ValueError: Failed to load delegate from libedgetpu.so.1
RuntimeError: Encountered unresolved custom op: edgetpu-custom-op.Node number 0 (edgetpu-custom-op) failed to prepare.
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
    "a resolver without CONV_2D": """\
Didn't find op for builtin opcode 'CONV_2D' version '3'
Failed to get registration from op code CONV_2D
AllocateTensors() failed
""",
    "an op that is no variable's": """\
tensorflow.lite.python.convert_phase.ConverterError: Could not translate MLIR to FlatBuffer.<unknown>:0: error: loc("Betainc"): 'tf.Betainc' op is neither a custom op nor a flex op
<unknown>:0: error: failed while converting: 'main':
Some ops are not supported by the native TFLite runtime, you can enable TF kernels fallback using TF Select. See instructions: https://www.tensorflow.org/lite/guide/ops_select
TF Select ops: Betainc, Pow
""",
    "an illegal op": """\
error: failed to legalize operation 'tfl.pow' that was explicitly marked illegal
error: failed to legalize operation 'tf.Erf' that was explicitly marked illegal
""",
    "toco, about a loop": """\
2026-11-22 20:11:02.006073: I tensorflow/lite/toco/import_tensorflow.cc:659] Converting unsupported operation: While
Some of the operators in the model are not supported by the standard TensorFlow Lite runtime. Here is a list of operators for which you will need custom implementations: TensorListReserve, While.
RuntimeError: TOCO failed see console for info.
""",
    "toco, a failed check": """\
F tensorflow/lite/toco/tooling_util.cc:918] Check failed: GetOpWithOutput(model, output_array) Specified output array "output" is not produced by any op in this graph. Is it a typo?
RuntimeError: TOCO failed see console for info.
""",
    "toco, a placeholder": """\
Exception: Placeholder input_1 should be specied by input_arrays.
""",
    "a builtin that cannot be prepared": """\
RuntimeError: tensorflow/lite/kernels/reshape.cc:92 num_input_elements != num_output_elements (1 != 0)Node number 4 (RESHAPE) failed to prepare.
ValueError: Cannot set tensor: Dimension mismatch. Got 3 but expected 4 for dimension 0 of input 0.
""",
    "somebody else's custom ops": """\
Loaded custom ops: [assign_score_withk, ball_query, variable_conv]
Encountered unresolved custom op: TFLite_Detection_PostProcess.
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
    "nothing": "",
}
