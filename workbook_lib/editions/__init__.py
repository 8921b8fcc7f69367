"""Other forms of the notebooks, each derived from the one source: solved, as slides, as a site."""

from workbook_lib.editions.edition import Edition, default_folder, make_edition

__all__ = ["Edition", "default_folder", "make_edition"]
