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
_BAR = '<span class="bar"> | </span>'  # where a page drops the style, as a notebook does unasked
_BESIDE_FRESH = "beside a fresh conversion"
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
    """An op of the file, and its pairs: one for each output that was compared.

    Attributes:
        op: The op.
        pairs: Its pairs.
        parts: Whether it is the first that does.
        within: Numbers of the ops that run what it stands in, each with a dot.
        inside: What it runs itself, as ``as_dict`` of a location gives it.
    """

    op: Mapping[str, Any]
    pairs: Sequence[Mapping[str, Any]]
    parts: bool
    within: str = ""
    inside: Sequence[Mapping[str, Any]] = ()

    @property
    def key(self) -> str:
        """Its number, with those of the ops around it."""
        return f"{self.within}{self.number}"

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
    first = found.first or {}
    place = {**first, "ops": found.ops, "pairs": found.pairs}
    return _rows(place, first.get("inside", ()), "")


def _rows(
    place: Mapping[str, Any], inside: Sequence[Mapping[str, Any]], within: str
) -> list[PairRow]:
    pairs: dict[int, list[Mapping[str, Any]]] = {}
    for pair in place["pairs"]:
        pairs.setdefault(pair["number"], []).append(pair)
    rows = []
    for op in place["ops"]:
        parts = op["number"] == place.get("number")
        own = pairs.get(op["number"], [])
        rows.append(PairRow(op, own, parts, within, inside if parts else ()))
    return rows


def _window(
    rows: Sequence[PairRow], first: Mapping[str, Any] | None, around: int, other: int | None = None
) -> tuple[int, int]:
    """Return which rows stand around the op that parts; around another one where none does."""
    number = first["number"] if first else other
    at = next((place for place, row in enumerate(rows) if row.number == number), 0)
    group = [n for _, n in first["group"]] if first else []
    begin = min([at, *(place for place, row in enumerate(rows) if row.number in group)])
    return max(begin - around, 0), min(at + around + 1, len(rows))


def _open_window(rows: Sequence[PairRow], found: Location, around: int) -> tuple[int, int]:
    """Return which rows stand around the op that parts, or around the one that adds most."""
    most = drift.adds_most(found.ops, found.pairs)
    return _window(rows, found.first, around, most[0] if most else None)


def call_words(first: Mapping[str, Any]) -> str:
    """Say in which call an op parts: in none, where only a constant of it is another."""
    return "in no call" if first.get("unseen") else f"call {first['call']}"


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
    begin, end = _open_window(rows, found, _IN_TEXT)
    tables = [_table(rows[begin:end])]
    *_, innermost = found.first["inside"] if found.first and found.first["inside"] else [None]
    if innermost is not None:
        rows = _rows(innermost, (), "")
        begin, end = _window(rows, innermost, _IN_TEXT)
        tables += ["", f"{innermost['where']}:", _table(rows[begin:end])]
    return "\n".join(tables)


def _table(rows: Sequence[PairRow]) -> str:
    lines = [
        (
            f"{'>' if row.parts else ' '} {_MARKS[row.status][0]}",
            row.number,
            row.op["op"],
            short_name(row.tensor),
            short_name(row.node),
            drift.factor(drift.of_allowed(row.pair)) if row.pair else "",
            f"{row.pair['similarity']:.6f}" if row.pair else "",
        )
        for row in rows
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
    grown = f"{drift.factor(own)} times"
    if before:
        grown = f"from {drift.factor(before)} to {grown}"
    what = f"{grown} what is allowed" if math.isfinite(own) else "a difference of another kind"
    return f"operator {number}, {op}, adds most: {what}"


def panel_of(found: Location) -> str:
    """Return the ops around the one that parts for a notebook: no script, and not every op."""
    rows = op_rows_of(found)
    begin, end = _open_window(rows, found, _AROUND)
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
    begin, end = _open_window(rows, found, _AROUND)
    ops = _model_ops(found)
    near = (_row_html(row, ops) for row in rows[begin:end])
    body = [_folds(rows[:begin], ops), *near, _folds(rows[end:], ops)]
    headline, *lines = found.summary()
    mark, word = ("✓", "agrees") if found.agrees else ("✗", "differs")
    target = next(
        (f' <a href="#op-{_innermost(row)}">go to it</a>' for row in rows if row.parts), ""
    )
    if found.first:
        lines.insert(0, headline)
        tensor = short_name(found.first["tensor"])
        places = [call_words(found.first), f"{found.first['op'] or ''} {tensor}".strip()]
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
.varhandle-locate > p.headline { position: sticky; top: 0; z-index: 2; padding: .3rem 0;
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
        f'<div class="heads"><span>the model</span>{_BAR}<span>the file</span></div>'
        f'<div class="graphs sides"><ul>{"".join(body)}</ul>'
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
        f"<ul>{lines}</ul></details></li>"
    )


def _inner_rows(row: PairRow) -> list[PairRow]:
    """Return the rows of what an op runs."""
    return _rows(row.inside[0], row.inside[1:], f"{row.key}.") if row.inside else []


def _innermost(row: PairRow) -> str:
    """Return the key of the op that parts inside of others."""
    parting = next((one for one in _inner_rows(row) if one.parts), None)
    return row.key if parting is None else _innermost(parting)


def _inside_html(row: PairRow, ops: Mapping[str, str]) -> str:
    """Show what an op runs, in the iteration or the branch that parts; it can be folded."""
    rows = _inner_rows(row)
    if not rows:
        return ""
    place = row.inside[0]
    begin, end = _window(rows, place, _AROUND)
    near = "".join(_row_html(each, ops) for each in rows[begin:end])
    what = f"{_text(place['where'])} of {row.number} {_text(row.op['op'])}"
    why = "" if place["op"] else f'<li class="here"><p>{_text(place["why"])}</p></li>'
    return (
        f'<details class="stretch inside" open><summary>{what}: {_stretch(rows)}</summary>'
        f"<ul>{_folds(rows[:begin], ops)}{near}{_folds(rows[end:], ops)}{why}</ul></details>"
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
    inside = found.first["inside"] if found.first else []
    rows = [*found.ops, *(row for place in inside for row in place["ops"])]
    return {name: op for row in rows for op, name in row["nodes"]}


def _row_html(row: PairRow, ops: Mapping[str, str]) -> str:
    mark, word = _MARKS[row.status]
    error = similarity = ""
    if row.pair:
        similarity = f" <small>{row.pair['similarity']:.6f}</small>"
        times = drift.of_allowed(row.pair)
        if not row.pair["agrees"] and math.isfinite(times):
            error = f" <small>{drift.factor(times)} x allowed</small>"
    nodes = row.op["nodes"]
    main = ops.get(row.node, "")
    fused = [op for op, name in nodes if name != row.node]
    others = f" <small>with {_text(', '.join(fused[-4:]))}</small>" if fused else ""
    if row.node:
        model = f"<b>{_text(main)}</b> {_text(short_name(row.node))}{others}"
    elif row.pair:
        model = _BESIDE_FRESH
    else:
        model = "none"
    takes = row.op["inputs"]
    from_others = ""
    if takes and takes != [row.number - 1]:
        from_others = f" <small>takes {', '.join(map(str, takes))}</small>"
    file = f"<b>{row.number} {_text(row.op['op'])}</b> {_text(short_name(row.tensor))}"
    said = f"operator {row.number}, {row.op['op']} {short_name(row.tensor)}, in the model "
    said += f"{main} {short_name(row.node) or 'nothing'}: {word}"
    if row.pair:
        said += f", similarity {row.pair['similarity']:.6f}"
    here = ' class="here"' if row.parts else ""
    note = "<p>▾ the first that parts</p>" if row.parts else ""
    current = ' aria-current="true"' if row.parts and _innermost(row) == row.key else ""
    return (
        f"<li{here}>{note}"
        f'<details class="pair {row.status}" id="op-{row.key}" data-number="{row.key}" '
        f'data-inputs="{_keys(row, takes)}" '
        f'data-node-inputs="{_keys(row, row.op["node_inputs"])}">'
        f'<summary aria-label="{_text(said)}"{current}>'
        f'<span class="model box{"" if row.node else " none"}">{model}</span>{_BAR}'
        f'<span class="link"><span>{mark} <i>{word.partition(",")[0]}</i>'
        f"{similarity}{error}</span></span>{_BAR}"
        f'<span class="file box">{file}{from_others}</span></summary>'
        f'<div class="values">{_values_html(row)}</div></details>{_inside_html(row, ops)}</li>'
    )


def _keys(row: PairRow, numbers: Iterable[int]) -> str:
    return " ".join(f"{row.within}{number}" for number in numbers)


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
    matched = f"matched by {pair['how']}" if pair["node"] else _BESIDE_FRESH
    lines = [
        f"Call {pair['call']}, {matched}.",
        f"Largest error {pair['largest']:.6g}{where}, mean {pair['mean']:.6g}{steps}; "
        f"{drift.told(drift.of_allowed(pair))}.",
    ]
    return [*lines, pair["note"]] if pair["note"] else lines


def _values_table(pair: Mapping[str, Any]) -> str:
    got, expected = pair["got"], pair["expected"]
    if not got:
        return ""
    places = [*(f"value {index}" for index in range(len(got) - 1)), "where the error is largest"]
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
