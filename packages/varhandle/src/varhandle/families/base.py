"""A failure family: everything that the tool knows of one way in which a conversion fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from varhandle.facts.verdicts import Severity
from varhandle.families.findings import Finding, GraphRule
from varhandle.families.harness import Case
from varhandle.families.log_index import LogDiagnosis, LogRule, MatchIndex, Meaning
from varhandle.families.log_patterns import Match, Pattern


@dataclass(frozen=True)
class Family:
    """One way in which a variable and a converter fail each other.

    Attributes:
        id: Stable name, such as ``"frozen-but-assigned"``.
        order: Its place among the families.
        what: What happens, in a sentence.
        cause: Why, in a sentence.
        cure: What the author of the model can do.
        fix: What ``explain`` says to do: a sentence, and after an empty line code that was run on
            TensorFlow 2.21, where code helps. Names in it are examples.
        cases: The reproductions, which fail on TensorFlow 2.21 or on an earlier release; the
            version matrix says on which. None for a family that only a device shows.
        graph_rules: What shows it in a graph, by the graph's format.
        log_patterns: Phrases of its logs.
        log_meanings: What the lines that have these phrases mean by themselves, by their kind.
        log_rule: What the matches of a log say of it together.
        repair_step: The step of a repair plan that mends it (a key of ``repair.steps.STEPS``).
        spoils_whole_file: Whether a conversion of all signatures suffers where one has it.
        answers_wrongly: Whether its files convert and answer wrongly; the others stop the
            converter or the interpreter.
        of_the_file: Whether a model only leads one to expect it, and the file shows it better.
        refuted_by_running: Whether a .tflite file that the plain kernels run to the end cannot
            have it.
        accumulates_state: Whether its state may stop changing after many calls: a proof tries it.
        needs_handle_in_main_graph: Whether it stops the converter, too, where the handle of its
            variable is made inside a function.
        shown_by_releases: Whether it is no fault today, and a model that has it fails on the
            releases where its reproductions do.
    """

    id: str
    order: int
    what: str
    cause: str
    cure: str
    fix: str
    cases: tuple[Case, ...] = ()
    graph_rules: Mapping[str, GraphRule] = field(default_factory=dict)
    log_patterns: tuple[Pattern, ...] = ()
    log_meanings: Mapping[str, Meaning] = field(default_factory=dict)
    log_rule: LogRule | None = None
    repair_step: str | None = None
    spoils_whole_file: bool = False
    answers_wrongly: bool = False
    of_the_file: bool = False
    refuted_by_running: bool = False
    accumulates_state: bool = False
    needs_handle_in_main_graph: bool = False
    shown_by_releases: bool = False

    def finding(
        self, severity: Severity, variables: tuple[str, ...], message: str, fix: str
    ) -> Finding:
        """Return a finding of this family."""
        return Finding(self.id, severity, variables, message, fix)

    def in_log(self, rank: int, match: Match, message: str, fix: str | None = None) -> LogDiagnosis:
        """Return what a line of a log means; the fix is the family's own if there is no other."""
        told = self.fix if fix is None else fix
        return LogDiagnosis(self.id, match.line, message, told, match.line_number, rank)

    def diagnose_log(self, index: MatchIndex) -> Iterator[LogDiagnosis]:
        """Yield what the matches of a log say of this family."""
        for kind, meaning in self.log_meanings.items():
            for match in index.of(kind):
                yield self.in_log(meaning.rank, match, meaning.message_of(match), meaning.fix)
        if self.log_rule:
            yield from self.log_rule(index)
