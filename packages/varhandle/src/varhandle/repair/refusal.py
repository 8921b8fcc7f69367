"""Why there is no cure, and what the author of the model must change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varhandle.diagnosis import Finding
from varhandle.display import code_html, panel_html, printable
from varhandle.errors import VarhandleError
from varhandle.facts.recipes import TAKE_ANOTHER
from varhandle.graph.model import GIVE_ORIGINAL

if TYPE_CHECKING:
    from varhandle.divergence.location import Location

WRITE_OTHERWISE = (
    "Write this step of the model in another way: assign whole values of a shape that is known, of "
    "a dtype that variables can have (float32, int32, int64, bool), by ops that have builtins."
)
OTHER_BUILTINS = (
    "Write what is named with ops that have builtins, or leave it to the program around the model."
)
BRING_INPUTS = "Bring inputs of your own, an array for each input: --inputs FILE.npz."
ADD_SIGNATURE = (
    "Save the model with a signature, in the program that has it: "
    'tf.saved_model.save(module, "signed", signatures=module.step).'
)
OTHER_OPS = "Write the model with ops that this runtime has, or take a later one."
OTHER_RECIPE = f"{TAKE_ANOTHER.capitalize()}."
ORIGINAL_MODEL = f"{GIVE_ORIGINAL.capitalize()}."
NO_VARIABLES = "The model has no variables: none is at fault."
NO_FAMILY = "Write it with ops that have builtins, or leave it to the program around the model."
DIFFERS = (
    "No failure that the tool knows explains it. Write what differs first with other ops, or leave "
    "it to the program around the model."
)


class NoCureError(VarhandleError, ValueError):
    """There is no safe cure for a model from its file alone.

    Attributes:
        reason: Why, in one line.
        finding: What stands in the way; ``None`` where it is nothing that was found in the file.
        change: What the author of the model must change: code, or a sentence.
        location: Where a file that answers otherwise parts from the model, if that was found.
    """

    def __init__(
        self,
        reason: str,
        finding: Finding | None = None,
        change: str = "",
        location: Location | None = None,
    ) -> None:
        self.reason = " ".join(reason.split())
        self.finding = finding
        self.location = location
        self.change = change or change_for(finding, "")
        super().__init__(self.reason)

    def text(self) -> str:
        """Return the reason, and what the author of the model must change."""
        where = f"first difference: {self.location.line}" if self.location else ""
        return "\n".join(filter(None, [printable(self.reason, None), where, self.change]))

    def html(self) -> str:
        """Return the same as a panel."""
        where = f"first difference: {self.location.line}" if self.location else ""
        lines = filter(None, [where, self.change])
        return panel_html("raised", self.reason, "".join(map(code_html, lines)))

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain data, fit for JSON."""
        return {
            "cured": False,
            "reason": self.reason,
            "finding": None if self.finding is None else self.finding.id,
            "variables": [] if self.finding is None else list(self.finding.variables),
            "change": self.change,
            "first_difference": self.location and self.location.line,
        }

    def __reduce__(self) -> tuple[type, tuple[str, Finding | None, str, Location | None]]:
        return type(self), (self.reason, self.finding, self.change, self.location)


def because(cause: str, change: str) -> NoCureError:
    """Refuse for a cause; a change is not told beside a command that the cause tells."""
    return NoCureError(f"no safe cure: {cause}", change="" if ": varhandle " in cause else change)


def change_for(finding: Finding | None, otherwise: str) -> str:
    """Return the fix of what was found, but for what the tool could try: it has."""
    if finding is None:
        return otherwise
    return finding.fix.partition("# Without the program that made the file")[0].rstrip()
