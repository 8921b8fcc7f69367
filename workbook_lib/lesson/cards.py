"""The card at the end of a lesson: the symptom, its cause, its cure, and the official pages."""

from __future__ import annotations

import html

from varhandle.display import Rich, code_html, panel_html
from workbook_lib.lesson.content import card_of
from workbook_lib.lesson.links import OFFICIAL_PAGES
from workbook_lib.lesson.panels import paragraphs_html


class LessonCard(Rich):
    """The card of one lesson. Raises ``ValueError``: there is no such lesson, or it has no card."""

    def __init__(self, lesson: str) -> None:
        card = card_of(lesson)
        if card is None:
            raise ValueError(f"the lesson {lesson!r} has no card")
        self.lesson, self.card = lesson, card
        self.pages = tuple(OFFICIAL_PAGES[key] for key in card.pages)

    def __repr__(self) -> str:
        return f"LessonCard({self.lesson})"

    def text(self) -> str:
        """Return the card in plain text."""
        cure = "\n".join(f"    {line}" for line in self.card.cure.splitlines())
        pages = (f"  {title}: {address}" for title, address in self.pages)
        return "\n".join(
            [
                f"Symptom: {self.card.symptom}",
                f"Cause: {self.card.cause}",
                f"Cure:\n{cure}",
                *(["Official pages:", *pages] if self.pages else []),
            ]
        )

    def html(self) -> str:
        """Return the same in a frame, the pages as links."""
        pages = " · ".join(
            f'<a href="{html.escape(address)}" target="_blank" rel="noopener">'
            f"{html.escape(title)}</a>"
            for title, address in self.pages
        )
        body = (
            _line("Symptom", self.card.symptom)
            + _line("Cause", self.card.cause)
            + _line("Cure")
            + code_html(self.card.cure)
            + (f"<div><b>Official pages:</b> {pages}</div>" if pages else "")
        )
        return panel_html("neutral", "To keep", body)


def _line(name: str, text: str = "") -> str:
    return paragraphs_html(f"@ {text}").replace("@", f"<b>{name}:</b>", 1)
