"""One run of the tool for a panel of JupyterLab, in a process of its own.

It reads an order, one line of JSON, from its standard input, and writes a JSON object a line:
``{"progress": "converting"}`` as often as something new takes time, and at the end an answer, with
a report, or with an ``error`` of one line. It ends when its standard input does, so that no run is
left behind by a server, however that ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

from varhandle.cli.commands import start_fork_servers
from varhandle.cli.program import cleanup_on_signals, errors_as_bad_input
from varhandle.display import one_line
from varhandle.errors import VarhandleError
from varhandle.formats.trust import NotTrustedError
from varhandle.html_page import page_html
from varhandle.progress_bar import report_progress_to
from varhandle.sandbox.descendants import adopt_orphans, end_descendants

Answer = dict[str, Any]

_STYLE = "body { font-size: 0.875rem; } main { padding: 0.5rem 0; }"  # it is in a panel


def main() -> int:
    """Do what is ordered; the exit code is 0 if an answer was written."""
    # Nobody else may write between the lines: what prints, prints to the server's log.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        order = json.loads(sys.stdin.readline())
        os.chdir(order["root"])  # paths in a report are as the file browser names them
        threading.Thread(target=_end_with_the_input, daemon=True).start()
        with cleanup_on_signals():
            adopt_orphans()
            try:
                _write(answers, _answered(order, answers))
            finally:
                end_descendants()
    return 0


def _end_with_the_input() -> None:
    while os.read(0, 4096):  # not by sys.stdin, whose lock Python wants at its own end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _write(answers: TextIO, answer: Answer) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _answered(order: Mapping[str, Any], answers: TextIO) -> Answer:
    model, verb = order["model"], _diagnose if order["verb"] == "diagnose" else _cure
    try:
        with (
            report_progress_to(lambda label: _write(answers, {"progress": label})),
            errors_as_bad_input(model),
        ):
            start_fork_servers(model)
            return verb(model, order)
    except VarhandleError as error:
        # The command's advice on trust is about an option of its own; a panel asks.
        cause = error.__cause__
        untrusted = isinstance(cause, NotTrustedError)
        why = cause.fault if isinstance(cause, NotTrustedError) else error
        return {"error": one_line(why), "untrusted": untrusted}


def _page(title: str, body: str) -> str:
    return page_html(title, body, style=_STYLE)


def _diagnose(model: str, _: Mapping[str, Any]) -> Answer:
    from varhandle.diagnosis import diagnose

    found = diagnose(model)
    return {"verdict": found.verdict, "report": _page(f"Diagnosis of {model}", found.html())}


def _cure(model: str, order: Mapping[str, Any]) -> Answer:
    from varhandle.repair.refusal import NoCureError
    from varhandle.repair.run import cure_file

    title = f"Cure of {model}"
    try:
        made = cure_file(model, order["output"], **order["options"])
    except NoCureError as error:
        return {"verdict": "no safe cure", "report": _page(title, error.html())}
    return {
        "verdict": "cured" if made.result.proved else made.result.verdict,
        "report": _page(title, made.result.html()),
        "file": made.model.as_posix(),
        "state": None if made.state is None else made.state.as_posix(),
    }


if __name__ == "__main__":
    sys.exit(main())
