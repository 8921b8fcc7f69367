"""Run what a lesson's card gives as the cure: it is code that people paste."""

import textwrap

from workbook_lib.lesson.content import card_of


def run_cure(lesson, given="", *, lines=slice(None), **names):
    """Run the cure of a card, or some of its lines; return the names that are there then.

    ``given`` is code that runs before it. Both have ``tf``, ``np``, ``Interpreter`` and ``names``.
    """
    import numpy as np
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    names = {"tf": tf, "np": np, "Interpreter": Interpreter, **names}
    exec(textwrap.dedent(given), names)
    exec("\n".join(card_of(lesson).cure.splitlines()[lines]), names)
    return names
