"""Checks of notebook 06. None of them imports TensorFlow: the notebook's kernel has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same

Array = npt.NDArray[Any]

_VALUES = np.array([[0.3, -1.2, 5.0, 100.0, -100.0]], np.float32)
_UNTOUCHED = np.full([1, 5], 7, np.int8)  # what the input holds before the learner sets it
_STEP_IN, _ZERO_IN = 0.5, 3
_STEP_OUT, _ZERO_OUT = 0.25, -10


@exercise("infer/run-quantized")
def run_quantized(function: Callable[..., Any]) -> str:
    """Run an int8 interpreter on real values, and return real values.

    1. Both numbers are in the details: `scale, zero_point = detail["quantization"]`, for the input
       and for the output.
    2. To the integers: divide by the scale, `np.round`, add the zero point, `np.clip` to -128 and
       127, `astype(np.int8)`.
    3. Back: subtract the zero point, multiply by the scale. The integers are int8, and `integers -
       zero_point` may not fit into one: make them float32 first.
    """
    interpreter = _opened(_requantizing_file())
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    interpreter.set_tensor(source, _UNTOUCHED)
    interpreter.invoke()
    old = interpreter.get_tensor(target)
    values = _VALUES.copy()
    answer = attempt(function, interpreter, values)
    _judge_input(interpreter.get_tensor(source))
    new = interpreter.get_tensor(target)
    if np.array_equal(new, old):
        raise Wrong("The input is right, and the model has not run. Does yours call `invoke`?")
    expect(answer, np.ndarray, "an array of real values")
    _judge_output(answer, new)
    if not np.array_equal(values, _VALUES):
        raise Wrong("It changes the array that it was given. Work on a new one.")
    return (
        "The check's model hands on what it gets, yet 0.3 came back as 0.5: the step of its input "
        "is 0.5. And 100.0 came back as 34.25, the largest value that its output can hold."
    )


def _int8(steps: Array) -> Array:
    return np.clip(steps, -128, 127).astype(np.int8)


def _judge_input(fed: Array) -> None:
    """Compare the integers that reached the interpreter with those of the usual mistakes."""
    steps = _VALUES / _STEP_IN
    unclipped = np.round(steps) + _ZERO_IN
    expected = _int8(unclipped)
    if np.array_equal(fed, expected):
        return
    if same(fed, _UNTOUCHED):
        raise Wrong("Nothing has reached the interpreter's input. Does yours call `set_tensor`?")
    if same(fed, unclipped.astype(np.int64).astype(np.int8)):
        raise Wrong(
            "The check gives 100.0, which is step 203. An int8 cannot hold that, and wraps around "
            "to a negative number. Clip at both ends, before the cast."
        )
    if same(fed, _int8(np.round(steps))):
        raise Wrong("The zero point of the input is missing: 0.0 must become 3 in this model.")
    if same(fed, _int8(np.round(steps) - _ZERO_IN)):
        raise Wrong("On the way in the zero point is added. It comes off on the way back.")
    if same(fed, _int8(np.round(_VALUES * _STEP_IN) + _ZERO_IN)):
        raise Wrong("Multiplying by the scale is the way back. How many steps of 0.5 are in 5.0?")
    # A cast before the zero point is added cuts off as well as one after it.
    if any(same(fed, _int8(cast)) for cast in (np.trunc(steps + 3), np.trunc(steps) + 3)):
        raise Wrong("A cast cuts the fraction off: 0.3 is nearer to step 1 than to step 0. Round.")
    if same(fed, _int8(_VALUES)):
        raise Wrong("These are the real values, cast. A cast does not divide by the scale.")
    if np.array_equal(fed[..., :-1], expected[..., :-1]):
        raise Wrong(
            "The check gives -100.0, which is step -197. The smallest int8 is -128: clip at the "
            f"lower end as well. {fed.ravel()[-1]} reached the interpreter."
        )
    raise Wrong(
        f"The input that reached the interpreter is {fed.ravel().tolist()}; "
        f"{expected.ravel().tolist()} was expected. Its scale is {_STEP_IN} and its zero point "
        f"{_ZERO_IN}. Do you read both from the details?"
    )


def _judge_output(answer: Array, integers: Array) -> None:
    """Compare the real values of the output with those of the usual mistakes."""
    reals = integers.astype(np.float32)
    if same(answer, (reals - _ZERO_OUT) * _STEP_OUT, tolerance=1e-6):
        return
    if same(answer, integers):
        raise Wrong("These are the integers of the output. What real value does each stand for?")
    if same(answer, reals * _STEP_OUT, tolerance=1e-6):
        raise Wrong("The zero point of the output is missing: it comes off before the scale.")
    if same(answer, (integers - np.int8(_ZERO_OUT)) * np.float32(_STEP_OUT), tolerance=1e-6):
        raise Wrong(
            "The subtraction overflowed: 127 + 10 does not fit into an int8. Cast to float32 first."
        )
    if same(answer, (reals - _ZERO_IN) * _STEP_IN, tolerance=1e-6):
        raise Wrong("These are scale and zero point of the input. The output has its own.")
    raise Wrong(
        f"The input is right. The output's integers are {integers.ravel().tolist()}, its scale is "
        f"{_STEP_OUT} and its zero point {_ZERO_OUT}; your answer does not follow from them."
    )


@exercise("infer/name-batch")
def name_batch(function: Callable[..., Any]) -> str:
    """Name all images of a batch with one `invoke`.

    1. The input has room for one image. Which two calls of this section make room for more?
    2. Resize the input to `images.shape`, call `allocate_tensors`, then set, invoke and get. A row
       of the output belongs to each image.
    3. `output.argmax(axis=1)` gives the position of the largest value in each row.
    """
    interpreter = _opened(_negating_file())
    for count in (5, 1, 3):
        scores = np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)
        with patch.object(interpreter, "invoke", wraps=interpreter.invoke) as invoke:
            answer = attempt(function, interpreter, scores)
        _judge_labels(answer, scores, invoke.call_count)
    return "One `invoke` named each batch, of five, of one and of three, in one interpreter."


def _judge_labels(answer: Any, scores: Array, invocations: int) -> None:
    try:
        labels = np.asarray(answer)
    except ValueError:  # rows of different lengths
        labels = np.empty(0, object)
    if labels.dtype.kind not in "iuf":
        kind = type(answer).__name__
        raise Wrong(f"Return an array of whole numbers, the labels. This is of type `{kind}`.")
    expected = scores.argmin(axis=1)  # the check's model turns the signs round
    if not invocations:
        raise Wrong("The interpreter was never invoked, so these labels are not its own.")
    if labels.shape == () and len(scores) > 1:
        raise Wrong(
            "This is one number for the whole batch. `argmax` without an axis looks at all rows as "
            "one."
        )
    if labels.shape == (scores.shape[1],) and labels.shape != expected.shape:
        raise Wrong("This is one label for each class. Along which axis do the classes lie?")
    if labels.shape == (*expected.shape, scores.shape[1]):
        raise Wrong("These are the scores. A label is the position of the largest score in a row.")
    if labels.shape != expected.shape:
        raise Wrong(
            f"For {len(scores)} images it returns an array of shape {list(labels.shape)}; "
            f"{list(expected.shape)} was expected, a label for each image."
        )
    if not np.array_equal(labels, expected):
        raise Wrong(
            f"For {len(scores)} images the labels are {labels.tolist()}; the interpreter's own "
            f"are {expected.tolist()}."
        )
    if invocations > 1:
        raise Wrong(
            f"The labels are right, and it took {invocations} calls of `invoke`. Resize the input, "
            "and one is enough."
        )


@exercise("infer/tensor-bytes")
def tensor_bytes(function: Callable[..., Any]) -> str:
    """Return how many bytes all tensors of an interpreter take.

    1. The bytes of one tensor are its number of elements times the bytes of one element.
    2. The elements are the product of the sizes in `one["shape"]`: `np.prod`. The dtype is a NumPy
       type, and NumPy knows how many bytes one element takes.
    3. `np.dtype(one["dtype"]).itemsize` is the bytes of one element. Loop over
       `interpreter.get_tensor_details()`, multiply, and add up.
    """
    interpreter = _opened(_negating_file("between"))
    for batch in (1, 6):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [batch, 4])
        interpreter.allocate_tensors()
        sizes = [int(np.prod(one["shape"])) for one in interpreter.get_tensor_details()]
        _judge_bytes(attempt(function, interpreter), sizes)
    _judge_bytes(attempt(function, _opened(_requantizing_file())), [5, 5], 1)
    scalars = _chain_file("NEG", 1, _tensor("x", []), _tensor("y", []))
    _judge_bytes(attempt(function, _opened(scalars)), [1, 1])
    int8 = _tensor("y", [1, 5], (_STEP_OUT, _ZERO_OUT))
    float_and_int8 = _chain_file("QUANTIZE", 1, _tensor("x", [1, 5]), int8)
    mixed = attempt(function, _opened(float_and_int8))
    if mixed != 4 * 5 + 5:
        raise Wrong(
            "For a file of 5 elements of float32 and 5 of int8 it returns "
            f"{mixed}; 25 was expected. Each tensor has a dtype of its own."
        )
    return "Float tensors, int8 tensors and scalars: each is weighed by its shape and its dtype."


def _judge_bytes(answer: Any, elements: list[int], item: int = 4) -> None:
    """Compare an answer with the bytes of tensors of so many elements of so many bytes."""
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)  # the product of an empty list is 1.0, and the sum a float
    if isinstance(answer, bool) or not hasattr(answer, "__index__"):
        raise Wrong(f"Return one whole number. This is of type `{type(answer).__name__}`.")
    expected = item * sum(elements)
    if answer == expected:
        return
    if answer == sum(elements):
        raise Wrong("This counts the elements. How many bytes one takes depends on its dtype.")
    if answer == 4 * sum(elements):
        raise Wrong("This takes four bytes for every element. An int8 takes one.")
    if answer == item * elements[0]:
        raise Wrong("This weighs one tensor. The details are a list: add up over all of them.")
    if len(elements) > 2 and answer == item * (elements[0] + elements[-1]):
        raise Wrong("This weighs input and output. What lies between them takes memory as well.")
    if elements == [1, 1] and answer == 0:
        raise Wrong("A tensor of the shape `[]` has one element: what is the product of nothing?")
    raise Wrong(
        f"For a file of {len(elements)} tensors with {' and '.join(map(str, elements))} elements "
        f"of {item} bytes it returns {answer}; {expected} was expected."
    )


def _opened(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    return interpreter


def _requantizing_file() -> bytes:
    """Return a file of one QUANTIZE: int8 in, the same real values out on another scale."""
    source, target = (_STEP_IN, _ZERO_IN), (_STEP_OUT, _ZERO_OUT)
    return _chain_file("QUANTIZE", 2, _tensor("x", [1, 5], source), _tensor("y", [1, 5], target))


def _negating_file(*between: str) -> bytes:
    """Return a file of NEG, with further tensors between; the first dimension is open."""
    tensors = [_tensor(name, [1, 4]) for name in ("x", *between, "y")]
    for tensor in tensors:
        tensor.shapeSignature = [-1, 4]
    return _chain_file("NEG", 1, *tensors)


def _tensor(name: str, shape: list[int], int8: tuple[float, int] | None = None) -> Any:
    """Return a float32 tensor, or one of int8 with this scale and zero point."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT(shape, schema.TensorType.FLOAT32, name=name)
    if int8 is not None:
        tensor.type = schema.TensorType.INT8
        scale, zero_point = np.array(int8[:1], np.float32), np.array(int8[1:], np.int64)
        tensor.quantization = schema.QuantizationParametersT(scale=scale, zeroPoint=zero_point)
    return tensor


def _chain_file(op: str, version: int, *tensors: Any) -> bytes:
    """Return a file that takes each tensor to the next one by the same op."""
    from ai_edge_litert import schema_py_generated as schema

    from varhandle.tflite.flatbuffer import pack

    code, last = getattr(schema.BuiltinOperator, op), len(tensors) - 1
    operators = [schema.OperatorT(inputs=[n], outputs=[n + 1]) for n in range(last)]
    subgraph = schema.SubGraphT(list(tensors), [0], [last], operators, name="main")
    op_code = schema.OperatorCodeT(code, builtinCode=code, version=version)
    buffers = [schema.BufferT()]
    return pack(schema.ModelT(3, [op_code], [subgraph], buffers=buffers))
