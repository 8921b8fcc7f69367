"""Check of lesson 26. It imports no TensorFlow: the notebook's kernel has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from workbook_lib.lesson.checks.hand_made_files import below_mean_file
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import LearnerRaised, Wrong, attempt

Array = npt.NDArray[Any]

# Numbers of the tensors, and the names of the signature, of its input and of its output.
_FILES = (
    ((0, 1, 2, 3), "serving_default", "image", "output_0"),
    ((3, 2, 0, 1), "classify", "pixels", "scores"),
)


@exercise("run_it/name-batch")
def name_batch(function: Callable[..., Any]) -> str:
    """Name all images of a batch with one call of the file.

    1. A runner makes room for a batch by itself: how did the lesson call it with `five`?
    2. The files of the check have other names, and `source` and `target` hold them. A runner
       returns a dictionary by the names of the outputs.
    3. `runner(**{source: images})` gives the input by a name in a variable, and
       `scores.argmax(axis=1)` is the position of the largest value in each row of an array.
    """
    for order, *names in _FILES:
        content = below_mean_file(order, *names)
        for count in (5, 2, 3):
            images = _images(count)
            try:
                answer = attempt(function, content, images.copy())
            except LearnerRaised as error:
                raise (_of_names(error, *names) or error) from error
            _judge_labels(answer, images)
    return (
        "One call named each batch. The names came from the file, so it may call its input and its "
        "output what it likes, and number its tensors as it likes."
    )


def _of_names(error: LearnerRaised, signature: str, source: str, target: str) -> Wrong | None:
    """Return what to say if it raised because it calls something by a name of its own."""
    if not re.search("^KeyError|Invalid signature_key|Invalid Input name", str(error)):
        return None
    return Wrong(
        f"{error}\nThis file calls its signature `{signature}`, its input `{source}` and its "
        f"output `{target}`. In the lines above yours, `source` and `target` hold the last two."
    )


def _images(count: int) -> Array:
    """Return float32 [count, 4] in which the smallest value of a row says nothing by itself."""
    rows = np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)
    return rows + np.array([0, 40, 20, 60], np.float32)


def _judge_labels(answer: Any, images: Array) -> None:
    try:
        labels = np.asarray(answer)
    except ValueError:  # rows of different lengths
        labels = np.empty(0, object)
    if labels.dtype.kind not in "iuf":
        kind = type(answer).__name__
        raise Wrong(f"Return an array of whole numbers, the labels. This is of type `{kind}`.")
    scores = images.mean(axis=0) - images
    expected = scores.argmax(axis=1)
    if labels.shape == () and len(images) > 1:
        raise Wrong(
            "This is one number for the whole batch. `argmax` without an axis looks at all rows as "
            "one."
        )
    if labels.shape == scores.shape:
        raise Wrong("These are the scores. A label is the position of the largest score in a row.")
    if labels.shape == (scores.shape[1],) and labels.shape != expected.shape:
        raise Wrong("This is one label for each class. Along which axis do the classes lie?")
    if labels.shape != expected.shape:
        raise Wrong(
            f"For {len(images)} images it returns an array of shape {list(labels.shape)}; "
            f"{list(expected.shape)} was expected, a label for each image."
        )
    if np.array_equal(labels, expected):
        return
    if not labels.any():
        raise Wrong(
            f"For {len(images)} images every label is 0. The file of the check compares each image "
            "with the mean of its batch, so an image that is handed over alone always gets 0. Hand "
            "over the whole batch in one call."
        )
    raise Wrong(
        f"For {len(images)} images the labels are {labels.tolist()}; those of the file are "
        f"{expected.tolist()}."
    )
