"""Make an edition of notebooks: execute them, and write what they become."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from varhandle.display import Rich, table_text
from workbook_lib.runs.execute import (
    NotebookRun,
    RunInputError,
    check_copies,
    declared_parameters,
    execute_notebook,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

Kind = Literal["solved", "slides", "html"]

EDITIONS: dict[Kind, str] = {
    "solved": "notebooks whose exercises hold their solutions",
    "slides": "a page of slides for each notebook",
    "html": "a site of the executed notebooks",
}
"""What can be made, and what it is."""


@dataclass(frozen=True, repr=False)
class Edition(Rich):
    """What came of making an edition.

    Attributes:
        kind: Which.
        folder: Where it is.
        files: What was written, in order; empty if something went wrong.
        problems: A line for each notebook that failed, and for each check of a solved notebook
            that does not say that the solution is right.
    """

    kind: Kind
    folder: Path
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it was written."""
        return not self.problems

    def __repr__(self) -> str:
        return f"Edition({self.kind}: {len(self.files)} files, {len(self.problems)} problems)"

    def text(self) -> str:
        """Return the files, or what went wrong."""
        if self.problems:
            return "\n".join([*self.problems, f"nothing was written to {self.folder}"])
        return table_text(("written",), [(path,) for path in self.files])


def make_edition(
    kind: Kind,
    notebooks: Sequence[Path],
    folder: Path,
    *,
    run: bool = True,
    on_start: Callable[[str], None] = lambda _: None,
) -> Edition:
    """Make an edition of notebooks.

    Args:
        kind: ``solved``: the notebook with each exercise's stub replaced by its solution; the
            predictions are left to be made, because the run below each says what was observed.
            ``slides``: a page of slides. ``html``: a site with a page for each notebook.
        notebooks: The learner edition. They are left as they are.
        folder: Takes the files. Nothing is written unless every notebook ran, and every check of
            a solved one says Right.
        run: Whether to execute them afresh, each in a kernel of its own. Without, slides and
            site show the outputs that the notebooks hold, and solved notebooks have none.
        on_start: Called with the name of each notebook before it is executed.

    Returns:
        What was written, or what went wrong.

    Raises:
        RunInputError: A path is no notebook, an exercise and its solution do not fit, a file
            would replace a notebook or another file, or the folder cannot be made.
    """
    sources = {path: _source(path, kind) for path in notebooks}
    check_copies(notebooks, folder)
    if run:
        executed, problems = _executed(sources, kind, on_start)
    else:
        executed, problems = {path.name: made for path, made in sources.items()}, []
    if problems:
        return Edition(kind, folder, problems=tuple(problems))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunInputError(f"{folder}: no folder for the results ({error.strerror})") from error
    return Edition(kind, folder, tuple(_write(kind, executed, folder)))


def _source(path: Path, kind: Kind) -> NotebookNode:
    """Read a notebook, and give it the form that is executed."""
    import nbformat

    declared_parameters(path)  # says in one line what is no notebook
    notebook = nbformat.read(path, as_version=4)
    if kind != "solved":
        return notebook
    from workbook_lib.editions.solved import solved_edition

    try:
        return solved_edition(notebook)
    except ValueError as error:
        raise RunInputError(f"{path}: {error}") from error


def _executed(
    sources: dict[Path, NotebookNode], kind: Kind, on_start: Callable[[str], None]
) -> tuple[dict[str, NotebookNode], list[str]]:
    import nbformat

    made, problems = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        for path, source in sources.items():
            on_start(path.name)
            derived = path
            if kind == "solved":  # where a learner would put it: not beside the learner edition
                derived = Path(scratch, path.name)
                nbformat.write(source, derived)
            result = execute_notebook(derived, Path(scratch, f"{path.stem}-executed.ipynb"), {})
            problems += _problems(result, path)
            if result.ok:
                made[path.name] = nbformat.read(result.executed, as_version=4)
                problems += [f"{path.name}: {line}" for line in _wrong(made[path.name], kind)]
    return made, problems


def _problems(result: NotebookRun, path: Path) -> list[str]:
    return [] if result.ok else [f"{path.name}: {result.verdict}"]


def _wrong(notebook: NotebookNode, kind: Kind) -> list[str]:
    if kind != "solved":
        return []
    from workbook_lib.editions.solved import checks

    return [f"check {cell}: {said}" for cell, said in checks(notebook) if said != "Right"]


def _write(kind: Kind, notebooks: dict[str, NotebookNode], folder: Path) -> list[Path]:
    from workbook_lib.editions import site, slides, solved

    write = {"solved": solved.write, "slides": slides.write, "html": site.write}[kind]
    return write(notebooks, folder)


def default_folder(kind: Kind) -> Path:
    """Say where an edition goes if no folder is named.

    Args:
        kind: The kind of edition.

    Returns:
        The folder, seen from the working folder.
    """
    return Path("workbook-output", "site" if kind == "html" else kind)
