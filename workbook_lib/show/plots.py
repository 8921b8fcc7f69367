"""The plots of the lessons: recipes beside each other, and a file's answers over its model's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import printable
from varhandle.formats import format_of, read_graph
from workbook_lib.lesson.panels import Panel
from workbook_lib.show.pictures import Picture, picture

if TYPE_CHECKING:
    import numpy.typing as npt

    from varhandle.evaluate.recipe_comparison import RecipeTable
    from varhandle.repair.run import RepairResult

    Values = npt.NDArray[np.float64]

_FIRST_COLOR = "#5f6b7a"  # the file that the others are compared with
_COLOR = "#0288d1"
_HEIGHT = 0.36  # inches a recipe
_MOST = 4  # lines that can be told apart


def plot_recipes(table: RecipeTable) -> Picture:
    """Draw a table of recipes: three bars for each, in the order of the table."""
    from matplotlib.figure import Figure

    rows, names = table.rows, [row.name for row in table.rows]
    figure = Figure(figsize=(8.5, 1.3 + _HEIGHT * len(names)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    _bars(axes[0], names, [row.size / 1000 for row in rows], "size, kB")
    rights = [100 * row.right / table.total for row in rows]
    _bars(axes[1], names, rights, f"right of {table.total}, %")
    axes[1].set_xticks([0, 25, 50, 75, 100])  # the room beyond is for the labels
    times = 1000 * np.array(
        [
            (row.latency.lower_quartile, row.latency.median, row.latency.upper_quartile)
            for row in rows
        ]
    )
    whiskers = np.diff(times).T  # below and above the median
    _bars(axes[2], names, times[:, 1].tolist(), "median latency, µs", whiskers)
    axes[0].invert_yaxis()
    words = "; ".join(
        f"{row.name}: {row.size:,} bytes, {row.right} of {table.total} right, "
        f"median {median:.1f} µs (quartiles {low:.1f} to {high:.1f})"
        for row, (low, median, high) in zip(rows, times, strict=True)
    )
    return picture(
        figure,
        f"Bars of size, accuracy and median latency for each recipe. {words}.",
        "Bars: size, accuracy, median latency. Whiskers: quartiles.",
    )


def _bars(
    axis: Any, names: list[str], values: list[float], title: str, whiskers: Any = None
) -> None:
    colors = [_FIRST_COLOR, *[_COLOR] * (len(names) - 1)]
    bars = axis.barh(names, values, color=colors, xerr=whiskers, ecolor="#222222", capsize=3)
    axis.set_title(title, fontsize=11)
    # Beyond the whiskers, where there are some.
    axis.bar_label(bars, [f"{value:.1f}" for value in values], padding=3, fontsize=9)
    axis.margins(x=0.22)


def plot_answers(cured: RepairResult) -> Picture | Panel:
    """Draw the answers of a cured file over those of its model, for the calls that were compared.

    The file is called once more, in a child process, with the plain kernels. Of an output with
    many values, those that change most from call to call are drawn. Where no output is of numbers,
    or the file cannot be called, the result says so.
    """
    from varhandle.evaluate.parity import paired_outputs

    if not cured.expected:
        return Panel("neutral", "no picture: the model gave no answers to compare with")
    record = _called(cured)
    if not record.ok:
        return Panel("neutral", f"no picture: {printable(record.message or record.outcome)}")
    got = [{name: value for name, (value, _) in call.items()} for call in record.value]
    for own, name in paired_outputs(got[0], cured.expected[0]):
        theirs = [np.asarray(call[name]) for call in cured.expected]
        mine = [np.asarray(call[own]) for call in got]
        if theirs[0].dtype.kind not in "fiu" or len({each.shape for each in theirs + mine}) > 1:
            continue
        lines, dots = (np.reshape(each, (len(each), -1)).astype(float) for each in (theirs, mine))
        if lines.size and np.isfinite(lines).all() and np.isfinite(dots).all():
            converted = format_of(cured.diagnosis.graph).is_converted
            whose = "the file as it came" if converted else "TensorFlow"
            title = own if name.isdigit() else name  # a reference without names counts them
            return plot_calls(title, whose, lines, dots)
    return Panel("neutral", "no picture: no output is of finite numbers in one shape")


def _called(cured: RepairResult) -> Any:
    from varhandle.evaluate.parity import PLAIN
    from varhandle.evaluate.stateful_parity import CarriedState, stateful_answers
    from varhandle.sandbox import run_isolated

    graph, state = read_graph(cured.content), cured.initial_state
    held = {signature.name: signature for signature in graph.signatures}
    chosen = next((name for name in cured.plan.signatures if name in held), next(iter(held), None))
    edges = graph.functions[0] if chosen is None else held[chosen]
    carried = CarriedState(
        state,
        tuple(spec.name for spec in edges.inputs if spec.name in state),
        tuple(spec.name for spec in edges.outputs if spec.name in state),
    )
    calls = [dict(call) for call in cured.called]
    return run_isolated(
        stateful_answers, cured.content, calls, chosen, PLAIN, carried, tensorflow=False
    )


def plot_calls(name: str, whose: str, theirs: Values, mine: Values) -> Picture:
    """Draw values [calls, values]: lines for the model, a dot for each answer of the file."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    count, size = theirs.shape
    shown = sorted(np.argsort(np.ptp(theirs, axis=0), kind="stable")[::-1][:_MOST].tolist())
    figure = Figure(figsize=(7.5, 3))
    axes = figure.subplots()
    numbers = np.arange(1, count + 1)
    for color, column in enumerate(shown):
        label = f"value {column}" if size > 1 else "value"
        axes.plot(numbers, theirs[:, column], color=f"C{color}", label=label)
        axes.plot(numbers, mine[:, column], "o", color=f"C{color}", markersize=5)
    axes.set_xlabel("call")
    axes.set_ylabel(printable(name, 40).replace("$", r"\$"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    which = f", the {_MOST} of its {size} values that change most" if size > _MOST else ""
    # Of all values: also those that are not drawn.
    share = max(np.max(np.abs(theirs - mine)) / (np.ptp(theirs) or 1.0), 1e-3)
    alt = (
        f"{printable(name)} over {count} calls{which}: a line for each value as {whose} "
        "answers, and a dot for each answer of the file. No dot is further from its line than "
        f"{share:.1%} of the range."
    )
    return picture(figure, alt, f"Lines: {whose}. Dots: the file.")
