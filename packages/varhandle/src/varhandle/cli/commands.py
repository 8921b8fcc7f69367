"""The commands of the tool, each a call into the package."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from varhandle.cli.program import (
    BAD_INPUT,
    CONVERTIBLE,
    MODEL,
    UNFINISHED,
    BadInputError,
    add_calls,
    add_json,
    call_options,
    errors_as_bad_input,
    positive_float,
    positive_int,
    print_result,
    write_errors_as_unfinished,
)
from varhandle.display import inert, join_names, one_line, printable
from varhandle.errors import CHECK_PATH, NAME_PLACE, system_fault

if TYPE_CHECKING:
    from varhandle.matrix.environments import Release
    from varhandle.sarif import CheckedModel
    from varhandle.sweep.row_specs import RowSpec
    from varhandle.sweep.run import SweepResult


def register(commands: Any) -> None:
    """Add all sub-commands of the tool, for a program that offers them among its own."""
    for add in (
        _add_diagnose,
        _add_explain,
        _add_cure,
        _add_locate,
        _add_diff,
        _add_inspect,
        _add_lift,
        _add_sweep,
        _add_matrix,
        _add_check,
        _add_doctor,
        _add_schema,
        _add_mcp,
    ):
        add(commands)


def _add_diagnose(commands: Any) -> None:
    diagnose = commands.add_parser(
        "diagnose",
        help="say what is wrong with a model, and prove it",
        description=(
            "Read MODEL; where reading cannot decide, convert it in a child process, run the file "
            "with and without the default delegates, and compare with TensorFlow. Exit code 0 for "
            "ready and convertible, 1 for blocked and wrong-answers, 2 for bad input, 3 for "
            "unproved: nothing that means anything could be compared."
        ),
    )
    diagnose.add_argument("model", help=MODEL)
    diagnose.add_argument("--static", action="store_true", help="only read: no TensorFlow, no run")
    add_json(diagnose)
    _add_sarif(diagnose)
    add_calls(diagnose)
    diagnose.set_defaults(command=_diagnose)


def start_fork_servers(model: str) -> None:
    """Start what the processes that run a model are forked from, while it is read."""
    from varhandle.sandbox.fork_server import start_fork_server

    start_fork_server(tensorflow=False, imports=["varhandle.evaluate.parity"])
    from varhandle.formats.registry import recognized_format
    from varhandle.graph import ModelFileError

    with contextlib.suppress(ModelFileError, OSError):  # reading it will say so
        if not recognized_format(Path(model)).is_converted:
            start_fork_server(tensorflow=True)


def _diagnose(options: argparse.Namespace) -> int:
    _check_sarif(options, [options.model])
    if not options.static:
        start_fork_servers(options.model)
    from varhandle.diagnosis import diagnose
    from varhandle.facts.verdicts import MEANINGS

    with errors_as_bad_input(options.model):
        found = diagnose(
            options.model,
            static=options.static,
            **call_options(options),
        )
    if options.sarif:
        from varhandle.sarif import checked_model

        _write_sarif(options.sarif, [checked_model(found)])
    print_result(found, options.json)
    return MEANINGS[found.verdict].exit_code


def _add_sarif(parser: Any) -> None:
    parser.add_argument(
        "--sarif", type=Path, metavar="FILE", help="write the findings for code scanning, too"
    )


def _check_sarif(options: argparse.Namespace, models: Sequence[str | Path]) -> None:
    """Refuse a place that cannot be written, before anything that takes its time."""
    from varhandle.tflite.state_files import check_target

    if options.sarif:
        check_target(options.sarif, *map(Path, models))


def _write_sarif(path: Path, models: Sequence[CheckedModel]) -> None:
    from varhandle.atomic_write import write_text
    from varhandle.sarif import sarif_log

    with errors_as_bad_input(path):
        write_text(path, json.dumps(sarif_log(models), indent=1) + "\n")


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
    from varhandle.formats.regular_file import read_stream, read_text

    if name == "-" and sys.stdin is None:  # as by <&-
        raise BadInputError("standard input: it is closed; name the file of the log")
    try:
        return read_stream(sys.stdin.buffer) if name == "-" else read_text(Path(name))
    except OSError as error:
        subject = "standard input" if name == "-" else name
        raise BadInputError(f"{subject}: {system_fault(error, CHECK_PATH)}") from error
    except ValueError as error:  # a name that no file can have
        raise BadInputError(f"{name}: {error}: {CHECK_PATH}") from error


def _add_cure(commands: Any) -> None:
    cure = commands.add_parser(
        "cure",
        help="make the .tflite file that MODEL should have become, and prove it",
        description=(
            "Plan the repair, carry it out, and compare the file with TensorFlow. OUT.tflite is "
            "written unless it answers otherwise. Exit code 0 if it is proved, 1 where there is no "
            "safe cure, 3 if it is written and unproved; the first line says why."
        ),
    )
    cure.add_argument("model", help=MODEL)
    cure.add_argument("output", type=Path, metavar="OUT.tflite", help="the file to write")
    cure.add_argument("--target", metavar="T", help="where it is to run; default: LiteRT from pip")
    cure.add_argument("--quantization", metavar="RECIPE", help="default: none")
    add_json(cure)
    add_calls(cure)
    cure.set_defaults(command=_cure)


def _cure(options: argparse.Namespace) -> int:
    start_fork_servers(options.model)
    from varhandle.facts.targets import DEFAULT_TARGET
    from varhandle.facts.verdicts import MEANINGS
    from varhandle.repair.run import NoCureError, cure_file

    with errors_as_bad_input(options.model):
        try:
            made = cure_file(
                options.model,
                options.output,
                target=options.target or DEFAULT_TARGET,
                quantization=options.quantization,
                **call_options(options),
            )
        except NoCureError as error:
            print_result(error, options.json)
            return 1
    print_result(made, options.json)
    return MEANINGS[made.result.verdict].exit_code


def _add_locate(commands: Any) -> None:
    locate = commands.add_parser(
        "locate",
        help="name the first op where a .tflite file parts from its model",
        description=(
            "Run MODEL and FILE.tflite side by side over successive calls, and name the first call "
            "and the first op, in the order of execution, whose value differs though its inputs "
            "agree. Without FILE.tflite, MODEL is converted first. Exit code 0 where they agree, 1 "
            "where they part, 2 for bad input. With --why: name the smallest part of MODEL that "
            "the converter refuses, dies of or does not end with; exit code 0 where it converts. "
            "With --bisect-settings: find the one setting that decides it."
        ),
    )
    locate.add_argument("model", help=CONVERTIBLE)
    locate.add_argument("file", nargs="?", metavar="FILE.tflite", help="default: MODEL, converted")
    locate.add_argument(
        "--calls", type=positive_int, metavar="N", help="default: 5, or 20 of a state"
    )
    locate.add_argument(
        "--why", action="store_true", help="say why the converter gives no file for MODEL"
    )
    locate.add_argument(
        "--bisect-settings",
        action="store_true",
        help="find the one setting that decides whether the file agrees: delegate, threads, "
        "an optimization, the recipe, a layer left in float",
    )
    locate.add_argument(
        "--releases",
        nargs="*",
        metavar="PACKAGE==VERSION",
        help="with --bisect-settings: try other releases of tensorflow and ai-edge-litert as well, "
        "the latest if none is named; uv installs each, up to 600 MB",
    )
    locate.add_argument(
        "--quantization",
        metavar="RECIPE",
        help="with --bisect-settings: the recipe that the file is, or was, quantized with",
    )
    locate.add_argument(
        "--reduce", type=Path, metavar="OUT", help="write the smallest case that still shows it"
    )
    locate.add_argument("--html", type=Path, metavar="PAGE", help="a page to write: every op")
    add_json(locate)
    add_calls(locate)
    locate.set_defaults(command=_locate)


def _locate(options: argparse.Namespace) -> int:
    from varhandle.atomic_write import write_text
    from varhandle.divergence.case_folder import check_new_folder
    from varhandle.divergence.location import locate
    from varhandle.divergence.reduction import CannotReduceError
    from varhandle.tflite.state_files import check_target

    mode = "--why" if options.why else "--bisect-settings" if options.bisect_settings else ""
    for flag, is_given, modes in (
        ("--bisect-settings", options.bisect_settings, ("--bisect-settings",)),
        ("--quantization", options.quantization, ("--bisect-settings",)),
        ("--releases", options.releases is not None, ("--bisect-settings",)),
        ("--reduce", options.reduce, ("", "--why")),
        ("--html", options.html, ("",)),
    ):
        if is_given and mode not in modes:
            words = f"{mode} takes no {flag}: leave out one of the two"
            words = words if mode else f"{flag} is for --bisect-settings: give both"
            raise BadInputError(words)
    if options.reduce:
        check_new_folder(options.reduce)  # before anything that takes its time
    if options.why:
        return _locate_refusal(options)
    if options.bisect_settings:
        return _locate_setting(options)
    if options.html:
        check_target(options.html, *map(Path, filter(None, [options.model, options.file])))
    with errors_as_bad_input(options.model):
        found = locate(
            options.model,
            options.file,
            calls=options.calls,
            **call_options(options),
        )
    if options.html:
        with errors_as_bad_input(options.html):
            write_text(options.html, found.page())
    print_result(found, options.json)
    if options.reduce:
        sys.stdout.flush()
        try:
            _print_written(found.reduce().write(options.reduce), options)
        except CannotReduceError as error:
            print(f"varhandle: nothing is written to {options.reduce}: {error}", file=sys.stderr)
    return 0 if found.agrees else 1


def _print_written(names: Sequence[str], options: argparse.Namespace) -> None:
    if names and not options.json:
        print(f"wrote {join_names(names)} to {printable(options.reduce)}")


def _locate_setting(options: argparse.Namespace) -> int:
    from varhandle.divergence.settings import bisect_settings

    with errors_as_bad_input(options.model):
        found = bisect_settings(
            options.model,
            options.file,
            quantization=options.quantization,
            releases=options.releases,
            calls=options.calls,
            **call_options(options),
        )
    print_result(found, options.json)
    return 0 if found.agrees else 1


def _locate_refusal(options: argparse.Namespace) -> int:
    from varhandle.divergence.refusal_bisection import why_refused

    if options.file or options.inputs or options.calls:
        raise BadInputError(
            "--why is about the conversion of MODEL: it takes no file and no calls, leave them out"
        )
    with errors_as_bad_input(options.model):
        found = why_refused(
            options.model,
            signature=options.signature,
            trust=options.trust,
            imports=options.imports,
            lock=options.lock,
        )
        written = found.write(options.reduce) if options.reduce else []
    print_result(found, options.json)
    _print_written(written, options)
    return 0 if found.converts else 1


def _add_diff(commands: Any) -> None:
    diff = commands.add_parser(
        "diff",
        help="say what became of the variables of one model in another",
        description=(
            "Compare two models, of one format or of two: which variables were frozen, kept, "
            "fused, lost, changed or added, with their values, and which ops came and went. Of two "
            ".tflite files, each operator is compared as well. Nothing is run. Exit code 0 where "
            "nothing was lost or changed, 1 where something was, 2 for bad input."
        ),
    )
    diff.add_argument("a", metavar="A", help=MODEL)
    diff.add_argument("b", metavar="B", help="what A was made into, or another model")
    add_json(diff)
    diff.set_defaults(command=_diff)


def _diff(options: argparse.Namespace) -> int:
    from varhandle.divergence.model_diff import diff_models

    found = diff_models(options.a, options.b)
    print_result(found, options.json)
    return 0 if found.agrees else 1


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="list the variables and the ops of a model")
    inspect.add_argument("model", help=MODEL)
    add_json(inspect)
    inspect.set_defaults(command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from varhandle.inspection.contents import inspect_model

    print_result(inspect_model(options.model), options.json)
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
    add_json(lift)
    lift.set_defaults(command=_lift)


def _lift(options: argparse.Namespace) -> int:
    from varhandle.lift import lift_file
    from varhandle.tflite.variable_values import CannotLiftError

    try:
        made = lift_file(options.model, options.output)
    except CannotLiftError as error:
        raise BadInputError(f"{options.model}: {error}") from error
    print_result(made, options.json)
    return 0


def _add_sweep(commands: Any) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="cure many models, with many settings, and compare with an earlier sweep",
        description=(
            "Every MODEL, target and quantization is a row. Each row is one cure, in processes of "
            "its own, within its limits. DIR gets sweep.csv, sweep.parquet, index.html and a "
            "folder for each row. The same command again makes the rows that are missing, or whose "
            "model or libraries have changed, and keeps the others. Exit code 0 if every row is "
            "ready or convertible, 1 otherwise; with --baseline, 1 if a row got worse, drifted or "
            "is missing; 2 for bad input."
        ),
    )
    default = Path("workbook-output", "sweep")
    add = sweep.add_argument
    add("models", nargs="*", type=Path, metavar="MODEL", help=f"{MODEL}; or a folder of these")
    listed = "rows from a CSV or .jsonl file: model, signature, inputs, target, quantization"
    add("--list", type=Path, metavar="FILE", help=listed)
    add("--output", type=Path, default=default, metavar="DIR", help=f"default: {default}")
    add("--target", action="append", metavar="T", help="default: LiteRT from pip")
    add("--quantization", action="append", metavar="Q", help="default: none")
    add_calls(sweep)
    add("--baseline", type=Path, metavar="DIR", help="an earlier sweep to compare with")
    place = sweep.add_mutually_exclusive_group()
    place.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="rows at a time; default: 1"
    )
    place.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster, such as tcp://host:8786. Models and DIR must be on a disk that "
        "all workers share, under the same paths",
    )
    add(
        "--timeout",
        type=positive_float,
        default=900.0,
        metavar="SECONDS",
        help="of a row; default: 900",
    )
    held = "of a row's process and all its children together; default: 8"
    add("--memory", type=positive_float, default=8.0, metavar="GIB", help=held)
    add_json(sweep)
    _add_sarif(sweep)
    add(
        "--fail-on",
        choices=("worse", "bad", "never"),
        help="which rows make the exit code 1: those that got worse than the baseline's (default "
        "with --baseline), those that are not good (default without), or none",
    )
    add(
        "--github",
        action="store_true",
        help="in a GitHub workflow: annotate the models, and write the job's summary",
    )
    sweep.set_defaults(command=_sweep, maker=None)


def _sweep(options: argparse.Namespace) -> int:
    from varhandle.facts.targets import DEFAULT_TARGET
    from varhandle.sweep.row_specs import rows_of_list, rows_of_models
    from varhandle.sweep.run import run_sweep

    settings = {
        "targets": options.target or [DEFAULT_TARGET],
        "quantizations": options.quantization or [None],
        "signature": options.signature,
        "inputs": options.inputs,
    }
    specs = rows_of_models(options.models, **settings)
    if options.list:
        specs += rows_of_list(options.list, **settings)
    _check_sarif(options, [spec.model for spec in specs])
    if options.fail_on == "worse" and not options.baseline:
        raise BadInputError("--fail-on worse needs a --baseline to compare with: name one")
    try:
        with write_errors_as_unfinished(options.output):
            result = run_sweep(
                specs,
                options.output,
                maker=options.maker,
                workers=options.workers,
                scheduler=options.scheduler,
                baseline=options.baseline,
                timeout=options.timeout,
                memory=int(options.memory * 2**30),
                trust=options.trust,
                imports=options.imports,
                lock=options.lock,
                say=functools.partial(_say, sys.stderr if options.json else sys.stdout),
            )
    except KeyboardInterrupt:
        print("finished rows are kept; the same command makes the others", file=sys.stderr)
        raise
    _report_to_ci(result, specs, options)
    print_result(result, options.json)
    return 1 if result.fails(options.fail_on) else 0


def _say(stream: TextIO, line: str) -> None:
    print(inert(line), file=stream, flush=True)


def _report_to_ci(
    result: SweepResult, specs: Sequence[RowSpec], options: argparse.Namespace
) -> None:
    if not (options.sarif or options.github):
        return
    from varhandle.sweep.ci_report import checked_models, step_summary, workflow_commands

    models = checked_models(result, specs)
    if options.sarif:
        _write_sarif(options.sarif, models)
    if options.github:
        # A runner reads commands on either stream; --json has the standard output for itself.
        stream = sys.stderr if options.json else sys.stdout
        for line in workflow_commands(result, models):
            print(line, file=stream, flush=True)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            with (
                write_errors_as_unfinished(result.folder),
                Path(summary).open("a", encoding="utf-8") as file,
            ):
                file.write(step_summary(result))


def _add_matrix(commands: Any) -> None:
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
    matrix.add_argument("--output", type=Path, metavar="FILE", help="default: the one installed")
    matrix.add_argument("--jobs", type=positive_int, default=1, metavar="N", help="at a time")
    matrix.set_defaults(command=_matrix)


def _matrix(options: argparse.Namespace) -> int:
    from varhandle.matrix import version_matrix
    from varhandle.matrix.environments import NotInstalledError, ReleaseInputError, parse_releases

    path = options.output or version_matrix.stored_path()
    try:
        releases = parse_releases(options.releases)
        if options.list:
            print("\n".join(map(version_matrix.described, version_matrix.load(path)["versions"])))
            return 0
        installed = []
        for entry, said in version_matrix.update(releases, path, options.jobs, _started):
            print(said, flush=True)
            installed.append(entry["installed"])
    except ReleaseInputError:
        raise
    except NotInstalledError as error:
        raise BadInputError(f"uv installs the releases, and cannot: {error}") from error
    except OSError as error:
        raise BadInputError(f"{path}: {system_fault(error, NAME_PLACE)}") from error
    except ValueError as error:
        fault = f"no version matrix ({one_line(error)})"
        raise BadInputError(f"{path}: {fault}: name one that this command has written") from error
    return 0 if all(installed) else 1


def _started(release: Release) -> None:
    print(f"measuring {release.version}", flush=True)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="read many models, and say which are at fault: a pre-commit hook",
        description=(
            "Read each MODEL as diagnose --static does, and say a line of each that is at fault, "
            "and of each whose file could never be proved, as that of one that draws random "
            "numbers. The file saved_model.pb stands for its folder. Exit code 1 where one is at "
            "fault, 2 where one cannot be read."
        ),
    )
    check.add_argument("models", nargs="*", metavar="MODEL", help=MODEL)
    _add_sarif(check)
    check.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    from varhandle.diagnosis import diagnose
    from varhandle.facts.verdicts import MEANINGS
    from varhandle.graph import ModelFileError
    from varhandle.sarif import checked_model

    _check_sarif(options, options.models)
    models, unread, at_fault = [], False, False
    for name in options.models:
        path = Path(name)
        try:
            found = diagnose(path.parent if path.name == "saved_model.pb" else path, static=True)
        except ModelFileError as error:
            unread = True
            print(inert(f"cannot be read: {error}"), file=sys.stderr)
            continue
        models.append(checked_model(found))
        at_fault |= MEANINGS[found.verdict].exit_code == UNFINISHED
        if not found.ok:
            ids = dict.fromkeys(f.id for f in found.findings if f.severity == "error")
            named = f" [{join_names(list(ids))}]" if ids else ""
            print(inert(f"{printable(name, None)}: {models[-1].line}{named}"))
    if options.sarif:
        _write_sarif(options.sarif, models)
    return BAD_INPUT if unread else UNFINISHED if at_fault else 0


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed, and whether it fits together",
        description=(
            "A line each on Python, TensorFlow, Keras, LiteRT, the quantizer and the lock, one for "
            "each package that does not fit to what another one asks for, and what to do. Exit "
            "code 0 where all fits, 1 otherwise."
        ),
    )
    add_json(doctor)
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from varhandle.installation import look_at_installation

    found = look_at_installation()
    print_result(found, options.json)
    return 0 if found.ok else UNFINISHED


def _add_schema(commands: Any) -> None:
    from varhandle.facts.schemas import schema_names

    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of what a command prints with --json",
        description=(
            "Print the JSON Schema (2020-12) of what VERB prints with --json; of verdict: of the "
            "verdict.json that a sweep keeps for each row. Its $id ends with its version."
        ),
    )
    schema.add_argument("verb", choices=schema_names(), metavar="VERB")
    schema.set_defaults(command=_schema)


def _schema(options: argparse.Namespace) -> int:
    from varhandle.facts.schemas import schema_of

    print(json.dumps(schema_of(options.verb), indent=2))
    return 0


def _add_mcp(commands: Any) -> None:
    mcp = commands.add_parser(
        "mcp",
        help="serve the tools to an assistant, over the standard streams (MCP)",
        description=(
            "Serve explain, inspect, diagnose, cure and locate by the Model Context Protocol over "
            "stdio. Files are opened below FOLDER only, a new file takes the place of none, and "
            "nothing that a model brings along runs."
        ),
    )
    mcp.add_argument("folder", type=Path, metavar="FOLDER", help="where the models are")
    mcp.set_defaults(command=_mcp)


def _mcp(options: argparse.Namespace) -> int:
    from varhandle.extras import require

    require("mcp", "mcp")
    from varhandle.mcp_server import serve

    if not options.folder.is_dir():
        raise BadInputError(f"{options.folder}: there is no such folder: {CHECK_PATH}")
    serve(options.folder)
    return 0
