"""Checks of notebook 00."""

from __future__ import annotations

from importlib import metadata

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong


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
    installed = metadata.version("tensorflow")
    if version.strip() not in {installed, installed.rpartition(".")[0]}:
        if installed in version:
            raise Wrong("The number is right. Write it alone, without another letter or word.")
        raise Wrong("That is not what is installed here. Look at the row `tensorflow` above.")
    return "That is your release. Advice that you find may be about another one."
