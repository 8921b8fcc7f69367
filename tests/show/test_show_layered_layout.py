"""Places of boxes and lines, held to what a reader sees: nothing overlaps, nothing is run over."""

import random
from itertools import combinations

import pytest

from varhandle.inspection.layered_layout import lay_out

BOX = (60.0, 20.0)


def random_graph(seed):
    """Return sizes and lines of a random graph of 2 to 30 boxes; some lines run backwards."""
    chance = random.Random(seed)
    count = chance.randint(2, 30)
    sizes = {f"b{n}": (chance.uniform(20, 200), chance.uniform(20, 60)) for n in range(count)}
    lines = [
        (f"b{chance.randrange(last)}", f"b{last}")
        for last in range(1, count)
        for _ in range(chance.randint(0, 3))
    ]
    lines += [line[::-1] for line in lines if chance.random() < 0.1]
    return sizes, lines


def overlaps(a, b, sizes, layout):
    (ax, ay), (bx, by) = layout.centers[a], layout.centers[b]
    apart_x = abs(ax - bx) - (sizes[a][0] + sizes[b][0]) / 2
    apart_y = abs(ay - by) - (sizes[a][1] + sizes[b][1]) / 2
    return apart_x < -1e-6 and apart_y < -1e-6


@pytest.mark.parametrize("across", [False, True], ids=["down", "across"])
@pytest.mark.parametrize("seed", range(30))
def test_boxes_keep_apart_and_inside(seed, across):
    sizes, lines = random_graph(seed)
    layout = lay_out(sizes, lines, across=across)
    assert not [pair for pair in combinations(sizes, 2) if overlaps(*pair, sizes, layout)]
    for box, (x, y) in layout.centers.items():
        width, height = sizes[box]
        assert x - width / 2 >= -1e-6 and x + width / 2 <= layout.width + 1e-6
        assert y - height / 2 >= -1e-6 and y + height / 2 <= layout.height + 1e-6


@pytest.mark.parametrize("seed", range(30))
def test_a_line_goes_from_its_first_box_to_its_last_and_bends_in_no_box(seed):
    sizes, lines = random_graph(seed)
    layout = lay_out(sizes, lines)
    assert set(layout.bends) == set(lines)
    for (first, last), places in layout.bends.items():
        assert (places[0], places[-1]) == (layout.centers[first], layout.centers[last])
        for x, y in places[1:-1]:
            for box, (cx, cy) in layout.centers.items():
                width, height = sizes[box]
                assert abs(x - cx) >= width / 2 - 1e-6 or abs(y - cy) > height / 2 - 1e-6


def test_what_comes_before_stands_above():
    layout = lay_out(dict.fromkeys("abcd", BOX), [("a", "b"), ("b", "c"), ("a", "d"), ("d", "c")])
    heights = {box: y for box, (_, y) in layout.centers.items()}
    assert heights["a"] < heights["b"] == heights["d"] < heights["c"]


def test_lines_that_need_not_cross_do_not():
    layout = lay_out(dict.fromkeys("abxy", BOX), [("a", "y"), ("b", "x")])
    (ax, _), (bx, _), (xx, _), (yx, _) = (layout.centers[box] for box in "abxy")
    assert (ax < bx) == (yx < xx)


def test_a_source_stands_right_above_what_takes_it():
    lines = [("a", "b"), ("b", "c"), ("c", "d"), ("weight", "read"), ("read", "d")]
    layout = lay_out(dict.fromkeys(["a", "b", "c", "d", "weight", "read"], BOX), lines)
    assert layout.centers["read"][1] == layout.centers["c"][1]
    assert layout.centers["weight"][1] == layout.centers["b"][1]


def test_a_box_that_leads_to_itself_is_a_box():
    layout = lay_out({"a": BOX}, [("a", "a"), ("a", "nowhere")])
    assert layout.centers == {"a": (30.0, 10.0)}
    assert not layout.bends


def test_nothing_is_a_layout_too():
    layout = lay_out({}, [])
    assert (layout.width, layout.height) == (0.0, 0.0)
