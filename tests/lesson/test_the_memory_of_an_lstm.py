"""Lesson 90: the key of its prediction."""

import pytest

from workbook_lib.lesson.content import the_memory_of_an_lstm as content


@pytest.mark.parametrize(
    ("plain", "stateful", "key"),
    [(True, True, "plain and stateful"), (False, True, "stateful"), (False, False, "")],
)
def test_whose_answer_changes_is_read_off_the_run(plain, stateful, key):
    assert content.which_changes({"plain": plain, "stateful": stateful}) == key
