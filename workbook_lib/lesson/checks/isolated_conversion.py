"""The conversion of what a learner wrote, in a process that it may take down."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from typing import Any

from varhandle.evaluate.parity import check_parity
from varhandle.sandbox import run_source
from workbook_lib.lesson.submissions import Wrong


def converted(folder: str, why_refused: Callable[[Collection[str]], str] | None = None) -> bytes:
    """Convert a saved model with the converter's defaults.

    Raises ``Wrong``: it is refused; ``why_refused`` may say more, by the ops that have no place.
    """
    record = run_source(
        "import tensorflow as tf\n"
        "content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()",
        inputs={"folder": folder},
        keep=["content"],
    )
    if record.outcome == "raised":
        named = ", ".join(record.failing_ops) or record.exception_type
        why = f"{why_refused(record.failing_ops)} " if why_refused else ""
        raise Wrong(f"{why}The converter still refuses it, and names {named}.")
    if not record.ok:
        raise Wrong(f"The conversion did not come to an end ({record.message}). Check once more.")
    content: bytes = record.value["content"]
    return content


def judge_file(
    module: Any,
    signature: Any,
    calls: Sequence[Any],
    expected: Sequence[Any],
    why_refused: Callable[[Collection[str]], str],
) -> None:
    """Save and convert a learner's module, and compare what the file answers, call after call.

    Raises ``Wrong``: it cannot be saved, it is refused, or the file answers otherwise.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(module, folder, signatures=signature)
        except Exception as error:
            raise Wrong(f"It cannot be saved: {str(error).partition('. ')[0]}.") from error
        content = converted(folder, why_refused)
    parity = check_parity(list(expected), content, list(calls), tolerance=1e-2)
    if not parity.passed:
        raise Wrong("It converts, but the file answers otherwise: " + parity.runs[0].verdict + ".")
