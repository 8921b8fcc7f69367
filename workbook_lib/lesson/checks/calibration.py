"""Check of appendix 97."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt
from workbook_lib.samples import load_digits

_MOST = 5000  # samples that are looked at: more than there are images
_INPUT = "image"  # what the classifier calls its input


@exercise("calibration/balanced-dataset")
def balanced_dataset(function: Callable[..., Any]) -> str:
    """Write a representative dataset with ten training images of each digit.

    1. The loop goes through the digits. Which of the `images` show the one that it is at?
    2. `labels == digit` is an array of True and False. In the brackets of `images[...]` it leaves
       those images whose label is that digit.
    3. `array[:10]` are the first ten of an array.
    """
    digits = load_digits()
    # Eleven of each, and not in the order of the file: an answer that does not look at what it is
    # given is found out, and so is one that draws an image and puts it back.
    few = [np.flatnonzero(digits.train_labels == digit)[7:18] for digit in range(10)]
    order = np.random.default_rng(5).permutation(np.concatenate(few))
    images, labels = digits.train_images[order], digits.train_labels[order]
    label_of = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    samples = _samples(attempt(function, images.copy(), labels.copy()))
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


def _input(sample: Any, label_of: Mapping[bytes, int]) -> np.ndarray[Any, Any]:
    array = np.asarray(_value(sample))
    if array.size < 8 * 8:
        raise Wrong(
            f"The array has the shape {list(array.shape)}, and not [1, 8, 8, 1]: that is not a "
            "whole image. What does your loop go through?"
        )
    if array.shape != (1, 8, 8, 1):
        raise Wrong(
            f"The array has the shape {list(array.shape)}, and not [1, 8, 8, 1]. The model takes "
            "batches, also of one image: how do you make it [1, 8, 8, 1]?"
        )
    if array.dtype != np.float32:
        raise Wrong(f"The array is of dtype {array.dtype}; the model takes float32.")
    if array.tobytes() in label_of:
        return array
    if any(array.tobytes() == image.tobytes() for image in load_digits().train_images):
        raise Wrong(
            "This is a training digit, and none of those that your function was given. Use its "
            "arguments, `images` and `labels`."
        )
    raise Wrong(
        "This is none of the images that your function was given. Take them as they are: the "
        "model was trained on values from 0 to 1."
    )


def _value(sample: Any) -> Any:
    """Return the array of a sample in any of the forms that the converter takes."""
    if isinstance(sample, tuple) and len(sample) == 2 and isinstance(sample[0], str):
        sample = sample[1]  # the name of a signature, and its inputs by their names
        if not isinstance(sample, Mapping):
            raise Wrong("After the name of a signature, the converter wants a dictionary.")
    if isinstance(sample, tuple):
        raise Wrong(
            "It yields a tuple. The converter takes that for a signature's name and its inputs; "
            "what does it take for the inputs alone?"
        )
    if isinstance(sample, Mapping):
        if _INPUT not in sample:
            raise Wrong(
                f"It yields a dictionary with the names {', '.join(map(str, sample)) or 'none'}. "
                f"The model calls its input `{_INPUT}`."
            )
        return sample[_INPUT]
    if not isinstance(sample, list):
        raise Wrong(
            f"It yields a bare value of type `{type(sample).__name__}`. The converter wants a list "
            "with one array for each input of the model, or a dictionary."
        )
    if len(sample) != 1:
        raise Wrong(f"Each sample is a list of {len(sample)}; the model has one input.")
    return sample[0]
