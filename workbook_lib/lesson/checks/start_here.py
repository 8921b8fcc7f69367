"""Checks of notebook 00."""

from __future__ import annotations

from importlib import metadata

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, same


@exercise("start_here/tensorflow-version")
def tensorflow_version(version: object) -> str:
    """Say which TensorFlow this workbook runs on, as text.

    1. The table that looks at this machine has a row for it.
    2. Copy what the table found beside `tensorflow`, in quotation marks.
    """
    if not isinstance(version, str):
        raise Wrong(
            f"That is a value of type `{type(version).__name__}`. A version has two dots in it, "
            "so write it as text, in quotation marks."
        )
    if not same(version.strip(), metadata.version("tensorflow")):
        raise Wrong("That is not what is installed here. Look at the row `tensorflow` above.")
    return "You know what you are on. Most advice on the web is about another release."
