"""The site: Sphinx over ``docs/``, with the lessons, the families of failure and the references."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbook_lib.locations import project_root

if TYPE_CHECKING:
    from nbformat import NotebookNode

NEEDS = ("sphinx", "myst_nb", "sphinx_book_theme")


def missing() -> str:
    """Return the first package that the site needs and that is not here, or nothing."""
    return next((name for name in NEEDS if importlib.util.find_spec(name) is None), "")


def write(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    """Build the site of executed notebooks. It works from a disk and below any address.

    Returns:
        ``index.html``, and the page of each notebook.

    Raises:
        OSError: Sphinx cannot write, or finds a fault in a page; it says which.
    """
    import nbformat

    root = project_root()
    with tempfile.TemporaryDirectory() as scratch:
        lessons, sources = Path(scratch, "lessons"), Path(scratch, "docs")
        lessons.mkdir()
        for name, notebook in notebooks.items():
            nbformat.write(notebook, lessons / name)
        shutil.copytree(root / "docs", sources)
        for name in ("benchmarks", "CONTRIBUTING.md"):  # what pages refer to
            Path(scratch, name).symlink_to(root / name)
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
        lessons_option = ["-D", f"lessons_folder={lessons}"]
        built = subprocess.run(
            [
                *command,
                *lessons_option,
                str(sources),
                str(folder),
                "-d",
                str(Path(scratch, "trees")),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if built.returncode:
        raise OSError(0, f"the site could not be built: {built.stderr.strip()}", str(folder))
    stems = [name.removesuffix(".ipynb") for name in notebooks]
    return [folder / "index.html", *(folder / "lessons" / f"{stem}.html" for stem in stems)]
