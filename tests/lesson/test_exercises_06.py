"""The exercises of notebook 06: typical mistakes, each with its advice."""

import json

import nbformat
import pytest
from nbclient import NotebookClient
from notebook_cells import EXERCISES, assert_says, load

BATCH = """
    def name_batch(interpreter, images):
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]
        interpreter.resize_tensor_input(source, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        output = interpreter.get_tensor(target)
        return {}
"""


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("output", "These are the scores"),
        ("output.argmax()", "one number for the whole batch"),
        ("output.argmax(axis=0)", "one label for each class"),
        ("output.argmin(axis=1)", "the interpreter's own"),
        ("output.argmax(axis=1)[:1]", "a label for each image"),
        ("None", "end in a `return`"),
        ("'0'", "This is of type `str`"),
        ("[[0], [1, 2]]", "This is of type `list`"),
        ("output.argmax(axis=1, keepdims=True)", "a label for each image"),
    ],
)
def test_wrong_names_of_a_batch(outcome, returned, told):
    assert_says(outcome("infer/name-batch", BATCH.format(returned)), told)


@pytest.mark.parametrize(
    "returned",
    ["[int(row.argmax()) for row in output]", "np.argmax(output, -1)", "output.argsort(1)[:, -1]"],
)
def test_labels_found_otherwise_are_as_good(outcome, returned):
    assert outcome("infer/name-batch", BATCH.format(returned)).status == "right"


@pytest.mark.parametrize(
    "line", ["resize_tensor_input(source, images.shape)", "allocate_tensors()"]
)
def test_a_batch_without_room(outcome, line):
    source = BATCH.format("output.argmax(axis=1)").replace(f"interpreter.{line}", "pass")
    assert_says(outcome("infer/name-batch", source), "Error", "raised")


def test_one_image_at_a_time_is_no_batch(outcome):
    assert_says(
        outcome(
            "infer/name-batch",
            """
        def name_batch(interpreter, images):
            source = interpreter.get_input_details()[0]["index"]
            target = interpreter.get_output_details()[0]["index"]
            labels = []
            for image in images:
                interpreter.set_tensor(source, image[None])
                interpreter.invoke()
                labels.append(interpreter.get_tensor(target).argmax())
            return np.array(labels)
        """,
        ),
        "5 calls of `invoke`",
    )


def test_names_that_no_interpreter_gave(outcome):
    source = "def name_batch(interpreter, images): return images.argmin(axis=1)"
    assert_says(outcome("infer/name-batch", source), "never invoked")


QUANTIZED = """
    def run_quantized(interpreter, values):
        source = interpreter.get_input_details()[0]
        target = interpreter.get_output_details()[0]
        scale, zero = source["quantization"]
        interpreter.set_tensor(source["index"], {fed})
        interpreter.invoke()
        out_scale, out_zero = target["quantization"]
        integers = interpreter.get_tensor(target["index"])
        return {returned}
"""
FED = "np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)"
RETURNED = "(integers.astype(np.float32) - out_zero) * out_scale"


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        ("(np.round(values / scale) + zero).astype(np.int64).astype(np.int8)", "wraps around"),
        ("np.clip(np.round(values / scale), -128, 127).astype(np.int8)", "zero point of the input"),
        ("np.clip(values / scale + zero, -128, 127).astype(np.int8)", "Round"),
        ("values.astype(np.int8)", "the real values, cast"),
        ("np.clip(np.round(values * scale) + zero, -128, 127).astype(np.int8)", "How many steps"),
        ("np.clip(np.round(values / 0.1) - 128, -128, 127).astype(np.int8)", "read both from"),
        ("np.clip((values / scale).astype(int) + zero, -128, 127).astype(np.int8)", "Round"),
        ("np.clip(np.round(values / scale) - zero, -128, 127).astype(np.int8)", "is added"),
        ("np.minimum(np.round(values / scale) + zero, 127).astype(int).astype(np.int8)", "lower"),
        ("np.clip(np.round(values / scale) + zero, -127, 127).astype(np.int8)", "lower end"),
    ],
)
def test_wrong_integers_for_the_input(outcome, fed, told):
    assert_says(outcome("infer/run-quantized", QUANTIZED.format(fed=fed, returned=RETURNED)), told)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("integers", "These are the integers"),
        ("integers.astype(np.float32) * out_scale", "zero point of the output is missing"),
        ("(integers.astype(np.float32) - zero) * scale", "scale and zero point of the input"),
        ("(integers - np.int8(out_zero)) * np.float32(out_scale)", "overflowed"),
        ("values", "does not follow"),
        ("(integers.astype(np.float32) - out_zero).tolist()", "an array of real values"),
        ("None", "end in a `return`"),
    ],
)
def test_wrong_real_values_of_the_output(outcome, returned, told):
    assert_says(outcome("infer/run-quantized", QUANTIZED.format(fed=FED, returned=returned)), told)


@pytest.mark.parametrize(
    ("fed", "returned"),
    [
        (
            "np.rint(np.clip(values / scale + zero, -128, 127)).astype('int8')",
            "out_scale * (integers.astype(int) - out_zero)",
        ),
        (
            "((values / scale + 0.5) // 1 + zero).clip(-128, 127).astype(np.int8)",
            "(integers - np.float32(out_zero)) * out_scale",
        ),
    ],
)
def test_quantized_otherwise_is_as_good(outcome, fed, returned):
    assert_says(
        outcome("infer/run-quantized", QUANTIZED.format(fed=fed, returned=returned)), "", "right"
    )


def test_floats_are_refused_by_the_interpreter_itself(outcome):
    source = QUANTIZED.format(fed="values", returned=RETURNED)
    assert_says(outcome("infer/run-quantized", source), "ValueError", "raised")


def test_a_quantized_run_that_never_runs(outcome):
    source = QUANTIZED.format(fed=FED, returned=RETURNED)
    assert (
        "invoke"
        in outcome("infer/run-quantized", source.replace("interpreter.invoke()", "pass")).advice
    )
    result = outcome("infer/run-quantized", "def run_quantized(interpreter, values): return values")
    assert "set_tensor" in result.advice


def test_the_callers_array_is_not_written_to(outcome):
    source = QUANTIZED.format(fed=FED, returned=RETURNED).replace(
        "interpreter.invoke()", "interpreter.invoke(); values += 1"
    )
    assert_says(outcome("infer/run-quantized", source), "changes the array")


BYTES = """
    def tensor_bytes(interpreter):
        details = interpreter.get_tensor_details()
        return {}
"""


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('sum(int(np.prod(one["shape"])) for one in details)', "counts the elements"),
        ('sum(4 * int(np.prod(one["shape"])) for one in details)', "An int8 takes one"),
        ('int(np.prod(details[0]["shape"])) * 4', "weighs one tensor"),
        (
            'sum(int(np.prod(one["shape"])) * np.dtype(one["dtype"]).itemsize'
            ' for one in details if len(one["shape"]))',
            "has one element",
        ),
        ("len(details)", "was expected"),
        ('[one["shape"] for one in details]', "one whole number"),
        ("True", "one whole number"),
        ("0.5", "one whole number"),
        (
            "sum(int(np.prod(one['shape'])) * np.dtype(one['dtype']).itemsize for one in"
            " interpreter.get_input_details() + interpreter.get_output_details())",
            "weighs input and output",
        ),
        (
            "sum(int(np.prod(one['shape'])) * np.dtype(details[0]['dtype']).itemsize"
            " for one in details)",
            "a dtype of its own",
        ),
    ],
)
def test_wrong_weights_of_tensors(outcome, expression, told):
    assert_says(outcome("infer/tensor-bytes", BYTES.format(expression)), told)


@pytest.mark.parametrize(
    "expression",
    [
        'sum(np.zeros(one["shape"], one["dtype"]).nbytes for one in details)',
        'sum(interpreter.get_tensor(one["index"]).nbytes for one in details)',
        'sum(np.prod(list(one["shape"])) * one["dtype"]().itemsize for one in details)',
    ],
)
def test_weighed_otherwise_is_as_good(outcome, expression):
    assert_says(outcome("infer/tensor-bytes", BYTES.format(expression)), "", "right")


def test_weights_of_tensors_that_raise(outcome):
    source = BYTES.format('sum(one["nbytes"] for one in details)')
    assert outcome("infer/tensor-bytes", source).status == "raised"


def test_no_cell_of_it_imports_tensorflow_into_the_kernel():
    """Solved, in a process of its own: neither the lesson nor its checks may import TensorFlow."""
    notebook = nbformat.reads(json.dumps(load("06_run_inference.ipynb")), as_version=4)
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", ()):
            cell.source = EXERCISES[cell.metadata.workbook.exercise].solution
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source += "\nbatch_sizes = [1, 2]"
    names = "('tensorflow', 'keras', 'tensorboard', 'tf2onnx')"
    asked = f"import sys; print([name for name in {names} if name in sys.modules])"
    notebook.cells.append(nbformat.v4.new_code_cell(asked, id="asked"))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert notebook.cells[-1].outputs[0].text.strip() == "[]"
    checked = [cell for cell in notebook.cells if "check" in cell.metadata.get("tags", ())]
    for cell in checked:
        assert cell.outputs[0].data["text/plain"].startswith("Right"), cell.source
