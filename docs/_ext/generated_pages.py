"""Pages that have their one home elsewhere: lessons, families of failure, commands, names.

They are written beside the other sources before Sphinx reads them. ``workbook edition html`` gives
Sphinx a copy of ``docs/`` to read, so none of them stands in the checkout.
"""

from __future__ import annotations

import argparse
import base64
import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import varhandle
from varhandle.families import compatibility
from varhandle.families.base import Family
from varhandle.families.catalog import FAMILIES
from workbook_lib.editions.cheat_sheet import FILE, write_cheat_sheet
from workbook_lib.lesson.cards import cheat_sheet_text
from workbook_lib.lesson.content import prediction_question
from workbook_lib.lesson.observations import (
    EXPLANATION,
    answering_cells,
    folded_explanation,
    observed_line,
)
from workbook_lib.lesson.outline import read_outlines

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LINK = re.compile(r'href="([\w-]+)\.ipynb(?:#[^"]*)?"')  # in an output: MyST looks at prose only
_DRILLS = re.compile(r'<a href="\.\./drills/[^"]*">([^<]*)</a>')  # they are no page
_CALLS = re.compile(
    r", or call <code>lesson\.\w+\([^<]*</code> in a new cell"
)  # a page has no cells
_SCROLLS = re.compile(r'<(?:div|section) style="[^"]*overflow-x: auto[^"]*"')  # for the keyboard
_EMPTY_HEADER = re.compile(r"<th[^>]*></th>")  # it says nothing to a screen reader

_ON_PAPER = f"\n{{download}}`The cards of the main parts on one sheet of paper, as PDF <{FILE}>`\n"
_FONT_PRELOAD = re.compile(r'<link rel="preload" as="font"[^>]*>')


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages when a build begins; ``lessons_folder`` holds the notebooks."""
    app.add_config_value("lessons_folder", "", "env")
    app.connect("config-inited", lambda app, config: write_all(app.srcdir, config.lessons_folder))
    app.connect("autodoc-process-docstring", _keep_bars)
    app.connect("build-finished", lambda app, _: _drop_font_preloads(Path(app.outdir)))
    return {"parallel_read_safe": True}


def _keep_bars(*event: Any) -> None:
    """Let |x| mean the absolute value in a docstring, and not a substitution."""
    lines: list[str] = event[-1]
    lines[:] = [line.replace("|", "\\|") for line in lines]


def _drop_font_preloads(folder: Path) -> None:
    """Leave fonts to the style sheet: a browser refuses to preload them for a page that is a file.

    The theme that Python 3.10 gets (pydata-sphinx-theme 0.15) asks for it.
    """
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(_FONT_PRELOAD.sub("", text), encoding="utf-8")


def write_all(sources: Path, lessons_folder: str) -> None:
    """Write every page below the folder that Sphinx reads."""
    notebooks = sorted(Path(lessons_folder).glob("*.ipynb"))
    pages = {
        **{f"lessons/{path.name}": lesson(path) for path in notebooks},
        **{f"lessons/{name}": text for path in notebooks for name, text in _pictures(path)},
        "lessons/index.md": lesson_index(notebooks),
        **{f"families/{family.id}.md": family_page(family) for family in FAMILIES},
        "families/index.md": family_index(),
        "cheat_sheet.md": cheat_sheet_text() + _ON_PAPER,
        "debriefs.md": debriefs(),
        "commands.md": commands(),
        "python.md": python_names(),
    }
    for name, text in pages.items():
        path = Path(sources, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    write_cheat_sheet(Path(sources, FILE))


def debriefs() -> str:
    """Return for each prediction what whoever teaches says once its answer is seen."""
    lines = [
        "# Debriefs\n\nFor whoever teaches: each prediction of the lessons, the model answer to "
        "“Why?”, which wrong answer tempts, and what to ask then. The slides have the same as "
        "speaker notes.\n"
    ]
    for found in read_outlines():
        if found.predictions:
            lines.append(f"## {found.number} · {found.title}\n")
        for asked in map(prediction_question, found.predictions):
            options = "".join(f"- {option}\n" for option in asked.options.values())
            lines.append(
                f"### {asked.text}\n\n{options}\n**Why:** {asked.why}\n\n"
                f"**Debrief:** {asked.debrief or 'Ask what each option would mean.'}\n"
            )
    return "\n".join(lines)


def lesson(path: Path) -> str:
    """Return a notebook as the site shows it: set-up and what was observed folded, no checks."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    answering = answering_cells(notebook)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            # JupyterLab opens a cell at cell-id=…; a page of the site has no such place.
            source = re.sub(r"(\.ipynb)#cell-id=[\w-]+", r"\1", source)
            source = source.replace("](attachment:", "](")
            is_explanation = EXPLANATION in cell["metadata"].get("tags", ())
            cell["source"] = folded_explanation(source) if is_explanation else source
        elif cell["cell_type"] == "code":
            _fold(cell, cell["id"] in answering)
    notebook["metadata"].pop("widgets", None)
    notebook["metadata"].setdefault(
        "language_info", {"name": "python", "pygments_lexer": "ipython3"}
    )
    return json.dumps(notebook)


def _pictures(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the drawings that are attached to a notebook: MyST takes them as files."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for name, forms in cell.get("attachments", {}).items():
            yield name, base64.b64decode("".join(forms["image/svg+xml"])).decode("utf-8")


def _fold(cell: dict[str, Any], answers: bool) -> None:
    tags, shown = cell["metadata"].setdefault("tags", []), cell["metadata"].setdefault("mystnb", {})
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "text/html" in data:
            markup = _LINK.sub(r'href="\1.html"', "".join(data["text/html"]))
            markup = _DRILLS.sub(r"\1", markup)
            markup = _CALLS.sub("", markup)
            markup = _SCROLLS.sub(r'\g<0> tabindex="0"', markup)
            data["text/html"] = _EMPTY_HEADER.sub("<td></td>", markup)
        if any(form.startswith("image/") for form in data):
            words = "".join(data.get("text/plain", "")).removeprefix("picture: ")
            shown["image"] = {"alt": " ".join(words.split())}
    if {"check", "proof"} & set(tags):
        tags.append("remove-cell")
    elif "question" in tags:
        tags.append("remove-input")
    elif "setup" in tags:
        tags.append("hide-input")
        shown["code_prompt_show"] = shown["code_prompt_hide"] = "Set-up"
    elif answers:
        is_answer = any(map(observed_line, cell["outputs"]))
        tags.append("hide-cell" if is_answer else "hide-output")
        said = "What was observed" if is_answer else "What the run showed"
        shown.update(code_prompt_show=said, code_prompt_hide=said)


def lesson_index(notebooks: Sequence[Path]) -> str:
    """Return the table of the lessons."""
    rows = []
    for path in notebooks:
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("workbook", {})
        title = f"{path.stem[:2]} · {about['title']}" if "title" in about else path.stem
        minutes = about.get("minutes", "")
        rows.append(f"| [{title}]({path.name}) | {about.get('question', '')} | {minutes} |")
    opening = (
        "# Lessons\n\nThese pages show each lesson after a run. To predict, to change the code and "
        "to have your change checked, open it in JupyterLab: `make lab`.\n\n"
        "| lesson | the question | minutes |\n|---|---|---|"
    )
    return _with_contents([opening, *rows], [path.stem for path in notebooks])


def family_page(family: Family) -> str:
    """Return the page of a family: what people see, why, what to do, and programs that show it."""
    sentence, _, code = family.fix.partition("\n\n")
    lines = [
        f"# {family.id}\n\n{family.what}\n",
        f"**Cause.** {family.cause}\n",
        f"## What to do on today's release\n\n{sentence}",
    ]
    if code:
        lines += ["", f"```{_language(code)}", code, "```"]
    for last, advice in family.older:
        lines += ["", f"**Bound to TensorFlow {last} or older:** {advice}"]
    phrases = sorted({p.phrase.strip().replace("`", "'") for p in family.log_patterns})
    if phrases:
        lines += ["", "## What a log shows", "", *(f"- `{phrase}`" for phrase in phrases)]
    for case in family.cases:
        releases = compatibility.failing_releases(case.id)
        where = f"Fails on TensorFlow {releases}." if releases else "Fails on no measured release."
        lines += ["", f"## Reproduction: {case.title}", "", where, ""]
        lines += ["```python", inspect.getsource(case.program).rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _language(code: str) -> str:
    if code.startswith(("pip ", "varhandle ")):
        return "sh"
    return "cpp" if "::" in code or "constexpr" in code else "python"


def family_index() -> str:
    """Return the list of the families."""
    opening = (
        "# Families of failure\n\n"
        "`varhandle diagnose MODEL` and `varhandle explain LOG` answer with these names.\n\n"
        "| family | what happens |\n|---|---|"
    )
    rows = [f"| [{family.id}]({family.id}.md) | {family.what} |" for family in FAMILIES]
    return _with_contents([opening, *rows], [family.id for family in FAMILIES])


def _with_contents(lines: Sequence[str], names: Sequence[str]) -> str:
    """Return a page with a table of contents that is not shown where it stands."""
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *names, "```", ""])


def commands() -> str:
    """Return what each command says of itself: those of the tool, then those of the workbook."""
    from varhandle import cli
    from varhandle.cli.program import make_parser
    from workbook_lib.cli import registrations

    tool = _verbs(make_parser("varhandle", "", "", [cli.register]))
    workbook = _verbs(make_parser("workbook", "", "", registrations()))
    lines = ["# Commands", "", "`workbook` offers the verbs of `varhandle` among its own.", ""]
    for name, verbs in ("varhandle", tool), ("workbook", workbook):
        for verb in sorted(verbs):
            if name == "workbook" and verb in tool:
                continue
            said = verbs[verb].format_help().rstrip()
            lines += [f"## {name} {verb}", "", "```text", said, "```", ""]
    return "\n".join(lines)


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(
        dict(action.choices)
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )


def python_names() -> str:
    """Return the reference of the names that ``varhandle`` gives at its top."""
    lines = ["# Python", "", "All of these come from `varhandle`.", ""]
    for name in sorted(varhandle.__all__):
        value = getattr(varhandle, name)
        if not callable(value):
            continue
        kind = "autoclass" if isinstance(value, type) else "autofunction"
        lines += ["```{eval-rst}", f".. {kind}:: varhandle.{name}", "```", ""]
    return "\n".join(lines)
