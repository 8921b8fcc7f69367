"""The commands on one model or log: diagnose, explain, cure, inspect and lift."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from varhandle.cli.program import (
    MODEL,
    BadInputError,
    add_calls,
    add_json,
    print_result,
    unfit_is_bad_input,
)


def register(commands: Any) -> None:
    """Add the commands."""
    _add_diagnose(commands)
    _add_explain(commands)
    _add_cure(commands)
    _add_inspect(commands)
    _add_lift(commands)


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
    diagnose.add_argument("model", help=MODEL)
    diagnose.add_argument("--static", action="store_true", help="only read: no TensorFlow, no run")
    add_json(diagnose)
    add_calls(diagnose)
    diagnose.set_defaults(command=_diagnose)


def _diagnose(options: argparse.Namespace) -> int:
    from varhandle.diagnosis import diagnose
    from varhandle.facts.verdicts import exit_code

    with unfit_is_bad_input(options.model):
        found = diagnose(
            options.model,
            static=options.static,
            signature=options.signature,
            inputs=options.inputs,
            trust=options.trust,
        )
    print_result(found, options.json)
    return exit_code(found.verdict)


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain", help="say what a traceback or a converter's log is about"
    )
    explain.add_argument("log", nargs="?", default="-", metavar="LOG", help="default: - (stdin)")
    add_json(explain)
    explain.set_defaults(command=_explain)


def _explain(options: argparse.Namespace) -> int:
    from varhandle.explanation import explain

    print_result(explain(_log(options.log)), options.json)
    return 0


def _log(name: str) -> bytes:
    """Read a log, from the standard input if its name is ``-``."""
    if name == "-" and sys.stdin is None:  # as by <&-
        raise BadInputError("standard input: it is closed")
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        subject = "standard input" if name == "-" else name
        raise BadInputError(f"{subject}: {getattr(error, 'strerror', None) or error}") from error


def _add_cure(commands: Any) -> None:
    cure = commands.add_parser(
        "cure",
        help="make the .tflite file that MODEL should have become, and prove it",
        description=(
            "Choose the way, apply the cure, and compare the file with TensorFlow. OUT.tflite is "
            "written only if it passes. Exit code 1 where there is no safe cure."
        ),
    )
    cure.add_argument("model", help=MODEL)
    cure.add_argument("output", type=Path, metavar="OUT.tflite", help="the file to write")
    cure.add_argument("--target", default="litert", help="where it is to run; default: litert")
    cure.add_argument("--quantization", metavar="RECIPE", help="default: none")
    add_json(cure)
    add_calls(cure)
    cure.set_defaults(command=_cure)


def _cure(options: argparse.Namespace) -> int:
    from varhandle.formats.trust import NotTrustedError
    from varhandle.repair.run import NoCureError, cure_file

    with unfit_is_bad_input(options.model):
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
            print_result(error, options.json)
            return 1
        except NotTrustedError as error:
            raise BadInputError(f"{error}; if you trust it, say --trust") from error
    print_result(made, options.json)
    return 0


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="list the variables and the ops of a model")
    inspect.add_argument("model", help=MODEL)
    inspect.set_defaults(command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from varhandle.formats import read_graph
    from varhandle.inspection.histogram import op_histogram
    from varhandle.inspection.variables import variable_table

    graph = read_graph(options.model)
    print(graph, variable_table(graph).text(), op_histogram(graph).text(), sep="\n\n")
    return 0


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


def _lift(options: argparse.Namespace) -> int:
    from varhandle.lift import lift_file
    from varhandle.tflite.variable_effects import CannotLiftError

    try:
        made = lift_file(options.model, options.output)
    except CannotLiftError as error:
        raise BadInputError(f"{options.model}: {error}") from error
    print(made.lifted.text())
    print(f"wrote {made.model}, and the state before the first call to {made.state}")
    return 0
