"""Lesson 26: answers to its exercise, what its notebook imports, and the cure of its card."""

import json

import nbformat
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from nbclient import NotebookClient
from notebook_cells import EXERCISES, assert_says, load

from workbook_lib.lesson.checks.hand_made_files import below_mean_file

RUNNER = """
    def name_batch(file, images):
        from ai_edge_litert.interpreter import Interpreter
        runner = Interpreter(model_content=file).get_signature_runner()
        (name,) = runner.get_input_details()
        (output,) = runner(**{{name: images}}).values()
        return {}
"""
TENSORS = """
    def name_batch(file, images):
        from ai_edge_litert.interpreter import Interpreter
        interpreter = Interpreter(model_content=file)
        source, target = {numbers}
        interpreter.resize_tensor_input(source, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        return interpreter.get_tensor(target).argmax(axis=1)
"""
ASKED = 'interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]'
COMPILED = """
    def name_batch(file, images):
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.tensor_buffer import TensorBuffer
        model = CompiledModel.from_buffer(file)
        ((signature, names),) = model.get_signature_list().items()
        model.resize_input_tensor_by_name(signature, names["inputs"][0], images.shape)
        (source,) = model.create_input_buffers(0)
        target = TensorBuffer.create_from_host_memory(np.zeros(images.shape, np.float32))
        source.write(images)
        model.run_by_index(0, [source], [target])
        return target.read(images.size, np.float32).reshape(images.shape).argmax(axis=1)
"""


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("output", "These are the scores"),
        ("output.argmax()", "one number for the whole batch"),
        ("output.argmax(axis=0)", "one label for each class"),
        ("output.argmin(axis=1)", "those of the file"),
        ("output.argmax(axis=1)[:1]", "a label for each image"),
        ("None", "end in a `return`"),
        ("'0'", "This is of type `str`"),
        ("[[0], [1, 2]]", "This is of type `list`"),
        ("output.argmax(axis=1, keepdims=True)", "a label for each image"),
        ("output.argmax(axis=1) + 1", "those of the file"),
        ("output.max(axis=1)", "those of the file"),
        ("images.argmax(axis=1)", "those of the file"),
        ("images.argmin(axis=1)", "every label is 0"),
        ("np.sort(output.argmax(axis=1))", "those of the file"),
        ("list(map(str, output.argmax(axis=1)))", "This is of type `list`"),
    ],
)
def test_wrong_names_of_a_batch(outcome, returned, told):
    assert_says(outcome("run_it/name-batch", RUNNER.format(returned)), told)


@pytest.mark.parametrize(
    "source",
    [
        *(
            RUNNER.format(returned)
            for returned in (
                "[int(row.argmax()) for row in output]",
                "np.argmax(output, -1)",
                "output.argsort(1)[:, -1]",
            )
        ),
        TENSORS.format(numbers=ASKED),
        COMPILED,
        """
    def name_batch(file, images):
        from ai_edge_litert.interpreter import Interpreter
        interpreter = Interpreter(model_content=file)
        ((signature, names),) = interpreter.get_signature_list().items()
        answers = interpreter.get_signature_runner(signature)(**{names["inputs"][0]: images})
        return answers[names["outputs"][0]].argmax(axis=1)
        """,
    ],
)
def test_a_batch_named_otherwise_is_as_good(outcome, source):
    assert_says(outcome("run_it/name-batch", source), "One call named each batch", "right")


@pytest.mark.parametrize("numbers", ["0, 3", "3, 1", "0, 1"])
def test_numbers_by_heart_do_not_pass(outcome, numbers):
    result = outcome("run_it/name-batch", TENSORS.format(numbers=numbers))
    assert result.status in ("raised", "wrong")


def test_names_by_heart_do_not_pass(outcome):
    source = RUNNER.format("output.argmax(axis=1)").replace("**{{name: images}}", "image=images")
    source = source.replace("**{name: images}", "image=images")
    assert_says(outcome("run_it/name-batch", source), "its input `pixels`")
    source = RUNNER.format("output.argmax(axis=1)").replace("runner()", "runner('serving_default')")
    assert_says(outcome("run_it/name-batch", source), "calls its signature `classify`")


@pytest.mark.parametrize(
    ("call", "told", "status"),
    [
        ("runner(source=images)[target]", "its input `image`", "wrong"),
        ("runner(images)[target]", "positional argument", "raised"),
        ("runner(**{source: images})", "AttributeError", "raised"),
        ("runner(**{source: images})[0]", "its output `output_0`", "wrong"),
        ("runner(**{source: images})['target']", "its output `output_0`", "wrong"),
        ("runner(**{target: images})[source]", "its input `image`", "wrong"),
        ("runner(**source)[target]", "must be a mapping", "raised"),
    ],
)
def test_names_in_variables_given_otherwise(outcome, call, told, status):
    stub = EXERCISES["run_it/name-batch"].stub
    source = stub.replace("return ...", f"return {call}.argmax(axis=1)")
    assert source != stub
    assert_says(outcome("run_it/name-batch", source), told, status)


@pytest.mark.parametrize(
    "line", ["resize_tensor_input(source, images.shape)", "allocate_tensors()"]
)
def test_a_batch_without_room(outcome, line):
    source = TENSORS.format(numbers=ASKED).replace(f"interpreter.{line}", "pass")
    assert_says(outcome("run_it/name-batch", source), "Error", "raised")


def test_a_tensor_that_was_never_computed(outcome):
    source = TENSORS.format(numbers=ASKED).replace("interpreter.invoke()", "pass")
    assert outcome("run_it/name-batch", source).status in ("wrong", "raised")


def test_one_image_at_a_time_is_no_batch(outcome):
    source = RUNNER.format("output").replace(
        "(output,) = runner(**{name: images}).values()",
        "output = [int(next(iter(runner(**{name: one[None]}).values())).argmax())"
        " for one in images]",
    )
    assert "one[None]" in source
    assert_says(outcome("run_it/name-batch", source), "in one call")


def test_a_label_too_few_of_a_batch_of_five(outcome):
    source = RUNNER.format("output.argmax(axis=1)").replace(": images}", ": images[:5]}")
    assert outcome("run_it/name-batch", source).status == "right"  # none of the check is larger
    source = RUNNER.format("output.argmax(axis=1)").replace(": images}", ": images[:2]}")
    assert_says(outcome("run_it/name-batch", source), "a label for each image")


def test_the_file_of_the_check_is_what_it_says_it_is():
    rows = np.float32([[1, 2, 3, 4], [5, 2, 1, 0]])
    for order in ((0, 1, 2, 3), (3, 2, 0, 1)):
        interpreter = Interpreter(model_content=below_mean_file(order, "s", "a", "b"))
        assert interpreter.get_signature_list() == {"s": {"inputs": ["a"], "outputs": ["b"]}}
        answer = interpreter.get_signature_runner()(a=rows)["b"]
        np.testing.assert_allclose(answer, rows.mean(axis=0) - rows)


def test_the_cure_of_the_card_runs_a_file_of_unknown_names():
    content = below_mean_file((3, 2, 0, 1), "classify", "pixels", "scores")
    images = np.float32([[1, 2, 3, 4]] * 3)
    interpreter = Interpreter(model_content=content)
    names = run_cure("run_it", interpreter=interpreter, images=images)
    assert names["answer"]["scores"].shape == (3, 4)


@pytest.mark.parametrize("stem", ["26_run_it", "29_how_fast", "98_integers_in_and_out"])
def test_no_cell_of_it_imports_tensorflow_into_the_kernel(stem):
    """Solved, in a process of its own: neither the lesson nor its checks may import TensorFlow."""
    notebook = nbformat.reads(json.dumps(load(f"{stem}.ipynb")), as_version=4)
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", ()):
            cell.source = EXERCISES[cell.metadata.workbook.exercise].solution
    names = "('tensorflow', 'keras', 'tensorboard', 'tf2onnx')"
    asked = f"import sys; print([name for name in {names} if name in sys.modules])"
    notebook.cells.append(nbformat.v4.new_code_cell(asked, id="asked"))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert notebook.cells[-1].outputs[0].text.strip() == "[]"
    checked = [cell for cell in notebook.cells if "check" in cell.metadata.get("tags", ())]
    for cell in checked:
        assert cell.outputs[0].data["text/plain"].startswith("Right"), cell.source
