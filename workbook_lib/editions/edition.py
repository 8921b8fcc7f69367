"""Make an edition of notebooks: execute them, and write what they become."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from varhandle.display import Rich, table_text
from workbook_lib.editions import site, slides, solved
from workbook_lib.runs.execute import (
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
    "slides": "a reveal.js deck for each notebook",
    "html": "the site: lessons, families of failure, references",
}
_WRITERS: dict[Kind, Callable[[Mapping[str, NotebookNode], Path], list[Path]]] = {
    "solved": solved.write,
    "slides": slides.write,
    "html": site.write,
}


@dataclass(frozen=True, repr=False)
class Edition(Rich):
    """What came of making an edition.

    Attributes:
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
    """Make an edition of notebooks, which are left as they are.

    Nothing is written unless every notebook ran, and every check of a solved one says Right.
    Without ``run``, slides and site show the stored outputs, and solved notebooks have none.

    Raises:
        RunInputError: A path is no notebook, an exercise and its solution do not fit, a file
            would replace a notebook or another file, a package is missing, or the folder cannot
            be made.
        OSError: The files cannot be written.
    """
    missing = {"slides": slides.missing, "html": site.missing}.get(kind, str)()
    if missing:
        raise RunInputError(f'{missing} is missing: pip install ".[docs]"')
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
    return Edition(kind, folder, tuple(_WRITERS[kind](executed, folder)))


def _source(path: Path, kind: Kind) -> NotebookNode:
    """Read a notebook, and give it the form that is executed."""
    import nbformat

    declared_parameters(path)  # says in one line what is no notebook
    notebook = nbformat.read(path, as_version=4)
    if kind != "solved":
        return notebook
    try:
        return solved.solved_edition(notebook)
    except ValueError as error:
        raise RunInputError(f"{path}: {error}") from error


def _executed(
    sources: Mapping[Path, NotebookNode], kind: Kind, on_start: Callable[[str], None]
) -> tuple[dict[str, NotebookNode], list[str]]:
    import nbformat

    made: dict[str, NotebookNode] = {}
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for path, source in sources.items():
            on_start(path.name)
            derived = path
            if kind == "solved":  # where a learner would put it: not beside the learner edition
                derived = Path(scratch, path.name)
                nbformat.write(source, derived)
            result = execute_notebook(derived, Path(scratch, f"{path.stem}-executed.ipynb"), {})
            if not result.ok:
                problems.append(f"{path.name}: {result.verdict}")
                continue
            made[path.name] = nbformat.read(result.executed, as_version=4)
            checks = solved.checks(made[path.name]) if kind == "solved" else []
            problems += [
                f"{path.name}: check {cell}: {said}" for cell, said in checks if said != "Right"
            ]
    return made, problems


def default_folder(kind: Kind) -> Path:
    """Return where an edition goes if no folder is named, seen from the working folder."""
    return Path("workbook-output", "site" if kind == "html" else kind)
