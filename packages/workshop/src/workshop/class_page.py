"""The page of a class: what an instructor opens to see who is stuck where."""

from __future__ import annotations

from pathlib import Path

from workbook_lib.runs.page import page_templates
from workbook_lib.show.pictures import Picture, picture
from workshop.classroom import STATES, Classroom

# As in ``display.TONES``, which can be told apart; the hatching does it without colors as well.
_LOOKS = {
    "right": ("#388e3c", ""),
    "trying": ("#4fa3d9", "//"),
    "stuck": ("#e53935", "xx"),
    "untouched": ("#e0e0e0", ""),
}


def plot_class(classroom: Classroom) -> Picture:
    """Draw how many learners are right, trying, stuck and not yet there, for each exercise."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    standings = classroom.exercises
    figure = Figure(figsize=(8, 1.0 + 0.27 * max(len(standings), 1)))
    axes = figure.subplots()
    names = [f"{standing.notebook}  {standing.id}" for standing in standings]
    start = [0] * len(standings)
    for state in STATES:
        counts = [standing.count(state) for standing in standings]
        color, hatch = _LOOKS[state]
        bars = axes.barh(
            names, counts, left=start, label=state, color=color, hatch=hatch,
            edgecolor="white", height=0.8,
        )  # fmt: skip
        if state == "stuck":
            numbers = [str(count) if count else "" for count in counts]
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.bar_label(bars, numbers, label_type="center", bbox=paper, fontsize=8)
        start = [before + count for before, count in zip(start, counts, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, max(len(classroom.learners), 1))
    axes.set_xlabel("learners")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    worst = [f"{standing.count('stuck')} at {standing.id}" for standing in classroom.worst_first]
    held_up = f"stuck: {', '.join(worst[:5])}" if worst else "nobody is stuck"
    extent = f"{len(standings)} exercises, {len(classroom.learners)} learners long"
    return picture(figure, f"A bar for each of {extent}; {held_up}")


def render_class(classroom: Classroom) -> str:
    """Return a page with the picture and the tables of a class; it needs nothing beside it."""
    from markupsafe import Markup

    template = page_templates(Path(__file__).with_name("templates")).get_template("class.html.j2")
    page: str = template.render(
        learners=len(classroom.learners),
        picture=Markup(plot_class(classroom).html()),
        tables=Markup(classroom.html()),
    )
    return page
