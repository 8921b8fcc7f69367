"""Papermill: run the notebooks, keep what they made, report."""

from workbook_lib.runs.execute import (
    NotebookRun,
    RunInputError,
    RunReport,
    all_notebooks,
    run_notebooks,
)

__all__ = ["NotebookRun", "RunInputError", "RunReport", "all_notebooks", "run_notebooks"]
