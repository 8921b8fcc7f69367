"""What a cure comes to: the file, the plan that led to it, and the proof."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from varhandle.diagnosis import Diagnosis
from varhandle.display import Rich, code_html, panel_html, printable
from varhandle.facts.targets import Target
from varhandle.repair.plan import RepairPlan

if TYPE_CHECKING:
    import numpy.typing as npt

    from varhandle.evaluate.parity import Parity

    Array = npt.NDArray[Any]
    Calls = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, repr=False, eq=False)
class RepairResult(Rich):
    """A .tflite file that answers as the model does, and how it came about.

    Attributes:
        content: The file.
        plan: The plan that was carried out.
        diagnosis: What was found in the model.
        target: Where the file is to run.
        parity: Comparison of the float file with TensorFlow; of a .tflite file that was lifted,
            with its own answers before.
        quantized: Comparison of the quantized file, each answer by its share of the range of
            TensorFlow's; ``None`` for a float file.
        initial_state: Name to the state before the first call; empty if the file keeps its own.
        calls: How many calls were compared.
        notes: What else is to be said, a sentence each.
        float_bytes: Size of the file before it was quantized.
        called: The inputs of these calls, input name to array; those of the first signature.
        expected: The model's own answers to them, output name to array.
    """

    content: bytes = field(repr=False)
    plan: RepairPlan
    diagnosis: Diagnosis
    target: Target
    parity: Parity
    quantized: Parity | None
    initial_state: Mapping[str, Array]
    calls: int
    notes: tuple[str, ...] = ()
    float_bytes: int = 0
    called: Calls = field(default=(), repr=False)
    expected: Calls = field(default=(), repr=False)

    def __repr__(self) -> str:
        return f"RepairResult({self.plan.id}: {len(self.content):,} bytes for {self.target.id})"

    def _headline(self) -> str:
        return f"cured: {self.plan.id}, {len(self.content):,} bytes for {self.target.name}"

    def _facts(self) -> list[str]:
        state = [f"state that the caller carries: {', '.join(map(printable, self.initial_state))}"]
        return [self.plan.why, *(state if self.initial_state else []), *self.notes]

    def text(self) -> str:
        """Return the plan, the reason and the comparisons."""
        parts = [self._headline(), *self._facts(), self.parity.text()]
        if self.quantized is not None:
            parts.append(f"quantized ({self.plan.quantization}):\n{self.quantized.text()}")
        return "\n".join(parts)

    def html(self) -> str:
        """Return the same as a panel."""
        body = "".join(f"<p>{html.escape(fact)}</p>" for fact in self._facts())
        body += self.parity.html()
        if self.quantized is not None:
            body += f"<p>quantized: {html.escape(str(self.plan.quantization))}</p>"
            body += self.quantized.html()
        code = f"<details><summary>the code</summary>{code_html(self.plan.code)}"
        return panel_html("right", self._headline(), f"{body}{code}</details>")

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, fit for JSON; no values of arrays."""
        return {
            "cured": True,
            "model": self.diagnosis.model,
            "format": self.diagnosis.format,
            "target": self.target.id,
            "way": {
                "id": self.plan.id,
                "steps": list(self.plan.steps),
                "why": self.plan.why,
                "code": self.plan.code,
            },
            "signatures": list(self.plan.signatures),
            "left_out": list(self.plan.left_out),
            "quantization": self.plan.quantization,
            "bytes": len(self.content),
            "state": {
                name: {"dtype": str(value.dtype), "shape": list(value.shape)}
                for name, value in self.initial_state.items()
            },
            "calls": self.calls,
            "parity": self.parity.as_dict(),
            "quantized_parity": None if self.quantized is None else self.quantized.as_dict(),
            "notes": list(self.notes),
        }


class RepairedFile(NamedTuple):
    """What :func:`cure_file` made: the result, the .tflite file, and the file of the state."""

    result: RepairResult
    model: Path
    state: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Return the result and the files as plain data, fit for JSON."""
        state = None if self.state is None else str(self.state)
        return {**self.result.as_dict(), "file": str(self.model), "state_file": state}

    def text(self) -> str:
        """Return the result, and what was written."""
        beside = (
            "" if self.state is None else f", and the state before the first call to {self.state}"
        )
        return f"{self.result.text()}\nwrote {self.model}{beside}"
