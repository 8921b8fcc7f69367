"""The ``workbook`` command: the tool's verbs, those of the lessons, and those of other packages."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import varhandle.cli
from varhandle.cli.program import (
    BadInputError,
    Register,
    positive_int,
    run_program,
    write_errors_as_unfinished,
)
from workbook_lib import __version__

ENTRY_POINTS = "workbook.commands"
"""Group of the entry points by which another package adds sub-commands: each a ``Register``."""

_PATH_PARAMETERS = ("model", "inputs", "output")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the command line is ``sys.argv`` where no arguments are given."""
    return run_program(
        "workbook", "The VarHandleOp workbook.", __version__, registrations(), arguments
    )


def registrations() -> Iterator[Register]:
    """Yield what adds sub-commands: the tool, the lessons, other packages."""
    yield varhandle.cli.register
    yield register
    for entry in entry_points(group=ENTRY_POINTS):
        yield entry.load()


def register(commands: Any) -> None:
    """Add the sub-commands of the lessons, and ``--report`` to the tool's ``sweep``."""
    _add_run(commands)
    _add_edition(commands)
    _add_fresh(commands)
    _add_drill(commands)
    _add_certificate(commands)
    _add_check_machine(commands)
    sweep = commands.choices["sweep"]
    sweep.add_argument(
        "--report",
        action="store_true",
        help="make each row by executing notebook 36, and keep that as a page",
    )
    sweep.set_defaults(command=_sweep, sweep=sweep.get_default("command"))


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="execute notebooks, keep them, write a report")
    run.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all")
    folder = Path("workbook-output")
    run.add_argument(
        "--output", type=Path, default=folder, metavar="DIR", help=f"default: {folder}"
    )
    run.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a papermill parameter, for the notebooks that declare it",
    )
    run.add_argument(
        "--jobs", type=positive_int, default=1, metavar="N", help="notebooks at a time"
    )
    run.set_defaults(command=_run)


def _add_edition(commands: Any) -> None:
    about = (
        "Make another form of the notebooks. learner: a copy to work in, whose lessons are never "
        "overwritten once they are changed (see workbook fresh). solved: every exercise holds its "
        "solution, and its check must say Right. slides: a page of slides for each. html: a site. "
        "cheat-sheet: the cards of the main parts on one sheet of paper. They need no network. "
        "Exit code 1 if a notebook fails; then nothing is written."
    )
    edition = commands.add_parser(
        "edition",
        help="make a copy to work in, solved notebooks, slides, a site, or the cheat sheet",
        description=about,
    )
    edition.add_argument(
        "kind", choices=("learner", "solved", "slides", "html", "cheat-sheet"), help="which"
    )
    edition.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all")
    edition.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: workbook-output/, then its name; of a learner: my-workbook",
    )
    edition.add_argument(
        "--no-run",
        action="store_true",
        help="do not execute: take the outputs that the notebooks hold; solved ones have none",
    )
    edition.set_defaults(command=_edition)


def _add_fresh(commands: Any) -> None:
    fresh = commands.add_parser(
        "fresh",
        help="bring your copy of the lessons up to date, and keep what you did",
        description=(
            "Where a lesson has a newer version, put it in the place of yours, with your answers "
            "and your own cells in it. With NOTEBOOK, begin that lesson anew. What you had changed "
            "is kept beside it in either case: nothing is deleted."
        ),
    )
    fresh.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a lesson: its file, or 03")
    fresh.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="the copy; default: the one you are in, or WORKBOOK_FOLDER, or my-workbook",
    )
    fresh.set_defaults(command=_fresh)


def _add_drill(commands: Any) -> None:
    about = (
        "Mend small broken programs, a minute each: starts at the first that was never right, and "
        "checks its file whenever you save it. Without a terminal it checks once; exit code 1 "
        "unless it is right."
    )
    drill = commands.add_parser("drill", help="mend small broken programs", description=about)
    drill.add_argument("name", nargs="?", metavar="NAME", help="a drill's name or number")
    drill.add_argument("--list", action="store_true", help="list the drills, and what is right")
    drill.add_argument("--reset", action="store_true", help="write NAME as it was handed out")
    drill.set_defaults(command=_drill)


def _add_certificate(commands: Any) -> None:
    about = (
        "Write a page that lists what you have done, to be printed: once every prediction of the "
        "main parts is made, and every exercise and every quiz question of them is right. The "
        "appendix and the drills are named, and not required. Nothing is sent anywhere. Exit code "
        "1, and a list of what is missing, if that is not so yet."
    )
    certificate = commands.add_parser(
        "certificate", help="a page of what you have done, when all is done", description=about
    )
    certificate.add_argument("--name", default="", help="yours; or type it into the page")
    certificate.add_argument(
        "--output", type=Path, metavar="PAGE.html", help="default: certificate.html in your copy"
    )
    certificate.set_defaults(command=_certificate)


def _add_check_machine(commands: Any) -> None:
    about = (
        "Look at this computer, convert and run a small model in a kernel, and start JupyterLab. "
        "Prints one screen of text to be mailed to whoever gives the workshop; it holds no name. "
        "Exit code 0 if everything will do, else 1."
    )
    check = commands.add_parser(
        "check-machine", help="before a workshop: is this computer ready?", description=about
    )
    check.set_defaults(command=_check_machine)


def _check_machine(_: argparse.Namespace) -> int:
    from workbook_lib import machine_check

    return machine_check.main()


def _certificate(options: argparse.Namespace) -> int:
    from workbook_lib.lesson import certificate as certificates
    from workbook_lib.lesson import progress
    from workbook_lib.lesson.learner_copy import find_copy

    copy = find_copy()
    progress.keep_in(copy)
    earned = certificates.read_certificate()
    if earned.missing:
        print("Not everything is done yet. Missing:", *earned.missing, sep="\n  ")
        return 1
    page = options.output or copy / certificates.FILE
    with write_errors_as_unfinished(page.parent):
        certificates.write_certificate(earned, page, options.name)
    print(f"{page}: open it in a browser, and print it")
    return 0


def _drill(options: argparse.Namespace) -> int:
    from workbook_lib.lesson import drill_catalog as drills
    from workbook_lib.lesson.drill_terminal import run_drills

    if made := drills.hand_out():
        print(made)
    if options.list:
        print(drills.drill_list().text())
        return 0
    if options.reset and not options.name:
        raise BadInputError("--reset wants the NAME of a drill; workbook drill --list names them")
    try:
        chosen = drills.find_drill(options.name) if options.name else drills.first_unsolved()
    except ValueError as error:
        raise BadInputError(str(error)) from error
    if options.reset:
        chosen.reset()
        print(f"{chosen.file} is as it was handed out.")
        return 0
    return run_drills(chosen)


def _sweep(options: argparse.Namespace) -> int:
    if options.report:
        from workbook_lib.runs.row_report import NotebookMaker, report_notebook

        options.maker = NotebookMaker(report_notebook())
    return int(options.sweep(options))


def _run(options: argparse.Namespace) -> int:
    from workbook_lib.runs import all_notebooks, run_notebooks

    parameters = {name: _parameter(name, text) for name, text in options.parameters}
    with write_errors_as_unfinished(options.output):
        report = run_notebooks(
            options.notebooks or all_notebooks(),
            options.output,
            parameters,
            on_start=lambda name: print(f"running {name}", flush=True),
            jobs=options.jobs,
        )
    print(report.text())
    print(f"report: {report.folder / 'index.html'}")
    return 0 if report.ok else 1


def _fresh(options: argparse.Namespace) -> int:
    from workbook_lib.lesson.learner_copy import find_copy, renew_lesson, update_copy

    folder = options.folder or find_copy()
    with write_errors_as_unfinished(folder):
        if not options.notebooks:
            print(update_copy(folder, renew=True))
        for lesson in options.notebooks:
            print(renew_lesson(folder, lesson))
    return 0


def _edition(options: argparse.Namespace) -> int:
    if options.kind == "learner":
        return _learner_edition(options)
    if options.kind == "cheat-sheet":
        return _cheat_sheet(options)
    from workbook_lib.editions import default_folder, make_edition
    from workbook_lib.runs import all_notebooks

    folder = options.output or default_folder(options.kind)
    with write_errors_as_unfinished(folder):
        made = make_edition(
            options.kind,
            options.notebooks or all_notebooks(),
            folder,
            run=not options.no_run,
            on_start=lambda name: print(f"running {name}", flush=True),
        )
    print(made.text())
    return 0 if made.ok else 1


def _cheat_sheet(options: argparse.Namespace) -> int:
    from workbook_lib.editions.cheat_sheet import FILE, write_cheat_sheet
    from workbook_lib.editions.edition import require_packages

    if options.notebooks:
        raise BadInputError("the cheat sheet holds the cards of all main lessons: name no notebook")
    require_packages("fpdf")
    folder = options.output or Path("workbook-output")
    with write_errors_as_unfinished(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_cheat_sheet(folder / FILE)
    print(f"written: {folder / FILE}")
    return 0


def _learner_edition(options: argparse.Namespace) -> int:
    from workbook_lib.lesson.learner_copy import find_copy, update_copy

    if options.notebooks:
        raise BadInputError("a learner's copy holds every lesson: name no notebook")
    folder = options.output or find_copy()
    with write_errors_as_unfinished(folder):
        print(update_copy(folder))
    return 0


def _parameter(name: str, text: str) -> Any:
    """Read a papermill parameter: a path, a Python literal, or else the text that it is.

    A path is seen from where the user stands, not from where the notebook is.
    """
    if name in _PATH_PARAMETERS and text:
        return str(Path(text).absolute())
    if name == "imports":
        return [
            str(Path(each).absolute()) if each.endswith(".py") else each for each in text.split(",")
        ]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


if __name__ == "__main__":
    sys.exit(main())
