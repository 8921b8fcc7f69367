"""The SVG drawing: well-formed, complete, and safe whatever a file calls its nodes."""

import re
from xml.etree import ElementTree

import pytest

from varhandle.inspection.dataflow import Box
from varhandle.inspection.svg_drawing import COLORS, Marks, draw_svg
from workbook_lib import show

SVG = "{http://www.w3.org/2000/svg}"


def parsed(markup):
    return ElementTree.fromstring(markup)


def words_of(element):
    return [text.text for text in element.iter(f"{SVG}text")]


def boxes(root):
    return {group.get("data-box"): group for group in root.iter(f"{SVG}g") if group.get("data-box")}


def test_every_step_is_a_box_that_says_what_it_is(counter):
    chart = show.draw_graph(counter)
    found = {id: words_of(box) for id, box in boxes(parsed(chart.svg())).items()}
    assert sorted(found) == sorted(step.id for step in chart.boxes)
    assert ["variable counter", "float32 []"] in found.values()
    assert ["ReadVariableOp", "reads w"] in found.values()
    assert ["AssignAddVariableOp", "assigns counter"] in found.values()
    assert ["input x", "float32 [?, 4]"] in found.values()
    assert ["MatMul"] in found.values()


def test_a_kind_has_a_shape_of_its_own(counter):
    drawn = parsed(show.draw_graph(counter).svg())
    shapes = {}
    for box in boxes(drawn).values():
        outline = box.find(f"{SVG}g")
        kind = words_of(box)[0].split()[0]
        first = outline[0]
        shapes[kind] = (len(outline), first.tag.removeprefix(SVG), float(first.get("rx") or 0) > 0)
    assert shapes["variable"] == (2, "path", False)
    assert shapes["ReadVariableOp"] == (1, "polygon", False)
    assert shapes["AssignAddVariableOp"] == (2, "rect", False)
    assert shapes["MatMul"] == (1, "rect", False)
    assert shapes["input"] == (1, "rect", True)


def test_every_line_of_the_flow_is_drawn(counter):
    drawn = parsed(show.draw_graph(counter).svg())
    lines = [path for path in drawn.findall(f"{SVG}path") if path.get("fill") == "none"]
    styles = [(path.get("stroke-width"), path.get("stroke-dasharray")) for path in lines]
    # Counted by hand in the flow of ``counter``: values, one order, one write.
    assert styles.count(("1.5", None)) == 8
    assert styles.count(("1.5", "4 4")) == 1
    assert styles.count(("3", None)) == 1


def test_the_whole_flow_is_said_in_words(counter):
    chart = show.draw_graph(counter)
    root = parsed(chart.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == chart.title
    assert root.find(f"{SVG}desc").text.split("; ") == chart.text().splitlines()


def test_a_hostile_name_stays_text(hostile):
    step = Box(hostile, "op", hostile, "\x1b[31m\u202e")
    markup = draw_svg(hostile, hostile, (step,), marks=Marks({hostile: hostile}, hostile, True))
    root = parsed(markup)
    assert "<script" not in markup
    assert "\x1b" not in markup and "\u202e" not in markup
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "g", "rect", "text")
    }
    names = {name for element in root.iter() for name in element.keys()}  # noqa: SIM118
    assert not [name for name in names if name.lower().startswith("on")]


def test_every_word_fits_its_box(counter):
    """DejaVu Sans Bold has no digit, sign or small letter wider than 0.84 em but m, w and W."""
    chart = show.draw_graph(counter)
    for box in boxes(parsed(chart.svg())).values():
        points = [part.get("points") or "" for part in box.find(f"{SVG}g")]
        numbers = map(float, re.findall(r"-?\d+\.\d", " ".join(points)))
        rect = box.find(f"{SVG}g/{SVG}rect")
        width = float(rect.get("width")) if rect is not None else max(numbers, default=999)
        assert width >= 0.6 * 12 * max(map(len, words_of(box)))


def test_words_stand_clear_of_the_outline(counter):
    """A capital of DejaVu Sans is 0.73 em high, and its letters reach 0.24 em below the line."""
    for box in boxes(parsed(show.draw_graph(counter).svg())).values():
        outline = box.find(f"{SVG}g")[0]
        if outline.tag == f"{SVG}path":  # a cylinder: below its lid
            found = re.match(r"M[\d.]+,([\d.]+) a[\d.]+,([\d.]+) .* v([\d.]+) ", outline.get("d"))
            lid, half, side = map(float, found.groups())
            top, bottom = lid + half, lid + side + half
        elif outline.tag == f"{SVG}polygon":
            heights = [float(point.split(",")[1]) for point in outline.get("points").split()]
            top, bottom = min(heights), max(heights)
        else:
            top = float(outline.get("y"))
            bottom = top + float(outline.get("height"))
        lines = [float(text.get("y")) for text in box.iter(f"{SVG}text")]
        assert min(lines) - 0.73 * 12 >= top + 4
        assert max(lines) + 0.24 * 12 <= bottom - 4


def test_a_title_is_bold_and_what_it_says_more_is_not(counter):
    for box in boxes(parsed(show.draw_graph(counter).svg())).values():
        weights = [text.get("font-weight") for text in box.iter(f"{SVG}text")]
        assert weights == ["bold", *["normal"] * (len(weights) - 1)]


@pytest.mark.parametrize("kind", COLORS)
def test_the_words_of_a_box_can_be_read(kind):
    """Contrast of 7:1 or more between text and fill (WCAG 2.2, success criterion 1.4.6)."""
    fill, _, text, _ = COLORS[kind]
    assert contrast(fill, text) >= 7


@pytest.mark.parametrize("page", ["#ffffff", "#111111"], ids=["light", "dark"])
def test_a_line_can_be_seen_on_a_light_and_on_a_dark_page(counter, page):
    """Contrast of 3:1 or more for a graphical object (WCAG 2.2, success criterion 1.4.11)."""
    drawn = parsed(show.draw_graph(counter).svg())
    colors = {path.get("stroke") for path in drawn.findall(f"{SVG}path")} - {None}
    assert colors
    assert all(contrast(page, color) >= 3 for color in colors)


def contrast(one, other):
    """Contrast ratio as WCAG 2.2 defines it."""

    def luminance(color):
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_a_drawing_to_click_names_each_step_and_where_one_is(counter):
    chart = show.draw_graph(counter)
    here = chart.boxes[2].id
    root = parsed(chart.svg(Marks({}, here, clickable=True)))
    assert root.get("role") == "group"
    found = boxes(root)
    assert all(box.get("role") == "button" for box in found.values())
    assert all(box.get("tabindex") == "0" for box in found.values())
    assert all(box.get("aria-label") for box in found.values())
    assert [id for id, box in found.items() if box.get("aria-current")] == [here]
    assert "▸ here" in words_of(found[here])


def test_what_is_marked_has_a_broken_outline_and_its_words(counter):
    chart = show.draw_graph(counter)
    marked = chart.boxes[2].id
    found = boxes(parsed(chart.svg(Marks({marked: "not read"}, "", clickable=False))))
    broken = [id for id, box in found.items() if box.find(f"{SVG}g").get("stroke-dasharray")]
    assert broken == [marked]
    assert [id for id, box in found.items() if "not read" in words_of(box)] == [marked]
