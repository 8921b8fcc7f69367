"""Lesson 94: the keys of its prediction."""

import pytest

from workbook_lib.lesson.content import formats_side_by_side


@pytest.mark.parametrize(
    ("names", "key"), [([], ()), (["total", "calls"], ("calls", "total")), (["b", "b"], ("b",))]
)
def test_names_are_a_key_in_any_order(names, key):
    assert formats_side_by_side.in_order(names) == key
