"""Where the workbook's own files are."""

from __future__ import annotations

from pathlib import Path


def project_root() -> Path:
    """Find the checkout.

    Returns:
        The folder that holds ``notebooks/``, ``data/`` and this package.

    Raises:
        FileNotFoundError: The package was installed without them (it is meant to be installed
            with ``pip install --editable``, from a checkout).
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "data").is_dir():
        raise FileNotFoundError(
            "workbook_lib runs from a checkout: install it there with pip install --editable ."
        )
    return root


def data_path(name: str) -> Path:
    """Say where a file in ``data/`` belongs.

    Args:
        name: Its name.

    Returns:
        The path, whether or not the file exists yet.

    Raises:
        FileNotFoundError: As :func:`project_root` does.
    """
    return project_root() / "data" / name
