"""The site: Sphinx over ``docs/``, with the lessons, the families of failure and the references."""

from __future__ import annotations

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


def write(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    """Build the site of executed notebooks, and return its index and the page of each notebook.

    It works from a disk and below any address. Raises ``OSError``: Sphinx cannot write, or finds a
    fault in a page; it says which.
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
        options = ["-q", "-W", "--keep-going", "-b", "html", "-D", f"lessons_folder={lessons}"]
        command = [sys.executable, "-m", "sphinx", *options, "-d", str(Path(scratch, "trees"))]
        command += [str(sources), str(folder)]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise OSError(0, f"the site could not be built: {built.stderr.strip()}", str(folder))
    stems = [name.removesuffix(".ipynb") for name in notebooks]
    return [folder / "index.html", *(folder / "lessons" / f"{stem}.html" for stem in stems)]
