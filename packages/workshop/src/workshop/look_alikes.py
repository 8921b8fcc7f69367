"""Names that are taken for each other: they differ in case, accents, spaces or similar letters."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from string import ascii_lowercase

from confusable_homoglyphs.confusables import confusables_data


def skeleton_of(name: str) -> str:
    """Return what is left of a name when all is taken away that a reader may overlook.

    Which letters look alike is Unicode's list (UTS #39): 1 is taken for l, and the
    Cyrillic a for the Latin one.
    """
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = (char for char in bare if char.isalnum())
    return "".join(map(_model_of, letters)).replace("rn", "m")


def find_look_alike(name: str, others: Iterable[str]) -> str | None:
    """Return another name that this one may be taken for, if there is one."""
    shape = skeleton_of(name)
    return next((other for other in others if other != name and skeleton_of(other) == shape), None)


@functools.cache
def _model_of(letter: str) -> str:
    """Return the one letter that stands for all that look like this one, a Latin one if it can."""
    # A capital I would make an i of every l, and no name keeps its capitals.
    alike = [other["c"] for other in confusables_data.get(letter, ()) if other["c"] != "I"]
    # Some are written as a letter and a stroke through it.
    bare = ["".join(filter(str.isalnum, one.casefold())) for one in [letter, *alike]]
    return min(
        (one for one in bare if len(one) == 1), key=lambda one: (one not in ascii_lowercase, one)
    )
