"""The answers of a model and of the .tflite file made from it, call by call, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import printable
from varhandle.formats import format_of
from workbook_lib.lesson.panels import Panel
from workbook_lib.show.pictures import Picture, picture

if TYPE_CHECKING:
    import numpy.typing as npt

    from varhandle.repair.run import RepairResult

_MOST = 4  # lines that can be told apart


def plot_answers(cured: RepairResult) -> Picture | Panel:
    """Draw the answers of a cured file over those of its model, for the calls that were compared.

    The file is called once more, in a child process, with the plain kernels. Of an output with
    many values, those that change most from call to call are drawn. Where no output is of numbers,
    or the file cannot be called, the result says so.
    """
    from varhandle.evaluate.parity import paired_outputs

    record = _called(cured)
    if not record.ok:
        return Panel("neutral", f"no picture: {printable(record.message or record.outcome)}")
    got = [{name: value for name, (value, _) in call.items()} for call in record.value]
    wanted, own_names = paired_outputs(got[0], cured.expected[0])[::-1]
    for name, own in zip(wanted, own_names, strict=True):
        theirs = [np.asarray(call[name]) for call in cured.expected]
        mine = [np.asarray(call[own]) for call in got]
        if theirs[0].dtype.kind in "fiu" and _drawable([*theirs, *mine]):
            converted = format_of(cured.diagnosis.graph).is_converted
            whose = "the file as it came" if converted else "TensorFlow"
            title = own if name.isdigit() else name  # a reference without names counts them
            return _plot(title, whose, _flat(theirs), _flat(mine))
    return Panel("neutral", "no picture: no output is of finite numbers in one shape")


def _called(cured: RepairResult) -> Any:
    from varhandle.evaluate.parity import PLAIN
    from varhandle.evaluate.stateful_parity import CarriedState, stateful_answers
    from varhandle.formats import read_graph
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


def _drawable(arrays: Sequence[npt.NDArray[Any]]) -> bool:
    """Tell whether there are values, of one shape in every call, and all of them numbers."""
    one_shape = len({array.shape for array in arrays}) == 1
    return one_shape and bool(arrays[0].size) and all(np.isfinite(a).all() for a in arrays)


def _flat(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    return np.stack([array.ravel().astype(np.float64) for array in arrays])


def _plot(
    name: str, whose: str, theirs: npt.NDArray[np.float64], mine: npt.NDArray[np.float64]
) -> Picture:
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
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    which = f", the {_MOST} of its {size} values that change most" if size > _MOST else ""
    alt = (
        f"{printable(name)} over {count} calls{which}: a line for each value as {whose} "
        f"answers, and a dot for each answer of the file. No dot is further from its line than "
        f"{_distance(theirs, mine)} of the range."
    )
    return picture(figure, alt, f"Lines: {whose}. Dots: the file.")


def _distance(theirs: npt.NDArray[np.float64], mine: npt.NDArray[np.float64]) -> str:
    """Say how far the file is off at most, over all values: also those that are not drawn."""
    share = float(np.max(np.abs(theirs - mine))) / (float(np.ptp(theirs)) or 1.0)
    return "0.1%" if share < 1e-3 else f"{share:.1%}"
