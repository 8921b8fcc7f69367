"""Where the workbook's own files are."""

from __future__ import annotations

from pathlib import Path


def project_root() -> Path:
    """Find the checkout.

    Raises ``FileNotFoundError``: the package was installed without them (it is meant to be
    installed with ``pip install --editable``, from a checkout).
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "data").is_dir():
        raise FileNotFoundError(
            "workbook_lib runs from a checkout: install it there with pip install --editable ."
        )
    return root


def data_path(name: str) -> Path:
    """Say where a file in ``data/`` belongs. Raises as :func:`project_root` does."""
    return project_root() / "data" / name
