"""Lesson 90: the key of its prediction."""

from types import SimpleNamespace

import pytest

from workbook_lib.lesson.content import the_second_example


@pytest.mark.parametrize(
    ("parity", "key"),
    [(None, None), (SimpleNamespace(passed=False), False), (SimpleNamespace(passed=True), True)],
)
def test_what_the_converter_did_is_read_off_the_parity(parity, key):
    assert the_second_example.answers_right(parity) == key
