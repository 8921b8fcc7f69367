"""The card at the end of a lesson, and the cheat sheet, which has all of them.

A card has the symptom, its cause, its cure, and the official pages.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from varhandle.display import Rich, code_html, panel_html
from workbook_lib.lesson.content import Card, card_of, lessons
from workbook_lib.lesson.links import OFFICIAL_PAGES
from workbook_lib.lesson.outline import read_outlines
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


@dataclass(frozen=True)
class NumberedCard:
    """A card with the lesson that it closes."""

    number: str  # such as ``11``
    title: str
    card: Card
    is_appendix: bool


def lesson_cards(folder: Path | None = None) -> tuple[NumberedCard, ...]:
    """Return the card of each lesson of a folder that has one, in the order of their numbers."""
    known = set(lessons())
    return tuple(
        NumberedCard(found.number, found.title, card, found.is_appendix)
        for found in read_outlines(folder)
        if found.name in known and (card := card_of(found.name)) is not None
    )


def cheat_sheet_text(folder: Path | None = None) -> str:
    """Return the cards of the lessons in a folder as Markdown: a section for each."""
    parts = ["# Cheat sheet\n\nThe card of each lesson: what you see, why, and what to write.\n"]
    for one in lesson_cards(folder):
        pages = (OFFICIAL_PAGES[key] for key in one.card.pages)
        links = ", ".join(f"[{title}]({address})" for title, address in pages)
        parts.append(
            f"## {one.number} · {one.title}\n\n**Symptom:** {one.card.symptom}\n\n"
            f"**Cause:** {one.card.cause}\n\n```python\n{one.card.cure}\n```\n\n"
            f"Official pages: {links}\n"
        )
    return "\n".join(parts)


def _line(name: str, text: str = "") -> str:
    return paragraphs_html(f"@ {text}").replace("@", f"<b>{name}:</b>", 1)
