"""The smallest part of a model that the converter takes, and that answers otherwise afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from varhandle.divergence.flat_graph import (
    SAVED_MODEL,
    SIGNATURE,
    FlatGraph,
    alone,
    convert_part,
    part,
    smallest,
    write_part,
)
from varhandle.divergence.part_shrinking import PartCase, PartShrinking, part_case
from varhandle.divergence.tensor_difference import difference
from varhandle.divergence.walk import named_for
from varhandle.evaluate.session import Session
from varhandle.sandbox import run_isolated
from varhandle.sandbox.scratch import temporary_folder

Array = npt.NDArray[Any]

_LARGEST = 2**18  # elements of a tensor whose values are kept, to feed a part with


@dataclass(frozen=True, eq=False)
class PartRun:
    """What a part of a model and the file that is made of it answer.

    Attributes:
        flat: The part, as a graph of its own.
        content: The file.
        calls: The inputs of each call by name.
        expected: What TensorFlow answers to each.
        got: What the file answers to each; one less where it refuses the last.
        fault: How the file answers otherwise, or that it refuses a call; empty if it does neither.
    """

    flat: FlatGraph
    content: bytes
    calls: Sequence[Mapping[str, Array]]
    expected: Sequence[Mapping[str, Array]]
    got: Sequence[Mapping[str, Array]]
    fault: str


def smallest_fault(
    flat: FlatGraph, calls: Sequence[Mapping[str, Any]], seconds: float
) -> tuple[PartRun, int] | None:
    """Return the smallest part whose file differs, and how many smaller ones of it were tried.

    ``None`` where not even the whole's differs. Nodes are left out first; then what is left is made
    smaller. Each may take some seconds.
    """
    values = run_isolated(tensor_values, flat, [dict(call) for call in calls])
    if not values.ok:
        return None
    deadline, runs = time.monotonic() + seconds, {}

    def run(names: Sequence[str]) -> PartRun | None:
        record = run_isolated(alone, flat, list(names))
        if not record.ok:
            return None
        own, inputs = record.value
        if not inputs.keys() <= values.value.keys():  # it takes what is too large to be kept
            return None
        fed = {f"{name}:0": values.value[tensor] for tensor, name in inputs.items()}
        return _run(own, fed, len(calls))

    def fails(names: Sequence[str]) -> bool:
        runs[tuple(names)] = run(names) if time.monotonic() < deadline else None
        found = runs[tuple(names)]
        return found is not None and bool(found.fault)

    names = flat.divisible
    if not fails(names):
        return None
    found = runs[tuple(smallest(names, fails))]
    assert found
    fed = {f"{name}:0": [call[name] for call in found.calls] for name in found.calls[0]}
    record = run_isolated(part_case, found.flat, fed, len(found.calls))
    if not record.ok:
        return found, 0
    made = [found]

    def still_fails(case: PartCase) -> bool:
        one = _run(case.flat, case.calls, case.count)
        same = one is not None and one.fault == found.fault
        made.extend([one] if one and same else [])
        return same

    left = max(deadline - time.monotonic(), seconds / 3)
    shrinking = PartShrinking(record.value, still_fails, left)
    shrinking.smallest()
    return made[-1], shrinking.tries


def _run(flat: FlatGraph, values: Mapping[str, Sequence[Array]], count: int) -> PartRun | None:
    with temporary_folder("part-") as folder:
        record = run_isolated(run_part, flat, values, count, folder, timeout=60.0, writes=[folder])
    found: PartRun | None = record.value if record.ok else None
    return found


def tensor_values(flat: FlatGraph, calls: Sequence[Mapping[str, Array]]) -> dict[str, list[Array]]:
    """Return what the tensors of a graph are in successive calls; in a child process."""
    import tensorflow as tf

    with temporary_folder("part-") as folder:
        step, names = _looked_at(flat, folder)
        found: dict[str, list[Array]] = {}
        for call in calls:
            fed = named_for(names, call)
            given = step(**{n: tf.constant(v, flat.specs[f"{n}:0"][0]) for n, v in fed.items()})
            for tensor, value in given.items():
                if value.shape.num_elements() <= _LARGEST:
                    found.setdefault(tensor, []).append(value.numpy())
            for name, fed_value in fed.items():
                found.setdefault(f"{name}:0", []).append(fed_value)
    return found


def _looked_at(flat: FlatGraph, folder: str) -> tuple[Callable[..., Any], list[str]]:
    """Return a whole graph as a function of its inputs that gives every tensor by name."""
    import tensorflow as tf

    cut = part(flat, flat.divisible)
    tensors = [
        tensor
        for tensor, (dtype, _) in flat.specs.items()
        if dtype not in ("resource", "variant")
        and flat.ops[tensor.split(":", 1)[0]] not in ("Const", "Placeholder")
    ]
    write_part(flat, flat.divisible, folder, tensors)
    loaded = tf.saved_model.load(str(Path(folder, SAVED_MODEL)))
    function = loaded.signatures[SIGNATURE]

    def step(**fed: Any) -> dict[str, Any]:
        given = function(**fed)
        return {tensor: given[f"output_{n}"] for n, tensor in enumerate(tensors)}

    step.loaded = loaded  # type: ignore[attr-defined]  # it keeps the variables alive
    return step, list(cut.inputs.values())


def run_part(
    flat: FlatGraph, values: Mapping[str, Sequence[Array]], count: int, folder: str
) -> PartRun:
    """Convert a part that stands alone, and call it and its file in turns.

    The child process may end of it.
    """
    import tensorflow as tf

    content = convert_part(flat, flat.divisible, folder)
    loaded = tf.saved_model.load(str(Path(folder, SAVED_MODEL)))
    function, session = loaded.signatures[SIGNATURE], _opened(content)
    inputs = part(flat, flat.divisible).inputs
    calls = [{name: values[tensor][n] for tensor, name in inputs.items()} for n in range(count)]
    expected, answers, faults = [], [], set[str]()
    for call in calls:
        told = function(**{name: tf.constant(value) for name, value in call.items()})
        expected.append({name: value.numpy() for name, value in told.items()})
        try:
            got = session(call)
        except RuntimeError:
            faults = {"refuses"}
            break
        answers.append(got)
        pairs = (difference(got[name], value) for name, value in expected[-1].items())
        faults |= {_NUMBERS.sub("", f"differs {one.note}") for one in pairs if not one.agrees}
    fault = ", ".join(sorted(faults))
    return PartRun(flat, content, calls[: len(expected)], expected, answers, fault)


_NUMBERS = re.compile(r"\[[\d, ]*\]|\d+")


def _opened(content: bytes) -> Session:
    return Session(content, delegates=False, strict=False)
