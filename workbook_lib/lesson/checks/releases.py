"""Checks of lesson 92."""

from __future__ import annotations

import re
from typing import Any

from varhandle.matrix import version_matrix
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong


@exercise("releases/read-the-matrix")
def read_the_matrix(version: Any) -> str:
    """Name the first measured release on which assigned float32 state works by default.

    1. Read the row of the float32 variable that is assigned, from left to right.
    2. You look for the first column in that row that says it works.
    """
    measured = [entry for entry in version_matrix.load()["versions"] if entry["installed"]]
    works = [e["version"] for e in measured if e["results"]["float32-state"]["outcome"] == "works"]
    if not isinstance(version, str):
        raise Wrong('Give the version as text, such as `"2.21.0"`.')
    columns = [entry["version"] for entry in measured]
    version = re.sub(r"(?i)^(tensorflow|tf)?\s*v?", "", version.strip())
    version = {column.rpartition(".")[0]: column for column in columns}.get(version, version)
    if version not in columns:
        raise Wrong(f"`{version}` is not a column of the grid. Copy a version as it stands there.")
    if version not in works:
        raise Wrong("In that column the row does not say that it works.")
    if version != works[0]:
        raise Wrong("It works there, but an earlier release works as well.")
    return (
        f"{works[0]} is the first measured release on which it works (2.9.0 to 2.9.2 were not "
        "measured): resource variables are on by default there. Much advice on the web is older."
    )
