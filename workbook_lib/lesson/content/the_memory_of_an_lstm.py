"""Lesson 90, of the appendix: a recurrent layer of Keras 3, without and with a state."""

from __future__ import annotations

from collections.abc import Mapping

from workbook_lib.lesson.content import Question


def which_changes(changes: Mapping[str, bool]) -> str:
    """Say which files answer the same call otherwise when it comes again, as their names."""
    return " and ".join(name for name, changed in changes.items() if changed)


PREDICTIONS = (
    Question(
        "the_memory_of_an_lstm/second-answer",
        "Each file gets the same image twice. Whose second answer is another than its first?",
        {
            "plain and stateful": "both: an LSTM remembers",
            "stateful": "only the one with stateful=True",
            "": "neither: a file has no memory",
        },
        why="A plain LSTM remembers from row to row and forgets at the end of the call. With "
        "stateful=True it goes on from where the call before has ended.",
        key_of=which_changes,
        debrief="Whoever chooses both has heard that an LSTM has a memory. Ask how long it lasts: "
        "a row, a call, or as long as the interpreter.",
    ),
)
