"""The digits and the models that the lessons share; all of it ships with the workbook."""

from workbook_lib.locations import data_path, project_root
from workbook_lib.samples.claims import article_claims
from workbook_lib.samples.classifier import load_classifier
from workbook_lib.samples.delay_line import delay_line_file
from workbook_lib.samples.digits import Digits, load_digits
from workbook_lib.samples.half_reader import half_reader_rows
from workbook_lib.samples.streaming import load_row_reader

__all__ = [
    "Digits",
    "article_claims",
    "data_path",
    "delay_line_file",
    "half_reader_rows",
    "load_classifier",
    "load_digits",
    "load_row_reader",
    "project_root",
]
