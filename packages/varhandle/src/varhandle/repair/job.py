"""One run of ``cure``: what is asked for, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.diagnosis import Diagnosis, Finding
from varhandle.facts.targets import Target
from varhandle.formats import ModelFormat, format_of
from varhandle.graph import Graph
from varhandle.repair.refusal import SIGN, WRITE_OTHERWISE, NoCureError
from varhandle.sandbox import run_isolated
from varhandle.savedmodel.resave_tracked import CALL, DEFAULT

if TYPE_CHECKING:
    from varhandle.repair.parity_proof import CalledSignature
    from varhandle.repair.plan import RepairPlan
    from varhandle.tflite.externalize_state import Lifted

_CHANGES = {"NoEntryError": SIGN, "CannotRewriteError": WRITE_OTHERWISE}
"""What to change where a child that writes the model anew raised this."""


@dataclass
class RepairJob:
    """What a repair step reads, and where it leaves what it made.

    Attributes:
        diagnosis: What was found in the model.
        target: Where the file is to run.
        plan: The plan; a step may have to replace it by a longer one.
        inputs: Inputs of the signature, as ``load_calls`` takes them; made up if ``None``.
        trust: Whether code that the model brings along may run.
        timeout: Seconds that each child process may take.
        folder: A folder to work in, which is removed afterwards.
        source: What is to be converted: the model itself, or what a step wrote of it.
        made: The float .tflite file, as it was converted.
        content: The .tflite file as far as it has come.
        lifted: The file whose state was lifted out; ``None`` if it keeps its own.
    """

    diagnosis: Diagnosis
    target: Target
    plan: RepairPlan
    inputs: Any
    trust: bool
    timeout: float
    folder: Path
    source: str = ""
    made: bytes = field(default=b"", repr=False)
    content: bytes = field(default=b"", repr=False)
    lifted: Lifted | None = None

    def __post_init__(self) -> None:
        self.source = self.source or self.path
        if self.model_format.is_converted:
            self.made = self.content = Path(self.source).read_bytes()

    @property
    def graph(self) -> Graph:
        """The model, as it was read."""
        return self.diagnosis.graph

    @property
    def model_format(self) -> ModelFormat:
        """The model's format."""
        return format_of(self.graph)

    @property
    def path(self) -> str:
        """The model's place, as TensorFlow takes it."""
        return self.model_format.path_to_load(self.graph.source)

    @property
    def signatures(self) -> list[str]:
        """The signatures to take of ``source``; none where it has none."""
        return [DEFAULT] if "export" in self.plan.steps else list(self.plan.signatures)

    @property
    def entries(self) -> list[str]:
        """The same, with the model's own call in the place of none."""
        return self.signatures or [CALL]

    @property
    def error(self) -> Finding | None:
        """The worst error that was found in the model."""
        return next((f for f in self.diagnosis.findings if f.severity == "error"), None)

    @cached_property
    def called(self) -> list[CalledSignature]:
        """The signatures of the float file, with calls and the model's own answers to them."""
        from varhandle.repair.parity_proof import call_signatures

        return call_signatures(self)

    def rewrite(self, write: Callable[..., Any], *arguments: Any, name: str = "prepared") -> None:
        """Let a child write the model anew: ``write(source, target, *arguments)``.

        Raises:
            NoCureError: It did not work.
        """
        target = str(self.folder / name)
        record = run_isolated(write, self.source, target, *arguments, timeout=self.timeout)
        if not record.ok:
            words = record.message.strip().splitlines()
            reason = f"{self.plan.id} does not work here: {words[0] if words else record.outcome}"
            change = _CHANGES.get(record.exception_type or "", "")
            raise NoCureError(f"no safe cure: {reason}", self.error, change)
        self.source = target
