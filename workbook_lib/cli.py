"""The ``workbook`` command: each sub-command is one call into the library."""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbook_lib import __version__

BAD_INPUT = 2
_MODEL = "SavedModel folder, .keras, .h5, .pb or .tflite"
# As a shell reports a command that Ctrl-C, or a reader that closed the pipe, has ended.
INTERRUPTED = 130
READER_GONE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line without the program's name; ``sys.argv`` if ``None``.

    Returns:
        0 if all went well, 1 if a notebook failed, 2 if the input cannot be used, 130 after
        Ctrl-C, 141 if the reader of the output left before its end, as ``head`` does.
    """
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
        _add_sweep,
        _add_matrix,
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
    run.set_defaults(command=_run)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("workbook-output"), metavar="DIR")


def _add_sweep(commands: Any) -> None:
    """Add ``sweep``."""


def _add_matrix(commands: Any) -> None:
    """Add ``matrix``."""


def _run(options: argparse.Namespace) -> int:
    from workbook_lib.runs import RunInputError, all_notebooks, run_notebooks

    parameters = {name: _value(text) for name, text in options.parameters}
    try:
        report = run_notebooks(
            options.notebooks or all_notebooks(),
            options.output,
            parameters,
            on_start=lambda name: print(f"running {name}", flush=True),
        )
    except RunInputError as error:
        return _refuse(error)
    print(report.text())
    print(f"report: {report.folder / 'index.html'}")
    return 0 if report.ok else 1


def _inspect(options: argparse.Namespace) -> int:
    from workbook_lib.graph import ModelFileError, read_graph
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
    from workbook_lib.device.state import CannotLiftError, lift_file
    from workbook_lib.graph import ModelFileError

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
    raise NotImplementedError


def _explain(options: argparse.Namespace) -> int:
    raise NotImplementedError


def _cure(options: argparse.Namespace) -> int:
    raise NotImplementedError


def _value(text: str) -> Any:
    """Read a parameter's value as a Python literal, or else as the text that it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _refuse(error: Exception | str) -> int:
    print(f"workbook: {error}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
