"""The folder of a reduced case: the model, a script that shows the fault, a text for a tracker."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from varhandle.atomic_write import check_takes_folder
from varhandle.errors import NAME_PLACE, VarhandleError, system_fault
from varhandle.installation import installed_version

SCRIPT, ISSUE = "reproduce.py", "issue.md"


class ReductionFolderError(VarhandleError, ValueError):
    """The folder for a reduced case cannot be used; the message is one line."""


def check_new_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the path of a folder that is not there, or empty; raise ``ReductionFolderError``."""
    path = Path(folder)
    try:
        check_takes_folder(path)
        if path.is_dir() and any(path.iterdir()):
            raise ReductionFolderError(f"{path}: the folder is not empty; name another one")
    except OSError as error:
        raise ReductionFolderError(f"{path}: {system_fault(error, NAME_PLACE)}") from error
    return path


def new_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a folder, or take one that is empty."""
    path = check_new_folder(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReductionFolderError(f"{path}: {system_fault(error, NAME_PLACE)}") from error
    return path


def write_case(folder: Path, script: str, title: str, figures: Sequence[str]) -> list[str]:
    """Write the script and the text beside what they are about; return the names of all files."""
    (folder / SCRIPT).write_text(script)
    # The title holds names of the model: in the code block they are neither HTML nor links.
    lines = [
        "# A .tflite case, reduced",
        "",
        "```",
        title,
        "```",
        "",
        *_versions(),
        "",
        "```",
        *figures,
        "```",
        "",
    ]
    lines += ["To see it, run this beside the attached files:", "", "```python", script, "```", ""]
    (folder / ISSUE).write_text("\n".join(lines))
    return sorted(path.name for path in folder.iterdir())


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}", platform.platform(terse=True)]
    for name in ("tensorflow", "ai-edge-litert", "numpy"):
        if version := installed_version(name):
            found.append(f"{name} {version}")
    return [f"- {one}" for one in found]
