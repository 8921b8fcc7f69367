"""The cards of the main parts on one sheet of paper (A4, landscape), as PDF.

With those of the appendix it would be in 5.5 points, which nobody reads: they stand on the site's
page and in the learner's copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbook_lib.lesson.cards import NumberedCard, lesson_cards

if TYPE_CHECKING:
    from fpdf import FPDF

FILE = "cheat-sheet.pdf"
TITLE = "VarHandleOp and its relatives: symptom, cause, cure"
_COLUMNS = 3
_WIDTH, _HEIGHT, _MARGIN, _GUTTER = 297.0, 210.0, 7.0, 4.0  # millimeters
_TOP = _MARGIN + 7.0  # below the title
_BLACK, _BLUE, _GRAY, _WHITE = (0, 0, 0), (21, 76, 140), (240, 240, 240), (255, 255, 255)
_SIZES = (8.0, 7.5, 7.2, 6.9, 6.6, 6.3, 6.0, 5.5, 5.0)  # points; the first that fits is taken


def write_cheat_sheet(path: Path) -> None:
    """Write the sheet.

    Raises ``ValueError``: the cards are too many for one page. Raises ``OSError``: it cannot be
    written.
    """
    cards = [one for one in lesson_cards() if not one.is_appendix]
    for size in _SIZES:
        sheet = _Sheet(size)
        if sheet.takes(cards):
            path.write_bytes(bytes(sheet.pdf.output()))
            return
    raise ValueError(f"{len(cards)} cards do not fit on one page")


class _Sheet:
    """One page in columns. A card is never split between two of them."""

    def __init__(self, size: float) -> None:
        from fpdf import FPDF
        from matplotlib import get_data_path

        fonts = Path(get_data_path(), "fonts", "ttf")
        self.size, self.line = size, size * 0.42  # millimeters from one line to the next
        self.column = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GUTTER) / _COLUMNS
        self.pdf: FPDF = FPDF(orientation="landscape", format="A4")
        self.pdf.set_auto_page_break(False)
        self.pdf.set_title(TITLE)
        self.pdf.set_lang("en")
        for family, style, name in (
            ("sans", "", "DejaVuSans"),
            ("sans", "B", "DejaVuSans-Bold"),
            ("mono", "", "DejaVuSansMono"),
        ):
            self.pdf.add_font(family, style, fonts / f"{name}.ttf")
        self.pdf.add_page()
        self.pdf.set_margin(0)
        self.pdf.set_xy(_MARGIN, _MARGIN)
        self.pdf.set_font("sans", "B", 10)
        self.pdf.cell(text=TITLE)

    def takes(self, cards: Sequence[NumberedCard]) -> bool:
        """Set the cards, column by column; say whether there was room for all."""
        column, top = 0, _TOP
        for card in cards:
            height = self._set(card, column, top, dry_run=True)
            if top + height > _HEIGHT - _MARGIN:
                column, top = column + 1, _TOP
            if column == _COLUMNS:
                return False
            top += self._set(card, column, top) + self.line
        return True

    def _set(self, card: NumberedCard, column: int, top: float, dry_run: bool = False) -> float:
        """Set one card, or with ``dry_run`` only measure it; return its height."""
        left, start = _MARGIN + column * (self.column + _GUTTER), top
        code = card.card.cure.replace("  #", " #")
        for family, style, text, size, ink, fill, above in (
            ("sans", "B", f"{card.number} · {card.card.symptom}", 1.0, _BLUE, _WHITE, 0.0),
            ("sans", "", card.card.cause, 1.0, _BLACK, _WHITE, 0.0),
            ("mono", "", code, 0.85, _BLACK, _GRAY, 0.4),
        ):
            self.pdf.set_font(family, style, self.size * size)
            self.pdf.set_text_color(*ink)
            self.pdf.set_fill_color(*fill)
            top += above
            self.pdf.set_xy(left, top)
            height = self.pdf.multi_cell(
                w=self.column,
                h=self.line,
                text=text,
                align="L",
                fill=True,
                dry_run=dry_run,
                output="HEIGHT",
            )
            assert isinstance(height, float)  # what the output asks for
            top += height
        return top - start
