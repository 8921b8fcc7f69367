"""Other forms of the notebooks, each derived from the one source: solved, as slides, as a site."""

from workbook_lib.editions.edition import EDITIONS, Edition, default_folder, make_edition

__all__ = ["EDITIONS", "Edition", "default_folder", "make_edition"]
