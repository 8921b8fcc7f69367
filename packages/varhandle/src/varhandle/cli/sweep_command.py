"""The command that cures many models with many settings, and says what changed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from varhandle.cli.program import MODEL, add_calls, amount, files_are_kept, whole_number
from varhandle.display import printable


def register(commands: Any) -> None:
    """Add ``sweep``."""
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
    sweep.add_argument(
        "models", nargs="*", type=Path, metavar="MODEL", help=f"{MODEL}; or a folder of these"
    )
    sweep.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="rows from a CSV or .jsonl file: model, signature, inputs, target, quantization",
    )
    default = Path("workbook-output", "sweep")
    sweep.add_argument(
        "--output", type=Path, default=default, metavar="DIR", help=f"default: {default}"
    )
    sweep.add_argument("--target", action="append", metavar="T", help="default: litert")
    sweep.add_argument("--quantization", action="append", metavar="Q", help="default: none")
    add_calls(sweep)
    sweep.add_argument(
        "--baseline", type=Path, metavar="DIR", help="an earlier sweep to compare with"
    )
    _add_limits(sweep)
    sweep.set_defaults(command=_sweep, maker=None)


def _add_limits(sweep: argparse.ArgumentParser) -> None:
    """Add where the rows of a sweep are made, and what each may take."""
    place = sweep.add_mutually_exclusive_group()
    place.add_argument(
        "--workers", type=whole_number, default=1, metavar="N", help="rows at a time; default: 1"
    )
    place.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster, such as tcp://host:8786. Models and DIR must be on a disk that "
        "all workers share, under the same paths",
    )
    sweep.add_argument(
        "--timeout", type=amount, default=900.0, metavar="SECONDS", help="of a row; default: 900"
    )
    sweep.add_argument(
        "--memory",
        type=amount,
        default=8.0,
        metavar="GIB",
        help="of a row's process and all its children together; default: 8",
    )


def _sweep(options: argparse.Namespace) -> int:
    from varhandle.sweep.executors import choose_executor
    from varhandle.sweep.row_specs import rows_of_list, rows_of_models
    from varhandle.sweep.run import run_sweep

    settings = {
        "targets": options.target or ["litert"],
        "quantizations": options.quantization or [None],
        "signature": options.signature,
        "inputs": options.inputs,
    }
    specs = rows_of_models(options.models, **settings)
    if options.list:
        specs += rows_of_list(options.list, **settings)
    try:
        with (
            files_are_kept(options.output),
            choose_executor(options.workers, options.scheduler) as executor,
        ):
            result = run_sweep(
                specs,
                options.output,
                maker=options.maker,
                executor=executor,
                baseline=options.baseline,
                timeout=options.timeout,
                memory=int(options.memory * 2**30),
                trust=options.trust,
                on_begin=lambda line: print(line, flush=True),
                on_row=lambda progress: print(progress, flush=True),
            )
    except KeyboardInterrupt:
        print("finished rows are kept; the same command makes the others", file=sys.stderr)
        raise
    for change in result.changes:
        if change.kind != "same":
            print(change)
    print(f"{result!r}: {printable(result.folder / 'index.html')}")
    return 0 if result.ok else 1
