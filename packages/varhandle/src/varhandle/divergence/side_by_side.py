"""A location as people see it: the model and the file side by side, op by op, where they part.

Each row is an op of the file and what of the model it computes. Around the op that parts the rows
stand open; long stretches are folded. Rows are ``<details>``, so that they open by click and by
keyboard without a script; a page has one that draws the lines between the ops.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.display import counted, printable, table_html, table_text
from varhandle.divergence import drift
from varhandle.html_page import page_html
from varhandle.inspection.svg_drawing import image_html

if TYPE_CHECKING:
    from varhandle.divergence.location import Location

_AROUND = 4  # rows that stand open on each side of the op that parts
_IN_TEXT = 3
_LONG = 3  # rows that are folded into one
_SIMILAR = 0.99
_SHORT = 40  # letters of a name in a row
_STYLE = Path(__file__).with_suffix(".css")
_SCRIPT = Path(__file__).with_suffix(".js")

# What a row comes to -> its mark and its words.
_MARKS = {
    "agrees": ("✓", "agrees"),
    "similar": ("≈", "differs, similar"),
    "differs": ("✗", "differs"),
    "alone": ("○", "no partner"),
}
_LEGEND = {
    "agrees": "agrees",
    "similar": f"differs, with a similarity of {_SIMILAR} or more",
    "differs": "differs",
    "alone": "has no partner",
}


@dataclass(frozen=True)
class PairRow:
    """An op of the file, and its pairs: one for each output that was compared."""

    op: Mapping[str, Any]
    pairs: Sequence[Mapping[str, Any]]
    parts: bool  # whether it is the first that does

    @property
    def number(self) -> int:
        """Its place in the order of execution."""
        return int(self.op["number"])

    @property
    def pair(self) -> Mapping[str, Any] | None:
        """The pair that differs most."""
        return max(self.pairs, key=drift.of_allowed, default=None)

    @property
    def status(self) -> str:
        """A key of ``_MARKS``."""
        if self.pair is None:
            return "alone"
        if self.pair["agrees"]:
            return "agrees"
        return "similar" if self.pair["similarity"] >= _SIMILAR else "differs"

    @property
    def tensor(self) -> str:
        """The name of what it computes."""
        return str(self.pair["tensor"] if self.pair else self.op["tensor"])

    @property
    def node(self) -> str:
        """The model's tensor that it is paired with; empty if there is none."""
        return str((self.pair and self.pair["node"]) or "")


def op_rows_of(found: Location) -> list[PairRow]:
    """Return a row for each op of the file, in the order of execution."""
    pairs: dict[int, list[Mapping[str, Any]]] = {}
    for pair in found.pairs:
        pairs.setdefault(pair["number"], []).append(pair)
    first = found.first["number"] if found.first else None
    return [PairRow(op, pairs.get(op["number"], []), op["number"] == first) for op in found.ops]


def _window(rows: Sequence[PairRow], found: Location, around: int) -> tuple[int, int]:
    """Return which rows stand around the op that parts, or around the one that adds most."""
    most = drift.adds_most(found.ops, found.pairs)
    number = found.first["number"] if found.first else most[0] if most else None
    at = next((place for place, row in enumerate(rows) if row.number == number), 0)
    group = [n for _, n in found.first["group"]] if found.first else []
    begin = min([at, *(place for place, row in enumerate(rows) if row.number in group)])
    return max(begin - around, 0), min(at + around + 1, len(rows))


def short_name(name: str) -> str:
    """Return the end of a name that tells: of what was fused, the first; of its path, what fits."""
    *above, short = name.partition(";")[0].split("/")
    for part in reversed(above):
        if len(short) + len(part) >= _SHORT or part.endswith("PartitionedCall"):
            break
        short = f"{part}/{short}"
    return printable(short, _SHORT)


def table_of(found: Location) -> str:
    """Return a table of the ops around the one that parts, in plain text."""
    rows = op_rows_of(found)
    begin, end = _window(rows, found, _IN_TEXT)
    lines = [
        (
            f"{'>' if row.parts else ' '} {_MARKS[row.status][0]}",
            row.number,
            row.op["op"],
            short_name(row.tensor),
            short_name(row.node),
            f"{drift.of_allowed(row.pair):.2g}" if row.pair else "",
            f"{row.pair['similarity']:.6f}" if row.pair else "",
        )
        for row in rows[begin:end]
    ]
    return table_text(
        ("", "", "op", "in the file", "in the model", "x allowed", "similarity"), lines
    )


def drift_words(found: Location) -> str:
    """Say in a sentence how the error grows."""
    most = drift.adds_most(found.ops, found.pairs)
    if most is None:
        return "no op adds an error"
    number, before, own = most
    op = next(op["op"] for op in found.ops if op["number"] == number)
    grown = f"from {before:.2g} to {own:.2g} times" if before else f"{own:.2g} times"
    what = f"{grown} what is allowed" if math.isfinite(own) else "a difference of another kind"
    return f"operator {number}, {op}, adds most: {what}"


def panel_of(found: Location) -> str:
    """Return the ops around the one that parts for a notebook: no script, and not every op."""
    rows = op_rows_of(found)
    begin, end = _window(rows, found, _AROUND)
    ops = _model_ops(found)
    near = (_row_html(row, ops) for row in rows[begin:end])
    body = [_fold_line(rows[:begin]), *near, _fold_line(rows[end:])]
    words = drift_words(found)
    drawing = drift.drift_svg(found.ops, found.pairs, words, card=True)
    figure = f"<figure>{image_html(drawing, words)}{_caption(words)}</figure>"
    style = f"<style>{_STYLE.read_text(encoding='utf-8')}</style>"
    return f'{style}<div class="varhandle-locate">{_graphs(body)}{figure}</div>'


def page_of(found: Location) -> str:
    """Return the whole comparison as a page of one file."""
    rows = op_rows_of(found)
    begin, end = _window(rows, found, _AROUND)
    ops = _model_ops(found)
    near = (_row_html(row, ops) for row in rows[begin:end])
    body = [_folds(rows[:begin], ops), *near, _folds(rows[end:], ops)]
    headline, *lines = found.summary()
    mark, word = ("✓", "agrees") if found.agrees else ("✗", "differs")
    target = next((f' <a href="#op-{row.number}">go to it</a>' for row in rows if row.parts), "")
    if found.first:
        lines.insert(0, headline)
        tensor = short_name(found.first["tensor"])
        places = [f"call {found.first['call']}", f"{found.first['op'] or ''} {tensor}".strip()]
        places += [f"{each['where']}, {each['op'] or ''}" for each in found.first["inside"]]
        headline = ", ".join(filter(None, places))
    said = "".join(f"<p>{_text(line)}</p>" for line in lines)
    words = drift_words(found)
    figure = (
        '<figure role="group" tabindex="0" aria-label="Drift">'
        f"{drift.drift_svg(found.ops, found.pairs, words)}{_caption(words)}</figure>"
    )
    left = [f"{op} {name}" for op, name in found.only_in_model]
    others = ""
    if left:
        items = "".join(f"<li><code>{_text(one)}</code></li>" for one in left)
        others = (
            f"<details><summary>{counted(len(left), 'op')} of the model that no op of the file "
            f"stands for</summary><ol>{items}</ol></details>"
        )
    of = f"{_text(found.file or 'the converted file')} beside {_text(found.model)}"
    whole = (
        f'<div class="varhandle-locate"><h1>{of}</h1>'
        f'<p class="headline {word}"><strong><span aria-hidden="true">{mark}</span> '
        f"{_text(headline)}</strong>{target}</p>{said}{_graphs(body)}{figure}{others}</div>"
    )
    style = _STYLE.read_text(encoding="utf-8") + _PAGE_STYLE
    title = f"locate: {'agrees' if found.agrees else headline}"
    return page_html(title, whole, style=style, script=_SCRIPT.read_text(encoding="utf-8"))


_PAGE_STYLE = """
body { background: light-dark(#fff, #121212); }
h1 { font-size: 1.2rem; margin: .2rem 0; overflow-wrap: anywhere; }
.varhandle-locate > p { margin: .2rem 0; overflow-wrap: anywhere; }
.varhandle-locate > p.headline { position: sticky; top: 0; z-index: 1; padding: .3rem 0;
  background: var(--ground); }
.varhandle-locate > p.differs span { color: var(--apart); }
.varhandle-locate > p.agrees span { color: var(--good); }
"""


def _graphs(body: Iterable[str]) -> str:
    legend = "".join(
        f'<li class="{status}"><span aria-hidden="true">{_MARKS[status][0]}</span> {words}</li>'
        for status, words in _LEGEND.items()
    )
    return (
        f'<ul class="legend">{legend}</ul>'
        '<div class="heads"><span>the model</span><span>the file</span></div>'
        f'<div class="graphs sides"><ol>{"".join(body)}</ol>'
        '<svg class="edges" aria-hidden="true"></svg></div>'
    )


def _caption(words: str) -> str:
    return (
        f"<figcaption>Error of each op, as a multiple of what is allowed: {_text(words)}."
        "</figcaption>"
    )


def _folds(rows: Sequence[PairRow], ops: Mapping[str, str]) -> str:
    """Fold what is long; it can be opened."""
    lines = "".join(_row_html(row, ops) for row in rows)
    if len(rows) < _LONG:
        return lines
    return (
        f'<li><details class="stretch"><summary>{_stretch(rows)}</summary>'
        f"<ol>{lines}</ol></details></li>"
    )


def _fold_line(rows: Sequence[PairRow]) -> str:
    return f'<li><p class="stretch">{_stretch(rows)}</p></li>' if rows else ""


def _stretch(rows: Sequence[PairRow]) -> str:
    counts = [(status, sum(row.status == status for row in rows)) for status in _MARKS]
    words = ", ".join(
        f'<span aria-hidden="true">{_MARKS[status][0]}</span> {number} {_FOLDED[status]}'
        for status, number in counts
        if number
    )
    first, last = rows[0], rows[-1]
    span = f"{first.number} {_text(first.op['op'])}"
    if last is not first:
        span += f" to {last.number} {_text(last.op['op'])}"
    return f"{counted(len(rows), 'op')}, {span}: {words}"


_FOLDED = {
    "agrees": "agree",
    "similar": "differ a little",
    "differs": "differ",
    "alone": "without a partner",
}


def _model_ops(found: Location) -> dict[str, str]:
    return {name: op for row in found.ops for op, name in row["nodes"]}


def _row_html(row: PairRow, ops: Mapping[str, str]) -> str:
    mark, word = _MARKS[row.status]
    error = similarity = ""
    if row.pair:
        similarity = f"<br>{row.pair['similarity']:.6f}"
        times = drift.of_allowed(row.pair)
        if not row.pair["agrees"] and math.isfinite(times):
            error = f"<br>{times:.2g} x allowed"
    nodes = row.op["nodes"]
    main = ops.get(row.node, "")
    fused = [op for op, name in nodes if name != row.node]
    others = f"<small>with {_text(', '.join(fused[-4:]))}</small>" if fused else ""
    if row.node:
        model = f"<b>{_text(main)}</b> {_text(short_name(row.node))}{others}"
    elif row.pair:
        model = "beside a fresh conversion"
    else:
        model = "none"
    takes = row.op["inputs"]
    from_others = ""
    if takes and takes != [row.number - 1]:
        from_others = f"<small>takes {', '.join(map(str, takes))}</small>"
    file = f"<b>{row.number} {_text(row.op['op'])}</b> {_text(short_name(row.tensor))}"
    said = f"operator {row.number}, {row.op['op']} {short_name(row.tensor)}, in the model "
    said += f"{main} {short_name(row.node) or 'nothing'}: {word}"
    if row.pair:
        said += f", similarity {row.pair['similarity']:.6f}"
    here = ' class="here"' if row.parts else ""
    note = "<p>▾ the first that parts</p>" if row.parts else ""
    current = ' aria-current="true"' if row.parts else ""
    return (
        f"<li{here}>{note}"
        f'<details class="pair {row.status}" id="op-{row.number}" data-number="{row.number}" '
        f'data-inputs="{" ".join(map(str, takes))}" '
        f'data-node-inputs="{" ".join(map(str, row.op["node_inputs"]))}">'
        f'<summary aria-label="{_text(said)}"{current}>'
        f'<span class="model box{"" if row.node else " none"}">{model}</span>'
        f'<span class="link"><span>{mark} <i>{word.partition(",")[0]}</i>'
        f"{similarity}{error}</span></span>"
        f'<span class="file box">{file}{from_others}</span></summary>'
        f'<div class="values">{_values_html(row)}</div></details></li>'
    )


def _values_html(row: PairRow) -> str:
    parts = [f"<p>In the file: {_text(row.tensor or 'no tensor')}</p>"]
    for op, name in row.op["nodes"]:
        parts.append(f"<p>In the model: {_text(op)} {_text(name)}</p>")
    if not row.pairs:
        parts.append("<p>Nothing of the model was found that it could be compared with.</p>")
    for pair in row.pairs:
        if len(row.pairs) > 1:
            parts.append(f"<p>{_text(pair['tensor'])}</p>")
        parts += [f"<p>{_text(line)}</p>" for line in _statistics(pair)]
        parts.append(_values_table(pair))
    return "".join(parts)


def _statistics(pair: Mapping[str, Any]) -> list[str]:
    where = f" at {list(pair['place'])}" if pair["place"] else ""
    steps = "" if pair["steps"] is None else f", {pair['steps']:.2f} steps of its scale"
    lines = [
        f"Call {pair['call']}, matched by {pair['how']}.",
        f"Largest error {pair['largest']:.6g}{where}, mean {pair['mean']:.6g}{steps}; "
        f"{drift.told(drift.of_allowed(pair))}.",
    ]
    return [*lines, pair["note"]] if pair["note"] else lines


def _values_table(pair: Mapping[str, Any]) -> str:
    got, expected = pair["got"], pair["expected"]
    if not got:
        return ""
    places = [*(f"value {index}" for index in range(len(got) - 1)), "largest error"]
    lines = zip(places, map(_value, got), map(_value, expected), strict=True)
    caption = "The first values of both"
    return table_html(("at", "file", "model"), list(lines), caption)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        value = value.decode(errors="backslashreplace")
    return printable(value, 40)


def _text(words: object) -> str:
    return html.escape(printable(words, None))
