"""Size, accuracy and latency of quantization recipes, in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbook_lib.show.pictures import Picture, picture

if TYPE_CHECKING:
    from varhandle.evaluate.recipe_comparison import MeasuredFile, RecipeTable

_FIRST_COLOR = "#5f6b7a"  # the file that the others are compared with
_COLOR = "#0288d1"
_HEIGHT = 0.36  # inches a recipe


def plot_recipes(table: RecipeTable) -> Picture:
    """Draw a table of recipes: three bars for each, in the order of the table."""
    from matplotlib.figure import Figure

    names = [row.name for row in table.rows]
    figure = Figure(figsize=(8.5, 1.3 + _HEIGHT * len(names)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    _bars(axes[0], names, [row.size / 1000 for row in table.rows], "size, kB")
    rights = [100 * row.right / table.total for row in table.rows]
    _bars(axes[1], names, rights, f"right of {table.total}, %")
    axes[1].set_xticks([0, 25, 50, 75, 100])  # the room beyond is for the labels
    _latencies(axes[2], table.rows)
    axes[0].invert_yaxis()
    return picture(
        figure, _words(table), "Bars: size, accuracy, median latency. Whiskers: quartiles."
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


def _latencies(axis: Any, rows: tuple[MeasuredFile, ...]) -> None:
    medians = [1000 * row.latency.median for row in rows]
    below = [1000 * (row.latency.median - row.latency.lower_quartile) for row in rows]
    above = [1000 * (row.latency.upper_quartile - row.latency.median) for row in rows]
    _bars(axis, [row.name for row in rows], medians, "median latency, µs", [below, above])


def _words(table: RecipeTable) -> str:
    rows = [
        f"{row.name}: {row.size:,} bytes, {row.right} of {table.total} right, "
        f"median {1000 * row.latency.median:.1f} µs (quartiles "
        f"{1000 * row.latency.lower_quartile:.1f} to {1000 * row.latency.upper_quartile:.1f})"
        for row in table.rows
    ]
    return f"Bars of size, accuracy and median latency for each recipe. {'; '.join(rows)}."
