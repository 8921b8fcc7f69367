"""Make an edition of notebooks: execute them, and write what they become."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from varhandle.display import Rich, table_text
from workbook_lib.editions import site, slides
from workbook_lib.editions.solved import solved_edition, without_answers, wrong_checks
from workbook_lib.runs import canonical
from workbook_lib.runs.execute import (
    RunInputError,
    check_copies,
    declared_parameters,
    execute_notebook,
)
from workbook_lib.runs.pictures import embed_pictures

if TYPE_CHECKING:
    from nbformat import NotebookNode

Kind = Literal["solved", "slides", "html"]


@dataclass(frozen=True, repr=False)
class Edition(Rich):
    """What came of making an edition: what was written, in order, or what went wrong."""

    kind: Kind
    folder: Path
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()  # a line for each notebook that failed and each wrong check

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

    Raises ``RunInputError``: a path is no notebook, an exercise and its solution do not fit, a
    file would replace a notebook or another file, a package is missing, or the folder cannot be
    made. Raises ``OSError``: the files cannot be written.
    """
    writer, needs = _WRITERS[kind]
    require_packages(*needs)
    made = {path: _source(path, kind) for path in notebooks}
    check_copies(notebooks, folder)
    problems: list[str] = []
    if run:
        with tempfile.TemporaryDirectory() as scratch:
            for path, source in made.items():
                on_start(path.name)
                made[path], faults = _executed(path, source, kind, scratch)
                problems += [f"{path.name}: {fault}" for fault in faults]
    if problems:
        return Edition(kind, folder, problems=tuple(problems))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunInputError(f"{folder}: no folder for the results ({error.strerror})") from error
    written = writer({path.name: notebook for path, notebook in made.items()}, folder)
    return Edition(kind, folder, tuple(written))


def require_packages(*names: str) -> None:
    """Raise ``RunInputError`` where a package of the site's layer is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            package = {"fpdf": "fpdf2"}.get(name, name.replace("_", "-"))
            raise RunInputError(f"{package} is missing: make site installs it")


def _source(path: Path, kind: Kind) -> NotebookNode:
    """Read a notebook, and give it the form that is executed."""
    import nbformat

    declared_parameters(path)  # says in one line what is no notebook
    notebook = nbformat.read(path, as_version=4)
    embed_pictures(notebook, path.parent)
    try:
        return solved_edition(notebook) if kind == "solved" else notebook
    except ValueError as error:
        raise RunInputError(f"{path}: {error}") from error


def _executed(
    path: Path, source: NotebookNode, kind: Kind, scratch: str
) -> tuple[NotebookNode, list[str]]:
    """Execute a notebook; say what failed, or which checks of a solved one are not right."""
    import nbformat

    if kind == "solved":  # where a learner would put it: not beside the learner edition
        path = Path(scratch, path.name)
        nbformat.write(source, path)
    result = execute_notebook(path, Path(scratch, f"{path.stem}-executed.ipynb"), {})
    if not result.ok:
        return source, [result.verdict]
    executed = nbformat.read(result.executed, as_version=4)
    return executed, wrong_checks(executed) if kind == "solved" else []


def _write_solved(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    for name, notebook in notebooks.items():
        canonical.write(canonical.canonical_form(without_answers(notebook)), folder / name)
    return [folder / name for name in notebooks]


# kind -> what writes it, and the packages that that needs
_WRITERS: dict[
    Kind, tuple[Callable[[Mapping[str, NotebookNode], Path], list[Path]], tuple[str, ...]]
] = {
    "solved": (_write_solved, ()),
    "slides": (slides.write, ("sphinx_revealjs",)),
    "html": (site.write, ("sphinx", "myst_nb", "sphinx_book_theme", "fpdf")),
}


def default_folder(kind: Kind) -> Path:
    """Return where an edition goes if no folder is named, seen from the working folder."""
    return Path("workbook-output", "site" if kind == "html" else kind)
