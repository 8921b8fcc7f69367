"""What a model of the benchmark is: how it is made, what is right of it, and how a person mends it.

What is right is said by hand or comes from TensorFlow, never from the tool that is judged.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Call = tuple[str, Mapping[str, Any]]
"""A signature ("" where there is one, or none) and an array for each input."""
CALLS = 8


@dataclass(frozen=True)
class Truth:
    """What is right of a model: words side by side where several are."""

    verdict: str  # of ``diagnose``; "refused" is exit code 2
    cure: str  # exit codes of ``cure``
    names: tuple[str, ...] = ()  # expressions that a right reason matches, each of them
    never: tuple[str, ...] = ()  # expressions that no right reason matches


GOOD = Truth("ready convertible", "0")
READY = Truth("ready", "0")
SHUT = Truth("ready convertible blocked", "0")  # it may have to be closed first


def mended(*names: str) -> Truth:
    """Return what is right of a model that does not convert as it is, and can be mended."""
    return Truth("blocked convertible wrong-answers", "0", names, ("damaged",))


def told(*names: str, cure: str = "0 1") -> Truth:
    """Return what is right where a file is as good as the next step, filled in."""
    return Truth("ready convertible blocked refused", cure, names, ("damaged",))


def blocked(*names: str) -> Truth:
    """Return what is right of a model of which no file can be."""
    return Truth("blocked", "1", names)


def refused(*names: str) -> Truth:
    """Return what is right of what is no model."""
    return Truth("refused", "2", names)


def drawing(*names: str) -> Truth:
    """Return what is right of a model that draws, which no file can do as the model does."""
    return Truth("unproved blocked wrong-answers", "1 3", names or (r"[Rr]andom|[Dd]raw|[Nn]oise",))


@dataclass
class Made:
    """A model that was made, and what TensorFlow answers, call after call."""

    path: Path
    calls: Sequence[Call] = ()
    answers: Sequence[Any] = ()  # of each call; a mapping has names, a list has an order
    hand: dict[str, Any] = field(default_factory=dict)  # how it is converted by hand; empty: no way

    def save(self, folder: Path) -> None:
        """Keep it, in a folder of the benchmark's own."""
        (folder / "made.pickle").write_bytes(pickle.dumps(self))

    @classmethod
    def load(cls, folder: Path) -> Made:
        """Return what was kept."""
        made: Made = pickle.loads((folder / "made.pickle").read_bytes())
        return made


@dataclass(frozen=True)
class Case:
    """A model of the benchmark."""

    name: str
    kind: str
    make: Callable[[Path, Rng], Made] = field(repr=False)
    truth: Truth
    options: tuple[str, ...] = ()  # of both commands; {folder} is where the model lies
    cure_options: tuple[str, ...] = ()
    tolerance: float = 1e-3  # of a file's answer, as a share of the range of all

    def as_dict(self) -> dict[str, Any]:
        """Return what the judge needs of it."""
        kept = {key: value for key, value in self.__dict__.items() if key != "make"}
        return {**kept, "truth": asdict(self.truth)}


CASES: dict[str, Case] = {}


def add(case: Case) -> None:
    """Put a case into the benchmark."""
    if case.name in CASES:
        raise ValueError(f"two cases are called {case.name}")
    CASES[case.name] = case


def normal(rng: Rng, *shape: int) -> Any:
    """Return noise."""
    return rng.normal(size=shape).astype("float32")
