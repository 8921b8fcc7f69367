"""The digits and the models that the lessons share; all of it ships with the workbook."""

from workbook_lib.locations import data_path, project_root
from workbook_lib.samples.claims import article_claims
from workbook_lib.samples.classifier import load_classifier
from workbook_lib.samples.digits import Digits, load_digits

__all__ = [
    "Digits",
    "article_claims",
    "data_path",
    "load_classifier",
    "load_digits",
    "project_root",
]
