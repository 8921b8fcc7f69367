"""Checks of notebook 05."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from varhandle.conversion.quantization_debugger import LayerError
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same
from workbook_lib.samples import load_digits

_MOST = 5000  # samples that are looked at: more than there are images


@exercise("quantize/balanced-dataset")
def balanced_dataset(function: Callable[..., Any]) -> str:
    """Write a representative dataset with ten training images of each digit.

    1. The cell above has a function with a `yield`. Which line of it chooses the images?
    2. `images[labels == 3]` are the images of the digit 3. The converter wants a *list* with one
       array for each input, and that array has a batch dimension of 1.
    3. Two loops, one in the other: the outer one goes through the digits, the inner one through the
       first ten images of that digit. `array[np.newaxis]` puts a batch dimension in front.
    """
    digits = load_digits()
    # Not the order of the file, so that an answer that counts on it is found out.
    order = np.random.default_rng(5).permutation(len(digits.train_labels))
    images, labels = digits.train_images[order], digits.train_labels[order]
    label_of = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    samples = _samples(attempt(function, images, labels))
    given = [_input(sample, label_of).tobytes() for sample in samples]
    counts = Counter(label_of[image] for image in given)
    if len(given) != 100:
        raise Wrong(f"It yields {len(given)} images; ten of each of the ten digits are 100.")
    for digit in range(10):
        if counts[digit] != 10:
            raise Wrong(
                f"It yields {counts[digit]} images of the digit {digit}, and not 10. Do you choose "
                "by the label?"
            )
    if len(set(given)) < len(given):
        raise Wrong("Some images come twice. A second look at the same image adds no range.")
    return (
        "Every digit has its say in the ranges. The labels themselves stay outside: calibration "
        "looks at the values that the layers see, and at nothing else."
    )


def _samples(answer: object) -> list[Any]:
    if callable(answer):
        raise Wrong("It returns a function. Call it, or use `yield` in your own function.")
    if not isinstance(answer, Iterable) or isinstance(answer, (str, bytes, dict)):
        raise Wrong(
            f"The converter goes through the samples one by one. This is of type "
            f"`{type(answer).__name__}`; does your function `yield`?"
        )
    samples = list(islice(answer, _MOST + 1))  # a generator runs here, and may raise here
    if len(samples) > _MOST:
        raise Wrong(f"It yields more than {_MOST:,} images. Where does it end?")
    if not samples:
        raise Wrong("It yields nothing.")
    return samples


def _input(sample: Any, label_of: dict[bytes, int]) -> np.ndarray[Any, Any]:
    if isinstance(sample, tuple):
        raise Wrong(
            "It yields a tuple. The converter takes that for a signature's name and its inputs; "
            "what does it take for the inputs alone?"
        )
    if not isinstance(sample, list):
        raise Wrong(
            f"It yields a bare value of type `{type(sample).__name__}`. The converter wants a list "
            "with one array for each input of the model."
        )
    if len(sample) != 1:
        raise Wrong(f"Each sample is a list of {len(sample)}; the model has one input.")
    array = np.asarray(sample[0])
    if array.shape != (1, 8, 8, 1):
        raise Wrong(
            f"The array has the shape {list(array.shape)}, and not [1, 8, 8, 1]. The model takes "
            "batches, also of one image: how do you make it [1, 8, 8, 1]?"
        )
    if array.dtype != np.float32:
        raise Wrong(f"The array is of dtype {array.dtype}; the model takes float32.")
    if array.tobytes() not in label_of:
        raise Wrong(
            "This is none of the images that your function was given. Take them as they are: the "
            "model was trained on values from 0 to 1."
        )
    return array


@exercise("quantize/scale-zero-point")
def scale_and_zero_point(function: Callable[..., Any]) -> str:
    """Work out scale and zero point of int8 for a range of real values.

    1. int8 has 256 values, from -128 to 127. How many steps lie between the first and the last?
    2. 0.0 must be among the real values: padding is made of it. So first stretch the range:
       `min(smallest, 0.0)` and `max(largest, 0.0)`.
    3. The scale is the width of the stretched range over the number of steps. Then put the smallest
       value and its integer, -128, into real = scale · (integer minus zero point), and solve for
       the zero point.
    """
    for smallest, largest, what in (
        (-1.0, 1.0, "a range around zero"),
        (0.0, 5.0, "a range that starts at zero"),
        (-0.67, 1.83, "a lopsided range"),
        (2.0, 6.0, "a range without zero"),
        (-3.0, -1.0, "a range below zero"),
    ):
        where = f"For {what}, {smallest} to {largest}, "
        _judge_pair(attempt(function, smallest, largest), smallest, largest, where)
    return (
        "This is the whole of calibration: each tensor's smallest and largest value, and a "
        "division by 255. What lies outside is cut off."
    )


def _parameters(smallest: float, largest: float) -> tuple[float, int]:
    """Return what the specification gives for a range: 255 steps, 0.0 one of them."""
    smallest, largest = min(smallest, 0.0), max(largest, 0.0)
    scale = (largest - smallest) / 255
    return scale, round(-128 - smallest / scale)


def _judge_pair(answer: Any, smallest: float, largest: float, where: str) -> None:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Wrong("Return two values: the scale, then the zero point.")
    given_scale, given_zero = answer
    scale, zero_point = _parameters(smallest, largest)
    if not same(given_scale, scale, tolerance=scale * 1e-6):
        if same(given_zero, scale, tolerance=1e-9):
            raise Wrong("The two are the other way round: first the scale, then the zero point.")
        _judge_scale(given_scale, smallest, largest, where)
    if same(given_zero, zero_point + 128):
        raise Wrong(f"{where}the zero point counts from 0, as in uint8. int8 starts at -128.")
    if not isinstance(given_zero, (int, np.integer)):
        if same(given_zero, zero_point, tolerance=0.5):
            raise Wrong("The zero point is an integer: it stands for 0.0 among the int8 values.")
        raise Wrong(f"The zero point is a whole number. This is {given_zero!r}.")
    exact = -128 - min(smallest, 0.0) / scale  # where it ends in .5, either neighbor will do
    if abs(int(given_zero) - exact) > 0.5 + 1e-6:
        raise Wrong(
            f"{where}the zero point is {given_zero}. With it the smallest value becomes "
            f"{round(min(smallest, 0.0) / scale) + int(given_zero)}, and not -128."
        )


def _judge_scale(given: object, smallest: float, largest: float, where: str) -> NoReturn:
    if same(given, (max(largest, 0.0) - min(smallest, 0.0)) / 256, tolerance=1e-9):
        advice = "the scale is the width over 256. Between 256 values there are fewer steps."
    elif same(given, (largest - smallest) / 255, tolerance=1e-9):
        advice = (
            "the scale fits, and 0.0 is not in it. 0.0 must be a value exactly, because padding is "
            "made of it."
        )
    elif same(given, max(abs(smallest), abs(largest)) / 127, tolerance=1e-9):
        advice = (
            "this is the scale of a symmetric range, as weights have it. Activations use all 256 "
            "values for the range that was met."
        )
    else:
        advice = f"the scale is {given!r}; how wide is the range, and how many steps has int8?"
    raise Wrong(where + advice)


@exercise("quantize/float-layers")
def float_layers(function: Callable[..., Any]) -> str:
    """Name the tensors of the layers whose error in steps is above a limit.

    1. Look at one row: `layer_errors.layers[0]`. Which of its values compares across layers,
       whatever the size of their outputs?
    2. An error of 0.29 steps is rounding alone. Keep a layer in float if its `steps` is above the
       limit, and give the name that the debugger knows.
    3. A list comprehension with a condition does it. What it compares is a layer's `steps`; what it
       keeps is the layer's `tensor`.
    """
    layers = (
        LayerError("wide", "FULLY_CONNECTED", 0.9, 3.0, "model/wide/MatMul;model/wide/BiasAdd"),
        LayerError("narrow", "CONV_2D", 0.02, 0.01, "model/narrow/Relu;model/narrow/Conv"),
        LayerError("middle", "CONV_2D", 0.06, 0.1, "model/middle/Relu"),
        LayerError("limit", "ADD", 0.05, 0.1, "model/limit/add"),
        LayerError("exact", "RESHAPE", 0.0, 0.1, "model/exact/Reshape"),
    )
    answer = attempt(function, layers, 0.5)
    expect(answer, (list, tuple, set), "a list of names")
    _judge_layers(set(answer), layers)
    if list(attempt(function, layers, 5.0)):
        raise Wrong("With a limit that no layer reaches, the list is to be empty.")
    return (
        "The layer with the largest error in its own unit stays in int8: its steps are large as "
        "well. An error tells something only beside the step that it is made of."
    )


def _judge_layers(given: set[Any], layers: tuple[Any, ...]) -> None:
    expected = {layer.tensor for layer in layers if layer.steps > 0.5}
    if given == expected:
        return
    if given == {layer.layer for layer in layers if layer.steps > 0.5}:
        raise Wrong("These are the labels that the table shows. The debugger knows the `tensor`.")
    names = {getattr(name, "tensor", name) for name in given}
    if names == expected:
        raise Wrong("These are the right layers. The debugger wants their `tensor`, a text.")
    if names == {layer.tensor for layer in layers if layer.error > 0.5}:
        raise Wrong(
            "This compares `error`, which is in each layer's own unit. Which value counts in steps?"
        )
    if names == {layer.tensor for layer in layers if layer.steps >= 0.5}:
        raise Wrong("A layer that lies at the limit is not above it.")
    if names and names <= {layer.tensor for layer in layers if layer.tensor not in expected}:
        raise Wrong("These are the layers below the limit. Which are to leave int8?")
    raise Wrong(
        f"Of the check's {len(layers)} layers, {len(expected)} lie above a limit of 0.5 steps. "
        f"Yours names {len(names)}: {', '.join(map(str, names)) or 'none'}."
    )
