"""The slides: a reveal.js deck of each notebook, for a wall.

nbconvert makes them, and reveal.js comes along with sphinx-revealjs: speaker notes and a timer
(S), an overview (Esc), and a sheet for each slide (``?print-pdf``). Here it is only decided what
a slide holds. A question is the last thing on its slide, so that nothing below it gives its
answer away, and it stands on no slide with an answer.
"""

from __future__ import annotations

import copy
import html
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from varhandle.atomic_write import write_all
from varhandle.display import panel_html
from workbook_lib.lesson.content import prediction_question, quiz_questions
from workbook_lib.lesson.observations import observed_line, question_lines
from workbook_lib.lesson.quizzes import Quiz
from workbook_lib.show.tracebacks import TRACEBACK, red_error

if TYPE_CHECKING:
    from nbformat import NotebookNode

LINES = 19
"""Lines of text that a slide shows at once."""

_ACROSS = 95  # characters of a line of text
_CODE = 0.8  # how tall a line of code, or of what it prints, is beside one of text
_TALL = 12  # lines that a picture or a table is taken for
_OF_A_MESSAGE = 14  # lines of a traceback's message
_ANSWER = 0.5  # what was observed is one line, which goes on a slide that is full as well
_TEMPLATES = Path(__file__).with_name("templates")
_REVEAL = "reveal.js"
_NOT_SHOWN = {"check", "proof"}  # tags of cells that a room does not need
_OBSERVE = re.compile(r'lesson\.observe\(\s*"([^"]+)"')
_QUIZ = re.compile(r'lesson\.quiz\(\s*"([^"]+)"')
_VOTE = "Let everybody choose before you go on: the answer comes next."


def slide_notebook(notebook: NotebookNode) -> NotebookNode:
    """Deal a notebook out to slides, as ``slideshow`` metadata; the notebook is left as it is.

    Left out are the code of the set-up, the checks of exercises and the proofs. A prediction is its
    question and its options; a comparison is what was observed, with the model answer for the
    speaker.
    """
    from nbformat.v4 import new_markdown_cell

    made = copy.deepcopy(notebook)
    made.cells = []
    room = 0.0  # lines that are left on the slide
    answered = False  # whether it holds an answer
    for cell, starts in _slide_cells(notebook):
        lines = _lines(cell)
        asks = "question" in cell.metadata
        begins = starts or ("subslide" if lines > room or (asks and answered) else "")
        room = (LINES if begins else room) - lines
        answered = "answer" in cell.metadata or (answered and not begins)
        cell.metadata["slideshow"] = {"slide_type": begins or "-"}
        if begins and "<details" in cell.source:
            cell.source = cell.source.replace("<details>", "<details open>")
        made.cells.append(cell)
        if cell.metadata.get("notes"):
            about = {"slideshow": {"slide_type": "notes"}}
            made.cells.append(new_markdown_cell(cell.metadata["notes"], metadata=about))
        if asks:
            room = 0
    for number, cell in enumerate(made.cells):  # a cell may be on several slides
        cell["id"] = f"slide-{number}"
    return made


def _slide_cells(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, str]]:
    """Yield the cells that a room sees, and what each begins: a slide, a subslide or nothing."""
    setting_up = False
    for original in notebook.cells:
        cell = copy.deepcopy(original)
        if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
            continue
        if cell.cell_type == "markdown":
            for section in _sections(cell):
                first = section.source.lstrip().partition("\n")[0]
                if first.startswith("#"):
                    setting_up = first == "## Setting up"
                below = "subslide" if first.startswith("#") else ""
                starts = "slide" if first.startswith(("# ", "## ")) else below
                if not setting_up:
                    yield from _paragraphs(section, starts)
        elif not setting_up and not _NOT_SHOWN & set(cell.metadata.get("tags", ())):
            yield from _code(cell)


def _sections(cell: NotebookNode) -> list[NotebookNode]:
    """Part a text above each heading in it, which stands on the slide of what comes below."""
    if "<details" in cell.source:
        return [cell]
    return [_with(cell, source=part) for part in re.split(r"\n\n(?=##+ )", cell.source)]


def _paragraphs(cell: NotebookNode, starts: str) -> Iterator[tuple[NotebookNode, str]]:
    """Yield a text as it is, or, where it fills more than a slide, paragraph by paragraph."""
    if "<details" in cell.source:
        yield cell, starts
        return
    for part in cell.source.split("\n\n") if _lines(cell) > LINES else [cell.source]:
        yield _with(cell, source=part), starts
        starts = ""


def _with(cell: NotebookNode, **fields: Any) -> NotebookNode:
    made = copy.deepcopy(cell)
    made.update(fields)
    return made


def _code(cell: NotebookNode) -> Iterator[tuple[NotebookNode, str]]:
    """Yield code and what it showed; apart, where they do not fit on one slide.

    Of a line that draws more than fits below it, such as a control's, the drawing is enough.
    """
    for output in cell.outputs:
        observed = observed_line(output)
        if lines := question_lines(output):
            output.data["text/html"] = _question(lines)
            cell.metadata.update(question=True, notes=_VOTE)
        elif "data" in output and (quiz := _QUIZ.search(cell.source)):
            output.data["text/html"] = Quiz(quiz[1]).questions_html()
            cell.metadata.update(question=True, notes=_quiz_answers(quiz[1]))
        elif observed and (asked := _OBSERVE.search(cell.source)):
            output.data["text/html"] = panel_html("neutral", observed)
            cell.metadata.update(answer=True, notes=_debrief(asked[1]))
        else:
            continue
        yield _only_output(cell), ""
        return
    if "setup" in cell.metadata.get("tags", ()):
        if cell.outputs:
            yield _only_output(_with(cell, outputs=[_shortened(one) for one in cell.outputs])), ""
        return
    if _lines(cell) <= LINES:
        yield cell, ""
        return
    if "\n" in cell.source or not any("text/html" in one.get("data", {}) for one in cell.outputs):
        for source in _chunks(cell.source):
            yield _with(cell, source=source, outputs=[]), ""
    for output in cell.outputs:
        yield _only_output(_with(cell, outputs=[_shortened(output)])), ""


def _shortened(output: Any) -> Any:
    """Show the two ends of a printed text, or of a traceback, that would fill several slides."""
    if TRACEBACK in output.get("data", {}).get("text/html", ""):
        whole = red_error(output.data["text/plain"])
        output.data["text/html"] = whole.excerpt(_OF_A_MESSAGE, _ACROSS).html()
        return output
    lines = [line[:_ACROSS] for line in output.get("text", "").splitlines()]
    if len(lines) > 2 * LINES:
        output["text"] = "\n".join([*lines[: LINES // 2], "…", *lines[-(LINES // 2) :]])
    return output


def _chunks(source: str) -> Iterator[str]:
    """Split code at empty lines, into parts that fit on a slide as far as that can be."""
    part = ""
    for block in source.split("\n\n"):
        if part and len(f"{part}\n\n{block}".splitlines()) > LINES:
            yield part
            part = ""
        part = f"{part}\n\n{block}" if part else block
    yield part


def _only_output(cell: NotebookNode) -> NotebookNode:
    cell.metadata["transient"] = {"remove_source": True}
    return cell


def _debrief(prediction_id: str) -> str:
    asked = prediction_question(prediction_id)
    return "\n\n".join(text for text in (asked.why, asked.debrief) if text)


def _quiz_answers(lesson: str) -> str:
    return " ".join(f"{n}. {one.right}" for n, one in enumerate(quiz_questions(lesson), start=1))


def _question(lines: list[str]) -> str:
    options = "".join(f"<div>{html.escape(li.strip())}</div>" for li in lines if li[:2] == "  ")
    return panel_html("waiting", lines[0], options)


def _lines(cell: NotebookNode) -> float:
    """Estimate how many lines of a slide a cell takes."""
    if "<details" in cell.source:
        return _CODE * len(cell.source.splitlines())  # unfolded
    if cell.cell_type == "markdown":
        return sum(_lines_of_text(line) for line in cell.source.split("\n") if line)
    source = 0 if "transient" in cell.metadata else len(cell.source.splitlines())
    if "question" in cell.metadata:
        return sum(len(_text_of(output).splitlines()) for output in cell.outputs)
    if "answer" in cell.metadata:
        printed = [output for output in cell.outputs if not observed_line(output)]
        return _ANSWER + sum(map(_lines_of, printed))
    return _CODE * source + sum(_lines_of(output) for output in cell.outputs)


def _lines_of_text(line: str) -> int:
    return _TALL if line.startswith("![") else 1 + math.ceil(len(line) / _ACROSS)


def _lines_of(output: Any) -> float:
    lines = len(_text_of(output).splitlines())
    drawn = {"image/png", "image/svg+xml", "text/html"} & set(output.get("data", {}))
    return max(lines, _TALL) if drawn else _CODE * lines


def _text_of(output: Any) -> str:
    error = "\n".join(output.get("traceback", ()))
    return "".join(output.get("text", "") or error or output.get("data", {}).get("text/plain", ""))


def slides_html(notebook: NotebookNode, title: str) -> str:
    """Return the deck of an executed notebook. It looks for reveal.js in ``reveal.js/``."""
    from nbconvert import SlidesExporter

    about = notebook.metadata.get("workbook", {})
    exporter = SlidesExporter(
        template_name="deck",
        extra_template_basedirs=[str(_TEMPLATES)],
        reveal_url_prefix=_REVEAL,
        reveal_theme="white",
    )
    resources = {
        "metadata": {"name": title},
        "deck_style": (_TEMPLATES / "deck" / "deck.css").read_text(encoding="utf-8"),
        "deck_minutes": about.get("minutes", 0),
    }
    body, _ = exporter.from_notebook_node(slide_notebook(notebook), resources=resources)
    return str(body)


def write(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    """Write a deck for each notebook, and reveal.js beside them; all or nothing.

    Returns the pages, ``index.html`` first.
    """
    import sphinx_revealjs

    texts, links = {"index.html": ""}, ""
    for name, notebook in notebooks.items():
        stem = name.removesuffix(".ipynb")
        title = f"{stem[:2]} · {notebook.metadata.get('workbook', {}).get('title', stem)}"
        texts[f"{stem}.html"] = slides_html(notebook, title)
        links += f'<li><a href="{quote(stem)}.html">{html.escape(title)}</a></li>'
    texts["index.html"] = _INDEX.format(links=links)
    files = {folder / name: text.encode() for name, text in texts.items()}
    shipped = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"
    for part in ("dist", "plugin/notes"):
        for path in filter(Path.is_file, (shipped / part).rglob("*")):
            files[folder / _REVEAL / path.relative_to(shipped)] = path.read_bytes()
    fresh = not (folder / _REVEAL).exists()
    try:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_all(files)
    except OSError:
        if fresh:
            shutil.rmtree(folder / _REVEAL, ignore_errors=True)
        raise
    return [folder / name for name in texts]


_INDEX = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Slides of the VarHandleOp workbook</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 20px/1.6 sans-serif; max-width: 40em;
margin: 2em auto; padding: 0 1em }}</style></head>
<body><main><h1>Slides of the VarHandleOp workbook</h1>
<p>Arrow keys turn the slides, Esc shows all of them, and S opens the speaker's view with notes
and a timer. For paper, add <code>?print-pdf</code> to the address of a deck and print it.</p>
<ul>{links}</ul></main></body></html>
"""
