"""The smallest part of a model that the converter takes, and that answers otherwise afterwards."""

from __future__ import annotations

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
    convert_part,
    part,
    smallest,
    write_part,
)
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
        names: The nodes that the part was cut by.
        content: The file.
        calls: The inputs of each call by name.
        expected: What TensorFlow answers to each.
        got: What the file answers to each; one less where it refuses the last.
        differs: Whether the file answers otherwise, or refuses a call.
    """

    names: tuple[str, ...]
    content: bytes
    calls: Sequence[Mapping[str, Array]]
    expected: Sequence[Mapping[str, Array]]
    got: Sequence[Mapping[str, Array]]
    differs: bool


def smallest_fault(
    flat: FlatGraph, calls: Sequence[Mapping[str, Any]], seconds: float
) -> PartRun | None:
    """Return the smallest part whose file differs; ``None`` where not even the whole's does."""
    values = run_isolated(tensor_values, flat, [dict(call) for call in calls])
    if not values.ok:
        return None
    deadline, runs = time.monotonic() + seconds, {}

    def fails(names: Sequence[str]) -> bool:
        with temporary_folder("part-") as folder:
            arguments = run_part, flat, list(names), values.value, folder
            record = run_isolated(*arguments, timeout=60.0, writes=[folder])
        runs[tuple(names)] = record.value if record.ok and time.monotonic() < deadline else None
        run = runs[tuple(names)]
        return run is not None and bool(run.differs)

    names = flat.divisible
    return runs[tuple(smallest(names, fails))] if fails(names) else None


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
    flat: FlatGraph, names: Sequence[str], values: Mapping[str, Sequence[Array]], folder: str
) -> PartRun:
    """Convert a part, and call it and its file in turns; the child process may end of it."""
    import tensorflow as tf

    content = convert_part(flat, names, folder)
    loaded = tf.saved_model.load(str(Path(folder, SAVED_MODEL)))
    function, session = loaded.signatures[SIGNATURE], _opened(content)
    inputs = part(flat, names).inputs
    count = len(next(iter(values.values())))
    calls = [{name: values[tensor][n] for tensor, name in inputs.items()} for n in range(count)]
    expected, answers, differs = [], [], False
    for call in calls:
        told = function(**{name: tf.constant(value) for name, value in call.items()})
        expected.append({name: value.numpy() for name, value in told.items()})
        try:
            got = session(call)
        except RuntimeError:
            differs = True
            break
        answers.append(got)
        pairs = ((got[name], value) for name, value in expected[-1].items())
        differs = differs or not all(difference(mine, sound).agrees for mine, sound in pairs)
    return PartRun(tuple(names), content, calls[: len(expected)], expected, answers, differs)


def _opened(content: bytes) -> Session:
    return Session(content, delegates=False, strict=False)
