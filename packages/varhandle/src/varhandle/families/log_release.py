"""Which release of TensorFlow a log was written by, as far as its paths and messages tell."""

from __future__ import annotations

from collections.abc import Iterable

from varhandle.facts.releases import WHEELS
from varhandle.families.log_patterns import Match, Pattern

Minor = tuple[int, int]

_OLDEST: Minor = (1, 0)
_FIRST_PYTHON = min(low for low, _ in WHEELS.values())
_LAST_ON_PYTHON_3_5: Minor = (2, 3)
_SIGNS: dict[str, tuple[Minor, Minor]] = {
    "tensorflow_core/": ((1, 15), (2, 1)),
    "tensorflow/contrib/": (_OLDEST, (1, 15)),
    "tensorflow/lite/toco/": (_OLDEST, (2, 1)),
    "[[Node:": (_OLDEST, (1, 11)),
    "float32_ref": (_OLDEST, (1, 15)),
    "tflite_runtime/": (_OLDEST, (2, 14)),
    "python2.7/": (_OLDEST, (2, 1)),
}
"""What only some releases write: the first and the last of them."""

_NUMBER = r"(?P<release>[12]\.\d{1,2}(?:\.\d{1,3}(?!\d))?)"

PATTERNS = (
    *(Pattern(f"written-by {sign}", sign) for sign in _SIGNS),
    Pattern("python", "python3", after=r"\.?(?P<minor>\d{1,2})[/\\]"),
    *(
        Pattern("release", phrase, after=rf"{between}{_NUMBER}")
        for phrase, between in (
            ("tensorflow==", "'?"),
            ("tensorflow version", r"[:=]?'?v?"),
            ("tensorflow-cpu==", "'?"),
            ("tf-nightly", r"(?:==|-|version|:)?"),
            ("with tensorflow", r"v?"),
            ("tensorflow-", r"(?=[\d.]{3,9}[.-](?:dist-info|cp3))"),
            ("tf.__version__", r"[=:)]{0,3}'?"),
        )
    ),
)


class LogRelease:
    """The releases of TensorFlow that may have written a log: ``first`` to ``last``."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self.first, self.last = _OLDEST, (99, 0)
        for match in matches:
            if match.get("release"):
                first, second, *_ = match.get("release").split(".")
                self.first = self.last = (int(first), int(second))
                self.text = match.get("release")
                return
            span = _SIGNS.get(match.kind.removeprefix("written-by "))
            if match.kind == "python":
                number = int(match.get("minor"))
                fitting = [r for r, (low, high) in WHEELS.items() if low <= number <= high]
                before = (_OLDEST, _LAST_ON_PYTHON_3_5) if number < _FIRST_PYTHON else None
                span = (min(fitting), max(fitting)) if fitting else before
            if span and self.first <= span[1] and span[0] <= self.last:
                self.first, self.last = max(self.first, span[0]), min(self.last, span[1])
        low, high = (".".join(map(str, release)) for release in (self.first, self.last))
        self.text = f"{low} to {high}" if self.first > _OLDEST else f"{high} or older"
        self.text = self.exact or self.text

    @property
    def exact(self) -> str:
        """The release, such as ``"2.16"``; empty where the log leaves several."""
        return ".".join(map(str, self.last)) if self.first == self.last else ""
