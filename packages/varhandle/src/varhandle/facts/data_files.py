"""The measured facts that ship inside the package."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "data"


def data_file(name: str) -> Path:
    """Return the path of a file in ``varhandle/data``, whether or not it exists yet."""
    return FOLDER / name
