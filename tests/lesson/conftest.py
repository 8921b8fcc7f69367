"""What a learner writes for an exercise, run and checked as the notebook does it."""

import importlib
import tempfile
import textwrap

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from notebook_cells import EXERCISES, execute, load, source

from varhandle.conversion.freezing import freeze

RUN_BEFORE = {
    "12_three_fixes": ("part-model",),
    "15_whose_variable_is_it": ("running-total", "save", "captured"),
}
"""Cells whose names an exercise or its check uses."""


class Notebook:
    """Stands for the IPython shell of a kernel, and notes what is displayed."""

    kernel = object()

    def __init__(self):
        self.bundles = []

    def display(self, bundle, **_):
        self.bundles.append(bundle)
        return self

    update = display


@pytest.fixture
def notebook(monkeypatch):
    """A kernel with somebody before it: controls are drawn."""
    import IPython
    import IPython.display

    shell = Notebook()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", shell.display)
    return shell


@pytest.fixture(scope="session")
def notebook_names(tf):
    """Return a function: what a learner's cell in a notebook finds defined."""
    common = {"np": np, "tf": tf, "tempfile": tempfile, "Interpreter": Interpreter}
    common |= {"freeze": freeze, "TFLiteConverter": tf.lite.TFLiteConverter}
    known = {}

    def of(stem):
        if stem not in known:
            names = {"__name__": "__main__", **common}
            for cell in RUN_BEFORE.get(stem, ()):
                execute(source(load(f"{stem}.ipynb"), cell), names)
            names["check"] = importlib.import_module(f"workbook_lib.lesson.checks.{stem[3:]}")
            known[stem] = names
        return dict(known[stem])

    return of


@pytest.fixture
def outcome(notebook_names):
    """Return a function that runs what a learner wrote, and then the notebook's check of it."""

    def of(exercise_id, code):
        stored = EXERCISES[exercise_id]
        names = execute(textwrap.dedent(code), notebook_names(stored.notebook))
        return eval(stored.check, names)

    return of
