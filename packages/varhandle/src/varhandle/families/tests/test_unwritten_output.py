"""Outputs that nobody writes: in Python the interpreter tells, and CompiledModel does not."""

import numpy as np
import pytest
import zoo
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter
from family_checks import finding_of, ids, log_test, run

from varhandle.families.catalog import family
from varhandle.families.unwritten_output import unwritten_outputs
from varhandle.formats import read_graph

FAMILY = family("unwritten-output")
# What @litertjs/core 2.5.3 printed in Chromium, on files whose run() resolved.
UNPREPARED = "ERROR: [litert_compiled_model.cc:164] Failed to allocate tensors"
OF_A_CUSTOM_OP = (
    "ERROR: Encountered unresolved custom op: VarHandleOp.\n"
    "See instructions: https://www.tensorflow.org/lite/guide/ops_custom\n"
    f"ERROR: Node number 1 (VarHandleOp) failed to prepare.\n{UNPREPARED}"
)
OF_A_SCALAR = (
    "ERROR: [compiled_model.cc:1714] Failed to set custom allocation for output tensor total (index"
    " -1): 1\nERROR: [litert_compiled_model.cc:164] Failed to register output tensor buffer: Failed"
    " to set custom allocation for output"
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        UNPREPARED,
        OF_A_SCALAR,
        "ERROR: Custom allocation is too small for tensor idx: 6\n"
        "ERROR: [litert_compiled_model.cc:164] Failed to invoke",
    ],
)


def test_the_op_that_is_missing_comes_first():
    assert ids(OF_A_CUSTOM_OP) == ["unsupported-variable-dtype", "unwritten-output"]


def test_in_python_the_same_lines_stand_above_an_exception():
    log = f"{OF_A_SCALAR}\nRuntimeError: CompiledModel error: code=3, message=Failed to invoke"
    assert "unwritten-output" not in ids(log)


def converted(tf, step, state=None):
    """The file of a function of four numbers, and of a variable where there is one."""
    module = tf.Module()
    if state is not None:
        module.state = tf.Variable(state, name="state")

    @tf.function(input_signature=[zoo.spec(tf, 4)])
    def call(x):
        return step(module, x)

    module.call = call
    function = call.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()


def handed_through(tf):
    return converted(tf, lambda _, x: {"same": tf.identity(x), "twice": x * 2.0})


def doubled(tf):
    def step(_, x):
        product = x * 3.0
        return {"one": product, "other": product}

    return converted(tf, step)


def scalar_read(tf):
    def step(module, x):
        module.state.assign_add(tf.reduce_sum(x))
        return {"total": module.state.read_value()}

    return converted(tf, step, 0.0)


def sound(tf):
    def step(module, x):
        total = module.state + x
        module.state.assign(total)
        return {"total": total, "half": total * 0.5}

    return converted(tf, step, np.zeros(4, np.float32))


X = np.array([1, 2, 3, 4], np.float32)
FILLING = 1234.5


def told(content):
    """What the interpreter answers, by name."""
    return Interpreter(model_content=content).get_signature_runner()(x=X)


def handed_over(content):
    """What CompiledModel hands over of a call, in no order; its memory is filled before."""
    model = CompiledModel.from_buffer(content)
    given, taken = model.create_input_buffers(0), model.create_output_buffers(0)
    given[0].write(X)
    sizes = [
        model.get_output_buffer_requirements(at, 0)["buffer_size"] // 4 for at in range(len(taken))
    ]
    for size, buffer in zip(sizes, taken, strict=True):
        buffer.write(np.full(size, FILLING, np.float32))
    model.run_by_index(0, given, taken)
    return sorted(
        buffer.read(size, np.float32).tolist() for size, buffer in zip(sizes, taken, strict=True)
    )


def file_of(content, folder):
    path = folder / "model.tflite"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "got", "what"),
    [
        # The input is not even read: twice what the memory was filled with.
        (handed_through, [[FILLING] * 4, [2 * FILLING] * 4], "hands an input through"),
        (doubled, [[3, 6, 9, 12], [FILLING] * 4], "has one tensor as several outputs"),
        (scalar_read, [[FILLING]], "returns state as it is read"),
    ],
)
def test_what_compiled_model_does_not_write_is_found(tf, make, got, what, tmp_path):
    content = make(tf)
    assert handed_over(content) == got
    assert sorted(np.ravel(value).tolist() for value in told(content).values()) != got
    path = file_of(content, tmp_path)
    finding = finding_of(path, "unwritten-output", "info")
    assert what in finding.message
    assert unwritten_outputs(read_graph(path)) == (finding.message,)


def test_of_a_sound_file_nothing_is_said(tf, tmp_path):
    content = sound(tf)
    assert handed_over(content) == sorted(value.tolist() for value in told(content).values())
    assert unwritten_outputs(read_graph(file_of(content, tmp_path))) == ()


@pytest.mark.parametrize("name", ["flex_tflite", "custom_tflite"])
def test_an_op_without_a_kernel_is_named_and_an_interpreter_raises(
    tf, specimen_path, tmp_path, monkeypatch, name
):
    """``tests/browser`` has LiteRT.js answer these files."""
    monkeypatch.chdir(tmp_path)
    finding = finding_of(specimen_path(name), "unwritten-output", "warning")
    assert "VarHandleOp" in finding.message
    model = tmp_path / "model.tflite"
    model.write_bytes(sound(tf))
    run(finding.fix)
    model.write_bytes(specimen_path(name).read_bytes())
    with pytest.raises(RuntimeError, match="VarHandleOp"):
        run(finding.fix)
